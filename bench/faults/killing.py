"""Processes that are killed and frozen, clocks that step, people who sign out and in meanwhile."""

from __future__ import annotations

import random
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crew import NAME, Crew, Hand, open_valet, owner
from scene import Scene, Verdict
from settings import Case

from stores import PLACES, Place
from valetkey import Valet

THINKING = {"before": (0.0, 0.02), "after": (0.0, 0.02)}
"""The server takes up to 20 ms before it rotates and before it answers, so that there is time to be killed in."""


def killed(case: Case, store: str) -> None:
    """Kill six processes over and over, at random moments, and start others in their place."""
    kills = case.size(quick=40, usual=334)
    since = time.monotonic()
    with Scene(PLACES[store], max(60, kills), seed=case.seed, life=1.0, **THINKING) as scene:
        crew, chance = crew_of(scene), random.Random(case.seed)
        for _ in range(6):
            crew.start()
        crew.await_ready()
        for done in range(kills):
            case.report.doing(f"kill -9 on {store}: {done} of {kills}")
            time.sleep(chance.expovariate(1 / case.every))
            crew.kill(_victim(crew, chance))
            crew.start()
        crew.stop()
        scene.settle("A")
        found = scene.verdict()
    what = f"kill -9 at random points, 6 processes, {store}"
    target = f"lost <= killed between server's commit and ours ({found.excused})"
    case.report.line(what, f"{kills} kills", found, target=target, met=found.lost == found.excused, since=since)


def _victim(crew: Crew, chance: random.Random) -> Hand:
    """Choose one that is at work; now and then one that only just starts."""
    while chance.random() < 0.95:
        if ready := crew.ready():
            return chance.choice(ready)
        time.sleep(0.01)
    return chance.choice(crew.running())


def frozen(case: Case, store: str, *, hosts: int, on_reuse: str) -> None:
    """Freeze processes for longer than a claim lives (4 s, where the preset knows a grace of 8 s)."""
    rounds = case.size(quick=1, usual=4)
    since = time.monotonic()
    rules: dict[str, Any] = {"life": 1.0, "on_reuse": on_reuse, **THINKING}
    with Scene(PLACES[store], 40, seed=case.seed, grace=8.0, **rules) as scene:
        crew, chance = crew_of(scene), random.Random(case.seed)
        for number in range(6):
            crew.start(home="AB"[number % hosts])
        crew.await_ready()
        freezes = 0
        for turn in range(rounds):
            case.report.doing(f"SIGSTOP on {store}: round {turn + 1} of {rounds}")
            time.sleep(chance.uniform(1.0, 1.5))
            victims = chance.sample([hand for hand in crew.running() if hand.frozen is None], 3)
            _freeze(crew, victims, 9.0, chance)
            freezes += len(victims)
            for victim in victims:  # each is frozen once, so that the log can tell what it slept through
                crew.start(home=victim.job.home)
                victim.process.terminate()
        crew.stop()
        scene.settle(*"AB"[:hosts])
        found = scene.verdict()
    where = "one host" if hosts == 1 else "a second host racing"
    what = f"SIGSTOP for 9 s, claims of 4 s, {where}, {store}, reuse: {on_reuse}"
    if hosts == 1 or on_reuse == "grace":
        case.report.line(what, f"{freezes} stops", found, target="0 lost", met=found.lost == 0, since=since)
    else:
        target = f"lost <= answers to frozen ones, and sends on waking ({found.excused})"
        case.report.line(what, f"{freezes} stops", found, target=target, met=found.lost == found.excused, since=since)


def _freeze(crew: Crew, victims: list[Hand], seconds: float, chance: random.Random) -> None:
    def freeze(victim: Hand, wait: float) -> None:
        time.sleep(wait)
        crew.freeze(victim, seconds)

    threads = [threading.Thread(target=freeze, args=(victim, chance.uniform(0, 0.3))) for victim in victims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def clock_steps(case: Case, store: str) -> None:
    """Set the clock of one process forth and back by ten minutes while two others go on."""
    seconds = case.size(quick=6, usual=25)
    since = time.monotonic()
    with Scene(PLACES[store], 40, seed=case.seed, life=2.0, **THINKING) as scene:
        crew = crew_of(scene)
        for number in range(3):
            crew.start(steps=number == 0)
        crew.await_ready()
        pass_by(case, seconds, f"clock steps on {store}")
        crew.stop()
        scene.settle("A")
        found = scene.verdict()
    what = f"the clock of one of 3 processes steps by 10 minutes, {store}"
    steps = f"~{seconds / 0.85:.0f} steps"
    case.report.line(what, steps, found, target="0 lost", met=found.lost == 0, since=since)


def reconnected(case: Case, store: str) -> None:
    """Disconnect connections, and bring new grants for them, while two processes refresh them."""
    times = case.size(quick=40, usual=200)
    since = time.monotonic()
    with Scene(PLACES[store], 20, seed=case.seed, life=1.0, **THINKING) as scene:
        crew, chance = crew_of(scene), random.Random(case.seed)
        for _ in range(2):
            crew.start(pause=0.005)
        crew.await_ready()
        gone, revived = _in_and_out(case, scene, chance, times)
        crew.stop()
        scene.settle("A")
        found = scene.verdict()
        _judge_gone(found, gone)
    what = f"disconnect and reconnect during refreshes, {store}"
    met = found.lost == 0 and not revived
    target = f"0 lost, 0 disconnected ones come back ({revived})"
    case.report.line(what, f"{times} times", found, target=target, met=met, since=since)


def _in_and_out(case: Case, scene: Scene, chance: random.Random, times: int) -> tuple[set[int], int]:
    """Disconnect and reconnect; the last two of each ten stay disconnected.  Return these, and how many came back."""
    gone: set[int] = set()
    stays = {number for number in range(scene.grants) if number % 10 > 7}
    with open_valet(scene.job) as valet:
        for done in range(times):
            case.report.doing(f"disconnect and reconnect: {done} of {times}")
            number = chance.choice([n for n in range(scene.grants) if n not in gone])
            valet.disconnect(NAME, owner=owner(number))
            time.sleep(chance.uniform(0, 0.05))
            if number in stays and done > times // 2:
                gone.add(number)
                continue
            _sign_in(valet, number)
        time.sleep(2.0)
        states = {number: valet.client(NAME, owner=owner(number)).status().state for number in gone}
    return gone, sum(state != "disconnected" for state in states.values())


def _sign_in(valet: Valet, number: int) -> None:
    start = valet.authorize(NAME, owner=owner(number))
    (state,) = parse_qs(urlsplit(start.url).query)["state"]
    valet.finish(
        f"http://127.0.0.1:8421/callback/{NAME}?code=C&state={state}", binding=start.binding, owner=owner(number)
    )


def _judge_gone(found: Verdict, gone: set[int]) -> None:
    """Take what was disconnected on purpose out of what was lost."""
    found.lost -= len(gone)
    found.grants -= len(gone)
    found.remarks = [remark for remark in found.remarks if not any(remark.startswith(f"u{n}:") for n in gone)]


def pass_by(case: Case, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        case.report.doing(f"{what}: {left:.0f} s to go")
        time.sleep(min(0.5, left))


def crew_of(scene: Scene) -> Crew:
    assert scene.crew is not None  # noqa: S101 - for the type checker
    return scene.crew


def place_of(scene: Scene) -> Place:
    assert scene.place is not None  # noqa: S101
    return scene.place
