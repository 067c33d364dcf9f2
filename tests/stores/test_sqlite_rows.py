"""Damaged rows of the SQLite store, and what it takes for a row."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError
from valetkey.model.connections import Document, Event, Expect, Query, Record
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import ENV, at, blank, connected, held, ids, seen, successor
from valetkey.testing.clock import FakeClock

Sql = Callable[..., list[tuple[Any, ...]]]


def trouble(work: Callable[[], object]) -> tuple[str, str, str, str]:
    """Return kind, code, text and hint of the error that `work` raises."""
    with pytest.raises(ValetkeyError) as caught:
        work()
    error = caught.value
    return type(error).__name__, error.code, str(error), error.hint


# -- damaged rows ----------------------------------------------------------------------------------------------------


BROKEN = [
    pytest.param(column, text, id=f"{column} {name}")
    for column in ("granted", "requested", "identity", "params", "tags")
    for name, text in [("cut off", '["a", '), ("of another kind", "7"), ("no text", b"\xff\xfe")]
]


@pytest.fixture
def damaged(store: SQLiteStore, sql: Sql) -> Callable[[str, object], Record]:
    def damage(column: str, text: object) -> Record:
        connected(store, 1)
        record = connected(store, 2)
        connected(store, 3)
        sql("DROP TRIGGER connection_scopes")
        sql(f"UPDATE connection SET {column} = ? WHERE id = ?", text, record.id)  # noqa: S608
        return record

    return damage


@pytest.mark.parametrize(("column", "text"), BROKEN)
def test_a_damaged_row_is_named_and_the_others_are_read(
    store: SQLiteStore, damaged: Callable[[str, object], Record], column: str, text: object
) -> None:
    record = damaged(column, text)
    for look in (lambda: store.load(record.key), lambda: store.find(record.id)):
        kind, code, message, hint = trouble(look)
        assert (kind, code) == ("StoreError", "row_corrupt")
        assert record.id in message
        assert column in message
        assert record.id in hint
    assert store.find("con_0001") is not None
    page = store.list(Query(env=ENV))
    assert ids(page.items) == ["con_0001", "con_0002", "con_0003"]
    assert [item.error for item in page.items] == ["", "row_corrupt", ""]
    assert page.items[1].sealed == record.sealed


def test_a_damaged_row_is_never_overwritten(
    store: SQLiteStore, sql: Sql, damaged: Callable[[str, object], Record]
) -> None:
    record = damaged("tags", "{")
    listed = store.list(Query(env=ENV)).items[1]
    before = sql("SELECT * FROM connection WHERE id = ?", record.id)
    writes: list[Callable[[], object]] = [
        lambda: store.claim(record, holder="h", life=30.0, spending=""),
        lambda: store.renew(record, holder="h", life=30.0),
        lambda: store.swap(successor(listed, 2), expect=Expect.of(record)),
        lambda: store.note(record.id, incarnation=1, changes={"last_used_at": 1.0}),
        lambda: store.rename(record, at("slack"), "elsewhere"),
        lambda: store.create(blank(9, key=record.key)),
    ]
    assert [trouble(write)[1] for write in writes] == ["row_corrupt"] * len(writes)
    assert sql("SELECT * FROM connection WHERE id = ?", record.id) == before
    assert store.delete(listed)
    assert ids(store.list(Query(env=ENV)).items) == ["con_0001", "con_0003"]


def test_a_damaged_row_is_found_and_counted_among_those_that_need_a_person(
    store: SQLiteStore, damaged: Callable[[str, object], Record]
) -> None:
    record = damaged("params", "{")
    assert record.state == "connected"

    assert ids(store.list(Query(env=ENV, state="connected")).items) == ["con_0001", "con_0003"]
    (found,) = store.list(Query(env=ENV, state="needs_reauth")).items
    assert (found.id, found.state, found.reason, found.error) == (
        record.id,
        "needs_reauth",
        "row_corrupt",
        "row_corrupt",
    )
    assert sum(n for (_, state), n in store.counts(env=ENV, now=0.0).items() if state == "needs_reauth") == 1
    assert [one.reason for one in store.troubles(env=ENV, state="needs_reauth")] == ["row_corrupt"]
    assert trouble(lambda: store.find(record.id))[1] == "row_corrupt"
    store.list(Query(env=ENV))
    mark = store.change_mark()
    store.list(Query(env=ENV))
    assert store.change_mark() == mark, "it is noted once"


def test_the_hint_for_a_damaged_row_removes_it_and_no_other(
    store: SQLiteStore, sql: Sql, damaged: Callable[[str, object], Record]
) -> None:
    record = damaged("tags", "{")
    name, file, statement = shlex.split(trouble(lambda: store.find(record.id))[3].partition("this row: ")[2])
    assert (name, file) == ("sqlite3", str(store.path))
    sql(statement)
    assert ids(store.list(Query(env=ENV)).items) == ["con_0001", "con_0003"]


def test_a_damaged_document_is_named_and_can_be_removed_as_the_hint_says(store: SQLiteStore, sql: Sql) -> None:
    odd = 'it\'s $(touch /tmp/x) "quoted"'
    for document_id in ("a", odd):
        store.put_document(Document(kind="secret", id=document_id, env="prod", body={"n": 1}))
    sql("UPDATE document SET body = '[1]' WHERE id <> 'a'")
    _, code, text, hint = trouble(lambda: store.get_document("secret", odd, env="prod"))
    assert code == "row_corrupt"
    assert odd in text
    assert trouble(lambda: store.list_documents("secret", env="prod"))[1] == "row_corrupt"
    assert store.get_document("secret", "a", env="prod") is not None
    command = hint.partition("this row: ")[2]
    printed = subprocess.run(["sh", "-c", f"printf %s {command.partition(' ')[2]}"], capture_output=True, check=True)
    assert printed.stdout.decode() == str(store.path) + shlex.split(command)[2]
    sql(shlex.split(command)[2])
    assert [d.id for d in store.list_documents("secret", env="prod")] == ["a"]


def test_an_event_whose_detail_is_damaged_hides_no_other(store: SQLiteStore, sql: Sql) -> None:
    for number in range(3):
        store.append_event(Event(kind="refreshed", at=1.0, env=ENV, detail={"n": number}))
    sql("UPDATE event SET detail = '{' WHERE seq = 2")
    assert [event.detail for event in store.list_events(env=ENV)] == [
        {"n": 0},
        {"unreadable": "detail is not JSON"},
        {"n": 2},
    ]


def test_an_id_that_is_taken_under_another_key(store: SQLiteStore) -> None:
    record = connected(store)
    kind, code, _, _ = trouble(lambda: store.create(replace(record, key=at("slack"))))
    assert (kind, code) == ("StoreError", "id_taken")


def test_only_side_facts_can_be_noted(store: SQLiteStore) -> None:
    record = connected(store)
    with pytest.raises(ValueError, match="not state, version"):
        store.note(record.id, incarnation=1, changes={"tags": {}, "version": 2, "state": "pending"})
    assert seen(store, record) == record


@pytest.mark.parametrize("owner", ["\ud800", "a\udcff"])
def test_text_that_is_no_text_is_refused(store: SQLiteStore, owner: str) -> None:
    kind, code, text, hint = trouble(lambda: store.create(replace(blank(), key=at("github", owner))))
    assert (kind, code) == ("ConfigurationError", "text_invalid")
    assert (text + hint).encode()
    assert store.list(Query(env=ENV)).items == ()


def test_a_bad_cursor_says_what_to_do(store: SQLiteStore) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store.list(Query(env=ENV), cursor="bad")
    assert caught.value.code == "cursor_invalid"
    assert caught.value.hint


# -- claims and the machine ------------------------------------------------------------------------------------------


def test_a_claim_of_another_boot_has_run_out(path: Path) -> None:
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock)
    record = held(store, connected(store), "before", life=10**9)
    clock.reboot()
    claim = seen(store, record).claim
    assert claim is not None
    assert claim.expired
    assert store.claim(record, holder="after", life=30.0, spending="") is None
    taken = store.claim(record, holder="after", life=30.0, spending="", over="before")
    assert taken is not None
    assert seen(store, record) == taken
    store.close()


def test_a_claim_renewed_after_a_reboot_holds(path: Path) -> None:
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock)
    record = held(store, connected(store), "holder-1")
    clock.reboot()
    assert store.renew(record, holder="holder-1", life=30.0)
    claim = seen(store, record).claim
    assert claim is not None
    assert not claim.expired
    store.close()


def test_unavailable_is_what_a_caller_may_wait_for() -> None:
    assert issubclass(StoreUnavailable, StoreError)
