"""How the keys of the store, their change and the hosts that read them are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from valetkey.engine.hosts import HostReport
from valetkey.engine.key_change import Change, Needed
from valetkey.engine.key_status import KeyStatus, KeyUse
from valetkey.server.times import Moment, ago, length
from valetkey.server.words import NOTHING, Word

_OK: Final = Word("In use", "ok", "st-ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One data key.

    Attributes:
        name: Its id.
        master: The id of the master key that wraps it.
        word: How it stands.
        seals: How many connections it seals.
        others: How many other things: secrets, sign-ins under way.
    """

    name: str
    master: str
    word: Word
    seals: str
    others: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterRow:
    """One master key.

    Attributes:
        name: Its id.
        word: How it stands.
        place: Where it is kept, or who has it.
        needed: What needs it.
        retire: Whether it can be asked to be retired: the answer may be no.
        retired: When it was.
    """

    name: str
    word: Word
    place: str
    needed: str
    retire: bool = False
    retired: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow:
    """One process on the store.

    Attributes:
        name: Its host.
        what: What it is.
        word: Whether it can read the key in use.
        reads: The keys that it can read.
        journal: What waits in its journal.
        seen: Its last word.
    """

    name: str
    what: str
    word: Word
    reads: str
    journal: str
    seen: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a change, how it stands, and more."""

    icon: str
    colour: str
    text: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysPage:
    """What the page says.

    Attributes:
        word: How the keys are, in a word.
        rows: The data keys.
        connections: How many connections the current data key seals.
        left: How many connections and other things are sealed with keys that are being replaced.
        total: How many things are sealed at all.
        done: How many of them with the current data key.
        going: Whether a change is under way: this page goes along with it.
        begun: Whether a change has begun and is not through.
        speed: How long it goes on, and how fast.
        steps: Its steps.
    """

    word: Word
    rows: tuple[KeyRow, ...]
    connections: str
    left: str
    total: int
    done: int
    going: bool
    begun: bool
    speed: str
    steps: tuple[Step, ...]


def keys_page(found: KeyStatus, change: Change, hosts: Sequence[HostReport], needed: Mapping[str, Needed]) -> KeysPage:
    """Return what the page of keys shows; `needed` says what needs each old master key."""
    current = [use for use in found.keys if use.current]
    others = [use for use in found.keys if not use.current]
    left, done = sum(use.all for use in others), sum(use.all for use in current)
    going = change.state == "running"
    return KeysPage(
        word=_word(found, change),
        rows=tuple(_row(use) for use in [*current, *others]),
        connections=f"{current[0].connections:,}" if current else "0",
        left=f"{left:,}",
        total=left + done,
        done=done,
        going=going,
        begun=bool(found.retiring),
        speed=speed(change, left),
        steps=_steps(found, others, hosts, needed) if found.retiring or going else (),
    )


def speed(change: Change, left: int) -> str:
    """Return how long a change goes on, and how fast: "about 40 s left, 110 a second"."""
    if change.state != "running":
        return {"paused": "paused", "interrupted": "interrupted: the process that did it ended"}.get(change.state, "")
    rate = change.rate
    return f"about {length(left / rate)} left, {rate:,.0f} a second" if left and rate >= 1 else "under way"


def to_object(page: KeysPage) -> dict[str, Any]:
    """Return what a page that is open needs to go along."""
    return {"state": "running" if page.going else "over", "over": page.done, "total": page.total, "text": page.speed}


def master_rows(
    found: KeyStatus, needed: Mapping[str, Needed], retired: Mapping[str, float], now: float
) -> tuple[MasterRow, ...]:
    """Return the master keys: that in use, one that is to come, old ones, and those that were retired."""
    rows = [_master(found, master, needed, retired, now) for master in dict.fromkeys((*found.masters, *needed))]
    gone = [
        MasterRow(
            name=name, word=Word("Retired", "off", "st-none"), place="not needed", needed="", retired=ago(at, now)
        )
        for name, at in sorted(retired.items(), key=lambda one: -one[1])
        if name not in {row.name for row in rows}
    ]
    return (*rows, *gone)


def _master(
    found: KeyStatus, name: str, needed: Mapping[str, Needed], retired: Mapping[str, float], now: float
) -> MasterRow:
    place = found.place if name in found.masters else "on other hosts"
    if name == found.master:
        return MasterRow(name=name, word=_OK, place=place, needed="all that is stored")
    if name not in needed:
        return MasterRow(name=name, word=Word("Not in use yet", "ring", "st-none"), place=place, needed="nothing yet")
    if name in retired:
        word, still = Word("Retired", "off", "st-none"), f"take it out of {place}"
        return MasterRow(name=name, word=word, place=place, needed=still, retired=ago(retired[name], now))
    why = str(needed[name])
    word = Word("Being replaced", "clock", "st-warn") if why else Word("Not needed any more", "off", "st-none")
    return MasterRow(name=name, word=word, place=place, needed=why or "backups of the store only", retire=True)


def host_rows(hosts: Sequence[HostReport], master: str, now: float) -> tuple[HostRow, ...]:
    """Return the processes on the store."""
    return tuple(_host(report, master, now) for report in hosts)


def _host(report: HostReport, master: str, now: float) -> HostRow:
    reads = not master or master in report.masters
    waits = [f"{_things(number, 'answer')} with {key}" for key, number in report.journal.items()]
    return HostRow(
        name=report.host,
        what=report.what,
        word=Word("Reads the key", "ok", "st-ok") if reads else Word("Cannot read the key", "broken", "st-bad"),
        reads=", ".join(report.masters) or report.problem or "none",
        journal=", ".join(waits) or NOTHING,
        seen=ago(report.seen_at, now),
    )


def _steps(
    found: KeyStatus, others: Sequence[KeyUse], hosts: Sequence[HostReport], needed: Mapping[str, Needed]
) -> tuple[Step, ...]:
    blind = [report.host for report in hosts if found.master not in report.masters]
    names = len({report.host for report in hosts})
    left, flows = sum(use.all for use in others), sum(use.flows for use in others)
    waiting = {host: number for one in needed.values() for host, number in one.journals.items()}
    journals = ", ".join(f"{_things(number, 'answer')} on {host}" for host, number in waiting.items())
    readable = f"Key {found.master} is readable on all {_things(names, 'host')}" if names > 1 else ""
    return (
        Step(icon="broken", colour="c-bad", text=f"Key {found.master} is not readable everywhere", why=", ".join(blind))
        if blind
        else Step(icon="ok", colour="c-ok", text=readable or f"Key {found.master} is readable", why=found.place),
        _step("Sealing everything anew, page by page", left, f"{left:,} left; the service goes on meanwhile"),
        _step(
            f"Sign-ins under way and journals of {_things(max(names, 1), 'host')}",
            flows + len(waiting),
            "; ".join(part for part in (_things(flows, "sign-in") if flows else "", journals) if part),
        ),
        Step(icon="ring", colour="", text="Retire the old key", why="only when nothing is sealed with it"),
    )


def _step(text: str, left: int, why: str) -> Step:
    return Step(icon="retry" if left else "ok", colour="" if left else "c-ok", text=text, why=why if left else "")


def _word(found: KeyStatus, change: Change) -> Word:
    if not found.readable:
        return Word("Needs repair", "broken", "st-bad")
    if found.retiring or change.state == "running":
        paused = change.state in {"paused", "interrupted", "failed"}
        title = "Change-over paused" if paused else f"Changing over to {found.master}"
        return Word(title, "clock" if paused else "retry", "st-warn")
    return _OK if found.data_key else Word("Nothing sealed yet", "ring", "st-none")


def _row(use: KeyUse) -> KeyRow:
    if not use.readable:
        word = Word("Not readable", "broken", "st-bad")
    elif use.current:
        word = _OK
    else:
        word = Word("Being replaced", "clock", "st-warn")
    seals = _things(use.connections, "connection")
    others = f"{_things(use.flows, 'sign-in')}, {_things(use.documents, 'other thing')}"
    return KeyRow(name=use.data_key, master=use.master, word=word, seals=seals, others=others)


def _things(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
