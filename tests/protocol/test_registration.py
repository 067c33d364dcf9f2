"""Apps that register themselves: what is asked for, what comes back, and what is sent to change it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from valetkey import ConfigurationError, Wiring
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.settings import from_declaration, to_declaration
from valetkey.protocol.client_document import client_document
from valetkey.protocol.metadata import Metadata
from valetkey.protocol.registration import (
    Registration,
    RegistrationRefused,
    client_metadata,
    covers,
    management_request,
    method_to_register,
    parse_deleted,
    parse_registration,
    registration_request,
    update_body,
)
from valetkey.values import Response, Secret

conformance = pytest.mark.conformance
NOTES = OAuth2Credential(name="notes", registration_url="https://as.example/reg", scopes=("a", "b"))
LOCAL = "http://127.0.0.1:8421/callback/notes"
PUBLIC = "https://app.example.com/callback/notes"
KNOWN = Registration(
    client_id="id-1",
    client_secret=Secret("old-secret"),
    client_auth="client_secret_basic",
    management_url="https://as.example/reg/id-1",
    token=Secret("old-token"),
    metadata={"redirect_uris": [LOCAL], "scope": "a"},
)


def answer(status: int = 201, **members: Any) -> Response:
    return Response(status=status, body=json.dumps(members).encode())


def parsed(response: Response, known: Registration | None = None) -> Registration:
    found = parse_registration(response, asked={"scope": "a b"}, server="https://as.example", known=known)
    assert isinstance(found, Registration)
    return found


def refused(response: Response, known: Registration | None = None) -> RegistrationRefused:
    found = parse_registration(response, asked={}, server="https://as.example", known=known)
    assert isinstance(found, RegistrationRefused)
    return found


def test_lists_and_objects_are_said_as_they_were_declared() -> None:
    own, other = {"kty": "EC", "kid": "ours"}, {"kty": "RSA", "kid": "theirs", "use": "enc"}
    declared = {
        "contacts": ["ops@example.com"],
        "jwks": {"keys": [other]},
        "tls_client_certificate_bound_access_tokens": False,
        "default_max_age": 300,
    }
    wiring = Wiring()
    notes = wiring.oauth2_credential(
        "notes", issuer="https://as.example", registration="dynamic", client_metadata=declared
    )

    asked = client_metadata(notes, redirect_uris=[LOCAL], method="private_key_jwt", jwk=own)
    assert asked["jwks"] == {"keys": [own, other]}
    assert client_metadata(notes, redirect_uris=[LOCAL], method="none")["jwks"] == declared["jwks"]
    sent = json.loads(registration_request(replace(notes, registration_url="https://as.example/r"), asked).body)
    assert (sent["contacts"], sent["default_max_age"]) == (["ops@example.com"], 300)
    again = from_declaration("notes", json.loads(json.dumps(to_declaration(notes))))
    assert again == notes
    with pytest.raises(TypeError):
        notes.client_metadata["contacts"] = []  # type: ignore[index]


@conformance("1 metadata: registration")
def test_what_is_asked_for_follows_from_the_declaration() -> None:
    asked = client_metadata(NOTES, redirect_uris=[LOCAL], method="none")
    assert asked == {
        "client_name": "valetkey",
        "redirect_uris": [LOCAL],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "a b",
    }
    assert client_metadata(NOTES, redirect_uris=[PUBLIC], method="none")["application_type"] == "web"
    service = replace(NOTES, grant="client_credentials", sender_constraint="dpop", client_metadata={"client_name": "N"})
    asked = client_metadata(service, redirect_uris=[], method="private_key_jwt", jwk={"kty": "EC"})
    assert (asked["grant_types"], asked["response_types"]) == (["client_credentials"], [])
    assert (asked["client_name"], asked["jwks"], asked["dpop_bound_access_tokens"]) == (
        "N",
        {"keys": [{"kty": "EC"}]},
        True,
    )
    request = registration_request(NOTES, asked)
    assert (request.method, request.url, json.loads(request.body)) == ("POST", NOTES.registration_url, asked)
    assert "Authorization" not in request.headers


URN = "urn:ietf:params:oauth:grant-type:"
SERVER = Metadata(
    issuer="https://as.example",
    document="d",
    id_token_algs=("RS256", "ES256", "PS256"),
    answer_algs=("RS256", "ES256"),
)


@conformance("1 metadata: registration", "1 CIBA: registration and hints")
def test_each_grant_is_asked_for_by_its_own_name() -> None:
    def asked(redirect_uris: list[str], **fields: Any) -> list[str]:
        made = client_metadata(replace(NOTES, **fields), redirect_uris=redirect_uris, method="private_key_jwt")
        return list(made["grant_types"])

    for grant, name in {
        "jwt_bearer": f"{URN}jwt-bearer",
        "saml2_bearer": f"{URN}saml2-bearer",
        "token_exchange": f"{URN}token-exchange",
        "client_credentials": "client_credentials",
    }.items():
        assert asked([], grant=grant) == [name]
    poll = {"backchannel_token_delivery_mode": "poll"}
    assert asked([LOCAL], device_authorization_url="https://as.example/d", client_metadata=poll) == [
        "authorization_code",
        f"{URN}device_code",
        "urn:openid:params:grant-type:ciba",
        "refresh_token",
    ]


@conformance("1 metadata: registration", "1 FAPI 2.0: algorithms")
def test_what_signs_is_registered_where_it_is_not_left_open() -> None:
    def asked(**fields: Any) -> dict[str, Any]:
        wants = replace(NOTES, scopes=("openid",), client_auth="private_key_jwt", response_mode="jwt", **fields)
        jwk = {"kty": "EC", "alg": "ES256"}
        return client_metadata(wants, redirect_uris=[LOCAL], method="private_key_jwt", jwk=jwk, server=SERVER)

    plain = asked()
    assert plain["token_endpoint_auth_signing_alg"] == "ES256"
    of_server = {"id_token_signed_response_alg", "authorization_signed_response_alg", "request_object_signing_alg"}
    assert not of_server & set(plain), "left to the server"
    fapi2 = asked(security_profile="fapi2", request_object=True, require_par=True, sender_constraint="mtls")
    assert (fapi2["id_token_signed_response_alg"], fapi2["authorization_signed_response_alg"]) == ("PS256", "ES256")
    assert fapi2["request_object_signing_alg"] == "ES256"
    assert fapi2["require_pushed_authorization_requests"] is True
    assert fapi2["tls_client_certificate_bound_access_tokens"] is True
    assert asked(id_token_algs=("ES256",))["id_token_signed_response_alg"] == "ES256"
    own = asked(security_profile="fapi2", client_metadata={"id_token_signed_response_alg": "EdDSA"})
    assert own["id_token_signed_response_alg"] == "EdDSA", "the program's own word goes first"


@conformance("1 metadata: registration")
def test_an_app_that_is_to_have_a_secret_gets_one_or_is_not_registered() -> None:
    for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt"):
        found = refused(answer(client_id="id-1", token_endpoint_auth_method=method))
        assert (found.kind, "names no client_secret" in found.what) == ("invalid", True)
        assert parsed(answer(200, client_id="id-1", token_endpoint_auth_method=method), KNOWN).client_secret
    assert parsed(answer(client_id="id-1", token_endpoint_auth_method="none")).client_secret is None


def test_an_app_proves_itself_as_declared_or_as_simply_as_it_may() -> None:
    assert method_to_register(NOTES, ()) == "client_secret_basic"
    assert method_to_register(NOTES, ("none", "client_secret_basic")) == "client_secret_basic"
    assert method_to_register(NOTES, ("private_key_jwt", "none")) == "none"
    assert method_to_register(NOTES, ("tls_client_auth",)) == "client_secret_basic"


@conformance("0 7", "1 metadata: registration")
@pytest.mark.parametrize("status", [200, 201])
def test_what_the_server_returned_counts(status: int) -> None:
    found = parsed(
        answer(status, client_id="id-1", client_secret="s", scope="a", client_secret_expires_at=1_900_000_000)
    )
    assert found.metadata["scope"] == "a"
    assert found.secret_ends_at == 1_900_000_000
    assert parsed(answer(client_id="id-1")).metadata["scope"] == "a b", "what it does not name is as asked"
    assert parsed(answer(client_id="id-1", client_secret="s", client_secret_expires_at=0)).secret_ends_at is None
    assert "s" not in repr(found.client_secret)


@conformance("1 metadata: management", "1 metadata: registration secrets")
def test_a_new_secret_or_token_in_any_answer_takes_the_place_of_the_old() -> None:
    same = parsed(answer(200, client_id="id-1"), KNOWN)
    assert (same.client_secret, same.token, same.management_url) == (
        KNOWN.client_secret,
        KNOWN.token,
        KNOWN.management_url,
    )
    new = parsed(answer(200, client_id="id-1", client_secret="new", registration_access_token="t2"), KNOWN)
    assert (new.client_secret, new.token) == (Secret("new"), Secret("t2"))
    assert not {"client_secret", "registration_access_token"} & set(new.metadata)


@conformance("1 metadata: management")
def test_an_update_holds_all_but_what_must_not_be_sent_back() -> None:
    known = replace(KNOWN, metadata={**KNOWN.metadata, "client_id_issued_at": 1, "client_name": "N"})
    assert update_body(known) == {
        "redirect_uris": [LOCAL],
        "scope": "a",
        "client_name": "N",
        "client_id": "id-1",
        "client_secret": "old-secret",
    }
    request = management_request("PUT", known, name="notes")
    assert request.headers["Authorization"] == "Bearer old-token"
    assert json.loads(request.body) == update_body(known)
    assert management_request("GET", known, name="notes").body == b""
    with pytest.raises(ConfigurationError) as caught:
        management_request("GET", replace(known, token=None), name="notes")
    assert caught.value.code == "url_missing"


@conformance("1 metadata: management")
@pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(answer(401, error="invalid_token"), "gone", id="gone"),
        pytest.param(answer(403), "forbidden", id="not allowed"),
        pytest.param(answer(405), "forbidden", id="not offered"),
        pytest.param(answer(400, error="invalid_redirect_uri", error_description="no"), "invalid", id="refused"),
        pytest.param(answer(503), "transient", id="down"),
        pytest.param(answer(429), "transient", id="busy"),
        pytest.param(answer(200, error="invalid_client_metadata"), "invalid", id="an error with 200"),
        pytest.param(answer(201), "invalid", id="no client id"),
        pytest.param(answer(201, client_id=7), "invalid", id="a number"),
        pytest.param(answer(201, client_id="a\nb"), "invalid", id="a line break"),
        pytest.param(Response(status=307, headers={"location": "https://evil.example"}), "invalid", id="a redirect"),
        pytest.param(Response(status=200, body=b"<html>"), "invalid", id="HTML"),
        pytest.param(
            answer(201, client_id="a", registration_client_uri="http://10.0.0.1/reg"), "invalid", id="an address inside"
        ),
    ],
)
def test_answers_that_are_no_registration(response: Response, kind: str) -> None:
    found = refused(response)
    assert found.kind == kind
    assert found.what


def test_an_answer_about_another_client_is_not_taken() -> None:
    assert refused(answer(200, client_id="id-2"), KNOWN).what == "its answer is about another client"


def test_deleted_is_204() -> None:
    assert parse_deleted(Response(status=204)) is None
    found = parse_deleted(answer(403))
    assert found is not None
    assert found.kind == "forbidden"


@pytest.mark.parametrize(
    ("registered", "wanted", "any_port", "good"),
    [
        (LOCAL, LOCAL, False, True),
        (LOCAL, "http://127.0.0.1:9/callback/notes", True, True),
        (LOCAL, "http://127.0.0.1:9/callback/notes", False, False),
        (LOCAL, "http://127.0.0.1:8421/callback/other", True, False),
        (LOCAL, "http://localhost:8421/callback/notes", True, False),
        (PUBLIC, "https://app.example.com:8443/callback/notes", True, False),
    ],
)
def test_a_port_may_differ_on_this_machine_only(registered: str, wanted: str, any_port: bool, good: bool) -> None:
    assert covers((registered,), wanted, any_port=any_port) is good


@conformance("1 metadata: client id document")
def test_a_document_names_its_own_address_and_no_secret() -> None:
    url = "https://app.example.com/oauth/clients/notes.json"
    said = client_document(NOTES, url, redirect_uris=[PUBLIC])
    assert (said["client_id"], said["token_endpoint_auth_method"]) == (url, "none")
    assert said["redirect_uris"] == [PUBLIC]
    assert "client_secret" not in said
