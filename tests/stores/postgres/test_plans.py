"""Every list and look-up goes by an index, whatever the number of rows: PostgreSQL's own plans say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from valetkey.model.connections import Query
from valetkey.stores import _postgres_documents, postgres
from valetkey.stores._postgres_lists import COUNTED, TROUBLES, page_statement
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import ENV, ids

ROWS = 30_000
AFTER = ("github", "=owner-15000", "")

FILL = """
    INSERT INTO {S}.connection SELECT
        'con_' || n, 'contract', CASE n %% 20 WHEN 0 THEN 'slack' ELSE 'github' END, '=owner-' || n, '',
        CASE n %% 20 WHEN 0 THEN 'slack' ELSE 'github' END || E'\\nowner-' || n || E'\\n\\n' || n
            || E'\\nperson-' || n || E'@example.org\\nperson ' || n || E'\\nlogin-' || n, 1, 1, NULL, NULL, NULL, 0,
        CASE n %% 100 WHEN 0 THEN 'needs_reauth' ELSE 'connected' END, '', '', 0, NULL, NULL, n, NULL, n, NULL,
        'client', '', '', 1, '', '', '', n, n, n, n, n, 'dk_' || n %% 3, '["read"]',
        CASE n %% 50 WHEN 0 THEN '["read","write"]' ELSE '["read"]' END, NULL, '{{}}', '{{}}', '', '\\x00'
    FROM generate_series(%s::integer, %s) AS n
"""


@pytest.fixture(scope="module")
def big(postgres: Any) -> Iterator[PostgresStore]:
    """A store with many connections, where trigrams help to search."""
    store = PostgresStore(postgres.url(), schema="plans")
    columns = "INSERT INTO {S}.missing_scope SELECT env, 'write', credential, owner, account, id FROM {S}.connection"
    documents = "INSERT INTO {S}.document SELECT 'flow', '', 'd' || n, 1, n, NULL, '{{}}', NULL"
    events = "INSERT INTO {S}.event SELECT n, 'contract', 'con_' || n %% 100, 'k', n, '', '', '', '', '{{}}'"
    fill = FILL.replace("{{", "{").replace("}}", "}")
    for first in range(1, ROWS, 1000):
        store._write(lambda writing, first=first: writing.run(fill, (first, first + 999)))  # type: ignore[misc]
    store._write(
        lambda writing: [
            writing.run(columns + " WHERE requested LIKE %s", ("%write%",)),
            writing.run(documents.replace("{{}}", "{}") + " FROM generate_series(1, %s) AS n", (ROWS,)),
            writing.run(events.replace("{{}}", "{}") + " FROM generate_series(1, %s) AS n", (ROWS,)),
        ]
    )
    for table in ("connection", "missing_scope", "search_text", "document", "event"):
        postgres.sql(f"ANALYZE plans.{table}")
    postgres.sql("SELECT gin_clean_pending_list('plans.search_text_trigrams')")  # as autovacuum does
    yield store
    store.close()
    postgres.sql("DROP SCHEMA plans CASCADE")


@pytest.fixture
def plan(big: PostgresStore) -> Callable[..., str]:
    def explain(statement: str, values: Any = (), *, how: str = "") -> str:
        rows = big._write(lambda writing: writing.rows(f"EXPLAIN {how} {statement}", values))
        return "\n".join(row[0] for row in rows)

    return explain


@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(Query(env=ENV), "connection_key", id="environment"),
        pytest.param(Query(env=ENV, credential="github"), "connection_", id="credential"),
        pytest.param(Query(env=ENV, credential="github", owner="owner-7"), "connection_", id="credential and owner"),
        pytest.param(Query(env=ENV, credential="github", own=True), "connection_", id="credential and own"),
        pytest.param(Query(env=ENV, owner="owner-7"), "connection_owner", id="owner"),
        pytest.param(Query(env=ENV, state="needs_reauth"), "connection_state", id="state"),
        pytest.param(
            Query(env=ENV, state="needs_reauth", credential="github"), "connection_state", id="state and credential"
        ),
    ],
)
def test_a_page_is_found_and_ordered_by_an_index(
    plan: Callable[..., str], query: Query, index: str, after: Any
) -> None:
    for backwards, way, sign in ((False, "", "> "), (True, " Backward", "< ")):
        steps = plan(*page_statement(query, after, 101, backwards=backwards))
        assert f"Index Scan{way} using {index}" in steps, steps
        assert "Sort" not in steps
        assert "Seq Scan" not in steps
        if after is not None and query.owner is None and not query.own:  # the cursor is a bound in the index, no filter
            condition = next(line for line in steps.splitlines() if "Index Cond" in line)
            assert "ROW(" in condition or sign in condition


def test_why_connections_are_not_well_is_read_along_an_index(plan: Callable[..., str]) -> None:
    steps = plan(TROUBLES, (ENV, "needs_reauth", 1000))
    assert "Index Scan using connection_state" in steps, steps
    assert "Seq Scan" not in steps


ALL_READ = re.compile(r"Rows Removed by Filter: (\d+)")


@pytest.fixture
def searched(plan: Callable[..., str]) -> Callable[..., list[str]]:
    """Return the scans of tables that a search really makes."""

    def scans(text: str, *, anywhere: bool, after: Any = None, backwards: bool = False, **more: Any) -> list[str]:
        query = Query(env=ENV, search=text, **more)
        statement = page_statement(query, after, 101, anywhere=anywhere, backwards=backwards)
        steps = plan(*statement, how="(ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF)")
        assert sum(map(int, ALL_READ.findall(steps))) < ROWS // 10, steps
        return [line.strip() for line in steps.splitlines() if " Scan " in line and "never executed" not in line]

    return scans


@pytest.mark.parametrize(
    ("text", "index"),
    [
        pytest.param("slac", "search_text_beginning_1", id="credential"),
        pytest.param("owner-12345", "search_text_beginning_2", id="owner"),
        pytest.param("12345", "search_text_beginning_4", id="subject"),
        pytest.param("person-12345@", "search_text_beginning_5", id="address"),
        pytest.param("person 12345", "search_text_beginning_6", id="name"),
        pytest.param("login-1234", "search_text_beginning_7", id="login"),
        pytest.param("zq", "search_text_beginning_3", id="nothing"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"state": "connected"}], ids=["", "in a state"])
def test_beginnings_are_found_by_an_index(
    searched: Callable[..., list[str]], text: str, index: str, more: dict[str, Any]
) -> None:
    scans = searched(text, anywhere=False, **more)
    assert any(index in line for line in scans), scans
    assert not any("Seq Scan" in line or "Scan on connection" in line for line in scans), scans


def test_a_search_that_finds_little_goes_by_trigrams_where_the_extension_is(
    searched: Callable[..., list[str]],
) -> None:
    scans = searched("son-12345@", anywhere=True)
    assert any("Bitmap Index Scan on search_text_trigrams" in line for line in scans), scans
    assert any("Index Scan using connection_pkey" in line for line in scans), scans
    assert not any("Seq Scan" in line for line in scans), scans


@pytest.mark.parametrize("backwards", [False, True], ids=["on", "back"])
@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
@pytest.mark.parametrize(("text", "anywhere"), [("example", True), ("person-", False)], ids=["anywhere", "beginnings"])
def test_a_search_that_finds_much_reads_in_order_until_the_page_is_full(
    searched: Callable[..., list[str]], text: str, after: Any, *, anywhere: bool, backwards: bool
) -> None:
    scans = searched(text, anywhere=anywhere, after=after, backwards=backwards)
    way = " Backward" if backwards else ""
    [walk] = [line for line in scans if f"Index Scan{way} using search_text_pkey" in line]
    assert "rows=101" in walk, scans
    assert not any("Seq Scan on connection" in line for line in scans), scans
    for line in scans:  # what tells that it is much stops as soon as that is sure
        assert re.search(r"rows=(\d+)", line)[1] in {"0", "101", "1", "2001"} or "Bitmap" in line, scans  # type: ignore[index]


def test_a_search_finds_the_same_with_and_without_trigrams(big: PostgresStore, postgres: Any) -> None:
    def found() -> list[str]:
        return ids(big.list(Query(env=ENV, search="PERSON-1234")).items)

    assert big.searches_anywhere()
    with_trigrams = found()
    postgres.sql("DROP INDEX plans.search_text_trigrams")
    big.close()
    assert not big.searches_anywhere()
    assert found() == with_trigrams
    assert len(with_trigrams) == 11
    postgres.sql("CREATE INDEX search_text_trigrams ON plans.search_text USING gin (search public.gin_trgm_ops)")
    big.close()


@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "later page"])
def test_missing_scopes_are_found_and_ordered_by_an_index(plan: Callable[..., str], after: Any) -> None:
    steps = plan(*page_statement(Query(env=ENV, missing_scope="write"), after, 101))
    assert "Index Scan using missing_scope_pkey" in steps, steps
    assert "Index Scan using connection_pkey" in steps
    assert "Seq Scan" not in steps


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        pytest.param(postgres._BY_ID, ("con_7",), "connection_pkey", id="by id"),
        pytest.param(postgres._BY_KEY, (ENV, "github", "=owner-7", ""), "connection_", id="by key"),
        pytest.param(postgres._LOCKED, ("con_7",), "connection_pkey", id="locked"),
        pytest.param(postgres._DUE, (ENV, 500.0, 100), "connection_due", id="due"),
        pytest.param(postgres._DUE, (ENV, 1e12, 100), "connection_due", id="due, all of them"),
        pytest.param(_postgres_documents._GET, ("flow", "", "d7"), "document_pkey", id="document"),
        pytest.param(_postgres_documents._LISTED, ("flow", "", "", "d7", 10), "document_pkey", id="documents"),
        pytest.param(
            _postgres_documents._SEALED_WITH, ("dk_1", 100), "document_key_id", id="documents sealed with a key"
        ),
        pytest.param(_postgres_documents._SWEEP, (29_900.0,), "document_expiry", id="expired documents"),
        pytest.param(
            "SELECT detail FROM {S}.event WHERE env = %s AND connection_id = %s AND seq > %s ORDER BY seq LIMIT 50",
            (ENV, "con_7", 5),
            "event_connection",
            id="events of a connection",
        ),
        pytest.param(
            "SELECT detail FROM {S}.event WHERE env = %s AND seq > %s ORDER BY seq DESC LIMIT 50",
            (ENV, 29_000),
            "event_",
            id="events",
        ),
        pytest.param(
            "SELECT id FROM {S}.connection WHERE env = %s AND error = %s AND error <> ''",
            (ENV, "provider_unavailable"),
            "connection_error",
            id="error",
        ),
    ],
)
def test_a_look_up_goes_by_an_index(plan: Callable[..., str], statement: str, values: Any, index: str) -> None:
    steps = plan(statement, values)
    assert f"using {index}" in steps or f"on {index}" in steps, steps
    assert "Seq Scan" not in steps


def test_a_page_of_sealed_rows_is_not_sorted(plan: Callable[..., str]) -> None:
    assert "Sort" not in plan(postgres._BY_DATA_KEY, ("dk_1", 100))


def test_a_data_key_that_nothing_uses_is_known_by_an_index(plan: Callable[..., str]) -> None:
    for table in ("connection", "document"):
        steps = plan(_postgres_documents._SEALED.format(table), ("dk_none",))
        assert f"{table}_key_id" in steps, steps


def test_all_that_is_ordered_or_compared_goes_by_code_points(big: PostgresStore) -> None:
    """Whatever the language of the database: the order of the contract is that of code points."""
    statement = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'plans'"
        " AND column_name IN ('id', 'env', 'credential', 'owner', 'account', 'scope', 'search', 'state')"
        " AND table_name IN ('connection', 'missing_scope', 'search_text', 'document')"
        " AND collation_name IS DISTINCT FROM 'C'"
    )
    assert big._read(statement) == []


def test_what_wants_attention_is_found_without_reading_the_rest(plan: Callable[..., str]) -> None:
    found = plan(*page_statement(Query(env=ENV, attention_by=1.0), None, 101))
    assert "connection_attention" in found
    assert "Seq Scan" not in found


def test_counts_read_no_connections_but_those_that_want_attention(plan: Callable[..., str]) -> None:
    found = plan(COUNTED, (ENV, ENV, 1.0))
    assert "connection_attention" in found
    assert "Seq Scan on connection" not in found


def test_counts_are_those_of_the_rows(big: PostgresStore) -> None:
    assert sum(big.counts(env=ENV, now=0.0).values()) == ROWS
