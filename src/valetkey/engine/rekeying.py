"""Rotating the keys of a store while everybody goes on reading and writing.

What happens, in this order; every step is a compare-and-swap or can be done twice, so a rotation that died is simply
started again, and two that run at once help each other:

1. The new master key is put beside the old ones (or is there already: ``VALETKEY_KEY_FILE_OLD`` beside the new file).
2. All data keys are wrapped with it.
3. A new data key is stored, and the note names it as current and the others as retiring: whoever seals from now on
   and has seen the note uses it.
4. Page by page, what is sealed with a retiring key is sealed anew.  A row that moves meanwhile was sealed by its
   writer, and is looked at again if that was still done with the old key.
5. When nothing is left, and a moment later still nothing, the store drops the retiring key.  Writers that still hold
   it get `KeyRetired`, and seal again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from valetkey.engine.hosts import HostReport, demand_alone, demand_readable, journals
from valetkey.engine.key_status import KeyStatus, KeyUse, key_status
from valetkey.engine.world import NO_JOURNAL, grant_label
from valetkey.errors import DecryptionFailed, StoreError
from valetkey.model.ciphers import new_master_key
from valetkey.model.connections import Document, Record, Sealed
from valetkey.model.data_keys import (
    KeyNote,
    data_key_documents,
    discard,
    load_ring,
    master_of,
    new_data_key,
    read_note,
    rewrap,
    write_note,
)
from valetkey.model.journals import Journal
from valetkey.model.ports import KeyProvider, KeyRetired, Label, MasterKey, Store
from valetkey.model.sealing import Vault, document_label

__all__ = ["KeyStatus", "KeyUse", "Rotation", "key_status", "rotate"]

PAGE: Final = 100
GRACE: Final = 2.0
"""Seconds between the last sealing with an old key and its end: who read a row just before has opened it by then."""
_TRIES: Final = 20
_PATIENCE: Final = 10
"""How often writers that go on with an old key are given the grace; then it ends as soon as nothing needs it."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did.

    Attributes:
        sealed: How many records and documents were sealed anew.
        master: The id of the master key that wraps everything now; empty where nothing was ever sealed.
        data_key: The id of the data key that seals from now on.
        retired: The data keys that are gone.
        unreadable: What could not be opened and was left as it is, as ``connection con_...`` or ``secret github-app``;
            then the data key that it needs is kept.
        old_masters: Master keys that open nothing in this store any more and still stand where keys are kept.
        needed_masters: Those of them that must stay for all that: an answer in this host's journal, which the store
            does not have yet, is sealed with them.
        resumed: Whether this was the end of a rotation that somebody else began.
        paused: Whether it was stopped before its end: the next one goes on where this one was.
    """

    sealed: int = 0
    master: str = ""
    data_key: str = ""
    retired: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    old_masters: tuple[str, ...] = ()
    needed_masters: tuple[str, ...] = ()
    resumed: bool = False
    paused: bool = False


class Paused(Exception):
    """Somebody wants a rotation to stop for now."""


def rotate(
    store: Store,
    vault: Vault,
    keys: KeyProvider,
    *,
    progress: Progress | None = None,
    retire_master: bool = False,
    journal: Journal = NO_JOURNAL,
    reports: Sequence[HostReport] = (),
    paused: Callable[[], bool] = lambda: False,
    only_finish: bool = False,
    grace: float = GRACE,
) -> Rotation:
    """Rotate master key and data key of `store`, or finish a rotation that was begun.

    Where the provider shows a new current master key already, that one is used, else one is made and added.

    Args:
        store: Whose keys.
        vault: What seals for this store.
        keys: Where its master keys are.
        progress: Called after each page with the number of things sealed anew so far.
        retire_master: Also remove the old master keys from their place.  By default they stay, for backups of the
            store need them, and so do other stores that share the place.
        journal: What this host keeps for the store: a master key that an answer waiting there needs is not removed.
        reports: What the processes on the store say of themselves: each must be able to read the new master key, and a
            master key that one's journal needs is not removed.
        paused: Asked before each page; where it says so, the rotation stops there.
        only_finish: Begin nothing: go on with a rotation that was begun, where there is one.
        grace: Seconds, see `GRACE`.

    Raises:
        DecryptionFailed: A data key cannot be opened with the keys at hand; nothing was changed.
        ConfigurationError: Keys cannot be added where they are (``place_read_only``, ``key_unwritable``), or a host
            cannot read the new one (``key_host_blind``); nothing was changed.
        StoreError: Too many others changed the keys at the same time.
    """
    note = read_note(store)
    if note is None:
        return Rotation()
    work = _Work(store, vault, progress, grace, paused)
    resumed, stopped = bool(note.retiring), False
    try:
        if resumed:
            _require_open(store, keys, note)
            note = work.finish(note)
        if not only_finish and (not resumed or not work.did_something or keys.keys()[0].id != note.master):
            note, resumed = work.finish(_switch(store, keys, note, reports)), False
    except Paused:
        note, stopped = read_note(store) or note, True
    vault.refresh()
    old = old_masters(store, keys, note)
    waits_with = journal.state().masters.union(*(waiting for waiting in journals(reports).values()))
    needed = tuple(master for master in old if master in waits_with)
    gone = tuple(master for master in old if master not in waits_with) if retire_master and not stopped else ()
    for master in gone:
        keys.retire(master)
    return Rotation(
        sealed=work.sealed,
        master=note.master,
        data_key=note.data_key,
        retired=tuple(work.retired),
        unreadable=tuple(sorted(work.unreadable)),
        old_masters=tuple(master for master in old if master not in gone),
        needed_masters=needed,
        resumed=resumed,
        paused=stopped,
    )


@dataclass(slots=True)
class _Work:
    """One rotation under way: where, and what was done so far."""

    store: Store
    vault: Vault
    progress: Progress | None
    grace: float
    paused: Callable[[], bool]
    sealed: int = 0
    retired: list[str] = field(default_factory=list[str])
    unreadable: set[str] = field(default_factory=set[str])

    @property
    def did_something(self) -> bool:
        """Whether there was anything to finish: not where only what cannot be opened keeps an old key in place."""
        return bool(self.sealed or self.retired)

    def finish(self, note: KeyNote) -> KeyNote:
        """Seal anew all that retiring keys seal, let the store drop them, and note that it is done."""
        self.vault.refresh()
        ended = [key_id for key_id in note.retiring if self._end(key_id)]
        for _ in range(_TRIES):
            left = tuple(key_id for key_id in note.retiring if key_id not in ended)
            done = replace(note, retiring=left)
            if write_note(self.store, done):
                return replace(done, version=note.version + 1)
            note = read_note(self.store) or note
        raise _too_busy()

    def _end(self, key_id: str) -> bool:
        """Empty a data key and drop it; False where something that cannot be opened still needs it."""
        attempts = 0
        while self._empty(key_id):
            if attempts < _PATIENCE:
                self.vault.clock.sleep(self.grace)
            attempts += 1
            if self.store.retire_key(key_id) or not _is_there(self.store, key_id):
                self.retired.append(key_id)
                return True
        return False

    def _empty(self, key_id: str) -> bool:
        """Seal anew, page by page, until nothing is left; False where only what cannot be opened is left."""
        broken: set[str] = set()
        while True:
            if self.paused():
                raise Paused
            records, documents = self.store.sealed_with(key_id, limit=PAGE + len(broken))
            found: list[Record | Document] = [*records, *documents]
            names = {_name(thing) for thing in found}
            if names <= broken:
                self.unreadable |= names
                return not names
            broken |= self._reseal([thing for thing in found if _name(thing) not in broken])
            if self.progress is not None:
                self.progress(self.sealed)

    def _reseal(self, things: Sequence[Record | Document]) -> set[str]:
        """Seal records and documents anew, unless they move meanwhile; return the names of what cannot be opened."""
        anew = [(thing, sealed) for thing in things if (sealed := self._sealed_anew(thing)) is not None]
        records = [(thing, sealed) for thing, sealed in anew if isinstance(thing, Record)]
        try:
            self.sealed += self.store.rekey(records) if records else 0
            for thing, sealed in anew:
                self.sealed += isinstance(thing, Document) and self._replaced(thing, sealed)
        except KeyRetired:  # another rotation is ahead of us
            self.vault.refresh()
        return {_name(thing) for thing in things} - {_name(thing) for thing, _ in anew}

    def _sealed_anew(self, thing: Record | Document) -> Sealed | None:
        """Return what a thing holds, sealed with the current key; None where it cannot be opened."""
        if thing.sealed is None:  # a damaged row, of which the store shows what it can read
            return None
        label = _label(thing)
        try:
            return self.vault.seal(self.vault.open(thing.sealed, label), label)
        except DecryptionFailed as error:
            if error.code != "sealed_broken":
                raise
            return None

    def _replaced(self, document: Document, sealed: Sealed) -> bool:
        return self.store.put_document(replace(document, sealed=sealed), expect=document.version) is not None


def _label(thing: Record | Document) -> Label:
    """Return what the sealed part of a thing is bound to."""
    if isinstance(thing, Record):
        return grant_label(thing.key, thing.id, thing.incarnation, thing.version)
    return document_label(thing)


def _switch(store: Store, keys: KeyProvider, note: KeyNote, reports: Sequence[HostReport]) -> KeyNote:
    """Make a new data key the current one, under the new master key, and return the note that says so."""
    for _ in range(_TRIES):
        _require_open(store, keys, note)
        master = _next_master(keys, note, reports)
        _rewrap_all(store, keys, master)
        made = new_data_key(store, master)
        retiring = tuple(document.id for document in data_key_documents(store) if document.id != made.id)
        new = KeyNote(data_key=made.id, master=master.id, place=keys.place, retiring=retiring, version=note.version)
        if write_note(store, new):
            return replace(new, version=note.version + 1)
        discard(store, made.id)
        note = read_note(store) or note
        if note.retiring:
            return note  # another rotation was faster: help it
    raise _too_busy()


def demand_hosts(keys: KeyProvider, note: KeyNote, reports: Sequence[HostReport]) -> None:
    """Refuse to begin where a host could not read the new master key.

    Raises:
        ConfigurationError: The hosts are named (``key_host_blind``).
    """
    found = keys.keys()
    if found and found[0].id != note.master:
        demand_readable(reports, found[0].id)
    else:
        demand_alone(reports, keys.place)


def _next_master(keys: KeyProvider, note: KeyNote, reports: Sequence[HostReport]) -> MasterKey:
    """Return the master key to wrap with: the provider's current one if it is new to the store, else a new one."""
    demand_hosts(keys, note, reports)
    current = keys.keys()[0]
    if current.id != note.master:
        return current
    keys.add(new_master_key())
    return keys.keys()[0]


def _rewrap_all(store: Store, keys: KeyProvider, master: MasterKey) -> None:
    for _ in range(_TRIES):
        open_here = load_ring(store, keys).boxes
        others = [d for d in data_key_documents(store) if d.id in open_here and master_of(d) != master.id]
        masters = {key.id: key for key in keys.keys()}  # noqa: SIM118 - not a mapping
        missed = [d for d in others if master_of(d) not in masters or not rewrap(store, d, masters, master)]
        if not missed:
            return
    raise _too_busy()


def _require_open(store: Store, keys: KeyProvider, note: KeyNote) -> None:
    """Change nothing where a data key that is needed cannot be opened.

    Raises:
        DecryptionFailed: One cannot be opened.
    """
    for key_id, why in load_ring(store, keys).shut.items():
        if key_id == note.data_key or any(store.sealed_with(key_id, limit=1)):
            raise why.error()


def old_masters(store: Store, keys: KeyProvider, note: KeyNote) -> tuple[str, ...]:
    """Return the master keys at hand, after the current one, that wrap nothing in this store."""
    used = {master_of(document) for document in data_key_documents(store)} | {note.master}
    found = [key.id for key in keys.keys()]  # noqa: SIM118 - not a mapping
    after = found.index(note.master) + 1 if note.master in found else len(found)
    return tuple(key_id for key_id in found[after:] if key_id not in used)


def _is_there(store: Store, key_id: str) -> bool:
    return any(document.id == key_id for document in data_key_documents(store))


def _name(thing: Record | Document) -> str:
    return f"connection {thing.id}" if isinstance(thing, Record) else f"{thing.kind} {thing.id}"


def _too_busy() -> StoreError:
    msg = "others keep changing the keys of this store at the same time"
    return StoreError(msg, code="rotation_busy", hint="run it again: it goes on where it stopped")
