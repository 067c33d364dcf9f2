"""Flights: one at a time for a key, once each, and none that holds up a fork or the end of the interpreter."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from valetkey.bridge import landing
from valetkey.flights import Flights
from valetkey.forks import late_imports


@pytest.fixture
def flights() -> Flights:
    return Flights()


def test_who_comes_while_it_is_under_way_waits_for_the_same_flight(flights: Flights) -> None:
    gate, runs = threading.Event(), []

    def fly() -> str:
        runs.append(1)
        gate.wait(10)
        return "landed"

    first, own = flights.run("key", fly)
    second, joined = flights.run("key", fly)
    gate.set()

    assert (own, joined, first is second) == (True, False, True)
    assert (first.result(10), len(runs)) == ("landed", 1)
    flights.close()
    assert flights.under_way() == ()


def test_after_it_landed_the_next_one_flies_anew(flights: Flights) -> None:
    assert flights.run("key", lambda: 1)[0].result(10) == 1
    assert flights.run("key", lambda: 2)[0].result(10) == 2
    flights.close()


def test_a_flight_that_is_to_begin_at_once_is_not_started_where_it_would_have_to_wait() -> None:
    flights = Flights(max_threads=2)
    gate = threading.Event()
    first = flights.start("one", gate.wait, lane="slow")
    assert first is not None
    assert flights.start("one", gate.wait, lane="slow") is None  # it would have to be joined
    second, _ = flights.run("two", gate.wait, lane="slow")
    assert flights.start("three", gate.wait, lane="slow") is None  # no thread is free
    other = flights.start("three", lambda: 3, lane="other")
    assert other is not None
    assert other.result(10) == 3
    gate.set()
    assert first.result(10)
    assert second.result(10)
    last = flights.start("one", lambda: 1, lane="slow")
    assert last is not None
    assert last.result(10) == 1
    flights.close()


def test_flights_that_land_together_wake_their_event_loop_once() -> None:
    calls: list[object] = []

    async def everything() -> list[object]:
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args: calls.append(args) or call_soon(*args)  # type: ignore[method-assign]
        flying: list[Future[int]] = [Future() for _ in range(4)]
        tasks = [asyncio.ensure_future(landing(future)) for future in flying]
        await asyncio.sleep(0)  # they wait
        tasks[1].cancel()
        for number, future in enumerate(flying[:3]):
            future.set_result(number)
        await tasks[2]
        flying[3].set_exception(KeyError("lost"))  # and wakes it again
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third, fourth = asyncio.run(everything())
    assert (first, third, len(calls)) == (0, 2, 2)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(fourth, KeyError)


def test_what_a_flight_raises_reaches_who_waits(flights: Flights) -> None:
    def fly() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError):
        flights.call(fly).result(10)
    flights.close()


def test_who_imports_can_start_a_flight_while_another_thread_starts_one(flights: Flights) -> None:
    with late_imports:  # as whoever opens a store, and then brings to it what the journal keeps
        other = threading.Thread(target=flights.call, args=(int,))
        other.start()
        other.join(0.2)  # it waits for the imports by now
        free = flights._lock.acquire(timeout=5)
        if free:
            flights._lock.release()
    other.join()
    flights.close()

    assert free


def test_a_thread_that_cannot_be_started_does_not_run_a_flight_twice(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor has queued the work already when it finds that it gets no thread."""
    real, runs = ThreadPoolExecutor._adjust_thread_count, []

    def no_thread(pool: ThreadPoolExecutor) -> None:
        real(pool)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", no_thread)

    futures = [flights.call(lambda: runs.append(1)) for _ in range(20)]
    for future in futures:
        future.result(10)
    flights.close()

    assert len(runs) == 20


def test_a_flight_may_start_another_while_the_executor_takes_none(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)

    outer = flights.call(lambda: flights.call(lambda: "inner").result(10))

    assert outer.result(10) == "inner"


def test_where_no_thread_can_be_started_a_block_runs_without_beats_and_the_next_one_has_them(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of the interpreter, from Python 3.12 on."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    ran, beaten = [], threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with flights.pulse(0.001, beaten.set):
            ran.append(1)
    with flights.pulse(0.001, beaten.set):
        assert beaten.wait(10)
    flights.close()

    assert ran == [1]


ATEXIT = """
import atexit
from valetkey.testing import Practice
practice = Practice()
practice.connect("notes")
practice.clock.advance(3601)
def last():
    print(practice.client().get("/me").status_code, flush=True)
    practice.close()
atexit.register(last)
"""

FORK = """
import os, sys, threading, time
from valetkey.testing import Practice
practice = Practice()
practice.connect("notes")
for name in [n for n in sys.modules if n == "valetkey.engine.renewal"]:
    raise SystemExit("it was loaded already")
practice.clock.advance(3601)
client = practice.client()
started = threading.Event()
def refresh():
    started.set()
    client.get("/me")
thread = threading.Thread(target=refresh)
thread.start()
started.wait()
time.sleep(float(sys.argv[1]))  # where in the first refresh, and its imports, the fork falls
child = os.fork()
if child == 0:
    try:
        client.get_access_token()
    except BaseException as error:
        os.write(2, repr(error).encode())
        # An honest word is no hang: the child waits by a clock that does not wait for the parent's refresh.
        os._exit(0 if getattr(error, "code", "") in {"store_forked", "refresh_busy"} else 1)
    os._exit(0)
thread.join()
_, status = os.waitpid(child, 0)
practice.close()
print(os.waitstatus_to_exitcode(status))
sys.exit(os.waitstatus_to_exitcode(status))  # so that what the child said shows
"""


def program(text: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text, *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_token_can_be_got_while_the_interpreter_ends() -> None:
    assert program(ATEXIT) == "200"


@pytest.mark.parametrize("delay", ["0", "0.005", "0.02", "0.05"])
def test_a_child_forked_while_the_first_refresh_is_loading_its_modules_does_not_hang(delay: str) -> None:
    assert program(FORK, delay) == "0"
