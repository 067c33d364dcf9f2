"""Every list and look-up goes by an index, whatever the number of rows: PostgreSQL's own plans say so."""

from __future__ import annotations

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
        'con_' || n, 'contract', CASE n %% 10 WHEN 0 THEN 'slack' ELSE 'github' END, '=owner-' || n, '',
        'github owner-' || n || ' person-' || n || '@example.org', 1, 1, NULL, NULL, NULL, 0,
        CASE n %% 100 WHEN 0 THEN 'needs_reauth' ELSE 'connected' END, '', '', 0, NULL, NULL, n, NULL, n, NULL,
        'client', '', '', 1, '', '', '', n, n, n, n, n, 'dk_' || n %% 3, '["read"]',
        CASE n %% 50 WHEN 0 THEN '["read","write"]' ELSE '["read"]' END, NULL, '{{}}', '{{}}', '', '\\x00'
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def big(postgres: Any) -> Iterator[PostgresStore]:
    """A store with many connections, where trigrams help to search."""
    postgres.sql("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
    store = PostgresStore(postgres.url(), schema="plans")
    columns = "INSERT INTO {S}.missing_scope SELECT env, 'write', credential, owner, account, id FROM {S}.connection"
    documents = "INSERT INTO {S}.document SELECT 'flow', '', 'd' || n, 1, n, NULL, '{{}}', NULL"
    events = "INSERT INTO {S}.event SELECT n, 'contract', 'con_' || n %% 100, 'k', n, '', '', '', '', '{{}}'"
    store._write(
        lambda writing: [
            writing.run(FILL.replace("{{", "{").replace("}}", "}"), (ROWS,)),
            writing.run(columns + " WHERE requested LIKE %s", ("%write%",)),
            writing.run(documents.replace("{{}}", "{}") + " FROM generate_series(1, %s) AS n", (ROWS,)),
            writing.run(events.replace("{{}}", "{}") + " FROM generate_series(1, %s) AS n", (ROWS,)),
        ]
    )
    for table in ("connection", "missing_scope", "search_text", "document", "event"):
        postgres.sql(f"ANALYZE plans.{table}")
    yield store
    store.close()
    postgres.sql("DROP SCHEMA plans CASCADE")
    postgres.sql("DROP EXTENSION pg_trgm CASCADE")


@pytest.fixture
def plan(big: PostgresStore) -> Callable[..., str]:
    def explain(statement: str, values: Any = ()) -> str:
        rows = big._write(lambda writing: writing.rows(f"EXPLAIN {statement}", values))
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
        pytest.param(Query(env=ENV, search="example"), "search_text_pkey", id="a search that finds much"),
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


def test_a_search_that_finds_little_goes_by_trigrams_where_the_extension_is(plan: Callable[..., str]) -> None:
    steps = plan(*page_statement(Query(env=ENV, search="person-12345@"), None, 101))
    assert "Bitmap Index Scan on search_text_trigrams" in steps
    assert "Seq Scan" not in steps


def test_a_search_finds_the_same_with_and_without_trigrams(big: PostgresStore, postgres: Any) -> None:
    def found() -> list[str]:
        return ids(big.list(Query(env=ENV, search="PERSON-1234")).items)

    with_trigrams = found()
    postgres.sql("DROP INDEX plans.search_text_trigrams")
    assert found() == with_trigrams
    assert len(with_trigrams) == 11
    postgres.sql("CREATE INDEX search_text_trigrams ON plans.search_text USING gin (search public.gin_trgm_ops)")


def test_a_search_that_finds_little_without_trigrams_reads_nothing_of_the_connections_but_what_it_finds(
    postgres: Any, plan: Callable[..., str]
) -> None:
    postgres.sql("DROP INDEX plans.search_text_trigrams")
    steps = plan(*page_statement(Query(env=ENV, search="person-12345@", state="connected"), None, 101))
    assert "Seq Scan on search_text" in steps, steps
    assert "Index Scan using connection_pkey" in steps
    assert "Seq Scan on connection" not in steps
    postgres.sql("CREATE INDEX search_text_trigrams ON plans.search_text USING gin (search public.gin_trgm_ops)")


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
