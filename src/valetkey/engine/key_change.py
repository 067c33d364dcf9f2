"""Changing the keys of a store, as pages and the command do it: begun once, looked at from anywhere, stopped anywhere.

What a change has done stands in a document, so that whoever looks at it later, or from another host, sees it.  The work
itself is `rotate`, which goes on where another one stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from valetkey.engine.hosts import HostReport, Reporter, host_reports, journals
from valetkey.engine.key_status import KeyUse, key_status
from valetkey.engine.rekeying import GRACE, Progress, Rotation, demand_hosts, old_masters, rotate
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError, ValetkeyError, clean
from valetkey.logs import get_logger
from valetkey.model.connections import Document, Event
from valetkey.model.data_keys import KeyNote, read_note
from valetkey.model.ports import Clock, KeyProvider, Store
from valetkey.model.sealing import Vault

KIND: Final = "key_change"
PAUSE: Final = "key_change_pause"
RETIRED: Final = "key_retired"
_ID: Final = "all"
STALE: Final = 60.0
"""Seconds without a word after which a change that was not finished counts as interrupted: its process is gone."""
SAVED_EVERY: Final = 0.5
_log = get_logger("keys")

ChangeState = Literal["none", "running", "paused", "finished", "failed", "interrupted"]

_SHARED: Final = ("file:", "keyring:")
"""What the places begin with that hold the same for all processes of one user on one host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far the change of keys is.

    Attributes:
        state: Whether it goes on.
        by: Who began or resumed it.
        sealed: How many things it has sealed anew since then.
        began_at: Since when, Unix seconds.
        seen_at: Unix seconds of its last word.
        unreadable: How many things could not be opened, and stay as they are.
        code: The code of what ended it.
        problem: The same in words.
        hint: What to do about it.
    """

    state: ChangeState = "none"
    by: str = ""
    sealed: int = 0
    began_at: float = 0.0
    seen_at: float = 0.0
    unreadable: int = 0
    code: str = ""
    problem: str = ""
    hint: str = ""

    @property
    def rate(self) -> float:
        """How many things it seals a second."""
        spent = self.seen_at - self.began_at
        return self.sealed / spent if spent > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What still needs an old master key.

    Attributes:
        connections: Connections that are sealed with keys that are being replaced.
        flows: Sign-ins under way that are.
        documents: Other things that are.
        journals: Answers in the journals that are sealed with the old master key itself, by host.
        blind: Hosts that cannot read the key in use, and so need the old one.
    """

    connections: int = 0
    flows: int = 0
    documents: int = 0
    journals: Mapping[str, int] = field(default_factory=dict[str, int])
    blind: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words; empty where nothing does."""
        parts = [
            _many(self.connections, "connection"),
            _many(self.flows, "sign-in"),
            _many(self.documents, "other thing"),
            *(f"{_many(number, 'answer')} in the journal of {host}" for host, number in self.journals.items()),
            *(f"host {host}, which cannot read the new key" for host in self.blind),
        ]
        return ", ".join(part for part in parts if part)


def _renewed(report: HostReport, mine: HostReport) -> HostReport:
    """Return what a process said, with what is known of it here: `mine` is how this one is right now."""
    if (report.host, report.journal_place) != (mine.host, mine.journal_place):
        return report
    if report.place == mine.place and mine.place.startswith(_SHARED):
        report = replace(report, masters=mine.masters, problem=mine.problem)
    return replace(report, journal=mine.journal)


class KeyChange:
    """The change of the keys of one store.

    Args:
        world: Where: the store, its clock, and the journal of this host.
        vault: What seals for the store.
        keys: Where its master keys are.
        env: The environment in whose log it is written.
    """

    def __init__(self, world: World, vault: Vault, keys: KeyProvider, *, env: str) -> None:
        self._store = world.store
        self._journal = world.journal
        self._clock = world.clock
        self._vault = vault
        self._keys = keys
        self._env = env

    # -- looking

    def now(self) -> Change:
        """Return how far it is."""
        found = self._store.get_document(KIND, _ID)
        if found is None:
            return Change()
        change = Change(**{name: found.body[name] for name in _FIELDS if name in found.body})
        lost = change.state == "running" and self._clock.now() - change.seen_at > STALE
        return replace(change, state="interrupted") if lost else change

    def reports(self) -> tuple[HostReport, ...]:
        """Return what the processes on the store say of themselves; of what this host keeps, what it is right now.

        A process speaks every few seconds: a key that was added to a file which it shares with this one would seem to
        be one that it cannot read, until it speaks again.
        """
        mine = Reporter(self._store, self._keys, self._journal, what="here").look()
        return tuple(_renewed(report, mine) for report in host_reports(self._store))

    def old(self) -> tuple[str, ...]:
        """Return the master keys that are at hand here and wrap nothing in this store any more."""
        note = read_note(self._store)
        return () if note is None else old_masters(self._store, self._keys, note)

    def retired(self) -> dict[str, float]:
        """Return the master keys that were retired, and when, Unix seconds."""
        return {document.id: float(document.body["at"]) for document in self._store.list_documents(RETIRED)}

    def needed(self, master: str) -> Needed:
        """Return what still needs a master key that is not the one in use."""
        found = key_status(self._store, self._vault, self._keys)
        uses = [use for use in found.keys if _old(use, found.data_key, master)]
        reports = self.reports()
        waiting = journals((*reports, Reporter(self._store, self._keys, self._journal, what="here").look()))
        return Needed(
            connections=sum(use.connections for use in uses),
            flows=sum(use.flows for use in uses),
            documents=sum(use.documents for use in uses),
            journals={host: kept[master] for host, kept in waiting.items() if kept.get(master)},
            blind=tuple(dict.fromkeys(report.host for report in reports if found.master not in report.masters)),
        )

    # -- doing

    def demand_ready(self) -> None:
        """Refuse to begin where a host could not read the new key.

        Raises:
            ConfigurationError: The hosts are named (``key_host_blind``).
        """
        note = read_note(self._store)
        if note is not None and not note.retiring:
            demand_hosts(self._keys, note, self.reports())

    def run(
        self,
        *,
        by: str,
        only_finish: bool = False,
        retire_master: bool = False,
        progress: Progress | None = None,
        grace: float = GRACE,
    ) -> Rotation:
        """Change the keys, or go on with a change that was begun, until it is through or somebody pauses it.

        Args:
            by: Who has it done.
            only_finish: Begin no other change.
            retire_master: As for `rotate`.
            progress: As for `rotate`.
            grace: As for `rotate`.

        Raises:
            ValetkeyError: As `rotate` does; the document says so too.
        """
        return self.carry_on(self.begin(by=by, only_finish=only_finish, progress=progress), retire_master, grace)

    def begin(self, *, by: str, only_finish: bool = False, progress: Progress | None = None) -> Keeper:
        """Say that a change is under way; `carry_on` does the work.

        Raises:
            ConfigurationError: A host cannot read the new key (``key_host_blind``); nothing was changed.
        """
        if not only_finish:
            self.demand_ready()
        self._store.delete_document(PAUSE, _ID)
        now = self._clock.now()
        change = Change(state="running", by=by, began_at=now, seen_at=now)
        keeper = Keeper(self._store, self._clock, change, progress, only_finish)
        keeper.save()
        self._tell("key_change_begun", by, self._note().master)
        return keeper

    def carry_on(self, keeper: Keeper, retire_master: bool = False, grace: float = GRACE) -> Rotation:
        """Do the work of a change that was begun.

        Raises:
            ValetkeyError: As `rotate` does; the document says so too.
        """
        try:
            done = rotate(
                self._store,
                self._vault,
                self._keys,
                progress=keeper.sealed,
                retire_master=retire_master,
                journal=self._journal,
                reports=self.reports(),
                paused=self._is_paused,
                only_finish=keeper.only_finish,
                grace=grace,
            )
        except BaseException as error:
            keeper.fail(error)
            raise
        keeper.end(done)
        if not done.paused:
            self._tell("key_changed", keeper.change.by, done.master)
        return done

    def pause(self, *, by: str) -> None:
        """Have a change stop after its next page, wherever it runs."""
        self._store.put_document(Document(kind=PAUSE, id=_ID, body={"by": by}))

    def retire(self, master: str, *, by: str) -> bool:
        """Take away a master key that nothing needs any more.

        Returns False where its place cannot be written from here: then people take it away, on every host.

        Raises:
            ConfigurationError: Something needs it (``key_needed``); nothing was changed.
        """
        if master == self._note().master or master not in {*self.old(), *_shown(self.reports())}:
            msg = f"key {clean(master, 40)} is the one in use, or none that is known here"
            raise ConfigurationError(msg, code="key_needed", hint="valetkey key status")
        if needed := str(self.needed(master)):
            msg = f"key {master} cannot be retired yet: {needed}"
            raise ConfigurationError(msg, code="key_needed", hint="let the change come to its end, then retire it")
        written = self._taken_away(master)
        self._store.put_document(Document(kind=RETIRED, id=master, body={"at": self._clock.now(), "by": by}))
        self._tell("key_retired", by, master)
        return written

    def _taken_away(self, master: str) -> bool:
        try:
            self._keys.retire(master)
        except ConfigurationError as error:
            if error.code != "place_read_only":
                raise
            return False
        return True

    def _is_paused(self) -> bool:
        return self._store.get_document(PAUSE, _ID) is not None

    def _note(self) -> KeyNote:
        return read_note(self._store) or KeyNote(data_key="", master="", place="")

    def _tell(self, kind: str, by: str, master: str) -> None:
        event = Event(kind=kind, at=self._clock.now(), env=self._env, actor=by, detail={"key": master})
        self._store.append_event(event)


@dataclass(slots=True)
class Keeper:
    """Keeps the document of a change up to date while it runs.

    Attributes:
        store: Where.
        clock: Time.
        change: How far it is.
        progress: Told of each page as well.
        only_finish: Whether it may begin no other change.
    """

    store: Store
    clock: Clock
    change: Change
    progress: Progress | None
    only_finish: bool
    _saved_at: float = 0.0

    def sealed(self, number: int) -> None:
        """Note how many things were sealed anew."""
        self.change = replace(self.change, sealed=number)
        if self.progress is not None:
            self.progress(number)
        if self.clock.monotonic() - self._saved_at >= SAVED_EVERY:
            self.save()

    def end(self, done: Rotation) -> None:
        """Note how it ended."""
        state: ChangeState = "paused" if done.paused else "finished"
        self.change = replace(self.change, state=state, sealed=done.sealed, unreadable=len(done.unreadable))
        self.save()

    def fail(self, error: BaseException) -> None:
        """Note what stopped it."""
        known = error if isinstance(error, ValetkeyError) else ValetkeyError(type(error).__name__)
        problem, hint = clean(known, 500), clean(known.hint, 500)
        self.change = replace(self.change, state="failed", code=known.code, problem=problem, hint=hint)
        with suppress(StoreError):  # it is seen to be interrupted by its silence
            self.save()

    def save(self) -> None:
        """Write how far it is."""
        self._saved_at = self.clock.monotonic()
        self.change = replace(self.change, seen_at=self.clock.now())
        self.store.put_document(Document(kind=KIND, id=_ID, body=_body(self.change)))


_FIELDS: Final = ("state", "by", "sealed", "began_at", "seen_at", "unreadable", "code", "problem", "hint")


def _body(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in _FIELDS}


def _old(use: KeyUse, current: str, master: str) -> bool:
    """Whether a data key counts against an old master key: it is wrapped with it, or was until the change began."""
    return use.master == master or use.data_key != current


def _shown(reports: tuple[HostReport, ...]) -> set[str]:
    return {master for report in reports for master in report.masters}


def _many(number: int, name: str) -> str:
    return "" if not number else f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
