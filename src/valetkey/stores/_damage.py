"""Damaged rows: how they are listed, and what is noted of them, so that lists, filters and counts agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from valetkey.model.connections import Query, Record, RecordPage

DAMAGED: Final = "row_corrupt"


def as_damaged(record: Record, damage: str) -> Record:
    """Return what could be read of a damaged row, for lists: a person must act."""
    return replace(record, state="needs_reauth", reason=DAMAGED, error=DAMAGED, error_text=damage)


def is_noted(row: Record) -> bool:
    """Whether the row's own state says already that it is damaged."""
    return (row.state, row.reason) == ("needs_reauth", DAMAGED)


def sifted(page: RecordPage, query: Query) -> RecordPage:
    """Return a page without the damaged rows that were found in a state which is theirs no more."""
    if query.state in {None, "needs_reauth"} and query.attention_by is None:
        return page
    return replace(page, items=tuple(record for record in page.items if record.error != DAMAGED))
