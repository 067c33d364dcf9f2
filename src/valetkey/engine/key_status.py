"""Telling how the keys of a store are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from valetkey.errors import StoreError, ValetkeyError
from valetkey.model.connections import Document
from valetkey.model.data_keys import KeyNote, data_key_documents, load_ring, master_of, read_note
from valetkey.model.ports import KeyProvider, Store
from valetkey.model.sealing import Vault

SIGN_INS: Final = ("flow", "held_grant", "posted_answer")
"""The kinds of documents that belong to sign-ins under way: they end by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """How much a data key seals.

    Attributes:
        data_key: Its id.
        master: The id of the master key that wraps it.
        readable: Whether it opens here.
        current: Whether it is the one that seals from now on.
        connections: How many connections it seals.
        flows: How many sign-ins under way.
        documents: How many other things: app credentials, secrets.
    """

    data_key: str
    master: str
    readable: bool
    current: bool = False
    connections: int = 0
    flows: int = 0
    documents: int = 0

    @property
    def all(self) -> int:
        """How many things it seals."""
        return self.connections + self.flows + self.documents


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """How the keys of a store are.  Looking never raises for keys that are not well.

    Attributes:
        place: Where the master key is looked for.
        masters: The ids of the master keys found there, the current one first.
        recorded_place: Where the store says that its master key is; empty where nothing was ever sealed.
        master: The id of the master key that the store says it needs.
        data_key: The id of the current data key.
        retiring: Data keys that a rotation has not seen the end of: run it again.
        keys: What each data key seals.
        readable: Whether all data keys open.
        code: The code of what is wrong (``key_missing``, ``key_wrong``, ...); empty when all is well.
        problem: The same in words.
        hint: What to do about it.
    """

    place: str
    masters: tuple[str, ...] = ()
    recorded_place: str = ""
    master: str = ""
    data_key: str = ""
    retiring: tuple[str, ...] = ()
    keys: tuple[KeyUse, ...] = ()
    readable: bool = True
    code: str = ""
    problem: str = ""
    hint: str = ""


def key_status(store: Store, vault: Vault, keys: KeyProvider) -> KeyStatus:  # noqa: ARG001 - one shape with `rotate`
    """Return how the keys of `store` are, and how much each data key seals.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    note = read_note(store) or KeyNote(data_key="", master="", place="")
    known = KeyStatus(
        place=keys.place,
        recorded_place=note.place,
        master=note.master,
        data_key=note.data_key,
        retiring=note.retiring,
    )
    try:
        masters = tuple(key.id for key in keys.keys())  # noqa: SIM118 - not a mapping
        ring = load_ring(store, keys)
    except StoreError:
        raise
    except ValetkeyError as error:
        return replace(known, readable=False, code=error.code, problem=str(error), hint=error.hint)
    uses = tuple(_use(store, document, note, document.id in ring.boxes) for document in data_key_documents(store))
    wrong = next(iter(ring.shut.values()), None)
    known = replace(known, masters=masters, keys=uses)
    if wrong is None:
        return known
    return replace(known, readable=False, code=wrong.code, problem=wrong.message, hint=wrong.hint)


def _use(store: Store, document: Document, note: KeyNote, readable: bool) -> KeyUse:
    counts = store.count_sealed(document.id)
    flows = sum(counts.get(kind, 0) for kind in SIGN_INS)
    return KeyUse(
        data_key=document.id,
        master=master_of(document),
        readable=readable,
        current=document.id == note.data_key,
        connections=counts.get("connection", 0),
        flows=flows,
        documents=sum(counts.values()) - counts.get("connection", 0) - flows,
    )
