"""Data keys in the store, wrapped by master keys, and the note that says which one is current.

A store has one current data key.  Each data key is a document of kind ``data_key`` that holds it wrapped by a master
key; the note is the document ``keys`` of kind ``meta``.  The note only ever moves on to a new random key, by
compare-and-swap, so of two processes that start or rotate at the same time exactly one decides.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from valetkey.errors import ConfigurationError, DecryptionFailed, StoreError
from valetkey.model.ciphers import KEY_BYTES, Box, Broken, frame, raw_key
from valetkey.model.connections import Document
from valetkey.model.ports import KeyProvider, MasterKey, Store

KIND: Final = "data_key"
_NOTE: Final = ("meta", "keys")

_Found = tuple["KeyNote | None", Sequence[Document], dict[str, MasterKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNote:
    """Which data key seals, and where the master key was last seen.

    Attributes:
        data_key: The id of the current data key.
        master: The id of the master key that wrapped it when the note was written.
        place: Where that master key was: `KeyProvider.place`.
        retiring: Data keys that a rotation is replacing and has not seen the end of.
        version: The version of its document; 0 when it is not stored yet.
    """

    data_key: str
    master: str
    place: str
    retiring: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Shut:
    """Why a data key cannot be used, as an error to be raised when it is needed."""

    message: str
    code: str
    hint: str

    def error(self) -> DecryptionFailed:
        """Return a new error that says so."""
        return DecryptionFailed(self.message, code=self.code, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Ring:
    """All data keys of a store as they were at one moment: those that open, and why the others do not."""

    store_id: str
    note: KeyNote | None
    boxes: Mapping[str, Box]
    shut: Mapping[str, Shut]

    def why_not(self, key_id: str) -> DecryptionFailed:
        """Return the error for a data key that is not among `boxes`."""
        if key_id in self.shut:
            return self.shut[key_id].error()
        msg = f"the store has no data key {key_id!r}: what it sealed was written elsewhere, or changed"
        return DecryptionFailed(msg, code="sealed_broken", hint=_BROKEN_HINT)

    def keeping(self, before: Ring) -> Ring:
        """Return this ring with what `before` had open already.

        A row that was read a moment ago may be sealed with a data key that was retired since.  And a rotation on
        another host may wrap a data key with a master key which this process cannot see yet: what is open here stays
        usable until the store retires it.
        """
        if before.store_id != self.store_id:
            return self
        boxes = {**before.boxes, **self.boxes}
        shut = {key_id: why for key_id, why in self.shut.items() if key_id not in boxes}
        note = self.note
        if note is not None and note.data_key in shut and before.note is not None:
            former = before.note.data_key
            if former in boxes and (former in self.boxes or former in self.shut):
                note = before.note
        return Ring(self.store_id, note, boxes, shut)


_BROKEN_HINT: Final = "restore the store from a backup, or connect this account again"
_BACK_HINT: Final = (
    "put that key back, from a backup if need be: no other key opens what is stored; where it is lost for good, "
    "connect anew in an empty store: move the store's file away, or give its URL another schema= or name="
)


def read_note(store: Store) -> KeyNote | None:
    """Return the note, or None in a store where nothing was sealed yet."""
    kind, note_id = _NOTE
    document = store.get_document(kind, note_id)
    if document is None:
        return None
    body = document.body
    return KeyNote(
        data_key=str(body.get("data_key", "")),
        master=str(body.get("master", "")),
        place=str(body.get("place", "")),
        retiring=tuple(str(key) for key in body.get("retiring", ())),
        version=document.version,
    )


def write_note(store: Store, note: KeyNote) -> bool:
    """Put the note in place of the version it was made from; False when somebody was faster."""
    kind, note_id = _NOTE
    body = {"data_key": note.data_key, "master": note.master, "place": note.place, "retiring": list(note.retiring)}
    return store.put_document(Document(kind=kind, id=note_id, body=body), expect=note.version) is not None


def data_key_documents(store: Store) -> Sequence[Document]:
    """Return the documents of all data keys."""
    return store.list_documents(KIND)


def master_of(document: Document) -> str:
    """Return the id of the master key that wraps this data key."""
    return str(document.body.get("master", ""))


def new_data_key(store: Store, master: MasterKey) -> Document:
    """Store a new data key, wrapped by `master`.  It is not in use before a note names it."""
    key_id = f"dk_{secrets.token_hex(6)}"
    document = Document(kind=KIND, id=key_id, body=_wrapped(store, key_id, os.urandom(KEY_BYTES), master))
    stored = store.put_document(document, expect=0)
    if stored is None:
        msg = f"a data key {key_id} is there already"
        raise StoreError(msg, code="data_key_exists", hint="try again")
    return stored


def rewrap(store: Store, document: Document, masters: Mapping[str, MasterKey], master: MasterKey) -> bool:
    """Wrap a data key with `master` instead; False when the document changed meanwhile.

    Raises:
        DecryptionFailed: It cannot be unwrapped.
    """
    raw = _unwrap(store.store_id(), document, masters[master_of(document)])
    body = _wrapped(store, document.id, raw, master)
    return store.put_document(Document(kind=KIND, id=document.id, body=body), expect=document.version) is not None


def load_ring(store: Store, keys: KeyProvider) -> Ring:
    """Read all data keys and unwrap those for which there is a master key.

    Raises:
        ConfigurationError: The place of the master key cannot be read.
        StoreUnavailable: The store cannot be read.
    """
    store_id = store.store_id()
    note, documents, masters = _read(store, keys)
    boxes: dict[str, Box] = {}
    shut: dict[str, Shut] = {}
    for document in documents:
        master = masters.get(master_of(document))
        if master is None:
            shut[document.id] = _locked(document, note, keys, masters)
            continue
        try:
            boxes[document.id] = Box(_unwrap(store_id, document, master))
        except DecryptionFailed as error:
            shut[document.id] = Shut(str(error), error.code, error.hint)
    return Ring(store_id, note, boxes, shut)


def establish(store: Store, keys: KeyProvider) -> None:
    """Make the first data key of a store, unless there is one; of several that try, one decides for all.

    Raises:
        ConfigurationError: There is no master key and none may be made here (``key_missing``).
        DecryptionFailed: There are data keys already, and the master key at hand opens none of them.
    """
    while (ring := load_ring(store, keys)).note is None:
        if ring.shut and not ring.boxes:
            raise next(iter(ring.shut.values())).error()
        if not ring.boxes:
            _make_first(store, keys)
            return
        # Somebody made one and has not noted it yet, or died before; or lost, and takes it away: then there is a note.
        adopted = next((d for d in data_key_documents(store) if d.id in ring.boxes), None)
        if adopted is not None:
            write_note(store, KeyNote(data_key=adopted.id, master=master_of(adopted), place=keys.place))
            return


def _make_first(store: Store, keys: KeyProvider) -> None:
    master = _first_master(keys)
    made = new_data_key(store, master)
    if not write_note(store, KeyNote(data_key=made.id, master=master.id, place=keys.place)):
        discard(store, made.id)


def discard(store: Store, key_id: str) -> None:
    """Remove a data key that lost a race, unless the note names it after all."""
    note = read_note(store)
    if note is not None and note.data_key != key_id:
        store.retire_key(key_id)


def _first_master(keys: KeyProvider) -> MasterKey:
    found = keys.keys()
    if found:
        return found[0]
    if keys.can_create:
        return keys.create()
    msg = f"there is no master key to seal with in {keys.place}"
    raise ConfigurationError(msg, code="key_missing", hint="valetkey key new, then set VALETKEY_KEY_FILE")


def _read(store: Store, keys: KeyProvider) -> _Found:
    """Read note, data keys and master keys, once more where another process may be rotating them meanwhile."""
    found = _read_once(store, keys)
    _, documents, masters = found
    return found if all(master_of(document) in masters for document in documents) else _read_once(store, keys)


def _read_once(store: Store, keys: KeyProvider) -> _Found:
    note, documents = read_note(store), data_key_documents(store)
    return note, documents, {key.id: key for key in keys.keys()}  # noqa: SIM118 - not a mapping


def _locked(document: Document, note: KeyNote | None, keys: KeyProvider, masters: Mapping[str, MasterKey]) -> Shut:
    wanted = master_of(document)
    kept = f", which was kept in {note.place}" if note is not None else ""
    if not masters:
        return Shut(f"there is no key in {keys.place}; this store needs key {wanted}{kept}", "key_missing", _BACK_HINT)
    there = ", ".join(masters)
    return Shut(f"{keys.place} holds key {there}, but this store needs key {wanted}{kept}", "key_wrong", _BACK_HINT)


def _wrapped(store: Store, key_id: str, raw: bytes, master: MasterKey) -> dict[str, str]:
    blob = Box(raw_key(master)).seal(raw, _place_of(store.store_id(), key_id))
    return {"master": master.id, "wrapped": base64.b64encode(blob).decode()}


def _unwrap(store_id: str, document: Document, master: MasterKey) -> bytes:
    try:
        blob = base64.b64decode(str(document.body.get("wrapped", "")), validate=True)
        return Box(raw_key(master)).open(blob, _place_of(store_id, document.id))
    except (Broken, ValueError):
        msg = f"the data key {document.id} is damaged, or belongs to another store"
        raise DecryptionFailed(msg, code="sealed_broken", hint="restore the store from a backup") from None


def _place_of(store_id: str, key_id: str) -> bytes:
    return frame("valetkey:data-key", store_id, key_id)
