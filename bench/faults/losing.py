"""Answers that are lost or late, stores that go away, and keys that change under load."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from crew import open_valet
from killing import crew_of, pass_by, place_of
from scene import Scene
from settings import Case

from stores import PLACES
from valetkey.engine.rekeying import rotate


def lost_answers(case: Case, store: str, *, on_reuse: str) -> None:
    """Close one connection in ten instead of answering, after the refresh token was rotated."""
    seconds = case.size(quick=5, usual=15)
    since = time.monotonic()
    rules = {"life": 1.0, "lose": 0.1, "on_reuse": on_reuse, "grace": 60.0}
    with Scene(PLACES[store], 100, seed=case.seed, **rules) as scene:
        crew = crew_of(scene)
        for _ in range(3):
            crew.start()
        crew.await_ready()
        pass_by(case, seconds, f"lost answers on {store}")
        scene.control("set", lose=0.0)
        crew.stop()
        scene.settle("A")
        found = scene.verdict()
    what = f"the provider's answer is lost, {store}, reuse: {on_reuse}"
    often = f"{found.unheard} lost"
    if on_reuse in {"grace", "none"}:
        case.report.line(what, often, found, target="0 lost", met=found.lost == 0, since=since)
    else:
        target = f"lost <= rotations without an answer ({found.excused})"
        case.report.line(what, often, found, target=target, met=found.lost == found.excused, since=since)


def slow_answers(case: Case, store: str, *, seconds: float, grace: float | None) -> None:
    """Answer after the callers' deadline, and after the claim's first life, while another host races."""
    since = time.monotonic()
    with Scene(PLACES[store], 40, seed=case.seed, grace=grace, life=60.0) as scene:
        scene.control("set", after=(seconds, seconds))
        crew = crew_of(scene)
        time.sleep(0.1)
        for number in range(4):
            crew.start(home="AB"[number % 2], kind="use", threads=12, seed=case.seed, ahead=60.0)
        crew.await_ready()
        pass_by(case, seconds * 1.5 + 2, f"slow answers on {store}")
        crew.stop()
        scene.control("set", after=(0.0, 0.0))
        scene.settle("A", "B")
        found = scene.verdict()
    life = 30 if grace is None else round(grace / 2)
    what = f"answers take {seconds:g} s, claims of {life} s, a second host racing, {store}"
    often = f"{found.requests - 2 * found.grants} answers"
    case.report.line(what, often, found, target="0 lost", met=found.lost == 0, since=since)


def store_away(case: Case, store: str, *, seconds: float) -> None:
    """Stop the store right after a hundred rotations, before any answer leaves; a second host waits for its chance."""
    grants = case.size(quick=30, usual=100)
    seconds = 4.0 if case.quick else seconds
    since = time.monotonic()
    with Scene(PLACES[store], grants, seed=case.seed, life=3600.0) as scene:
        crew = crew_of(scene)
        pids = place_of(scene).pids()
        scene.control("freeze", pids=pids, count=grants, patience=25.0)
        crew.start(home="A", kind="once", ahead=3600.0, seed=case.seed)
        try:
            scene.control("frozen")
            began = time.monotonic()
            for number in range(2):
                crew.start(home="B", kind="use", threads=8, ahead=3600.0, seed=case.seed + number)
            pass_by(case, seconds - (time.monotonic() - began), f"{store} is away")
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        scene.control("freeze", pids=[], count=0, patience=0)
        rotated = sum(s["rotated_at"] is not None for s in scene.control("log")["sendings"])
        pass_by(case, 8.0, f"{store} is back")
        crew.stop()
        scene.settle("B", "A")
        found = scene.verdict()
    what = f"{store} stops for {seconds:g} s right after a rotation, a second host racing"
    case.report.line(what, f"{rotated} times", found, target="0 lost", met=found.lost == 0, since=since)


def store_answers_lost(case: Case, store: str) -> None:
    """Hang up on a client of the store now and then, when what it asked is done and the answer is on its way."""
    seconds = case.size(quick=5, usual=20)
    since = time.monotonic()
    with Scene(PLACES[store], 60, seed=case.seed, life=1.0) as scene:
        crew = crew_of(scene)
        place = place_of(scene)
        port = scene.control("line", target=place.port, lose=0.02)
        for number in range(4):
            crew.start(home="AB"[number % 2], store=place.through(port))
        crew.await_ready()
        pass_by(case, seconds, f"answers of {store} are lost")
        scene.control("steady")
        crew.stop()
        scene.settle("A", "B")
        found = scene.verdict()
    what = f"the store's answer is lost, 2 hosts, {store}"
    case.report.line(what, f"{found.cuts} lost", found, target="0 lost", met=found.lost == 0, since=since)


def keys_rotated(case: Case, store: str) -> None:
    """Rotate master key and data key over and over while processes read and refresh."""
    times = case.size(quick=2, usual=6)
    since = time.monotonic()
    with Scene(PLACES[store], 200, seed=case.seed, life=5.0) as scene:
        crew = crew_of(scene)
        for _ in range(3):
            crew.start(pause=0.005)
        crew.await_ready()
        sealed = 0
        with open_valet(scene.job) as valet:
            for done in range(times):
                case.report.doing(f"keys are rotated on {store}: {done} of {times}")
                core = valet._core
                sealed += rotate(core.store, core.vault, core.keys).sealed
        crew.stop()
        reads = crew.met()
        scene.settle("A")
        found = scene.verdict()
    failed = sum(count for code, count in reads.items() if code != "ok")
    what = f"keys rotated under load, {sealed} things sealed anew, {store}"
    target = f"0 of {reads['ok'] + failed} reads failed ({failed})"
    met = failed == 0 and found.lost == 0
    case.report.line(what, f"{times} times", found, target=target, met=met, since=since)
