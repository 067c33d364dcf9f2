"""Pages of connections in a state as it is told: some states depend on the clock, or stand with the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from valetkey.engine.status import status_of
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Page, Query, Record, State, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import Store

LOOKED_AT: Final = 5000
"""Connections that one call looks at, at most, where few of them may be wanted."""
_LONGEST: Final = 6
"""Digits of the number of a query."""


def as_stored(query: Query, state: State | None, now: float) -> Query:
    """Return what to ask the store for: it knows neither the clock nor what is held against apps."""
    if state is None or state == "app_error":
        return query
    if state == "expires_soon":
        return replace(query, state="connected", attention_by=now)
    return replace(query, state=state)


def in_state(query: Query, state: State, now: float, sick: Mapping[str, str]) -> list[Query]:
    """Return what to ask the store for to find all in a state; `sick`: the credentials whose app cannot be used.

    Others are found with them, and have to be left out.
    """
    if state != "app_error":
        return [as_stored(query, state, now)]
    names = sorted(name for name in sick if query.credential in {None, name})
    return [replace(query, credential=name) for name in names]


def find_page(
    store: Store, queries: Sequence[Query], cursor: str | None, limit: int, takes: Callable[[Record], bool]
) -> tuple[list[Record], str | None]:
    """Return a page of what several queries find, one after the other, and the cursor of the next page.

    It holds those of them that `takes` takes; where few are, a page may hold fewer, and others come after it.

    Raises:
        ConfigurationError: The cursor is none of this list (``cursor_invalid``).
    """
    number, inner = _read(cursor, len(queries))
    found: list[Record] = []
    looked_at = 0
    while number < len(queries):
        # never more than are wanted, so that the cursor stands right behind the last one
        page = store.list(queries[number], cursor=inner, limit=limit - len(found))
        found += filter(takes, page.items)
        looked_at += max(len(page.items), 1)
        number, inner = (number, page.cursor) if page.cursor is not None else (number + 1, None)
        if len(found) == limit or looked_at >= LOOKED_AT:
            return found, f"{number}.{inner or ''}" if number < len(queries) else None
    return found, None


def told_page(
    store: Store,
    query: Query,
    state: State,
    place: tuple[str | None, int],
    *,
    now: float,
    sick: Mapping[str, str],
    credential: Callable[[str], OAuth2Credential],
) -> Page:
    """Return a page of statuses in a state; `place`: after which cursor, and how many."""
    told: dict[str, Status] = {}

    def takes(record: Record) -> bool:
        name = record.key.credential
        status = status_of(record.key, record, credential(name), now=now, app_error=sick.get(name, ""))
        told[record.id] = status
        return status.state == state

    queries = in_state(query, state, now, sick)
    found, after = find_page(store, queries, *place, takes) if queries else ([], None)
    return Page(tuple(told[record.id] for record in found), after)


def _read(cursor: str | None, count: int) -> tuple[int, str | None]:
    if cursor is None:
        return 0, None
    number, dot, inner = cursor.partition(".")
    known = dot and number.isascii() and number.isdecimal() and len(number) <= _LONGEST and int(number) < count
    if not known:
        msg = "that is no cursor of this list"
        raise ConfigurationError(msg, code="cursor_invalid", hint="start again without one")
    return int(number), inner or None
