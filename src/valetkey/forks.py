"""What happens when the process forks: the child gets nothing that some thread was in the middle of.

In the child only the forking thread is left.  What another thread held at that moment is held there for ever, so a
fork waits until nobody holds it.

*Imports.*  The interpreter gives a child fresh locks of its own, but not for modules that some thread was just
importing.  Imports that happen late, in flights, are made under `late_imports`.

*SQLite.*  Its library has locks that all its connections share, and a child forked while any thread opens, uses or
closes one may wait for them for ever.  A handle that stays open during a fork is a trap as well, closed in the child
or not: the library in the child believes that it still holds the locks of the parent, so a connection which the child
opens anew takes none.  When the parent then closes its last handle, it sees nobody else and deletes the write-ahead
log under the child, whose later commits are lost without an error.  So the handles are closed *before* the fork, when
no operation is under way, and both sides open them again when they need them.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol

late_imports: Final = threading.RLock()
"""Held around imports that are made on first use, in threads.  A fork takes it before all else."""


class Forkable(Protocol):
    """Something with locks or handles."""

    def before_fork(self) -> None:
        """Come to rest, and stay so until `after_fork`."""
        ...

    def after_fork(self, *, in_child: bool) -> None:
        """Go on.  In the child no other thread exists any more."""
        ...


_LIVE: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()
_ONE_AT_A_TIME: Final = threading.RLock()
_resting: Final[list[Forkable]] = []


def register(thing: Forkable) -> None:
    """Have `thing` told of forks as long as it lives; while one is under way, wait until it is over."""
    with _ONE_AT_A_TIME:
        _LIVE.add(thing)


def _before() -> None:
    late_imports.acquire()
    _ONE_AT_A_TIME.acquire()
    for thing in list(_LIVE):
        thing.before_fork()
        _resting.append(thing)


def _after_in_parent() -> None:
    while _resting:
        _resting.pop().after_fork(in_child=False)
    _ONE_AT_A_TIME.release()
    late_imports.release()


def _after_in_child() -> None:
    _resting.clear()
    for thing in list(_LIVE):  # those too that an interrupt kept from coming to rest
        thing.after_fork(in_child=True)
    _ONE_AT_A_TIME.release()
    late_imports.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
