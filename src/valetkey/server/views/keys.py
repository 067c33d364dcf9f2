"""How the keys of the store are shown."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.engine.key_status import KeyStatus, KeyUse
from valetkey.server.words import Word


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
class MasterKey:
    """What the head of the page says.

    Attributes:
        word: How the keys are, in a word.
        rows: The data keys.
        connections: How many connections the current data key seals.
        left: How many connections and other things are sealed with keys that are being replaced.
    """

    word: Word
    rows: tuple[KeyRow, ...]
    connections: str
    left: str


def master_key(found: KeyStatus) -> MasterKey:
    """Return what the page of keys shows."""
    current = [use for use in found.keys if use.current]
    others = [use for use in found.keys if not use.current]
    left = sum(use.all for use in others)
    return MasterKey(
        word=_word(found),
        rows=tuple(_row(use) for use in [*current, *others]),
        connections=f"{current[0].connections:,}" if current else "0",
        left=f"{left:,}",
    )


def _word(found: KeyStatus) -> Word:
    if not found.readable:
        return Word("Needs repair", "broken", "st-bad")
    if found.retiring:
        return Word("Changing over", "retry", "st-warn")
    return Word("In use", "ok", "st-ok") if found.data_key else Word("Nothing sealed yet", "ring", "st-none")


def _row(use: KeyUse) -> KeyRow:
    if not use.readable:
        word = Word("Not readable", "broken", "st-bad")
    elif use.current:
        word = Word("In use", "ok", "st-ok")
    else:
        word = Word("Being replaced", "clock", "st-warn")
    seals = _things(use.connections, "connection")
    others = f"{_things(use.flows, 'sign-in')}, {_things(use.documents, 'other thing')}"
    return KeyRow(name=use.data_key, master=use.master, word=word, seals=seals, others=others)


def _things(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
