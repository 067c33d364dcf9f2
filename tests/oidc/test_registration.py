"""Apps that register themselves at a real server, which rotates what they manage their registration with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from valetkey import ConfigurationError, ProviderError
from valetkey.engine import registering
from valetkey.engine.registrations import KIND, Registered, keep, registered
from valetkey.protocol.client_authentication import method_of

conformance = pytest.mark.conformance
one_facade = pytest.mark.parametrize("colour", ["sync"], indirect=True)
"""Where nothing depends on the facade."""
CALLBACK = "http://127.0.0.1:8421/callback/new"


@pytest.fixture
def new(program: Any) -> Any:
    """Give a program that declares a credential by its issuer, and adds no app for it."""
    program.wiring.oauth2_credential(
        "new",
        issuer=program.server.issuer,
        registration="dynamic",
        scopes=["openid", "offline_access", "api.read"],
        additional_params={"prompt": "consent"},
        api_base_url=program.server.issuer,
        client_metadata={"client_name": "The notes program"},
    )
    return program


def credential(program: Any) -> Any:
    return program.raw._core.credential("new")


def kept(program: Any) -> Registered:
    core = program.raw._core
    found = registered(core.store, core.sealer, core.env, credential(program))
    assert found is not None
    return found


def manage(program: Any, function: Any, *more: Any) -> Any:
    core = program.raw._core
    return function(core.world, core.env, credential(program), *more)


@conformance("1 metadata: registration", "1 metadata: management")
def test_an_app_registers_itself_when_it_is_first_needed_and_manages_what_it_registered(new: Any) -> None:
    assert new.connect("new").state == "connected"
    first = kept(new)
    known = first.registration
    assert first.issuer == new.server.issuer
    assert known.metadata["client_name"] == "The notes program"
    assert (known.metadata["application_type"], known.redirect_uris) == ("native", (CALLBACK,))
    assert known.client_auth == "client_secret_basic"  # as declared, and the server takes it
    assert known.management_url
    assert new.call("new").json()["client_id"] == known.client_id
    new.client("new").refresh()  # with its secret

    read = manage(new, registering.read).registration
    assert read.client_id == known.client_id
    changed = manage(new, registering.update, {"client_name": "Another name"}).registration
    assert changed.metadata["client_name"] == "Another name"
    assert changed.token != read.token, "the server gives another token with every update"
    assert kept(new).registration.token == changed.token
    assert changed.redirect_uris == (CALLBACK,), "what an update does not name stays"
    assert manage(new, registering.read).registration.metadata["client_name"] == "Another name"

    new.connect("new", redirect_uri="http://127.0.0.1:8421/elsewhere")  # widens the registration
    assert kept(new).registration.redirect_uris == (CALLBACK, "http://127.0.0.1:8421/elsewhere")
    assert kept(new).registration.client_id == known.client_id

    assert manage(new, registering.delete)
    with pytest.raises(ConfigurationError) as caught:
        manage(new, registering.read)
    assert caught.value.code == "registration_missing"


@conformance("1 metadata: management")
@one_facade
def test_a_registration_that_is_gone_at_the_server_says_so_and_secrets_stand_nowhere_in_clear(new: Any) -> None:
    new.connect("new")
    core, before = new.raw._core, kept(new)
    document = core.store.get_document(KIND, "new", env=core.env)
    shown = json.dumps(dict(document.body)) + repr(before)
    for secret in (before.registration.client_secret, before.registration.token):
        assert secret is not None
        assert secret.reveal() not in shown
    manage(new, registering.delete)
    keep(core.world, core.env, credential(new), before)  # another host still has it
    with pytest.raises(ProviderError) as caught:
        manage(new, registering.read)
    assert caught.value.code == "registration_gone"
    assert caught.value.hint == "register it: valetkey app register new"


@one_facade
def test_a_server_that_refuses_a_registration_is_quoted(new: Any) -> None:
    new.wiring.oauth2_credential(
        "odd-app", issuer=new.server.issuer, registration="dynamic", client_metadata={"logo_uri": "no address"}
    )
    with pytest.raises(ProviderError) as caught:
        new.connect("odd-app")
    assert caught.value.code == "registration_refused"
    assert "logo_uri" in str(caught.value)


@conformance("1 metadata: registration")
@one_facade
def test_a_secret_that_has_ended_is_replaced_when_somebody_connects(new: Any) -> None:
    new.connect("new")
    core, mine = new.raw._core, kept(new)
    ending = replace(mine, registration=replace(mine.registration, secret_ends_at=new.clock.now() + 60))
    keep(core.world, core.env, credential(new), ending)
    new.clock.advance(61)
    with pytest.raises(ConfigurationError) as caught:
        core.app(credential(new))
    assert caught.value.code == "app_ended"
    assert new.connect("new").state == "connected"
    assert kept(new).registration.secret_ends_at is None


@conformance("1 metadata: order")
@one_facade
def test_an_app_that_somebody_added_goes_first(new: Any) -> None:
    new.secrets.set("new-app-credentials", json.dumps(new.server.app("basic")))
    new.connect("new", redirect_uri="http://127.0.0.1:8421/callback/basic")
    core = new.raw._core
    assert registered(core.store, core.sealer, core.env, credential(new)) is None


@one_facade
def test_a_registration_of_another_issuer_is_never_used(new: Any) -> None:
    new.connect("new")
    core, mine = new.raw._core, kept(new)
    keep(core.world, core.env, credential(new), replace(mine, issuer="https://elsewhere.example.com"))
    with pytest.raises(ConfigurationError) as caught:
        core.app(credential(new))
    assert caught.value.code == "app_missing"
    new.connect("new")
    assert kept(new).registration.client_id != mine.registration.client_id


@one_facade
def test_an_app_that_has_not_registered_yet_is_no_trouble(new: Any) -> None:
    assert new.client("new").status().state == "pending"
    core = new.raw._core
    assert core.app_errors().get("new") is None


@conformance("1 metadata: registration", "1 FAPI 2.0: confidential, PAR, bound", "1 FAPI 2.0: algorithms")
def test_an_app_of_the_fapi2_profile_registers_what_the_profile_asks_for(program: Any) -> None:
    issuer = program.server.issuer
    program.wiring.oauth2_credential(
        "new",
        issuer=issuer,
        registration="dynamic",
        security_profile="fapi2",
        client_auth="private_key_jwt",
        sender_constraint="dpop",
        request_object=True,
        scopes=["openid", "offline_access", "api.read"],
        additional_params={"prompt": "consent"},
        api_base_url=issuer,
    )
    assert program.connect("new").state == "connected"
    has = kept(program).registration.metadata
    assert (has["id_token_signed_response_alg"], has["request_object_signing_alg"]) == ("ES256", "ES256")
    assert has["require_pushed_authorization_requests"] is True
    program.client("new").refresh()
    assert program.call("new").status_code == 200


@one_facade
@conformance("1 FAPI 2.0: confidential, PAR, bound")
def test_a_server_cannot_register_a_weaker_proof_than_the_profile_takes(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.wiring.oauth2_credential(
        "new",
        issuer=program.server.issuer,
        registration="dynamic",
        security_profile="fapi2",
        client_auth="private_key_jwt",
        sender_constraint="dpop",
        scopes=["openid"],
    )
    monkeypatch.setattr(registering, "method_to_register", lambda *_: "client_secret_basic")
    answers: list[tuple[str, int]] = []

    def sent(world: Any, credential: Any, request: Any) -> Any:
        response = real(world, credential, request)
        answers.append((request.method, response.status))
        return response

    real = registering._sent
    monkeypatch.setattr(registering, "_sent", sent)
    with pytest.raises(ProviderError) as caught:
        program.connect("new")
    assert caught.value.code == "profile_unmet"
    assert answers == [("POST", 201), ("DELETE", 204)], "what nobody will use is deleted there"
    assert program.raw._core.store.get_document(KIND, "new", env=program.raw._core.env) is None
    assert "client_secret_basic" in str(caught.value)
    weak = replace(
        program.raw._core.world.app(program.raw._core.credential("fapi2")), client_auth="client_secret_basic"
    )
    assert method_of(credential(program), weak) == "private_key_jwt"


@one_facade
def test_an_app_of_a_server_without_an_issuer_belongs_to_where_its_tokens_come_from(new: Any) -> None:
    core, server = new.raw._core, new.server
    fields = {"issuer": "", "token_url": server.metadata["token_endpoint"]}
    there = replace(core.credential("new"), registration_url=server.metadata["registration_endpoint"], **fields)
    registering.register(core.world, core.env, there, (CALLBACK,))
    assert registered(core.store, core.sealer, core.env, there) is not None
    elsewhere = replace(there, token_url="https://evil.example/token")
    assert registered(core.store, core.sealer, core.env, elsewhere) is None
