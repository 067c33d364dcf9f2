"""A store over a plain secret service: whose word counts, in which order things are written, what a crash leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import ConnectionKey, Document, Expect, Identity, Query, Record, Sealed
from valetkey.model.grants import Grant
from valetkey.model.ports import Store
from valetkey.stores.over_secrets import LOOK_AGAIN, SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import (
    ENV,
    LIFE,
    at,
    blank,
    connected,
    data_key,
    held,
    ids,
    seen,
    successor,
    token,
    with_grant,
)
from valetkey.testing.clock import FakeClock
from valetkey.values import Secret

KEY = at("github", "ada")
SECRET = "github-token/ada"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteStore]:
    ledger = SQLiteStore(tmp_path / "ledger.db", clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def store(service: Any, ledger: Store, clock: FakeClock) -> SecretServiceStore:
    return SecretServiceStore(service, ledger, clock=clock)


@pytest.fixture
def record(store: SecretServiceStore) -> Record:
    return connected(store, 1, key=KEY, requested=("read", "write"), identity=Identity(login="ada"))


def token_text(number: int) -> str:
    return token(number).to_json().decode()


def access(record: Record | None) -> str:
    assert record is not None
    assert record.sealed is not None
    return Grant.from_json(record.sealed.blob).access_token.reveal()


# -- where things are ------------------------------------------------------------------------------------------------


def test_the_token_object_is_the_secret_and_the_ledger_has_none_of_it(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore
) -> None:
    assert service.kept == {SECRET: token_text(1)}
    assert record.sealed == Sealed(token_text(1).encode(), "")
    store.swap(successor(record, 2), expect=Expect.of(record))
    store.put_document(Document(kind="flow", id="f"))
    ledger.close()
    content = ledger.path.read_bytes()
    assert b"con_0001" in content
    for number in (1, 2):
        assert f"access-{number}".encode() not in content
        assert f"refresh-{number}".encode() not in content


def test_it_says_what_it_is(store: SecretServiceStore, ledger: SQLiteStore) -> None:
    assert store.url == f"secrets:DictService+{ledger.url}"
    assert (store.seals, store.local) == (False, False)
    assert store.store_id() == ledger.store_id()
    assert "DictService" in repr(store)


def test_connections_of_the_embedded_store_in_the_same_file_are_others(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore
) -> None:
    embedded = ledger.create(replace(record, id="con_embedded", sealed=Sealed(b"sealed", "")))
    assert ledger.load(KEY) == embedded
    assert store.load(KEY) == record
    assert store.find("con_embedded") is None
    assert ids(store.list(Query(env=ENV)).items) == [record.id]
    assert ids(ledger.list(Query(env=ENV)).items) == ["con_embedded"]
    assert store.swap(successor(embedded, 2), expect=Expect.of(embedded)) is None
    assert not store.note("con_embedded", incarnation=1, changes={"last_used_at": 1.0})
    assert not store.delete(embedded)
    assert not store.rename(embedded, at("slack"), "elsewhere")


def test_a_sealed_grant_is_refused(store: SecretServiceStore, record: Record, service: Any) -> None:
    for write in (
        partial(store.swap, with_grant(record, 2, key_id="dk_1"), expect=Expect.of(record)),
        partial(store.create, with_grant(blank(2), 2, key_id="dk_1")),
    ):
        with pytest.raises(StoreError) as caught:
            write()
        assert caught.value.code == "store_unsealed"
    assert not store.rekey(record, Sealed(b"anew", "dk_1"))
    assert service.kept == {SECRET: token_text(1)}


def test_a_record_without_secret_id_gets_no_grant(store: SecretServiceStore) -> None:
    record = store.create(replace(blank(1), secret_id=""))
    assert seen(store, record) == record
    with pytest.raises(StoreError) as caught:
        store.swap(successor(record, 1), expect=Expect.of(record))
    assert caught.value.code == "no_secret_id"


def test_keys_of_documents_are_those_of_the_ledger(store: SecretServiceStore, record: Record, ledger: Store) -> None:
    data_key(store, "dk_1")
    document = store.put_document(Document(kind="secret", id="s", sealed=Sealed(b"...", "dk_1")))
    assert store.sealed_with("dk_1") == ((), (document,))
    assert store.sealed_with("") == ((), ())
    assert not store.retire_key("dk_1")
    assert store.delete_document("secret", "s")
    assert store.retire_key("dk_1")
    assert ledger.get_document("data_key", "dk_1") is None
    assert seen(store, record) == record


# -- the service is the truth ----------------------------------------------------------------------------------------


def test_a_token_that_somebody_else_wrote_moves_the_row_on(
    store: SecretServiceStore, record: Record, service: Any, clock: FakeClock
) -> None:
    failing = replace(
        held(store, record),
        state="needs_reauth",
        reason="revoked",
        error="x",
        error_text="y",
        failures=3,
        doubt=2,
        next_try_at=9.0,
        cooldown_until=9.0,
    )
    assert store.swap(failing, expect=Expect.of(record)) is not None
    service.kept[SECRET] = token_text(7)
    found = store.load(KEY)
    assert found == replace(
        with_grant(record, 7), version=record.version + 1, last_refresh_at=clock.now(), connected_at=clock.now()
    )
    assert access(found) == "access-7"
    assert store.find(record.id) == found
    assert store.load(KEY) == found  # moved on once, not at each look
    assert found is not None
    assert store.claim(record, holder="h", life=LIFE, spending="") is None
    assert store.claim(found, holder="h", life=LIFE, spending=found.refresh_fp) is not None


def test_a_token_of_another_client_is_taken_over_with_camel_case_and_milliseconds(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept[SECRET] = json.dumps(
        {
            "accessToken": "theirs",
            "refreshToken": "their-refresh",
            "expiresAt": 1_900_000_000_500,
            "tokenType": "Bearer",
            "scope": "read write",
        }
    )
    found = store.load(KEY)
    assert found is not None
    assert (found.version, found.state, found.expires_at) == (record.version + 1, "connected", 1_900_000_000.5)
    assert (found.granted, found.refreshable) == (("read", "write"), True)
    assert found.access_fp == Secret("theirs").fingerprint()
    assert found.refresh_fp == Secret("their-refresh").fingerprint()
    assert access(found) == "theirs"
    assert (found.identity, found.requested) == (record.identity, record.requested)


def test_a_token_without_refresh_token_or_scope_is_taken_over(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept[SECRET] = '{"access_token": "bare"}'
    found = store.load(KEY)
    assert found is not None
    assert (found.refreshable, found.refresh_fp, found.expires_at) == (False, "", None)
    assert found.granted == record.granted


@pytest.mark.parametrize("nothing", [None, ""])
def test_where_the_secret_is_gone_the_connection_counts_as_disconnected(
    store: SecretServiceStore, record: Record, service: Any, nothing: str | None
) -> None:
    held(store, record)
    if nothing is None:
        del service.kept[SECRET]
    else:
        service.kept[SECRET] = nothing
    found = store.load(KEY)
    assert found is not None
    assert (found.state, found.sealed, found.access_fp, found.refresh_fp) == ("disconnected", None, "", "")
    assert (found.incarnation, found.version) == (record.incarnation + 1, record.version + 1)
    assert (found.claim, found.expires_at, found.refreshable) == (None, None, False)
    assert store.load(KEY) == found
    assert store.swap(successor(record, 2), expect=Expect.of(record, spent=record.refresh_fp)) is None
    assert service.kept.get(SECRET) == nothing


def test_a_disconnected_connection_lives_again_when_somebody_else_connects_it(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    del service.kept[SECRET]
    gone = seen(store, record)
    service.kept[SECRET] = token_text(3)
    found = seen(store, record)
    assert (found.state, found.version, access(found)) == ("connected", gone.version + 1, "access-3")


def test_a_record_that_is_created_over_a_secret_takes_it_over(store: SecretServiceStore, service: Any) -> None:
    service.kept[SECRET] = token_text(5)
    assert store.load(KEY) is None
    created = store.create(blank(1, key=KEY))
    assert (created.state, created.version, access(created)) == ("connected", 1, "access-5")
    assert store.load(KEY) == created
    assert service.kept == {SECRET: token_text(5)}


def test_a_record_that_brings_a_grant_replaces_the_secret(store: SecretServiceStore, service: Any) -> None:
    service.kept[SECRET] = token_text(5)
    created = connected(store, 1, key=KEY)
    assert (created.version, access(created)) == (0, "access-1")
    assert service.kept == {SECRET: token_text(1)}


def test_a_claim_is_not_given_for_a_token_that_the_service_holds_no_more(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept[SECRET] = token_text(7)
    assert store.claim(record, holder="h", life=LIFE, spending=record.refresh_fp) is None
    found = seen(store, record)
    assert found.claim is None
    assert access(found) == "access-7"


def test_lists_tell_what_the_service_holds(store: SecretServiceStore, service: Any) -> None:
    records = [connected(store, number) for number in range(4)]
    service.kept[records[1].secret_id] = token_text(11)
    del service.kept[records[2].secret_id]
    page = store.list(Query(env=ENV))
    assert [item.state for item in page.items] == ["connected", "connected", "disconnected", "connected"]
    assert access(page.items[1]) == "access-11"
    service.kept[records[3].secret_id] = "no token"
    assert [item.error for item in store.list(Query(env=ENV)).items] == ["", "", "", "row_corrupt"]


def test_a_list_is_not_told_while_the_service_is_down(
    store: SecretServiceStore, record: Record, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: str) -> str:
        raise StoreUnavailable("down")

    monkeypatch.setattr(service, "get", down)
    with pytest.raises(StoreUnavailable):
        store.list(Query(env=record.key.env))


def test_a_row_that_is_erased_while_it_is_looked_at_is_gone(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ledger.find(record.id)
    assert row is not None
    del service.kept[SECRET]
    real = service.get

    def get(secret_id: str) -> str | None:
        ledger.delete(row)
        found: str | None = real(secret_id)
        return found

    monkeypatch.setattr(service, "get", get)
    assert store.load(KEY) is None


def test_a_list_of_a_state_leaves_out_what_just_left_it(store: SecretServiceStore, service: Any) -> None:
    records = [connected(store, number) for number in range(3)]
    del service.kept[records[1].secret_id]
    found = store.list(Query(env=ENV, state="connected")).items
    assert ids(found) == [records[0].id, records[2].id]


@pytest.mark.parametrize(
    "text", ["no json", "[]", "7", "{}", '{"access_token": ""}', '{"access_token": "a", "expires_at": "x"}']
)
def test_a_secret_that_is_no_token_object_is_named_and_kept(
    store: SecretServiceStore, record: Record, service: Any, text: str
) -> None:
    service.kept[SECRET] = text
    looks: list[Callable[[], object]] = [
        lambda: store.load(KEY),
        lambda: store.find(record.id),
        lambda: store.swap(successor(record, 2), expect=Expect.of(record)),
        lambda: store.claim(record, holder="h", life=LIFE, spending=""),
    ]
    for look in looks:
        with pytest.raises(StoreError) as caught:
            look()
        assert caught.value.code == "row_corrupt"
        assert SECRET in str(caught.value)
        assert SECRET in caught.value.hint
    assert service.kept[SECRET] == text


def test_the_text_of_a_broken_secret_is_in_no_error(store: SecretServiceStore, record: Record, service: Any) -> None:
    service.kept[SECRET] = '{"access_token": "a", "expires_at": "canary-1"} canary-2'
    with pytest.raises(StoreError) as caught:
        store.load(record.key)
    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__!r} {caught.value!r}"
    assert "canary" not in shown


# -- the order of writes ---------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process died here."""


def crashing(monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> Callable[[], None]:
    """Let a method crash; call what is returned to mend it."""
    real = getattr(target, name)

    def crash(*_: object, **__: object) -> None:
        raise Crash

    monkeypatch.setattr(target, name, crash)
    return lambda: monkeypatch.setattr(target, name, real)


def test_a_crash_after_the_service_was_written_leaves_the_new_grant(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = held(store, record, "holder-1")
    mend = crashing(monkeypatch, ledger, "swap")
    with pytest.raises(Crash):
        store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
    mend()
    found = seen(store, record)
    assert (found.version, found.state, found.claim, access(found)) == (1, "connected", None, "access-2")


def test_a_crash_before_the_service_was_written_changes_nothing(
    store: SecretServiceStore, record: Record, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = held(store, record, "holder-1")
    mend = crashing(monkeypatch, service, "set")
    with pytest.raises(Crash):
        store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
    mend()
    assert seen(store, record) == claimed


def test_a_crash_in_a_disconnect_leaves_it_disconnected(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
    mend = crashing(monkeypatch, ledger, "swap")
    with pytest.raises(Crash):
        store.swap(gone, expect=Expect.of(record))
    mend()
    assert service.kept == {}
    found = seen(store, record)
    assert (found.state, found.incarnation, found.sealed) == ("disconnected", 2, None)


def test_a_disconnect_deletes_the_secret(store: SecretServiceStore, record: Record, service: Any) -> None:
    gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
    assert store.swap(gone, expect=Expect.of(record)) == gone
    assert service.kept == {}
    assert seen(store, record) == gone


def test_a_write_that_the_ledger_failed_is_completed_when_it_is_tried_again(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = held(store, record, "holder-1")
    new = replace(successor(claimed, 2), last_refresh_at=77.0)
    expect = Expect.of(claimed, holder="holder-1")

    def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "swap", down)
        with pytest.raises(StoreUnavailable):
            store.swap(new, expect=expect)
    assert service.kept == {SECRET: token_text(2)}
    assert store.swap(new, expect=expect) == replace(new, claim=None)


def test_a_write_that_does_not_come_to_pass_leaves_the_service_alone(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.calls.clear()
    assert store.swap(successor(record, 2), expect=Expect.of(record, holder="nobody")) is None
    assert store.swap(successor(record, 2), expect=Expect.of(successor(record, 2))) is None
    assert "set" not in service.calls
    assert "delete" not in service.calls


def test_a_write_over_a_token_of_somebody_else_does_not_come_to_pass(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    claimed = held(store, record, "holder-1")
    service.kept[SECRET] = token_text(7)
    expect = Expect.of(claimed, holder="holder-1", spent=claimed.refresh_fp)
    assert store.swap(successor(claimed, 2), expect=expect) is None
    assert service.kept == {SECRET: token_text(7)}
    assert access(seen(store, record)) == "access-7"


def test_a_row_that_moves_on_between_service_and_ledger_wins_and_the_newest_grant_is_kept(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "swap", lambda *_, **__: None)
        assert store.swap(successor(record, 2), expect=Expect.of(record)) is None
    assert service.kept == {SECRET: token_text(2)}
    assert access(seen(store, record)) == "access-2"


def test_the_same_grant_is_not_written_again(store: SecretServiceStore, record: Record, service: Any) -> None:
    service.calls.clear()
    assert store.swap(replace(record, state="refresh_failing"), expect=Expect.of(record)) is not None
    assert "set" not in service.calls


def test_a_connection_that_gets_another_secret_id_takes_its_grant_along(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    new = replace(successor(record, 2), secret_id="other-name")
    assert store.swap(new, expect=Expect.of(record)) == new
    assert service.kept == {"other-name": token_text(2)}
    assert seen(store, record) == new


# -- renaming and erasing --------------------------------------------------------------------------------------------


def test_a_rename_moves_the_secret(store: SecretServiceStore, record: Record, service: Any) -> None:
    assert store.rename(record, at("github", "bob"), "github-token/bob")
    assert service.kept == {"github-token/bob": token_text(1)}
    found = store.load(at("github", "bob"))
    assert found == replace(record, key=at("github", "bob"), secret_id="github-token/bob")


def test_a_rename_onto_a_secret_that_is_there_is_refused(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept["github-token/bob"] = token_text(9)
    assert not store.rename(record, at("github", "bob"), "github-token/bob")
    assert service.kept == {SECRET: token_text(1), "github-token/bob": token_text(9)}
    assert seen(store, record) == record


def test_a_rename_onto_a_key_that_is_taken_leaves_no_copy(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    store.create(replace(blank(2, key=at("github", "bob")), secret_id="elsewhere"))
    assert not store.rename(record, at("github", "bob"), "github-token/bob")
    assert service.kept == {SECRET: token_text(1)}


@pytest.mark.parametrize("where", ["rename", "delete"])
def test_a_crash_in_a_rename_loses_nothing(
    store: SecretServiceStore,
    record: Record,
    service: Any,
    ledger: SQLiteStore,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    mend = crashing(monkeypatch, ledger if where == "rename" else service, where)
    with pytest.raises(Crash):
        store.rename(record, at("github", "bob"), "github-token/bob")
    mend()
    assert access(seen(store, record)) == "access-1"


def test_a_rename_while_a_refresh_is_under_way_keeps_both(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    claimed = held(store, record, "holder-1")
    assert store.rename(record, at("github", "bob"), "github-token/bob")
    stored = store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
    assert stored is not None
    assert (stored.key, stored.secret_id) == (at("github", "bob"), "github-token/bob")
    assert service.kept == {"github-token/bob": token_text(2)}


def test_a_rename_just_before_the_turn_is_followed(
    store: SecretServiceStore, record: Record, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store._take_turn
    renamed: list[bool] = []

    def take(secret_id: str, patience: float) -> Document | None:
        if not renamed:
            renamed.append(True)
            assert store.rename(record, at("github", "bob"), "github-token/bob")
        return real(secret_id, patience)

    monkeypatch.setattr(store, "_queues", Free())
    monkeypatch.setattr(store, "_take_turn", take)
    assert store.swap(successor(record, 2), expect=Expect.of(record)) is not None
    assert service.kept == {"github-token/bob": token_text(2)}


class Free:
    """No queue at all: in the test above one thread plays two processes."""

    @contextmanager
    def wait(self, _: str, __: float) -> Iterator[bool]:
        yield True


def test_erasing_erases_the_secret_too(store: SecretServiceStore, record: Record, service: Any) -> None:
    assert not store.delete(replace(record, incarnation=2))
    assert service.kept == {SECRET: token_text(1)}
    assert store.delete(record)
    assert service.kept == {}
    assert store.find(record.id) is None


# -- noticing --------------------------------------------------------------------------------------------------------


def test_what_others_write_into_the_service_ends_the_waiting(
    store: SecretServiceStore, record: Record, service: Any
) -> None:
    service.kept[SECRET] = token_text(7)
    assert store.wait_for_change(record, 30.0)


def test_what_others_write_while_one_waits_is_seen(
    store: SecretServiceStore, record: Record, service: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = clock.monotonic()
    real = service.get

    def get(secret_id: str) -> str | None:
        if clock.monotonic() > started + 3:
            service.kept[SECRET] = token_text(7)
        found: str | None = real(secret_id)
        return found

    monkeypatch.setattr(service, "get", get)
    assert store.wait_for_change(record, 30.0)
    assert clock.monotonic() < started + 5


def test_the_mark_changes_every_few_seconds_for_the_service_tells_nothing(
    store: SecretServiceStore, clock: FakeClock
) -> None:
    before = store.change_mark()
    clock.advance(LOOK_AGAIN)
    assert store.change_mark() != before


# -- turns -----------------------------------------------------------------------------------------------------------


class SlowService:
    """A service that stops in the middle of a write until it is told to go on."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.slow = False

    def get(self, secret_id: str) -> str | None:
        found: str | None = self.service.get(secret_id)
        return found

    def set(self, secret_id: str, value: str) -> None:
        self.service.set(secret_id, value)
        if self.slow:
            self.slow = False
            self.inside.set()
            self.go_on.wait(60)

    def delete(self, secret_id: str) -> None:
        self.service.delete(secret_id)


def test_a_disconnect_waits_for_a_refresh_that_is_between_service_and_ledger(service: Any, tmp_path: Path) -> None:
    slow = SlowService(service)
    store = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))
    other = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))  # as another process has it
    record = connected(store, 1, key=KEY)
    claimed = held(store, record, "holder-1")
    gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
    with ThreadPoolExecutor(2) as threads:
        slow.slow = True
        refresh = threads.submit(store.swap, successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
        assert slow.inside.wait(60)
        disconnect = threads.submit(other.swap, gone, expect=Expect.of(claimed))
        slow.go_on.set()
        assert refresh.result() is not None
        assert disconnect.result() is None  # the grant moved on: it has to look again
    moved = seen(other, record)
    again = replace(gone, version=moved.version)
    assert other.swap(again, expect=Expect.of(moved)) is not None
    assert service.kept == {}
    store.close()
    other.close()


def test_threads_of_one_process_queue_instead_of_asking_the_ledger_again_and_again(
    service: Any, tmp_path: Path
) -> None:
    slow = SlowService(service)
    store = SecretServiceStore(slow, SQLiteStore(tmp_path / "ledger.db"))
    record = connected(store, 1, key=KEY)
    with ThreadPoolExecutor(1) as threads:
        slow.slow = True
        writing = threads.submit(store.swap, successor(record, 2), expect=Expect.of(record))
        assert slow.inside.wait(60)
        with store._queues.wait(SECRET, 0.01) as mine:
            assert not mine
        slow.go_on.set()
        assert writing.result() is not None
    store.close()


def test_a_process_that_died_in_its_turn_holds_up_nobody_for_long(
    store: SecretServiceStore,
    record: Record,
    service: Any,
    ledger: SQLiteStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claimed = held(store, record, "holder-1")
    with monkeypatch.context() as patch:
        patch.setattr(store, "_end_turn", lambda _: None)  # dead processes tidy nothing up
        mend = crashing(patch, ledger, "swap")
        with pytest.raises(Crash):
            store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
        mend()
    started = clock.monotonic()
    found = seen(store, record)
    assert access(found) == "access-2"
    assert clock.monotonic() - started < 3
    stored = store.swap(successor(found, 3), expect=Expect.of(found))
    assert stored is not None
    assert clock.monotonic() - started < 12
    assert service.kept == {SECRET: token_text(3)}


def test_a_turn_that_does_not_come_is_a_locked_store(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:  # another process takes turn after turn
        clock.advance(seconds)
        ledger.put_document(Document(kind="lease", id=f"secret:{SECRET}", expires_at=clock.now() + 5))

    sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "sleep", sleep)
        with pytest.raises(StoreUnavailable) as caught:
            store.swap(successor(record, 2), expect=Expect.of(record))
    assert caught.value.code == "store_locked"
    assert caught.value.hint
    assert seen(store, record) == record


def test_a_wall_clock_that_is_set_back_holds_up_nobody(
    store: SecretServiceStore, record: Record, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_end_turn", lambda _: None)
    stored = store.swap(successor(record, 2), expect=Expect.of(record))
    assert stored is not None
    clock.set(clock.now() - 3600)
    started = clock.monotonic()
    assert store.swap(successor(stored, 3), expect=Expect.of(stored)) is not None
    assert clock.monotonic() - started < 12


def test_a_ledger_that_fails_at_the_end_of_a_turn_does_not_undo_what_was_done(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.put_document

    def put(document: Document, *, expect: int | None = None) -> Document | None:
        if expect:
            raise StoreUnavailable("down")
        return real(document, expect=expect)

    monkeypatch.setattr(ledger, "put_document", put)
    assert store.swap(successor(record, 2), expect=Expect.of(record)) is not None


def test_eight_threads_refresh_one_connection_and_lose_nothing(service: Any, tmp_path: Path) -> None:
    store = SecretServiceStore(service, SQLiteStore(tmp_path / "ledger.db"))
    record = connected(store, 1, key=KEY)

    def refresh(number: int) -> int:
        done = 0
        while done < 5:
            current = store.load(ConnectionKey(ENV, "github", "ada"))
            assert current is not None
            assert current.state == "connected"
            claimed = store.claim(current, holder=f"holder-{number}", life=LIFE, spending=current.refresh_fp)
            if claimed is None:
                store.wait_for_change(current, 0.05)
                continue
            new = successor(claimed, claimed.version + 2)
            assert store.swap(new, expect=Expect.of(claimed, holder=f"holder-{number}")) is not None
            done += 1
        return done

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(refresh, range(8))) == 40
    final = seen(store, record)
    assert final.version == 40
    assert service.kept == {SECRET: token_text(41)}
    store.close()
