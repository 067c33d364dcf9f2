"""Pages of connections and events as a limited key sees them: a key may name several owners and credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from valetkey.engine.api_keys import ApiKey
from valetkey.engine.history import CLOCKS, History, Wanted
from valetkey.engine.listing import find_page
from valetkey.model.connections import Event, Query, Record
from valetkey.model.ports import Store

LOOKED_AT: Final = 5000
"""Events that one call looks at, at most: few of them may be wanted, or for a key with limits to see."""
_PAGE: Final = 500
ALL: Final = Wanted()


def find_connections(
    store: Store, key: ApiKey, query: Query, cursor: str | None, limit: int, takes: Callable[[Record], bool]
) -> tuple[list[Record], str | None]:
    """Return a page of the records within a key's limits, and the cursor of the next page.

    With `takes`, those of them that it takes; where few are, a page may hold fewer, and others come after it.

    Raises:
        ConfigurationError: The cursor is none of this list (``cursor_invalid``).
    """
    return find_page(store, list(_queries(key, query)), cursor, limit, takes)


def _queries(key: ApiKey, query: Query) -> Iterator[Query]:
    """Yield what to ask the store for: each owner under each credential, where the key names some."""
    owners = [query.owner] if query.owner is not None or not key.owners else sorted(key.owners)
    credentials = [query.credential] if query.credential or not key.credentials else sorted(key.credentials)
    if query.own and key.owners:
        return
    for credential, owner in product(credentials, owners):
        if (credential is None or not key.credentials or credential in key.credentials) and (
            owner is None or not key.owners or owner in key.owners
        ):
            yield replace(query, credential=credential, owner=owner)


def find_events(
    store: Store, key: ApiKey, env: str, *, after: int, limit: int, wanted: Wanted = ALL
) -> tuple[list[Event], int, bool]:
    """Return events within a key's limits, the number to go on after, and whether there may be more already."""
    found: list[Event] = []
    looked_at = 0
    history = History(store=store, env=env, wanted=wanted)
    if wanted.since > CLOCKS:
        after = max(after, history.first_since(wanted.since - CLOCKS) - 1)
    while looked_at < LOOKED_AT:
        page = store.list_events(env=env, connection_id=wanted.connection_id or None, after=after, limit=_PAGE)
        for event in page:
            if event.at >= wanted.until + CLOCKS:
                return found, after, False
            after = event.seq
            if key.sees(event.credential, event.owner) and wanted.takes(event):
                found.append(event)
            if len(found) == limit:
                return found, after, event is not page[-1] or len(page) == _PAGE
        looked_at += len(page)
        if len(page) < _PAGE:
            return found, after, False
    return found, after, True
