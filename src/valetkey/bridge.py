"""From a flight's future to an awaitable of whatever event loop runs."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary, ref

T = TypeVar("T")


async def landing(future: Future[T]) -> T:
    """Wait for a flight.  Cancelling this, or closing the loop, does not touch the flight (R2).

    `asyncio.wrap_future` would hand a cancellation on to the flight, and complain in the log when its loop is gone.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[T] = loop.create_future()
    arrivals = _arrivals.get(loop)
    if arrivals is None:
        arrivals = _arrivals.setdefault(loop, _Arrivals(loop))
    tell = arrivals.tell
    future.add_done_callback(lambda done: tell(waiter, done))
    return await waiter


class _Arrivals:
    """What has landed for the tasks of one event loop: flights that land together wake it once."""

    __slots__ = ("__weakref__", "_called", "_landed", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._landed: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._called = False

    def tell(self, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        """Have `waiter` told of it by its loop; called in the flight's thread."""
        self._landed.append((waiter, done))  # before the look at the flag, which `_settle` lowers before it looks here
        loop = self._loop()
        if self._called or loop is None:
            return
        self._called = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._called = False
        while self._landed:
            _hand_over(*self._landed.popleft())


def _hand_over(waiter: asyncio.Future[T], done: Future[T]) -> None:
    if waiter.done():
        return
    error = done.exception()
    if error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())


_arrivals: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals]] = WeakKeyDictionary()
