"""A store over a plain secret service: in which order things are written, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Document, Expect, Record
from valetkey.stores.over_secrets import SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import (
    access,
    at,
    blank,
    held,
    seen,
    successor,
    token_text,
)

KEY = at("github", "ada")
SECRET = "github-token/ada"
Crashing = Callable[..., Callable[[], None]]


# -- the order of writes ---------------------------------------------------------------------------------------------


def test_a_crash_after_the_service_was_written_leaves_the_new_grant(
    store: SecretServiceStore, record: Record, ledger: SQLiteStore, crashing: Crashing
) -> None:
    claimed = held(store, record, "holder-1")
    mend = crashing(ledger, "swap")
    with pytest.raises(SystemExit):
        store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
    mend()
    found = seen(store, record)
    assert (found.version, found.state, found.claim, access(found)) == (1, "connected", None, "access-2")


def test_a_crash_before_the_service_was_written_changes_nothing(
    store: SecretServiceStore, record: Record, service: Any, crashing: Crashing
) -> None:
    claimed = held(store, record, "holder-1")
    mend = crashing(service, "set")
    with pytest.raises(SystemExit):
        store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="holder-1"))
    mend()
    assert seen(store, record) == claimed


def test_a_crash_in_a_disconnect_leaves_it_disconnected(
    store: SecretServiceStore, record: Record, service: Any, ledger: SQLiteStore, crashing: Crashing
) -> None:
    gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
    mend = crashing(ledger, "swap")
    with pytest.raises(SystemExit):
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
    crashing: Crashing,
    where: str,
) -> None:
    mend = crashing(ledger if where == "rename" else service, where)
    with pytest.raises(SystemExit):
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
    real = store._turns._take
    renamed: list[bool] = []

    def take(secret_id: str, patience: float) -> Document | None:
        if not renamed:
            renamed.append(True)
            assert store.rename(record, at("github", "bob"), "github-token/bob")
        return real(secret_id, patience)

    monkeypatch.setattr(store._turns, "_queues", Free())
    monkeypatch.setattr(store._turns, "_take", take)
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
