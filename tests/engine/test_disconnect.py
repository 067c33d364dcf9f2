"""Disconnecting: at once here, then at the provider, and a true word about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.disconnect import disconnect, forget
from valetkey.engine.world import open_grant
from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.model.connections import Expect, Sealed
from valetkey.model.credentials import AppCredentials
from valetkey.model.ports import InDoubt, NotSent
from valetkey.values import Request, Secret


def _disconnect(stage: Any, key: Any = None) -> Any:
    return disconnect(stage.world, stage.credentials["notes"], key or stage.key())


def _form(request: Request) -> str:
    return request.body.decode()


def test_a_disconnect_clears_the_record_and_revokes(stage: Any) -> None:
    record = stage.connect()
    grant = open_grant(stage.world, record)
    assert grant is not None

    done = _disconnect(stage)

    assert done.told == "Disconnected. Notes confirmed that the token is revoked."
    assert (done.revoked[0], done.may_live) == ("refresh_token", ())
    now = stage.record()
    assert done.record == now
    assert (now.id, now.incarnation, now.state, now.sealed) == (record.id, record.incarnation + 1, "disconnected", None)
    assert (now.access_fp, now.refresh_fp, now.granted, now.expires_at, now.refreshable) == ("", "", (), None, False)
    assert not stage.provider.is_live(grant.access_token.reveal())
    assert [event.kind for event in stage.events()] == ["connected", "disconnected", "revoked"]
    assert stage.told[-1] == now


@pytest.mark.conformance("1 revocation: order")
def test_the_refresh_token_is_revoked_first(stage: Any) -> None:
    stage.change(revocation_reach="token")
    stage.connect()
    stage.wire.sent.clear()

    done = _disconnect(stage)

    first, second = stage.wire.sent
    assert "token_type_hint=refresh_token" in _form(first)
    assert "token_type_hint=access_token" in _form(second)
    assert done.revoked == ("refresh_token", "access_token")


def test_where_a_preset_vouches_for_the_reach_one_request_is_enough(stage: Any) -> None:
    stage.change(preset="notes", revocation_reach="grant")
    stage.connect()

    assert _disconnect(stage).told == "Disconnected. Notes confirmed that the token is revoked."
    assert stage.provider.revocations == 1


@pytest.mark.parametrize(("only", "hint"), [("access_token", "access_token"), ("refresh_token", "refresh_token")])
def test_only_the_token_that_the_provider_takes_back_is_sent(stage: Any, only: Any, hint: str) -> None:
    stage.change(revocation_token=only)
    stage.connect()
    stage.wire.sent.clear()

    _disconnect(stage)

    (request,) = stage.wire.sent
    assert f"token_type_hint={hint}" in _form(request)


def test_a_token_that_the_provider_does_not_take_back_is_not_said_to_be_revoked(stage: Any) -> None:
    stage.change(revocation_token="refresh_token")
    stage.provider.omit_refresh_token()
    stage.connect()

    done = _disconnect(stage)
    assert done.told == (
        "Disconnected. Notes takes back no token that still lives; the access token lives until 2027-01-15 09:00 UTC."
    )
    assert stage.provider.revocations == 0


def test_without_a_revocation_endpoint_it_says_until_when_the_token_lives(stage: Any) -> None:
    stage.change(revocation_url="")
    stage.connect()

    done = _disconnect(stage)

    assert done.revoked == ()
    assert done.may_live == (
        "The refresh token lives until the access is withdrawn at Notes.",
        "The access token lives until 2027-01-15 09:00 UTC.",
    )
    assert done.told == (
        "Disconnected. Notes has no revocation endpoint; the refresh token lives until the access is withdrawn at "
        "Notes. The access token lives until 2027-01-15 09:00 UTC."
    )
    assert stage.record().state == "disconnected"


def test_tokens_that_have_ended_are_not_said_to_live(stage: Any) -> None:
    stage.change(revocation_url="")
    stage.provider.omit_refresh_token()
    stage.connect()
    stage.clock.advance(3600)

    done = _disconnect(stage)
    assert done.may_live == ()
    assert done.told == "Disconnected. Notes has no revocation endpoint; its tokens had ended already."


@pytest.mark.conformance("1 revocation: trouble")
def test_a_revocation_that_fails_is_told_and_brings_nothing_back(stage: Any) -> None:
    stage.connect()
    stage.provider.fail_next(status=503, endpoint="revocation", times=None)

    done = _disconnect(stage)

    assert done.revoked == ()
    assert done.told.startswith("Disconnected. Notes did not confirm the revocation (HTTP 503; HTTP 503); the refresh")
    assert len(done.may_live) == 2
    assert stage.record().state == "disconnected"
    assert [event.kind for event in stage.events()][-1] == "revocation_incomplete"


def test_a_revocation_is_tried_twice(stage: Any) -> None:
    stage.connect()
    stage.provider.fail_next(status=503, retry_after=2, endpoint="revocation")
    before = stage.clock.monotonic()

    assert _disconnect(stage).may_live == ()
    assert stage.clock.monotonic() - before == 2


@pytest.mark.parametrize("error", [NotSent, InDoubt])
def test_a_provider_that_is_not_reached_does_not_hold_up_the_disconnect(stage: Any, error: Any) -> None:
    stage.connect()
    stage.wire.cut("/revoke", error)

    done = _disconnect(stage)

    assert "the line is cut" in done.told
    assert stage.record().sealed is None


def test_what_was_revoked_in_part_is_told_in_part(stage: Any) -> None:
    stage.change(revocation_reach="token")
    stage.connect()

    def cut_second(request: Request) -> None:
        if b"token_type_hint=access_token" in request.body:
            msg = "cut"
            raise NotSent(msg)

    stage.wire.before = cut_second

    done = _disconnect(stage)
    assert done.revoked == ("refresh_token",)
    assert done.may_live == ("The access token lives until 2027-01-15 09:00 UTC.",)
    assert "of more than the refresh token (cut)" in done.told


def test_a_grant_that_cannot_be_opened_is_disconnected_all_the_same(stage: Any) -> None:
    record = stage.connect()
    stage.store.swap(replace(record, sealed=Sealed(b"nonsense", record.sealed.key_id)), expect=Expect.of(record))

    done = _disconnect(stage)

    assert "could not be opened" in done.told
    assert len(done.may_live) == 1
    assert stage.record().state == "disconnected"
    assert stage.provider.revocations == 0


def test_a_missing_app_is_told(stage: Any) -> None:
    stage.connect()

    stage.lose_app()

    done = _disconnect(stage)
    assert "no app credentials" in done.told
    assert stage.record().state == "disconnected"


def test_a_token_of_another_app_is_not_sent(stage: Any) -> None:
    stage.connect()
    stage.apps = AppCredentials(client_id="another", client_secret=Secret("x"))
    stage.wire.sent.clear()

    done = _disconnect(stage)
    assert stage.wire.sent == []
    assert "another client id" in done.told


def test_a_refresh_under_way_is_mentioned(stage: Any) -> None:
    record = stage.connect()
    stage.store.claim(record, holder="h", life=30, spending=record.refresh_fp)

    done = _disconnect(stage)

    assert done.may_live[-1].startswith("A refresh was under way elsewhere")
    assert stage.record().claim is None


def test_a_claim_that_ran_out_is_not_mentioned(stage: Any) -> None:
    record = stage.connect()
    stage.store.claim(record, holder="h", life=30, spending=record.refresh_fp)
    stage.clock.advance(31)

    assert _disconnect(stage).may_live == ()


def test_a_lost_swap_is_tried_again(stage: Any) -> None:
    record = stage.connect()
    load = stage.store.load
    loads: list[int] = []

    def stale(key: Any) -> Any:
        found = load(key)
        if not loads:
            loads.append(1)
            stage.store.swap(replace(record, version=record.version + 5), expect=Expect.of(record))
        return found

    stage.store.load = stale

    _disconnect(stage)
    assert load(stage.key()).state == "disconnected"


@pytest.mark.parametrize("twice", [False, True])
def test_where_there_is_nothing_it_says_so_and_writes_nothing(stage: Any, twice: bool) -> None:
    if twice:
        stage.connect()
        _disconnect(stage)
    events, requests = len(stage.events()), len(stage.wire.sent)

    done = _disconnect(stage)

    assert (done.told, done.revoked, done.may_live) == ("There was nothing to disconnect.", (), ())
    assert (len(stage.events()), len(stage.wire.sent)) == (events, requests)
    assert done.record == stage.store.load(stage.key())


def test_the_flows_of_that_key_and_no_others_are_deleted(stage: Any) -> None:
    stage.connect()
    stage.start()
    other = stage.start(stage.key(owner="ada"))

    _disconnect(stage)

    assert [flow.id for flow in stage.store.list_documents("flow")] == [other.flow_id]


def test_flows_are_deleted_also_where_nothing_is_connected(stage: Any) -> None:
    stage.start()

    _disconnect(stage)
    assert stage.flows() == 0


def test_a_store_that_is_down_changes_nothing(stage: Any) -> None:
    stage.connect()

    stage.break_store("swap")

    with pytest.raises(StoreUnavailable):
        _disconnect(stage)
    assert stage.provider.revocations == 0
    assert stage.record().state == "connected"


# -- forget


def test_forget_ends_and_erases_all_of_an_owner(stage: Any) -> None:
    for account in ("", "work"):
        stage.connect(stage.key(owner="ada", account=account))
    stage.connect(stage.key(owner="bob"), login="bob")
    stage.start(stage.key(owner="ada"))

    done = forget(stage.world, "ada", "test")

    assert [one.told for one in done] == ["Disconnected. Notes confirmed that the token is revoked."] * 2
    assert [one.record for one in done] == [None, None]
    assert stage.store.load(stage.key(owner="ada")) is None
    assert stage.store.load(stage.key(owner="ada", account="work")) is None
    assert stage.record(stage.key(owner="bob")).state == "connected"
    assert stage.flows() == 0


def test_forget_erases_what_was_disconnected_before(stage: Any) -> None:
    key = stage.key(owner="ada")
    stage.connect(key)
    _disconnect(stage, key)

    forget(stage.world, "ada", "test")
    assert stage.store.load(key) is None


def test_forget_erases_also_what_is_declared_no_more(stage: Any) -> None:
    key = stage.key(owner="ada")
    stage.connect(key)
    del stage.credentials["notes"]

    (done,) = forget(stage.world, "ada", "test")
    assert "not declared any more" in done.told
    assert stage.store.load(key) is None


def test_forget_ends_what_was_connected_anew_meanwhile(stage: Any) -> None:
    key = stage.key(owner="ada")
    stage.connect(key)
    delete = stage.store.delete
    tries: list[int] = []

    def overtaken(record: Any) -> bool:
        if not tries:
            tries.append(1)
            stage.connect(key)
        return bool(delete(record))

    stage.store.delete = overtaken

    forget(stage.world, "ada", "test")
    assert stage.store.load(key) is None
    assert stage.provider.live_grants == 0


def test_forget_needs_an_owner(stage: Any) -> None:
    stage.connect()

    with pytest.raises(ConfigurationError):
        forget(stage.world, "", "test")
    assert stage.record().state == "connected"
