"""The store contract: lists and their pages, waiting for change, marks of change."""
# ruff: noqa: S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from valetkey.clock import SystemClock
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Document, Event, Expect, Query, Record
from valetkey.model.ports import Store
from valetkey.testing._contract_base import (
    ENV,
    LIFE,
    PATIENCE,
    ContractBase,
    at,
    blank,
    connected,
    every_page,
    held,
    ids,
    seen,
    successor,
)

_KEYS = [
    at("github"),
    at("github", None, "work"),
    at("github", "ada"),
    at("github", "ada", "work"),
    at("github", "bob"),
    at("slack"),
    at("slack", "Zoe"),
    at("slack", "ada"),
]
"""In the order in which they are listed."""

Change = Callable[[Store, Record], object]


class Due(ContractBase):
    """What a worker asks for."""

    def test_what_is_due_comes_the_most_urgent_first(self, store: Store) -> None:
        late, soon, early = (connected(store, number, due_at=at) for number, at in ((1, 300.0), (2, 200.0), (3, 100.0)))
        assert list(store.due(env=ENV, until=250.0)) == [early, soon]
        assert list(store.due(env=ENV, until=300.0)) == [early, soon, late]
        assert list(store.due(env=ENV, until=300.0, limit=1)) == [early]

    def test_what_never_is_due_or_belongs_to_another_environment_is_left_out(self, store: Store) -> None:
        connected(store, 1)
        store.create(blank(2, key=at(env="other"), due_at=1.0))
        assert list(store.due(env=ENV, until=1e12)) == []

    def test_a_write_moves_when_it_is_due(self, store: Store) -> None:
        record = connected(store, due_at=100.0)
        later = store.swap(replace(record, due_at=900.0), expect=Expect.of(record))
        assert later is not None
        assert list(store.due(env=ENV, until=500.0)) == []
        assert list(store.due(env=ENV, until=900.0)) == [later]
        assert store.swap(replace(record, due_at=None), expect=Expect.of(record)) is not None
        assert list(store.due(env=ENV, until=1e12)) == []


class Lists(ContractBase):
    """Pages of connections."""

    def _fill(self, store: Store) -> list[Record]:
        made = [store.create(blank(100 - number, key=key)) for number, key in enumerate(_KEYS)]
        store.create(blank(200, key=at("github", env="other")))
        return made

    def test_connections_are_listed_by_credential_then_owner_none_first_then_account(self, store: Store) -> None:
        made = self._fill(store)
        page = store.list(Query(env=ENV))
        assert list(page.items) == made
        assert page.cursor is None

    @pytest.mark.parametrize("limit", [1, 3, 8])
    @pytest.mark.parametrize(
        "query",
        [
            pytest.param(Query(env=ENV), id="all"),
            pytest.param(Query(env=ENV, credential="github"), id="credential"),
            pytest.param(Query(env=ENV, owner="ada"), id="owner"),
            pytest.param(Query(env=ENV, own=True), id="own"),
            pytest.param(Query(env=ENV, credential="github", owner="ada"), id="credential and owner"),
            pytest.param(Query(env=ENV, state="pending"), id="state"),
            pytest.param(Query(env=ENV, search="a"), id="search"),
        ],
    )
    def test_pages_hold_everything_once_and_in_order(self, store: Store, query: Query, limit: int) -> None:
        self._fill(store)
        whole = list(store.list(query).items)
        pages = every_page(store, query, limit)
        assert [record for page in pages for record in page] == whole
        assert all(len(page) == limit for page in pages[:-1])
        assert whole

        back, cursor = list[Record](), None
        while True:
            page = store.list(query, cursor=cursor, limit=limit, backwards=True)
            assert 0 < len(page.items) <= limit
            assert (page.cursor is None) is (cursor is None)
            if page.cursor is not None:  # it leads on to what was read before
                assert store.list(query, cursor=page.cursor, limit=1).items == tuple(back[:1])
            back = [*page.items, *back]
            cursor = page.before
            if cursor is None:
                break
        assert back == whole

    def test_a_page_tells_whether_another_is_before_it(self, store: Store) -> None:
        self._fill(store)
        query = Query(env=ENV)
        first = store.list(query, limit=3)
        assert first.before is None
        second = store.list(query, cursor=first.cursor, limit=3)
        assert store.list(query, cursor=second.before, limit=9, backwards=True).items == first.items
        assert store.list(query, cursor=second.before, limit=2, backwards=True).items == first.items[1:]

    def test_what_is_erased_between_two_pages_hides_nothing_else(self, store: Store) -> None:
        made = self._fill(store)
        first = store.list(Query(env=ENV), limit=3)
        assert store.delete(made[2])
        assert store.delete(made[3])
        rest = store.list(Query(env=ENV), cursor=first.cursor)
        assert list(rest.items) == made[4:]

    def test_what_is_added_between_two_pages_repeats_nothing(self, store: Store) -> None:
        made = self._fill(store)
        first = store.list(Query(env=ENV), limit=3)
        store.create(blank(300, key=at("aaa")))
        new = store.create(blank(301, key=at("zzz")))
        rest = store.list(Query(env=ENV), cursor=first.cursor)
        assert list(rest.items) == [*made[3:], new]

    @pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U", "WzEsMiwzXQ", "W10", "\N{SNOWMAN}"])
    def test_a_bad_cursor_is_a_configuration_error(self, store: Store, cursor: str) -> None:
        with pytest.raises(ConfigurationError):
            store.list(Query(env=ENV), cursor=cursor)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            pytest.param(Query(env=ENV, credential="github"), _KEYS[:5], id="credential"),
            pytest.param(Query(env=ENV, credential="git"), [], id="a credential is matched whole"),
            pytest.param(Query(env=ENV, owner="ada"), [_KEYS[2], _KEYS[3], _KEYS[7]], id="owner"),
            pytest.param(Query(env=ENV, owner=""), [], id="an empty owner is not no owner"),
            pytest.param(Query(env=ENV, own=True), [_KEYS[0], _KEYS[1], _KEYS[5]], id="own"),
            pytest.param(Query(env=ENV, credential="slack", owner="ada"), [_KEYS[7]], id="credential and owner"),
            pytest.param(Query(env="none"), [], id="environment"),
            pytest.param(Query(env=ENV, state="connected"), [], id="state"),
        ],
    )
    def test_a_query_filters(self, store: Store, query: Query, found: list[object]) -> None:
        self._fill(store)
        assert [record.key for record in store.list(query).items] == found

    def test_states_are_told_apart_and_followed(self, store: Store) -> None:
        record, other = connected(store, 1), connected(store, 2)
        failing = replace(record, state="refresh_failing")
        assert store.swap(failing, expect=Expect.of(record)) is not None
        assert list(store.list(Query(env=ENV, state="refresh_failing")).items) == [failing]
        assert list(store.list(Query(env=ENV, state="connected")).items) == [other]

    def test_scopes_that_were_asked_for_and_not_given_are_found(self, store: Store) -> None:
        store.create(blank(1, requested=("read", "write"), granted=("read", "write")))
        store.create(blank(2, requested=("read", "write", "write"), granted=("read",)))
        store.create(blank(3, requested=("read",), granted=("read",)))
        store.create(blank(4, requested=("read", "write")))
        store.create(blank(5, requested=("rewrite",)))

        def lacking(scope: str) -> list[str]:
            return ids(store.list(Query(env=ENV, missing_scope=scope)).items)

        assert lacking("write") == ["con_0002", "con_0004"]
        assert lacking("read") == ["con_0004"]
        assert lacking("admin") == []
        assert [ids(page) for page in every_page(store, Query(env=ENV, missing_scope="write"), 1)] == [
            ["con_0002"],
            ["con_0004"],
        ]

    def test_missing_scopes_follow_the_record(self, store: Store) -> None:
        record = store.create(blank(1, requested=("read", "write")))
        query = Query(env=ENV, missing_scope="write")
        assert ids(store.list(query).items) == [record.id]
        assert store.rename(record, at("slack", "ada"), "elsewhere")
        assert store.list(query).items == (seen(store, record),)
        given = replace(seen(store, record), granted=("read", "write"))
        assert store.swap(given, expect=Expect.of(record)) is not None
        assert store.list(query).items == ()
        assert store.swap(replace(given, granted=()), expect=Expect.of(record)) is not None
        assert ids(store.list(query).items) == [record.id]
        assert store.delete(record)
        assert store.list(query).items == ()


CHANGES: dict[str, Change] = {
    "claim": lambda store, record: store.claim(record, holder="h", life=LIFE, spending=""),
    "swap": lambda store, record: store.swap(successor(record, 2), expect=Expect.of(record)),
    "note": lambda store, record: store.note(record.id, incarnation=1, changes={"last_used_at": 5.0}),
    "rename": lambda store, record: store.rename(record, at("slack"), "elsewhere"),
    "delete": lambda store, record: store.delete(record),
}
_OTHER_COMMITS: dict[str, Change] = {
    "create": lambda store, _: store.create(blank(2)),
    "document": lambda store, _: store.put_document(Document(kind="k", id="i")),
    "event": lambda store, _: store.append_event(Event(kind="k", at=1.0)),
}


def _each(changes: dict[str, Change]) -> list[ParameterSet]:
    return [pytest.param(change, id=name) for name, change in changes.items()]


class Changes(ContractBase):
    """Noticing what happens."""

    @pytest.mark.parametrize("change", _each(CHANGES))
    def test_one_that_waits_is_woken_by_a_change(self, change: Change) -> None:
        store = self.make_store(SystemClock())
        record = connected(store)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(store.wait_for_change, record, PATIENCE)
            assert change(store, record)
            assert waiting.result() is True
        store.close()

    @pytest.mark.parametrize("change", _each(CHANGES))
    def test_one_that_comes_late_does_not_wait(self, store: Store, change: Change) -> None:
        record = connected(store)
        assert change(store, record)
        assert store.wait_for_change(record, LIFE)

    def test_a_renewed_claim_is_a_change(self, store: Store) -> None:
        record = held(store, connected(store))
        self.pass_time(1)
        assert store.renew(record, holder="holder-1", life=LIFE)
        assert store.wait_for_change(record, LIFE)

    def test_waiting_ends_after_its_time(self) -> None:
        store = self.make_store(SystemClock())
        record = connected(store)
        assert store.wait_for_change(record, 0.05) is False
        assert store.wait_for_change(record, 0.0) is False
        store.close()

    def test_what_happens_elsewhere_is_no_change_of_the_record(self) -> None:
        store = self.make_store(SystemClock())
        record, other = connected(store, 1), connected(store, 2)
        held(store, other)
        store.append_event(Event(kind="connected", at=1.0))
        assert store.wait_for_change(record, 0.05) is False
        store.close()

    def test_that_a_claim_runs_out_is_no_change(self) -> None:
        store = self.make_store(SystemClock())
        record = held(store, connected(store), life=0.01)
        assert store.wait_for_change(record, 0.1) is False
        assert store.wait_for_change(seen(store, record), 0.05) is False
        store.close()

    @pytest.mark.parametrize("commit", _each(CHANGES | _OTHER_COMMITS))
    def test_the_mark_differs_after_a_commit(self, store: Store, commit: Change) -> None:
        record = connected(store)
        before = store.change_mark()
        assert commit(store, record)
        assert store.change_mark() != before

    def test_the_mark_differs_when_the_store_was_closed_in_between_or_nothing_was_missed(self, store: Store) -> None:
        record = connected(store)
        before = store.change_mark()
        store.close()
        assert store.swap(successor(record, 2), expect=Expect.of(record)) is not None
        assert store.change_mark() != before
