"""What can be wrong with a store, as errors with a code and a next step: what all kinds of stores share."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.errors import StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores._rules import DATA_KEY
from valetkey.stores._texts import literal


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that can be wrong, in words for people; called with a store's place, it makes the error to raise.

    Attributes:
        message: What happened.  ``{store}`` stands for the place, ``{store.url}`` for an attribute of it.
        hint: The next step, in the same way.
        code: The error's code; that of its class where empty.
        kind: The error's class.
    """

    message: str
    hint: str
    code: str = ""
    kind: type[ValetkeyError] = StoreUnavailable

    def __call__(self, store: object) -> ValetkeyError:
        """Return the error for the store at that place."""
        return self.kind(self.message.format(store=store), code=self.code, hint=self.hint.format(store=store))


def answer_lost(store: str) -> StoreUnavailable:
    """Return the error for a write of which nobody knows whether it happened."""
    return StoreUnavailable(
        f"The store {store} was asked to write, and its answer was lost: the write may have happened, or not.",
        code="store_answer_lost",
        hint="Read before writing again. If it happens often, look at the network and the log of the server.",
    )


def newer(store: object, found: object, known: int) -> StoreError:
    """Return the error for a store that a later valetkey has written."""
    return StoreError(
        f"The store {store} was written by a newer valetkey (schema {clean(found, 20)}; this one knows {known})."
        " It is kept.",
        code="store_newer",
        hint="Upgrade this one: pip install --upgrade valetkey",
    )


def row_corrupt(store: object, what: str, reason: str, *, remove: str, kind: str = "") -> StoreError:
    """Return the error for one damaged row; all others can still be read.

    Args:
        store: The store, as people name it.
        what: What the row holds, as the beginning of a sentence.
        reason: What is wrong with it.
        remove: What a person runs to remove it.
        kind: The document's kind, where it is a document.
    """
    hint = f"Restore the store from a backup; or remove this row: {remove}"
    if kind == DATA_KEY:
        hint = "Restore the store from a backup. Do not remove this row: nothing else opens what it has sealed."
    return StoreError(
        f"{what} in the store {store} is damaged: {reason}. It is kept as it is.", code="row_corrupt", hint=hint
    )


def delete_statement(table: str, key: dict[str, str]) -> str:
    """Return the SQL that removes the row which `key` names in `table`, for a person to run."""
    which = " AND ".join(f"{name} = {literal(text)}" for name, text in key.items())
    return f"DELETE FROM {table} WHERE {which}"  # noqa: S608 - for a person to read
