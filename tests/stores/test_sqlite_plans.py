"""Every list and look-up goes by an index: SQLite's own plans say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valetkey.model.connections import Query
from valetkey.stores import _sqlite_counts, _sqlite_documents, _sqlite_search, sqlite
from valetkey.stores._sqlite_lists import page_statement
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import ENV, blank

AFTER = ("github", "=ada", "")


@pytest.fixture
def plan(store: SQLiteStore) -> Callable[..., list[str]]:
    for number in range(20):
        store.create(blank(number))

    def explain(statement: str, values: Any = ()) -> list[str]:
        return [row[3] for row in store._read(f"EXPLAIN QUERY PLAN {statement}", values)]

    return explain


@pytest.mark.scenario(10)
@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
@pytest.mark.parametrize(
    ("query", "index", "columns"),
    [
        pytest.param(Query(env=ENV), "connection_", ("env=?",), id="environment"),
        pytest.param(Query(env=ENV, credential="github"), "connection_", ("env=?", "credential=?"), id="credential"),
        pytest.param(
            Query(env=ENV, credential="github", owner="ada"),
            "connection_",
            ("env=?", "credential=?", "owner=?"),
            id="credential and owner",
        ),
        pytest.param(
            Query(env=ENV, credential="github", own=True),
            "connection_",
            ("env=?", "credential=?", "owner=?"),
            id="credential and own",
        ),
        pytest.param(Query(env=ENV, owner="ada"), "connection_owner", ("env=?", "owner=?"), id="owner"),
        pytest.param(Query(env=ENV, state="needs_reauth"), "connection_state", ("env=?", "state=?"), id="state"),
        pytest.param(
            Query(env=ENV, state="needs_reauth", credential="github"),
            "connection_state",
            ("env=?", "state=?", "credential=?"),
            id="state and credential",
        ),
        pytest.param(Query(env=ENV, search="ada"), "connection_search", ("env=?",), id="search"),
    ],
)
def test_a_page_is_found_and_ordered_by_an_index(
    plan: Callable[..., list[str]], query: Query, index: str, columns: tuple[str, ...], after: Any
) -> None:
    for backwards in (False, True):
        steps = plan(*page_statement(query, after, 101, backwards=backwards))
        assert len(steps) == 1, steps
        assert steps[0].startswith(f"SEARCH c USING INDEX {index}")
        assert all(column in steps[0] for column in columns)
        if after is not None:  # the cursor is a bound in the index, not a filter
            assert ("<" if backwards else ">") in steps[0]


@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
def test_what_trigrams_find_is_looked_up_row_by_row(plan: Callable[..., list[str]], after: Any) -> None:
    query = Query(env=ENV, credential="github", state="connected", search="ada")
    trigrams, rows, connections, *sorting = plan(*page_statement(query, after, 101, '"ada"'))
    assert trigrams.startswith("SCAN search_trigram VIRTUAL TABLE INDEX 0:M"), trigrams
    assert rows == "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)"
    assert connections.startswith("SEARCH c USING INDEX sqlite_autoindex_connection_1 (id=?)")
    assert sorting == ["USE TEMP B-TREE FOR ORDER BY"]


@pytest.mark.parametrize(
    ("statement", "step"),
    [
        (_sqlite_search._NARROWED, "SCAN search_trigram VIRTUAL TABLE INDEX 0:M"),
        (_sqlite_search._BEGINNING, "SCAN search_term VIRTUAL TABLE INDEX"),
    ],
)
def test_whether_trigrams_help_is_asked_of_them_alone(
    plan: Callable[..., list[str]], statement: str, step: str
) -> None:
    steps = plan(statement, ['"ada"', "adz", 9][-statement.count("?") :])
    assert sum(one.startswith(step) for one in steps) == 1, steps
    assert not any("connection" in one or one.endswith("INDEX 0:") for one in steps)


@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
def test_missing_scopes_are_found_and_ordered_by_an_index(plan: Callable[..., list[str]], after: Any) -> None:
    scopes, connections = plan(*page_statement(Query(env=ENV, missing_scope="write"), after, 101))
    assert scopes.startswith("SEARCH m USING PRIMARY KEY (env=? AND scope=?")
    assert (">" in scopes) is (after is not None)
    assert connections.startswith("SEARCH c USING INDEX sqlite_autoindex_connection_1 (id=?)")


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        pytest.param(sqlite._BY_ID, "sqlite_autoindex_connection_1 (id=?)", id="by id"),
        pytest.param(sqlite._BY_KEY, "(env=? AND credential=? AND owner=? AND account=?)", id="by key"),
        pytest.param(sqlite._BY_DATA_KEY, "connection_key_id (key_id=?)", id="by data key"),
        pytest.param(_sqlite_documents._GET, "PRIMARY KEY (kind=? AND env=? AND id=?)", id="document"),
        pytest.param(
            "SELECT id FROM document WHERE key_id = ? ORDER BY kind, env, id", "document_key_id", id="sealed documents"
        ),
        pytest.param("DELETE FROM document WHERE expires_at <= ?", "document_expiry (expires_at<?)", id="expired"),
        pytest.param(
            "SELECT detail FROM event WHERE env = ? AND connection_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
            "event_connection (env=? AND connection_id=? AND seq>?)",
            id="events of a connection",
        ),
        pytest.param(
            "SELECT detail FROM event WHERE env = ? AND seq > ? ORDER BY seq LIMIT ?",
            "event_env (env=? AND seq>?)",
            id="events",
        ),
        pytest.param(
            sqlite._DUE,
            "connection_due (env=? AND due_at<?)",
            id="due",
        ),
        pytest.param(
            "SELECT id FROM connection WHERE next_try_at <= ?", "connection_next_try (next_try_at<?)", id="next try"
        ),
        pytest.param(
            "SELECT id FROM connection WHERE env = ? AND error = ? AND error <> ''", "connection_error", id="error"
        ),
    ],
)
def test_a_look_up_is_one_search_of_an_index(plan: Callable[..., list[str]], statement: str, index: str) -> None:
    steps = plan(statement, ["x"] * statement.count("?"))
    assert len(steps) == 1, steps
    assert steps[0].startswith("SEARCH")
    assert index in steps[0]


def test_a_page_of_sealed_rows_is_not_sorted(plan: Callable[..., list[str]]) -> None:
    assert not any("TEMP B-TREE" in step for step in plan(sqlite._BY_DATA_KEY, ("dk_1", 100)))


@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
@pytest.mark.parametrize("credential", [None, "github"])
def test_what_wants_attention_is_found_without_reading_the_rest(
    plan: Callable[..., list[str]], credential: str | None, after: Any
) -> None:
    steps = plan(*page_statement(Query(env=ENV, credential=credential, attention_by=1.0), after, 101))
    assert steps[0].startswith("SEARCH c USING INDEX connection_attention (env=? AND <expr><?"), steps


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        pytest.param(
            _sqlite_counts.TROUBLES, (ENV, "needs_reauth", 9), "connection_state (env=? AND state=?", id="why"
        ),
        pytest.param(_sqlite_counts.BY_STATE, (ENV,), "USING PRIMARY KEY (env=?)", id="by state"),
        pytest.param(_sqlite_counts.SOON, (ENV, 1.0), "connection_attention (env=? AND <expr><?", id="soon"),
    ],
)
def test_counts_read_no_rows(plan: Callable[..., list[str]], statement: str, values: Any, index: str) -> None:
    assert any(index in step for step in plan(statement, values))
