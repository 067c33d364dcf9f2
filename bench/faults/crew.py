"""The processes that use the grants, and how they are killed, frozen and told to stop.

They are forked from a server process that has imported everything, so that one more costs milliseconds.  Each is a
real process with a valet of its own; processes of one *host* share a VALETKEY_HOME, those of another do not.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from valetkey import ReauthorizationRequired, Valet, ValetkeyError, Wiring
from valetkey.clock import SystemClock
from valetkey.secret_services.memory import MemorySecrets

NAME = "faults"
STEP = 600.0
SETTLE = 100.0
"""Seconds within which every grant must be usable or given up, after the fault."""
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["crew", "preload", "killing", "leaving", "losing", "simulated"])


@dataclass(frozen=True)
class Job:
    """What one process does.

    Attributes:
        who: Its name, by which the authority knows it.
        base: The authority.
        store: The store's URL.
        folder: Where the key is.
        home: Its host.
        owners: How many grants there are.
        threads: How many threads ask for tokens.
        kind: ``use``: ask for tokens all the time; ``once``: ask once for each, all at the same time; ``settle``:
            refresh every grant until it is renewed or given up.
        pause: Seconds between two questions of a thread, at most.
        grace: The preset's word on how long the provider takes a spent token; shortens claims.
        steps: Whether its wall clock steps by 10 minutes, forth and back.
        ahead: By how many seconds its wall clock is ahead: to it, tokens have expired that have just been got.
        seed: What its choices come from.
    """

    who: str
    base: str
    store: str
    folder: Path
    home: str
    owners: int
    threads: int = 3
    kind: str = "use"
    pause: float = 0.02
    grace: float | None = None
    steps: bool = False
    ahead: float = 0.0
    seed: int = 0

    def ready(self) -> Path:
        """Return the file that is there once it has opened the store."""
        return self.folder / f"{self.who}.ready"

    def told(self) -> Path:
        """Return the file in which it says at its end what it met."""
        return self.folder / f"{self.who}.json"


def owner(number: int) -> str:
    return f"u{number}"


def open_valet(job: Job, clock: Shifted | None = None) -> Valet:
    """Open a valet as this process's."""
    return Valet(job.store, **valet_options(job, clock))


def valet_options(job: Job, clock: Shifted | None = None) -> dict[str, Any]:
    """Return what a valet is made with."""
    os.environ["VALETKEY_HOME"] = str(job.folder / job.home)
    wiring = Wiring()
    declared = wiring.oauth2_credential(
        NAME,
        authorization_url=f"{job.base}/authorize",
        token_url=f"{job.base}/token/{job.who}",
        revocation_url=f"{job.base}/revoke",
        client_auth="client_secret_post",
        scopes=["read"],
        refresh_grace=job.grace,
    )
    secrets = MemorySecrets({declared.secret_id: json.dumps({"client_id": "cid", "client_secret": "secret"})})
    options: dict[str, Any] = {"env": "faults", "key": job.folder / "key", "wiring": wiring, "secrets": secrets}
    return {**options, "base_url": "http://127.0.0.1:8421", "clock": clock or SystemClock()}


class Shifted(SystemClock):
    """A wall clock that is ahead, and can be set."""

    __slots__ = ("ahead",)

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now(self) -> float:  # type: ignore[override]
        return time.time() + self.ahead


def work(job: Job) -> None:
    """Be one process of the crew."""
    logging.disable()
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clock = Shifted(job.ahead)
    if job.steps:
        threading.Thread(target=_step, args=(clock, random.Random(job.seed)), daemon=True).start()
    threading.Thread(target=_end_with_harness, args=(stop,), daemon=True).start()
    met: Counter[str] = Counter()
    with open_valet(job, clock) as valet:
        valet._core.http.for_endpoints  # noqa: B018 - a TLS context costs more than all the rest of the start
        _ask(valet, job.seed % job.owners, met)
        job.ready().write_text(f"{time.process_time():.2f} s CPU")
        WAYS[job.kind](job, valet, met, stop)
    job.told().write_text(json.dumps(met))


def _end_with_harness(stop: threading.Event) -> None:
    harness = PROCESSES.parent_process()
    if harness is not None:
        harness.join()
        stop.set()


def _step(clock: Shifted, chance: random.Random) -> None:
    while True:
        time.sleep(chance.uniform(0.2, 1.5))
        clock.ahead = chance.choice([-STEP, 0.0, STEP])


def _ask(valet: Valet, number: int, met: Counter[str]) -> None:
    try:
        valet.client(NAME, owner=owner(number)).get_access_token()
        met["ok"] += 1
    except ValetkeyError as error:
        met[error.code] += 1


def _use(job: Job, valet: Valet, met: Counter[str], stop: threading.Event) -> None:
    def ask(at: int) -> None:
        chance = random.Random(job.seed * 100 + at)
        while not stop.is_set():
            _ask(valet, chance.randrange(job.owners), met)
            stop.wait(chance.uniform(0, job.pause))

    _in_threads(ask, range(job.threads), job.threads)


def _once(job: Job, valet: Valet, met: Counter[str], stop: threading.Event) -> None:
    """Ask once for every grant, all at the same time, and then go on asking until told to stop."""
    numbers = list(range(job.owners))
    random.Random(job.seed).shuffle(numbers)
    _in_threads(lambda number: _ask(valet, number, met), numbers, job.owners)
    while not stop.wait(0.5):
        _in_threads(lambda number: _ask(valet, number, met), numbers, 8)


def _settle(job: Job, valet: Valet, met: Counter[str], _stop: threading.Event) -> None:
    give_up = time.monotonic() + SETTLE

    def settle(number: int) -> None:
        while time.monotonic() < give_up:
            try:
                valet.client(NAME, owner=owner(number)).refresh()
            except ReauthorizationRequired as error:
                met[error.code] += 1
                return
            except ValetkeyError:
                time.sleep(0.3)
            else:
                met["ok"] += 1
                return
        met["unsettled"] += 1

    _in_threads(settle, range(job.owners), 8)


def _in_threads(task: Callable[[int], None], numbers: Any, count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        under_way = [pool.submit(task, number) for number in numbers]
        while wait(under_way, timeout=0.1).not_done:
            """Come back to where signals are heard: one that reached another thread does not wake this one."""
    for future in under_way:
        future.result()


WAYS: dict[str, Callable[[Job, Valet, Counter[str], threading.Event], None]] = {
    "use": _use,
    "once": _once,
    "settle": _settle,
}


@dataclass
class Hand:
    """A process of the crew, and what was done to it."""

    job: Job
    process: Any
    killed_at: float | None = None
    frozen: tuple[float, float] | None = None


class Crew:
    """Starts processes, and does things to them.

    Attributes:
        hands: All that were ever started, by name.
        stuck: Those that did not end when they were told to.
    """

    def __init__(self, template: Job) -> None:
        self.template = template
        self.hands: dict[str, Hand] = {}
        self.stuck: list[str] = []
        self._lock = threading.Lock()

    def start(self, **changes: Any) -> Hand:
        with self._lock:
            job = replace(self.template, **changes)
            job = replace(job, who=f"{job.home}-{len(self.hands)}", seed=job.seed + len(self.hands))
            (job.folder / job.home).mkdir(exist_ok=True)
            hand = Hand(job, PROCESSES.Process(target=work, args=(job,), daemon=True))
            self.hands[job.who] = hand
            hand.process.start()
            return hand

    def kill(self, hand: Hand) -> None:
        hand.killed_at = time.monotonic()
        hand.process.kill()
        hand.process.join()

    def freeze(self, hand: Hand, seconds: float) -> None:
        began = time.monotonic()
        os.kill(hand.process.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(hand.process.pid, signal.SIGCONT)
            hand.frozen = (began, time.monotonic())

    def running(self) -> list[Hand]:
        return [hand for hand in self.hands.values() if hand.process.is_alive()]

    def ready(self) -> list[Hand]:
        """Return those that are at work."""
        return [hand for hand in self.running() if hand.job.ready().exists()]

    def await_ready(self) -> None:
        """Wait until all are at work."""
        end = time.monotonic() + 60
        while len(self.ready()) < len(self.running()) and time.monotonic() < end:
            time.sleep(0.02)

    def stop(self, patience: float = 90.0) -> None:
        """Tell all to stop, and wait for their ends."""
        for hand in self.running():
            hand.process.terminate()
        self.wait(patience)

    def wait(self, patience: float) -> None:
        end = time.monotonic() + patience
        for hand in self.hands.values():
            hand.process.join(max(0.1, end - time.monotonic()))
        for hand in self.running():
            self.stuck.append(hand.job.who)
            self.kill(hand)

    def met(self) -> Counter[str]:
        """Return what they came across: ``ok``, and codes of errors."""
        found: Counter[str] = Counter()
        for hand in self.hands.values():
            if hand.job.told().exists():
                found.update(json.loads(hand.job.told().read_text()))
        return found

    def close(self) -> None:
        """End all at once."""
        for hand in self.running():
            os.kill(hand.process.pid, signal.SIGCONT)
            hand.process.kill()
            hand.process.join()
