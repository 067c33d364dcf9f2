"""What exactly was granted (RFC 9396), and what the server says of a token (RFC 7662): over both facades."""

from __future__ import annotations

import json
from typing import Any

import pytest

from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    NotConnected,
    ProviderProtocolError,
    ProviderUnavailable,
)
from valetkey.testing.provider import OMIT

conformance = pytest.mark.conformance
JSON = {"Content-Type": "application/json"}
HOUR = 3600
ASKED = [{"type": "payment_initiation", "actions": ["initiate", "status"]}]
GIVEN = [{"type": "payment_initiation", "actions": ["status"], "iban": "DE\u001b[31m"}]


def details(face: Any) -> Any:
    return json.loads(face.client().status().params.get("authorization_details", "null"))


@conformance("1 RAR: granted details", "1 RAR: authorization_details")
def test_what_was_granted_is_kept_over_refreshes_and_shown(face: Any) -> None:
    practice = face.practice
    practice.provider.change_answer(1, authorization_details=GIVEN)
    practice.connect("notes")
    assert details(face) == GIVEN  # enriched and less, but not what was asked for

    practice.clock.advance(HOUR + 1)
    face.client().get_access_token()
    assert details(face) == GIVEN
    kept = json.loads(face.raw.secrets.get("notes-oauth-token"))
    assert json.loads(kept["authorization_details"]) == GIVEN

    practice.provider.change_answer(1, authorization_details=ASKED)
    face.client().refresh()
    assert details(face) == ASKED
    for nonsense in ([{"kind": "x"}], "no json", {"type": "x"}, [{"type": "x", "more": "x" * 20_000}], 7):
        practice.provider.change_answer(1, authorization_details=nonsense)
        face.client().refresh()
        assert details(face) == ASKED


@conformance("1 revocation: introspection")
def test_the_server_says_what_a_token_is(face: Any) -> None:
    practice = face.practice
    practice.declare("notes2", introspection_url=f"{practice.provider.issuer}/introspect")
    practice.connect("notes2")
    client = face.client("notes2")

    said = client.introspect()

    assert (said.active, said.scope, said.client_id) == (True, ("notes.read", "notes.write"), "practice-app")
    assert said.expires_at == int(client.status().expires_at)
    practice.provider.expire_access_tokens()
    practice.provider.change_answer(1, endpoint="introspection", scope="admin", sub="eve")
    dead = client.introspect()
    assert (dead.active, dead.scope, dead.subject, dict(dead.claims)) == (False, (), "", {})
    practice.clock.advance(HOUR + 1)
    assert client.introspect().active  # it was refreshed first


def test_the_api_says_whether_it_takes_the_token(face: Any) -> None:
    practice = face.practice
    practice.connect("notes")
    client = face.client()

    took = client.verify()
    assert (took.ok, took.possible, took.status, took.identity.email) == (True, True, 200, "ada@example.com")
    practice.clock.advance(HOUR + 1)
    assert client.verify().ok, "it is refreshed first, as for any call"

    token = client.get_access_token().reveal()
    practice.provider.expire_access_tokens()
    refused = client.verify()
    assert (refused.ok, refused.status, refused.identity) == (False, 401, None)
    assert client.get_access_token().reveal() == token, "and nothing is done about it"
    client.disconnect()
    with pytest.raises(NotConnected):
        client.verify()


@conformance("1 revocation: introspection")
def test_what_is_no_answer_about_a_token_is_not_believed(face: Any) -> None:
    practice = face.practice
    practice.connect("notes")
    with pytest.raises(ConfigurationError) as caught:
        face.client().introspect()
    assert caught.value.code == "introspection_missing"
    practice.declare("notes2", introspection_url=f"{practice.provider.issuer}/introspect")
    practice.connect("notes2")
    client = face.client("notes2")
    for active in ("true", 1, OMIT):
        practice.provider.change_answer(1, endpoint="introspection", active=active)
        with pytest.raises(ProviderProtocolError):
            client.introspect()
    practice.provider.fail_next(status=503, endpoint="introspection")
    with pytest.raises(ProviderUnavailable):
        client.introspect()
    practice.secrets.set("notes2-app-credentials", json.dumps({"client_id": "practice-app", "client_secret": "wrong"}))
    with pytest.raises(ClientRejected):
        client.introspect()
    assert client.status().state == "connected"


# -- signed answers (RFC 9701) -----------------------------------------------------------------------------------------


@pytest.fixture
def signing(face: Any) -> Any:
    """A connection whose server is asked for signed answers."""
    issuer = face.practice.provider.issuer
    face.practice.declare(
        "notes2", introspection_url=f"{issuer}/introspect", issuer=issuer, jwks_url=f"{issuer}/jwks",
        signed_introspection=True,
    )  # fmt: skip
    face.practice.connect("notes2")
    return face


@conformance("1 revocation: signed introspection")
def test_a_signed_answer_says_what_a_token_is(signing: Any) -> None:
    client, provider = signing.client("notes2"), signing.practice.provider

    said = client.introspect()

    assert (said.active, said.scope, said.client_id) == (True, ("notes.read", "notes.write"), "practice-app")
    assert said.issuer == provider.issuer
    provider.keys.rotate()
    signing.practice.clock.advance(61)
    assert client.introspect().active, "keys that are new are fetched once more"
    provider.expire_access_tokens()
    assert (client.introspect().active, client.introspect().scope) == (False, ())


@conformance("1 revocation: signed introspection")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://evil.example"}, id="of another server"),
        pytest.param({"iss": OMIT}, id="of no server"),
        pytest.param({"aud": "other-app"}, id="for another app"),
        pytest.param({"aud": ["practice-app", "other-app"]}, id="for others too"),
        pytest.param({"typ": "JWT"}, id="of another type"),
        pytest.param({"typ": "at+jwt"}, id="an access token"),
        pytest.param({"iat": OMIT}, id="without its time"),
        pytest.param({"token_introspection": OMIT}, id="without an answer"),
        pytest.param({"token_introspection": {"active": "true"}}, id="with an answer that is none"),
        pytest.param({"token_introspection": [True]}, id="with a list"),
    ],
)
def test_a_signed_answer_that_does_not_hold_is_not_used(signing: Any, claims: dict[str, Any]) -> None:
    provider = signing.practice.provider
    provider.change_answer(1, endpoint="signed_introspection", **claims)

    with pytest.raises(ProviderProtocolError) as caught:
        signing.client("notes2").introspect()

    assert caught.value.code == "introspection_invalid"
    assert signing.client("notes2").status().state == "connected"


@conformance("1 revocation: signed introspection")
def test_a_forged_and_an_unsigned_answer_are_refused(signing: Any) -> None:
    provider, client = signing.practice.provider, signing.client("notes2")
    provider.keys.forged = 2
    provider.fail_next(status=200, endpoint="introspection", body='{"active": true}', headers=JSON, times=1)

    with pytest.raises(ProviderProtocolError) as unsigned:
        client.introspect()
    with pytest.raises(ProviderProtocolError) as forged:
        client.introspect()

    assert (unsigned.value.code, forged.value.code) == ("introspection_unsigned", "introspection_invalid")
