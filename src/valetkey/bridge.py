"""From a flight's future to an awaitable of whatever event loop runs."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def landing(future: Future[T]) -> T:
    """Wait for a flight.  Cancelling this, or closing the loop, does not touch the flight (R2).

    `asyncio.wrap_future` would hand a cancellation on to the flight, and complain in the log when its loop is gone.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[T] = loop.create_future()

    def tell(done: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, waiter, done)

    future.add_done_callback(tell)
    return await waiter


def _settle(waiter: asyncio.Future[T], done: Future[T]) -> None:
    if waiter.done():
        return
    error = done.exception()
    if error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())
