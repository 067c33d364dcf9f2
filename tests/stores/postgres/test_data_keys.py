"""A data key is retired only when nothing is sealed with it, also when somebody is just sealing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from valetkey.model.connections import Document, Sealed
from valetkey.model.ports import KeyRetired
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_base import PATIENCE, blank, connected, data_key, seen, with_grant


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def locked_out(postgres: Any, schema: str, until: Any) -> Callable[[Future[Any]], None]:
    """Wait until the server says that a statement of ours waits for a lock."""
    statement = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"

    def wait(work: Future[Any]) -> None:
        until(lambda: work.done() or postgres.sql(statement, f"%{schema}%"))
        assert not work.done(), "it waits for nobody"

    return wait


def test_retiring_waits_for_one_who_is_sealing_and_then_leaves_the_key(
    store: PostgresStore, threads: ThreadPoolExecutor, locked_out: Any
) -> None:
    data_key(store, "dk_1")
    sealing, go_on = threading.Event(), threading.Event()

    def slowly(writing: Any) -> None:
        writing.demand_key(Sealed(b"x", "dk_1"))
        sealing.set()
        assert go_on.wait(PATIENCE)
        writing.run("INSERT INTO {S}.document VALUES ('flow', '', 'f', 1, NULL, 'dk_1', '{}', 'x')")

    writer = threads.submit(store._write, slowly)
    assert sealing.wait(PATIENCE)
    retiring = threads.submit(store.retire_key, "dk_1")
    locked_out(retiring)
    go_on.set()
    writer.result(PATIENCE)
    assert retiring.result(PATIENCE) is False
    assert store.get_document("data_key", "dk_1") is not None


@pytest.mark.parametrize(
    "seal",
    [
        pytest.param(lambda store: store.create(with_grant(blank(2), 2, key_id="dk_1")), id="create"),
        pytest.param(lambda store: store.rekey([(seen(store, blank(1)), Sealed(b"new", "dk_1"))]), id="rekey"),
        pytest.param(
            lambda store: store.put_document(Document(kind="flow", id="f", sealed=Sealed(b"x", "dk_1"))), id="document"
        ),
    ],
)
def test_one_who_seals_while_the_key_is_retired_waits_and_is_refused(
    store: PostgresStore,
    postgres: Any,
    schema: str,
    threads: ThreadPoolExecutor,
    locked_out: Any,
    seal: Callable[[PostgresStore], object],
) -> None:
    connected(store, 1)
    data_key(store, "dk_1")
    with psycopg.connect(postgres.conninfo) as retiring:
        retiring.execute(f"SELECT 1 FROM {schema}.document WHERE id = 'dk_1' FOR UPDATE".encode())  # noqa: S608
        retiring.execute(f"DELETE FROM {schema}.document WHERE id = 'dk_1'".encode())  # noqa: S608
        sealing = threads.submit(seal, store)
        locked_out(sealing)
    with pytest.raises(KeyRetired):
        sealing.result(PATIENCE)
    assert store.sealed_with("dk_1") == ((), ())


def test_many_who_seal_with_one_key_do_not_wait_for_each_other(
    store: PostgresStore, threads: ThreadPoolExecutor
) -> None:
    data_key(store, "dk_1")
    together = threading.Barrier(2)

    def seal(writing: Any) -> None:
        writing.demand_key(Sealed(b"x", "dk_1"))
        together.wait(PATIENCE)

    works = [threads.submit(store._write, seal) for _ in range(2)]
    for work in works:
        work.result(PATIENCE)


def test_one_who_seals_many_grants_anew_locks_them_in_the_order_of_their_ids(
    store: PostgresStore, postgres: Any, schema: str, threads: ThreadPoolExecutor, locked_out: Any
) -> None:
    """Else two who seal the same ones anew could each hold what the other waits for."""
    later, first = connected(store, 2), connected(store, 1)
    with psycopg.connect(postgres.conninfo) as holder:
        lock = f"SELECT 1 FROM {schema}.connection WHERE id = %s FOR NO KEY UPDATE NOWAIT".encode()  # noqa: S608
        holder.execute(lock, (first.id,))
        anew = [(record, Sealed(b"anew", "")) for record in (later, first)]
        sealing = threads.submit(store.rekey, anew)
        locked_out(sealing)
        holder.execute(lock, (later.id,))
    assert sealing.result(PATIENCE) == 2
