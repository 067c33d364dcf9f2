"""What the processes that share a store say of themselves: which keys they can read, and what their journals need.

A process that goes on says so every few seconds (`Reporter`), in a document that runs out by itself.  The master key is
changed only when everybody can read the new one, and the old one is taken away only when nobody's journal needs it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError, ValetkeyError
from valetkey.forks import late_imports
from valetkey.model.connections import Document
from valetkey.model.journals import Journal
from valetkey.model.ports import KeyProvider, Store

KIND: Final = "host"
EVERY: Final = 20.0
"""Seconds between two words of a process."""
LIFE: Final = 70.0
"""Seconds for which the word of a process is taken."""
PROGRAM: Final = "program"
"""What a process is called that is no server or worker of ours, and says how it is only while it is at work."""
PROGRAM_LIFE: Final = 600.0
"""Seconds for which the word of such a process is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What one process says.

    Attributes:
        host: The name of its host.
        what: What it is: ``server``, ``worker``.
        pid: Its process id there.
        place: Where it looks for master keys.
        masters: The ids of those that it can read, the current one first.
        problem: Why it can read none; empty where all is well.
        journal: How many answers wait in its journal, by the id of the master key that they are sealed with.
        journal_place: Where its journal is: processes of one host and user share it.
        seen_at: Unix seconds, by the store's clock, of its word.
    """

    host: str
    what: str = ""
    pid: int = 0
    place: str = ""
    masters: tuple[str, ...] = ()
    problem: str = ""
    journal: Mapping[str, int] = field(default_factory=dict[str, int])
    journal_place: str = ""
    seen_at: float = 0.0


class Reporter:
    """Says for one process how it is.

    Args:
        store: Where it says so.
        keys: Where it looks for master keys.
        journal: Its journal.
        what: What it is.
        host: The name of its host; by default that of this machine.
    """

    def __init__(self, store: Store, keys: KeyProvider, journal: Journal, *, what: str, host: str = "") -> None:
        self._life = PROGRAM_LIFE if what == PROGRAM else LIFE
        self._store = store
        self._keys = keys
        self._journal = journal
        self._what = what
        self._host = host or this_host()
        self._token = secrets.token_hex(8)

    def look(self) -> HostReport:
        """Return how this process is now."""
        masters, problem = _readable(self._keys)
        state = self._journal.state()
        return HostReport(
            host=self._host,
            what=self._what,
            pid=os.getpid(),
            place=self._keys.place,
            masters=masters,
            problem=problem,
            journal=state.sealed_with,
            journal_place=state.place,
            seen_at=self._store.now(),
        )

    def tell(self) -> None:
        """Say it to all who share the store.

        Raises:
            StoreError: The store does not answer.
        """
        report = self.look()
        ends = report.seen_at + self._life
        self._store.put_document(Document(kind=KIND, id=self._id, body=_body(report), expires_at=ends))

    @property
    def _id(self) -> str:
        """What names it in the store: a forked child is another one."""
        return f"{self._token}.{os.getpid()}"

    def leave(self) -> None:
        """Take it back: the process ends."""
        with suppress(StoreError):  # it runs out by itself
            self._store.delete_document(KIND, self._id)


def this_host() -> str:
    """Return the name of this host."""
    with late_imports:
        import socket  # noqa: PLC0415 - slow to load, and asked for seldom

    return socket.gethostname()


@contextmanager
def reporting(world: World, keys: KeyProvider, *, what: str) -> Generator[None]:
    """Have this process say how it is while the block runs.  A store that is away is told as soon as it is back."""
    reporter = Reporter(world.store, keys, world.journal, what=what)
    with suppress(StoreError):
        reporter.tell()
    try:
        with world.pulse(EVERY, reporter.tell):
            yield
    finally:
        reporter.leave()


def host_reports(store: Store) -> tuple[HostReport, ...]:
    """Return what the processes say that live now, by host; each once, as a server rather than as a program."""
    every = [_report(document.body) for document in store.list_documents(KIND)]
    named = {(report.host, report.pid) for report in every if report.what != PROGRAM}
    found = [report for report in every if report.what != PROGRAM or (report.host, report.pid) not in named]
    return tuple(sorted(found, key=lambda report: (report.host, report.what, report.pid)))


def demand_readable(reports: Iterable[HostReport], master: str) -> None:
    """Refuse to go on where somebody cannot read a master key.

    Raises:
        ConfigurationError: The hosts are named (``key_host_blind``).
    """
    blind = _names(report for report in reports if master not in report.masters)
    if blind:
        msg = f"key {master} cannot be read on {blind}"
        hint = "put the key there, wait half a minute until the host has said so, and start again"
        raise ConfigurationError(msg, code="key_host_blind", hint=hint)


def demand_alone(reports: Iterable[HostReport], place: str) -> None:
    """Refuse to make a key by ourselves where others would not have it.

    Raises:
        ConfigurationError: Others look for keys elsewhere; the hosts are named (``key_host_blind``).
    """
    here = this_host()
    others = _names(report for report in reports if (report.host, report.place) != (here, place))
    if others:
        msg = f"a key that is made here could not be read on {others}"
        hint = "valetkey key new FILE, put it on every host before the old one (VALETKEY_KEY_FILE_OLD), and start again"
        raise ConfigurationError(msg, code="key_host_blind", hint=hint)


def journals(reports: Iterable[HostReport]) -> dict[str, dict[str, int]]:
    """Return by host how many answers wait in its journals, by master key; a journal that is shared counts once."""
    places = {(report.host, report.journal_place): report.journal for report in reports}
    found: dict[str, dict[str, int]] = {}
    for (host, _), waiting in places.items():
        kept = found.setdefault(host, {})
        for master, number in waiting.items():
            kept[master] = kept.get(master, 0) + number
    return found


def _names(reports: Iterable[HostReport]) -> str:
    return ", ".join(dict.fromkeys(f"host {report.host} ({report.what})" for report in reports))


def _readable(keys: KeyProvider) -> tuple[tuple[str, ...], str]:
    try:
        return tuple(key.id for key in keys.keys()), ""  # noqa: SIM118 - not a mapping
    except ValetkeyError as error:
        return (), str(error)


def _body(report: HostReport) -> dict[str, Any]:
    names = ("host", "what", "pid", "place", "problem", "journal_place", "seen_at")
    plain = {name: getattr(report, name) for name in names}
    return {**plain, "masters": list(report.masters), "journal": dict(report.journal)}


def _report(body: Mapping[str, Any]) -> HostReport:
    masters: Sequence[str] = body.get("masters", ())
    return HostReport(
        host=str(body.get("host", "")),
        what=str(body.get("what", "")),
        pid=int(body.get("pid", 0)),
        place=str(body.get("place", "")),
        masters=tuple(masters),
        problem=str(body.get("problem", "")),
        journal=dict(body.get("journal", {})),
        journal_place=str(body.get("journal_place", "")),
        seen_at=float(body.get("seen_at", 0.0)),
    )
