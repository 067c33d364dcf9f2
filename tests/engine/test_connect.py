"""The authorization code flow, from the address that is opened to the record that is stored."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest

from valetkey.engine.connect import finish_authorization, start_authorization
from valetkey.engine.flows import FLOW_SECONDS
from valetkey.engine.world import open_grant
from valetkey.errors import (
    AuthorizationDenied,
    ConfigurationError,
    ConnectError,
    IssuerMismatch,
    StateMismatch,
    WrongUser,
)
from valetkey.model.connections import Identity
from valetkey.model.credentials import AppCredentials
from valetkey.values import Secret


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def _with(url: str, **changes: str | None) -> str:
    parts = urlsplit(url)
    params = {**_query(url), **changes}
    return urlunsplit(parts._replace(query=urlencode({n: v for n, v in params.items() if v is not None})))


def _finish(stage: Any, start: Any, **options: Any) -> Any:
    callback = options.pop("callback", None) or stage.provider.approve(start.url)
    return finish_authorization(stage.world, callback, **{"binding": start.binding, **options})


def test_a_sign_in_ends_in_a_connected_record_that_holds_what_was_granted(stage: Any) -> None:
    record = stage.connect(stage.key(owner="ada", account="work"))

    assert record == stage.record(stage.key(owner="ada", account="work"))
    assert (record.state, record.reason, record.refreshable) == ("connected", "", True)
    assert (record.granted, record.requested) == (("notes.read", "notes.write"), ("notes.read", "notes.write"))
    assert record.identity == Identity(
        subject=record.identity.subject, login="ada", name=record.identity.name, email=record.identity.email
    )
    assert record.expires_at == stage.clock.now() + 3600
    assert record.secret_id == "notes-token/ada/work"
    assert (record.client_id, record.issuer, record.token_origin) == (
        "practice-app",
        stage.provider.issuer,
        stage.provider.url,
    )
    grant = open_grant(stage.world, record)
    assert grant is not None
    assert stage.provider.is_live(grant.access_token.reveal())
    assert record.access_fp == grant.access_token.fingerprint()
    assert [event.kind for event in stage.events()] == ["connected"]
    assert stage.told == [record]
    assert len(record.id) == 24
    assert record.id.startswith("con_")


@pytest.mark.conformance("1 core: state", "1 core: PKCE")
def test_the_address_to_open_has_a_fresh_state_and_challenge_each_time(stage: Any) -> None:
    first, second = _query(stage.start().url), _query(stage.start().url)

    assert first["code_challenge_method"] == "S256"
    assert len(first["state"]) >= 43
    for name in ("state", "code_challenge"):
        assert first[name] != second[name]


@pytest.mark.conformance("1 core: state")
def test_neither_state_nor_verifier_nor_binding_stands_in_the_store_in_clear(stage: Any) -> None:
    start = stage.start()

    (flow,) = stage.store.list_documents("flow")
    kept = repr(flow) + flow.sealed.blob.decode("latin-1")
    for secret in (_query(start.url)["state"], start.binding.reveal()):
        assert secret not in kept
    assert flow.expires_at == start.expires_at == stage.clock.now() + FLOW_SECONDS
    assert _query(start.url)["state"] not in repr(start)


def test_further_scopes_are_asked_for_beside_the_declared_ones(stage: Any) -> None:
    stage.change(scopes=("notes.read",), forced_scopes=("offline_access",))

    start = stage.start(scopes=("notes.write", "notes.read"))

    assert _query(start.url)["scope"].split() == ["notes.read", "offline_access", "notes.write"]


def test_a_nonce_goes_along_only_where_an_id_token_is_asked_for(stage: Any) -> None:
    assert "nonce" not in _query(stage.start().url)
    stage.change(scopes=("openid",))

    assert len(_query(stage.start().url)["nonce"]) >= 43


def test_a_provider_that_breaks_on_pkce_gets_none(stage: Any) -> None:
    stage.change(pkce=False)
    stage.provider.rules.requires_pkce = False

    assert "code_challenge" not in _query(stage.start().url)
    assert stage.connect().state == "connected"


def test_an_app_of_its_own_has_nobody_to_sign_in(stage: Any) -> None:
    stage.change(grant="client_credentials")

    with pytest.raises(ConfigurationError) as caught:
        stage.start()
    assert caught.value.code == "consent_not_needed"


def test_a_missing_app_ends_it_before_anything_is_stored(stage: Any) -> None:
    stage.lose_app()

    with pytest.raises(ConfigurationError):
        stage.start()
    assert stage.flows() == 0


# -- the answer is bound to state, browser, address, person and server


@pytest.mark.conformance("1 core: state")
@pytest.mark.parametrize(
    "state", [pytest.param(None, id="missing"), pytest.param("", id="empty"), pytest.param("x" * 43, id="unknown")]
)
def test_an_answer_with_a_wrong_state_is_refused_before_any_request(stage: Any, state: str | None) -> None:
    start = stage.start()
    callback = _with(stage.provider.approve(start.url), state=state)

    with pytest.raises(StateMismatch) as caught:
        _finish(stage, start, callback=callback)

    assert caught.value.code == "state_mismatch"
    assert "start again" in caught.value.hint
    assert stage.wire.sent == []


@pytest.mark.conformance("1 core: state", "2 own: two callbacks")
def test_an_answer_is_taken_once(stage: Any) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url)
    _finish(stage, start, callback=callback)

    with pytest.raises(StateMismatch):
        _finish(stage, start, callback=callback)
    assert stage.provider.token_requests == 1


@pytest.mark.conformance("1 core: state")
def test_an_answer_that_comes_after_ten_minutes_is_refused(stage: Any) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url)
    stage.clock.advance(FLOW_SECONDS)

    with pytest.raises(StateMismatch):
        _finish(stage, start, callback=callback)


@pytest.mark.conformance("1 core: state", "2 own: two callbacks")
@pytest.mark.parametrize("binding", ["", "another", Secret("another")])
def test_another_browser_is_refused_and_does_not_use_up_the_answer(stage: Any, binding: Any) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url)

    with pytest.raises(StateMismatch) as caught:
        _finish(stage, start, callback=callback, binding=binding)

    assert caught.value.code == "binding_mismatch"
    assert stage.wire.sent == []
    assert _finish(stage, start, callback=callback, binding=start.binding.reveal()).state == "connected"


@pytest.mark.conformance("1 native: own path", "1 core: mix-up")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("/callback/notes", "/callback/other", id="path"),
        pytest.param(":4321", ":4322", id="port"),
        pytest.param("127.0.0.1", "127.0.0.2", id="host"),
        pytest.param("http://", "https://", id="scheme"),
        pytest.param("http://127.0.0.1:4321", "app://x", id="another kind of address"),
    ],
)
def test_an_answer_at_another_address_is_refused(stage: Any, old: str, new: str) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url).replace(old, new)

    with pytest.raises(StateMismatch) as caught:
        _finish(stage, start, callback=callback)
    assert caught.value.code == "callback_mismatch"
    assert stage.wire.sent == []


def test_the_redirect_uri_may_be_a_scheme_of_the_application(stage: Any) -> None:
    stage.provider.allow_redirect("com.example.app:/cb")
    credential = stage.credentials["notes"]
    start = start_authorization(stage.world, credential, stage.key(), scopes=(), redirect_uri="com.example.app:/cb")

    assert _finish(stage, start).state == "connected"


@pytest.mark.parametrize(
    ("started_by", "finished_by"),
    [
        pytest.param("ada", "eve", id="another"),
        pytest.param("ada", None, id="nobody"),
        pytest.param(None, "eve", id="own"),
    ],
)
def test_whoever_finishes_must_be_who_started(stage: Any, started_by: str | None, finished_by: str | None) -> None:
    start = stage.start(stage.key(owner=started_by))

    with pytest.raises(WrongUser):
        _finish(stage, start, owner=finished_by)
    assert stage.provider.token_requests == 0


def test_whoever_started_may_finish(stage: Any) -> None:
    start = stage.start(stage.key(owner="ada"))

    assert _finish(stage, start, owner="ada").key.owner == "ada"


@pytest.mark.conformance("0 9", "1 core: mix-up")
def test_of_an_answer_from_another_server_not_even_the_error_is_shown(stage: Any) -> None:
    stage.provider.answer_iss("https://evil.example")
    start = stage.start()
    callback = _with(stage.provider.deny(start.url), error_description="Click here")

    with pytest.raises(IssuerMismatch) as caught:
        _finish(stage, start, callback=callback)
    assert "Click" not in str(caught.value)
    assert stage.wire.sent == []


def test_a_denial_is_told_as_one_and_stores_nothing(stage: Any) -> None:
    start = stage.start()

    with pytest.raises(AuthorizationDenied) as caught:
        _finish(stage, start, callback=stage.provider.deny(start.url))

    assert caught.value.why == "by_person"
    assert stage.store.load(stage.key()) is None
    assert stage.flows() == 0


def test_an_answer_without_code_and_error_is_malformed(stage: Any) -> None:
    start = stage.start()

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start, callback=_with(stage.provider.approve(start.url), code=None))
    assert caught.value.code == "callback_malformed"


@pytest.mark.conformance("1 core: mix-up", "0 8")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"client_id": "another"}, id="client id"),
        pytest.param({"issuer": "https://other.example"}, id="issuer"),
        pytest.param({"token_url": "https://other.example/token"}, id="token endpoint"),
    ],
)
def test_a_code_goes_to_no_other_client_or_server_than_it_was_asked_for(stage: Any, change: dict[str, str]) -> None:
    start = stage.start()
    callback = _with(stage.provider.approve(start.url), iss=None)
    if "client_id" in change:
        stage.apps = AppCredentials(client_id="another", client_secret=Secret("x"))
    else:
        stage.change(iss_advertised=False, **change)
    stage.change(iss_advertised=False)

    with pytest.raises(ConnectError) as caught:
        _finish(stage, start, callback=callback)
    assert caught.value.code == "client_changed"
    assert stage.wire.sent == []


def test_of_two_that_finish_at_once_one_gets_through(stage: Any) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url)
    take = stage.store.take_document

    def overtaken(*args: Any, **options: Any) -> Any:
        stage.store.take_document = take
        take(*args, **options)
        return take(*args, **options)

    stage.store.take_document = overtaken

    with pytest.raises(StateMismatch):
        _finish(stage, start, callback=callback)
    assert stage.provider.token_requests == 0


def test_a_state_that_is_drawn_twice_starts_nothing(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.start()
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: "x" * 43)
    stage.start()

    with pytest.raises(ConnectError):
        stage.start()
