"""Callers that leave while their refresh is under way: cancelled, their event loop ended, or interrupted by Ctrl-C."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crew import NAME, Shifted, open_valet, owner, valet_options
from scene import Scene
from settings import Case

from stores import PLACES
from valetkey import AsyncValet, ValetkeyError

LIFE = 3600.0
THINKING = 0.02
"""Seconds, at most, that the authority thinks before and after it rotates: callers leave at any moment meanwhile."""
AT_ONCE = 20


@dataclass
class Leavers:
    """Where callers leave: how many were asked for, and how many of them had left before their token was there."""

    scene: Scene
    count: int
    chance: random.Random
    left: int = 0

    def patience(self) -> float:
        """Return after how many seconds a caller leaves."""
        return self.chance.uniform(0.0, 1.5 * THINKING)


Leave = Callable[[Leavers], None]


def left(case: Case, what: str, leave: Leave) -> None:
    """Let more than a thousand callers leave, each during the refresh of a grant of its own."""
    count = case.size(quick=200, usual=1500)
    since = time.monotonic()
    case.report.doing(what)
    with Scene(PLACES["SQLite"], count, seed=case.seed, life=LIFE) as scene:
        scene.control("set", before=(0.0, THINKING), after=(0.0, THINKING))
        leavers = Leavers(scene, count, random.Random(case.seed))
        leave(leavers)
        scene.control("set", before=(0.0, 0.0), after=(0.0, 0.0))
        scene.settle("A")
        found = scene.verdict()
    met = found.lost == 0 and leavers.left > count // 10
    case.report.line(what, f"{leavers.left} left", found, target=f"0 lost of {count}", met=met, since=since)


@contextmanager
def _valet(leavers: Leavers) -> Generator[AsyncValet]:
    """Give a valet to whose clock all tokens have run out."""
    job = leavers.scene.job
    valet = AsyncValet(job.store, **valet_options(job, Shifted(LIFE)))
    yield valet
    asyncio.run(valet.close())


def cancelled(leavers: Leavers) -> None:
    """Cancel the task, as a time-out does."""

    async def ask(valet: AsyncValet, numbers: Any) -> None:
        for number in numbers:
            try:
                await asyncio.wait_for(valet.client(NAME, owner=owner(number)).get_access_token(), leavers.patience())
            except TimeoutError:
                leavers.left += 1

    async def everybody(valet: AsyncValet) -> None:
        numbers = iter(range(leavers.count))
        await asyncio.gather(*(ask(valet, numbers) for _ in range(AT_ONCE)))

    with _valet(leavers) as valet:
        asyncio.run(everybody(valet))


def loop_ended(leavers: Leavers) -> None:
    """End the event loop: `asyncio.run` cancels what is left, and closes the loop."""

    async def ask(valet: AsyncValet, number: int) -> None:
        task = asyncio.create_task(valet.client(NAME, owner=owner(number)).get_access_token())
        await asyncio.sleep(leavers.patience())
        leavers.left += not task.done()

    with _valet(leavers) as valet:
        for number in range(leavers.count):
            asyncio.run(ask(valet, number))


def interrupted(leavers: Leavers) -> None:
    """Interrupt the main thread as Ctrl-C does: `KeyboardInterrupt` out of the call."""
    waiting = False

    def interrupt(number: int, frame: Any) -> None:
        if waiting:
            signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with open_valet(leavers.scene.job, Shifted(LIFE)) as valet:
            for number in range(leavers.count):
                client = valet.client(NAME, owner=owner(number))
                try:
                    waiting = True
                    signal.setitimer(signal.ITIMER_REAL, max(leavers.patience(), 1e-4))
                    client.get_access_token()
                    waiting = False
                except KeyboardInterrupt:
                    waiting = False
                    leavers.left += 1
                except ValetkeyError:
                    waiting = False
                signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)
