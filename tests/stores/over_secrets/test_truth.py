"""A store over a plain secret service: where things are, and whose word counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import Document, Expect, Query, Record, Sealed
from valetkey.model.ports import Store
from valetkey.stores.over_secrets import SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import (
    ENV,
    LIFE,
    access,
    at,
    blank,
    connected,
    data_key,
    held,
    ids,
    seen,
    successor,
    token_text,
    with_grant,
)
from valetkey.testing.clock import FakeClock
from valetkey.values import Secret

KEY = at("github", "ada")
SECRET = "github-token/ada"


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
    assert not store.rekey([(record, Sealed(b"anew", "dk_1"))])
    assert service.kept == {SECRET: token_text(1)}


def test_a_record_without_secret_id_gets_no_grant(store: SecretServiceStore) -> None:
    record = store.create(replace(blank(1), secret_id=""))
    assert seen(store, record) == record
    with pytest.raises(StoreError) as caught:
        store.swap(successor(record, 1), expect=Expect.of(record))
    assert caught.value.code == "secret_id_missing"


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
        with_grant(record, 7),
        version=record.version + 1,
        last_refresh_at=clock.now(),
        connected_at=clock.now(),
        due_at=2_000_000_007.0,
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
