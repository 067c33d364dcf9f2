"""Reconnecting, and what happens when others act at the same time (R14)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.connect import finish_authorization
from valetkey.engine.disconnect import disconnect
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.storing import swap_sealed
from valetkey.engine.world import open_grant
from valetkey.errors import (
    ConnectError,
    StateMismatch,
)
from valetkey.model.connections import Expect, Sealed
from valetkey.model.credentials import AppCredentials
from valetkey.values import Request, Secret


def _finish(stage: Any, start: Any, **options: Any) -> Any:
    callback = options.pop("callback", None) or stage.provider.approve(start.url)
    return finish_authorization(stage.world, callback, **{"binding": start.binding, **options})


# -- reconnecting


def test_a_reconnect_keeps_id_and_tags_and_starts_a_new_incarnation(stage: Any) -> None:
    first = stage.connect()
    stage.store.note(first.id, incarnation=first.incarnation, changes={"tags": {"team": "a"}})
    stage.clock.advance(10)

    second = stage.connect()

    assert second.id == first.id
    assert (second.incarnation, second.version) == (first.incarnation + 1, first.version + 1)
    assert second.connected_at == stage.clock.now()
    assert dict(second.tags) == {"team": "a"}
    assert [event.detail["reconnected"] for event in stage.events()] == [False, True]


def test_a_reconnect_heals_a_dead_record(stage: Any) -> None:
    record = stage.connect()
    broken = replace(record, state="needs_reauth", reason="revoked", error="invalid_grant", failures=3, doubt=2)
    stage.store.swap(broken, expect=Expect.of(record))

    healed = stage.connect()

    assert (healed.state, healed.reason, healed.error, healed.failures, healed.doubt) == ("connected", "", "", 0, 0)


@pytest.mark.parametrize(
    ("reach", "revocations"),
    [
        pytest.param("token", 2, id="one token"),
        pytest.param("grant", 0, id="a grant"),
        pytest.param("user", 0, id="a user"),
    ],
)
def test_the_replaced_grant_is_revoked_only_where_that_cannot_hurt_the_new_one(
    stage: Any, reach: Any, revocations: int
) -> None:
    stage.change(revocation_reach=reach)
    old = open_grant(stage.world, stage.connect())
    assert old is not None

    record = stage.connect()

    assert stage.provider.revocations == revocations
    assert stage.provider.is_live(old.access_token.reveal()) == (revocations == 0)
    new = open_grant(stage.world, record)
    assert new is not None
    assert stage.provider.is_live(new.access_token.reveal())


def test_a_grant_that_came_back_the_same_is_not_revoked(stage: Any) -> None:
    stage.change(revocation_reach="token")
    stage.provider.change_answer(refresh_token="always-the-same")
    stage.connect()
    stage.connect()

    assert stage.provider.revocations == 0


def test_a_replaced_grant_of_another_app_is_not_sent_anywhere(stage: Any) -> None:
    stage.change(revocation_reach="token")
    stage.connect()
    stage.provider.register_client("another", "secret")
    stage.apps = AppCredentials(client_id="another", client_secret=Secret("secret"))

    assert stage.connect().client_id == "another"
    assert stage.provider.revocations == 0


def test_a_replaced_grant_that_cannot_be_opened_does_not_stand_in_the_way(stage: Any) -> None:
    stage.change(revocation_reach="token")
    record = stage.connect()
    stage.store.swap(replace(record, sealed=Sealed(b"x", record.sealed.key_id)), expect=Expect.of(record))

    assert stage.connect().state == "connected"


def test_a_refresh_meanwhile_does_not_stand_in_the_way(stage: Any) -> None:
    first = stage.connect()

    def refreshed_meanwhile(request: Request) -> None:
        if request.url.endswith("/userinfo"):
            grant = open_grant(stage.world, first)
            assert grant is not None
            swap_sealed(stage.world, replace(first, version=first.version + 1), grant, expect=Expect.of(first))

    stage.wire.before = refreshed_meanwhile

    record = stage.connect()
    assert (record.incarnation, record.version) == (first.incarnation + 1, first.version + 2)


def test_another_connect_meanwhile_does_not_stand_in_the_way(stage: Any) -> None:
    start = stage.start()
    others: list[Any] = []

    def connected_meanwhile(request: Request) -> None:
        if request.url.endswith("/token") and not others:
            others.append(None)
            others.append(stage.connect(login="bob"))

    stage.wire.before = connected_meanwhile

    record = _finish(stage, start)
    assert record.id == others[1].id
    assert record.incarnation == others[1].incarnation + 1
    assert record.identity.login == "ada"


@pytest.mark.parametrize(
    ("reach", "revocations"),
    [
        pytest.param("token", 3, id="one token"),  # the refresh token replaced, and both tokens of its successor
        pytest.param("grant", 0, id="a grant"),
        pytest.param("user", 0, id="a user"),
    ],
)
def test_what_a_refresh_brings_after_a_new_sign_in_is_revoked_only_where_that_cannot_hurt_the_new_grant(
    stage: Any, reach: Any, revocations: int
) -> None:
    stage.change(revocation_reach=reach)
    stage.connect()
    stage.clock.advance(3601)
    signed_in: list[Any] = []

    def sign_in_meanwhile(request: Request) -> None:
        if request.url.endswith("/token") and not signed_in:
            signed_in.append(None)
            signed_in.append(stage.connect())

    stage.wire.after = sign_in_meanwhile

    held = obtain(stage.world, stage.key(), Want())

    assert stage.provider.refreshes == 1
    assert held.record.incarnation == signed_in[1].incarnation
    assert stage.provider.is_live(held.grant.access_token.reveal())
    assert stage.provider.revocations == revocations
    assert stage.provider.live_grants == (1 if reach == "token" else 2)


# -- a disconnect overtakes (R14)


@pytest.mark.parametrize("connected", [pytest.param(True, id="reconnecting"), pytest.param(False, id="first time")])
@pytest.mark.parametrize("at", ["/token", "/userinfo"])
def test_a_disconnect_during_the_exchange_wins_and_the_new_grant_is_revoked(
    stage: Any, connected: bool, at: str
) -> None:
    if connected:
        stage.connect()
    start = stage.start()
    done: list[Any] = []

    def disconnected_meanwhile(request: Request) -> None:
        if request.url.endswith(at) and not done:
            done.append(None)
            done.append(disconnect(stage.world, stage.credentials["notes"], stage.key()))

    stage.wire.before = disconnected_meanwhile

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start)

    assert caught.value.code == "connection_disconnected"
    assert stage.provider.live_grants == 0
    found = stage.store.load(stage.key())
    assert found is None or (found.state == "disconnected" and found.sealed is None)


def test_a_sign_in_that_began_before_a_disconnect_cannot_finish_after_it(stage: Any) -> None:
    stage.connect()
    start = stage.start()
    callback = stage.provider.approve(start.url)
    disconnect(stage.world, stage.credentials["notes"], stage.key())

    with pytest.raises(StateMismatch):
        _finish(stage, start, callback=callback)
    assert stage.record().state == "disconnected"


def test_a_flow_that_escaped_the_sweep_is_stopped_by_the_incarnation(stage: Any) -> None:
    stage.connect()
    start = stage.start()
    callback = stage.provider.approve(start.url)
    (flow,) = stage.store.list_documents("flow")
    disconnect(stage.world, stage.credentials["notes"], stage.key())
    stage.store.put_document(flow)

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start, callback=callback)
    assert caught.value.code == "connection_disconnected"
    assert stage.provider.token_requests == 1


def test_a_flow_that_escaped_an_erasure_is_stopped_too(stage: Any) -> None:
    record = stage.connect()
    start = stage.start()
    callback = stage.provider.approve(start.url)
    assert stage.store.delete(record)

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start, callback=callback)
    assert caught.value.code == "connection_disconnected"


def test_one_can_connect_again_after_a_disconnect(stage: Any) -> None:
    first = stage.connect()
    disconnect(stage.world, stage.credentials["notes"], stage.key())

    record = stage.connect()
    assert (record.id, record.state) == (first.id, "connected")
    assert record.incarnation == first.incarnation + 2
