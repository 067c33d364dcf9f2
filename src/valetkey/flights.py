"""Flights: the threads in which the engine runs, so that a refresh outlives whoever asked for it.

They are not daemons: a flight goes on when its caller is cancelled, when `asyncio.run` ends, when a second event loop
waits for it, on Ctrl-C; and the interpreter waits for it before it exits.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from valetkey.forks import late_imports

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

MAX_THREADS = 64
"""How many flights of one lane may be in the air at once; more of them queue."""


class Flights:
    """One flight per key at a time; who comes while it is under way waits for the same result.

    Lanes keep out of each other's way: what waits for one provider, which may take a minute each time, must not hold
    up what is about another one, or only reads the store.  After a fork the child starts with no flights: the parent's
    threads do not exist there.
    """

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._max_threads = max_threads
        self.reset()
        _everywhere.add(self)

    def reset(self) -> None:
        """Start with no flights and no threads, as in a forked child."""
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[Any]] = {}
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._aloft: dict[str, int] = {}
        self.pulse = _Pulse()

    def run(self, key: Hashable, function: Callable[[], T], *, lane: str = "") -> tuple[Future[T], bool]:
        """Return the future of the flight under way for `key`, or start one that calls `function`; True: started."""
        future = self._future()
        with self._lock:
            there = self._under_way.get(key)
            if there is not None:
                return there, False
            self._take_off(key, future, lane)
        self._launch(_Flight(function, future, lambda: self._landed(key, lane)), lane)
        return future, True

    def start(self, key: Hashable, function: Callable[[], T], *, lane: str = "") -> Future[T] | None:
        """Start a flight that begins at once; None where one is under way for `key`, or the lane's threads are taken.

        It is for what may wait for nobody although it shares a lane with flights that do.
        """
        future = self._future()
        with self._lock:
            if key in self._under_way or self._aloft.get(lane, 0) >= self._max_threads:
                return None
            self._take_off(key, future, lane)
        self._launch(_Flight(function, future, lambda: self._landed(key, lane)), lane)
        return future

    @staticmethod
    def _future() -> Future[Any]:
        with late_imports:  # before our own lock, never within it
            from concurrent.futures import Future  # noqa: PLC0415 - not for what only imports this package

        return Future()

    def _take_off(self, key: Hashable, future: Future[Any], lane: str) -> None:
        self._under_way[key] = future
        self._aloft[lane] = self._aloft.get(lane, 0) + 1

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Start a flight that nobody else can join."""
        return self.run(object(), function)[0]

    def _launch(self, flight: _Flight, lane: str) -> None:
        try:
            self._pool(lane).submit(flight)
        except RuntimeError:
            # Either the interpreter is on its way out, or no thread could be started although the work is queued.
            # A flight runs once, so this one runs here unless a thread has begun it.
            flight()

    def _pool(self, lane: str) -> ThreadPoolExecutor:
        with late_imports:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        with self._lock:
            pool = self._lanes.get(lane)
            if pool is None:
                pool = ThreadPoolExecutor(self._max_threads, thread_name_prefix=f"valetkey-flight-{lane}".rstrip("-"))
                self._lanes[lane] = pool
            return pool

    def _landed(self, key: Hashable, lane: str) -> None:
        with self._lock:
            if self._under_way.pop(key, None) is not None:
                self._aloft[lane] -= 1

    def under_way(self) -> tuple[Future[Any], ...]:
        """Return the futures of all flights under way."""
        with self._lock:
            return tuple(self._under_way.values())

    def close(self) -> None:
        """Wait for the flights under way and let the threads go.  A later `run` starts new ones."""
        with self._lock:
            pools, self._lanes = list(self._lanes.values()), {}
        for pool in pools:
            pool.shutdown(wait=True)
        self.pulse.close()


class _Flight:
    """A function that runs once, whoever comes first, and fulfils a future."""

    __slots__ = ("_begun", "_done", "_function", "_future")

    def __init__(self, function: Callable[[], Any], future: Future[Any], done: Callable[[], None]) -> None:
        self._function = function
        self._future = future
        self._done = done
        self._begun = threading.Lock()

    def __call__(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._done()
            self._future.set_exception(error)
        else:
            self._done()
            self._future.set_result(result)


class _Pulse:
    """Calls functions every so many seconds, all from one thread that exists only while there is something to call."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, float, Callable[[], object]]] = []
        self._live: set[int] = set()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._closing = False

    @contextmanager
    def __call__(self, every: float, beat: Callable[[], object]) -> Generator[None]:
        """Call `beat` every `every` seconds while the block runs; what it raises is dropped, it is tried again."""
        number = next(self._numbers)
        with self._wake:
            self._live.add(number)
            heapq.heappush(self._due, (monotonic() + every, number, every, beat))
            self._ensure_thread()
            if self._due[0][1] == number:  # else the thread wakes up early enough
                self._wake.notify()
        try:
            yield
        finally:
            with self._wake:
                self._live.discard(number)

    def _ensure_thread(self) -> None:
        """Start the thread if there is none.

        Where none can be started, as at the end of the interpreter, the block goes on without beats: a refresh that
        takes longer than its claim lives is better than none.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="valetkey-pulse", daemon=True)
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while (beat := self._next()) is not None:
            with suppress(Exception):
                beat()

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next call that is due; None after a while with nothing to do, or when closed."""
        with self._wake:
            while True:
                while self._due and self._due[0][1] not in self._live:
                    heapq.heappop(self._due)
                if not self._due:
                    if not self._closing:
                        self._wake.wait(1.0)
                    if not self._live:
                        self._thread = None
                        return None
                    continue
                at, number, every, beat = self._due[0]
                if (left := at - monotonic()) <= 0:
                    heapq.heapreplace(self._due, (monotonic() + every, number, every, beat))
                    return beat
                self._wake.wait(min(left, 1.0))

    def close(self) -> None:
        """End the thread, if nothing is alive any more, and wait for it."""
        with self._wake:
            thread = self._thread
            self._closing = True
            self._wake.notify()
        if thread is not None:
            thread.join(2.0)
        self._closing = False


_everywhere: weakref.WeakSet[Flights] = weakref.WeakSet()


def _after_fork() -> None:
    for flights in list(_everywhere):
        flights.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
