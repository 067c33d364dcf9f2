"""The code exchange: one request, and what each answer to it means."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.connect import connect_app, finish_authorization
from valetkey.engine.world import open_grant
from valetkey.errors import (
    AuthorizationDenied,
    ClientRejected,
    ConnectError,
    ProviderUnavailable,
    StoreUnavailable,
    ValetkeyError,
)
from valetkey.model.ports import InDoubt, NotSent


def _finish(stage: Any, start: Any, **options: Any) -> Any:
    callback = options.pop("callback", None) or stage.provider.approve(start.url)
    return finish_authorization(stage.world, callback, **{"binding": start.binding, **options})


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        pytest.param({"status": 400, "error": "invalid_grant"}, ConnectError, "code_refused", id="code refused"),
        pytest.param({"status": 401, "error": "invalid_client"}, ClientRejected, "client_rejected", id="app refused"),
        pytest.param({"status": 503, "retry_after": 7}, ProviderUnavailable, "provider_unavailable", id="not now"),
        pytest.param({"status": 500}, ConnectError, "exchange_failed", id="server error: unknown outcome"),
        pytest.param({"status": 200, "body": "<html>"}, ConnectError, "exchange_failed", id="HTML with 200"),
        pytest.param({"status": 400, "body": ""}, ConnectError, "exchange_failed", id="empty 400"),
        pytest.param(
            {"status": 400, "error": "access_denied"}, AuthorizationDenied, "authorization_denied", id="denied"
        ),
        pytest.param({"status": 400, "error": "invalid_scope"}, ConnectError, "invalid_scope", id="scope"),
        pytest.param(
            {"status": 307, "headers": {"Location": "https://evil.example/"}},
            ValetkeyError,
            "provider_protocol",
            id="elsewhere",
        ),
    ],
)
def test_a_refused_exchange_is_told_and_leaves_nothing(
    stage: Any, fault: dict[str, Any], error: type[ValetkeyError], code: str
) -> None:
    stage.provider.fail_next(**fault)
    start = stage.start()

    with pytest.raises(error) as caught:
        _finish(stage, start)

    assert caught.value.code == code
    assert stage.provider.token_requests == 1
    assert stage.ungranted(stage.key())
    assert stage.events() == []
    assert stage.store.get_document("app", "notes", env="test") is None


def test_what_the_provider_asks_for_by_retry_after_is_passed_on(stage: Any) -> None:
    stage.provider.fail_next(status=503, retry_after=7)

    with pytest.raises(ProviderUnavailable) as caught:
        stage.connect()
    assert caught.value.retry_after == 7


@pytest.mark.conformance("1 core: code once")
def test_a_code_is_never_sent_twice_when_its_answer_is_lost(stage: Any) -> None:
    stage.provider.drop_after()
    start = stage.start()

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start)

    assert (caught.value.code, caught.value.hint) == ("exchange_failed", "start again")
    assert stage.provider.token_requests == 1


def test_an_unreachable_token_endpoint_is_told_as_such(stage: Any) -> None:
    stage.wire.cut("/token", NotSent)

    with pytest.raises(ProviderUnavailable, match="could not be reached"):
        stage.connect()
    assert stage.ungranted(stage.key())


def test_a_failed_reconnect_leaves_the_old_grant_as_it_was(stage: Any) -> None:
    before = stage.connect()
    stage.provider.fail_next(status=400, error="invalid_grant")

    with pytest.raises(ConnectError):
        stage.connect()
    assert stage.record() == before


@pytest.mark.parametrize("error", [NotSent, InDoubt])
def test_an_identity_that_cannot_be_read_does_not_fail_the_connect(stage: Any, error: Any) -> None:
    stage.wire.cut("/userinfo", error)

    record = stage.connect()
    assert (record.state, record.identity) == ("connected", None)


def test_an_identity_that_is_refused_does_not_fail_the_connect(stage: Any) -> None:
    stage.provider.fail_next(status=500, endpoint="userinfo")

    assert stage.connect().identity is None


@pytest.mark.conformance("1 core: scope")
def test_narrower_scopes_are_stored_as_granted(stage: Any) -> None:
    stage.provider.narrow_scopes("notes.read")

    record = stage.connect()
    assert (record.granted, record.requested) == (("notes.read",), ("notes.read", "notes.write"))


def test_params_come_from_declaration_callback_and_answer_without_noise(stage: Any) -> None:
    stage.change(params={"tenant": "acme", "region": "eu"})
    stage.provider.change_answer(instance_url="https://eu1.example.com", region="us")
    start = stage.start()
    callback = stage.provider.approve(start.url)
    signature = "5ae1c0f3" * 8

    record = _finish(
        stage, start, callback=f"{callback}&realmId=12&hmac={signature}&api_key=abc&scope=x&proof2={signature}"
    )

    assert dict(record.params) == {
        "tenant": "acme",
        "region": "us",
        "realmId": "12",
        "instance_url": "https://eu1.example.com",
    }


def test_a_credential_that_says_what_it_keeps_keeps_no_more(stage: Any) -> None:
    stage.change(kept_params={"site": "instance_url"})
    stage.provider.change_answer(instance_url="https://eu1.example.com", region="us")

    assert dict(stage.connect().params) == {"site": "https://eu1.example.com"}


# -- the store


def test_a_store_that_comes_back_soon_still_gets_the_grant(stage: Any) -> None:
    start = stage.start()
    swap, calls = stage.store.swap, []

    def failing(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) < 4:
            msg = "down"
            raise StoreUnavailable(msg)
        return swap(*args, **options)

    stage.store.swap = failing

    assert _finish(stage, start).state == "connected"
    assert stage.provider.token_requests == 1


def test_a_store_that_stays_away_is_told(stage: Any) -> None:
    start = stage.start()

    stage.break_store("swap")

    with pytest.raises(StoreUnavailable):
        _finish(stage, start)
    assert stage.ungranted(stage.key())


def test_an_event_that_cannot_be_written_does_not_undo_a_connect(stage: Any) -> None:
    stage.break_store("append_event")

    assert stage.connect().state == "connected"


# -- an app's own token


def test_an_app_gets_its_own_token_without_a_person(stage: Any) -> None:
    credential = stage.change(grant="client_credentials", userinfo_url="")

    record = connect_app(stage.world, credential, stage.key(), scopes=())

    assert (record.state, record.refreshable, record.identity) == ("connected", True, None)
    grant = open_grant(stage.world, record)
    assert grant is not None
    assert grant.refresh_token is None
    assert stage.provider.is_live(grant.access_token.reveal())


def test_a_refused_app_token_leaves_nothing(stage: Any) -> None:
    credential = stage.change(grant="client_credentials")
    stage.provider.fail_next(status=401, error="invalid_client")

    with pytest.raises(ClientRejected) as caught:
        connect_app(stage.world, credential, stage.key(), scopes=())
    assert "valetkey app add notes" in caught.value.hint
    assert stage.ungranted(stage.key())
