"""What a store does when its process forks.

A SQLite handle that is open during a fork is a trap, closed in the child or not.  The library in the child believes
that it still holds the locks of the parent, so a connection which the child opens anew takes none: when the parent
then closes its last handle, it sees nobody else and deletes the write-ahead log under the child, whose later commits
are lost without an error.  So the handles are closed *before* the fork, when no operation is under way, and both
sides open them again when they need them.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """Something with locks or handles."""

    def before_fork(self) -> None:
        """Come to rest, and stay so until `after_fork`."""
        ...

    def after_fork(self, *, in_child: bool) -> None:
        """Go on.  In the child no other thread exists any more."""
        ...


_LIVE: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()
_ONE_AT_A_TIME: Final = threading.Lock()
_resting: Final[list[Forkable]] = []


def register(thing: Forkable) -> None:
    """Have `thing` told of forks as long as it lives."""
    _LIVE.add(thing)


def _before() -> None:
    _ONE_AT_A_TIME.acquire()
    for thing in list(_LIVE):
        thing.before_fork()
        _resting.append(thing)


def _after_in_parent() -> None:
    while _resting:
        _resting.pop().after_fork(in_child=False)
    _ONE_AT_A_TIME.release()


def _after_in_child() -> None:
    _resting.clear()
    for thing in list(_LIVE):  # those too that an interrupt kept from coming to rest
        thing.after_fork(in_child=True)
    _ONE_AT_A_TIME.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
