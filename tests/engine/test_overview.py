"""The list of connections, the worst first, page by page: on and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from valetkey.engine.overview import WORST_FIRST, WorstFirst
from valetkey.model.connections import ConnectionKey, Expect, Query, StoredState
from valetkey.stores.memory import MemoryStore
from valetkey.testing._contract_base import ENV, blank

NOW = 1_000_000.0
DAY = 86_400.0


@pytest.fixture
def store() -> MemoryStore:
    """Three credentials with a connection in each stored state, and some that end soon."""
    store, number = MemoryStore(), 0
    for name, owned in (("files", True), ("mail", True), ("notes", True), ("files", False), ("mail", False)):
        for state in (*get_args(StoredState), "connected", "connected"):
            number += 1
            place = (f"o{number:02}", "") if owned else (None, f"a{number:02}")
            record = store.create(blank(number, key=ConnectionKey(ENV, name, *place)))
            ends = NOW + (DAY if number % 3 else 90 * DAY)
            anew = replace(record, state=state, refreshable=False, expires_at=ends)
            assert store.swap(anew, expect=Expect.of(record)) is not None
    return store


@pytest.mark.parametrize("limit", [1, 2, 5, 30])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sick": {"mail": "invalid_client"}},
        {"wanted": "action", "sick": {"mail": "invalid_client"}},
        {"wanted": "expires_soon"},
        {"query": Query(env=ENV, search="o")},
        {"query": Query(env=ENV, own=True), "sick": {"mail": "?", "files": "?"}},
    ],
    ids=["all", "a sick app", "action", "soon", "search", "without owner"],
)
def test_pages_go_on_and_back_over_the_same_connections(store: MemoryStore, fields: Any, limit: int) -> None:
    lists = WorstFirst(**{"store": store, "query": Query(env=ENV), "now": NOW, **fields})
    whole = lists.page(None, 1000)
    assert whole.cursor is None
    ranks = [WORST_FIRST.index(lists.state_of(record)) for record in whole.items]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 1 or fields.get("wanted") == "expires_soon"

    pages = [lists.page(None, limit)]
    assert pages[0].before is None
    while pages[-1].cursor is not None:
        pages.append(lists.page(pages[-1].cursor, limit))
    assert [record for page in pages for record in page.items] == list(whole.items)
    assert all(page.items for page in pages)

    here = pages[-1]
    for expected in reversed(pages[:-1]):
        assert here.before is not None
        back = lists.page(here.before, limit, backwards=True)
        assert back.items == expected.items
        assert lists.page(back.cursor, limit).items == here.items  # and on again
        here = back
    assert here.before is None


class Counted:
    """A store, and which questions it was asked."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)


@pytest.mark.parametrize(("wanted", "found"), [(None, 7), ("action", 5), ("needs_reauth", 1)])
def test_what_a_page_holds_of_an_owner_is_asked_for_once(store: MemoryStore, wanted: Any, found: int) -> None:
    counted: Any = Counted(store)
    sick = dict.fromkeys(["mail", *(f"app-{number}" for number in range(40))], "invalid_client")
    query = Query(env=ENV, own=True, credential="mail")
    page = WorstFirst(store=counted, query=query, wanted=wanted, sick=sick, now=NOW).page(None, 7)
    assert len(page.items) == found
    assert counted.asked == ["list"]


def test_counts_are_asked_for_once_at_most(store: MemoryStore) -> None:
    for names, asked in ((None, 1), ({"files", "mail", "notes"}, 0)):
        counted: Any = Counted(store)
        lists = WorstFirst(store=counted, query=Query(env=ENV), sick={"mail": "?"}, now=NOW, names=names)
        pages = [lists.page(None, 5)]
        while pages[-1].cursor:
            pages.append(lists.page(pages[-1].cursor, 5))
        assert sum(len(page.items) for page in pages) == 35
        assert counted.asked.count("counts") == asked
