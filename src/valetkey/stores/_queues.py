"""Queues of threads: one for each name, as long as somebody is in it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from valetkey import forks


class _Queue:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Queues:
    """Lets one thread at a time do something with a name."""

    def __init__(self) -> None:
        self._start_anew()
        forks.register(self)

    def _start_anew(self) -> None:
        self._guard = threading.Lock()
        self._by_name: WeakValueDictionary[str, _Queue] = WeakValueDictionary()

    @contextmanager
    def wait(self, name: str, seconds: float) -> Generator[bool]:
        """Run the block when no other thread of this process is at it, or after `seconds` all the same.

        Gives whether it is this thread's turn.
        """
        with self._guard:
            queue = self._by_name.get(name) or _Queue()
            self._by_name[name] = queue
        mine = queue.lock.acquire(timeout=seconds)
        try:
            yield mine
        finally:
            if mine:
                queue.lock.release()

    def before_fork(self) -> None:
        """Do nothing: a thread may be at it for long, and the child has queues of its own."""

    def after_fork(self, *, in_child: bool) -> None:
        """Let the child begin with empty queues."""
        if in_child:
            self._start_anew()
