"""Tokens for assertions: the app signs them itself (RFC 7523), or passes on what others made (RFC 7522)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey.engine.connect import connect_app
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.proving import Prover
from valetkey.errors import ClientRejected, ConfigurationError, ProviderError, ValetkeyError
from valetkey.model.credentials import AppCredentials
from valetkey.protocol.signing import generate_key, read_key
from valetkey.values import Request, Secret

conformance = pytest.mark.conformance
HOUR = 3600
KEY = generate_key()
PUBLIC = read_key(KEY, what="key", name="robot").public
ROBOT = "robot@project.example"


@pytest.fixture
def robot(stage: Any) -> Any:
    """A service account that the provider trusts; its tokens are asked for with assertions that it signs."""
    stage.provider.trust(ROBOT, PUBLIC)
    stage.apps = AppCredentials(client_id=ROBOT, private_key=KEY, key_id="key-7")
    stage.declare("robot", grant="jwt_bearer", client_auth="none", scopes=("notes.read",))
    object.__setattr__(stage.world, "endpoint", Prover(stage.wire, stage.clock))
    return stage


def forms(stage: Any) -> list[dict[str, str]]:
    return [{name: text[0] for name, text in parse_qs(one.body.decode()).items()} for one in stage.wire.sent]


def part(form: dict[str, str], number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(form["assertion"].split(".")[number] + "=="))
    return found


@conformance("1 assertions: JWT request", "1 assertions: JWT claims")
def test_a_token_is_got_at_its_first_use_for_an_assertion_that_the_app_signs(robot: Any) -> None:
    held = obtain(robot.world, robot.key("robot"))

    (form,) = forms(robot)
    token_url = robot.credentials["robot"].token_url
    now = int(robot.clock.now())
    assert set(form) == {"grant_type", "assertion", "scope"}  # no client_id: nothing here needs it
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert "Authorization" not in robot.wire.sent[0].headers
    claims = part(form, 1)
    assert len(claims.pop("jti")) > 16
    assert claims == {"iss": ROBOT, "sub": ROBOT, "aud": token_url, "iat": now, "exp": now + 60}
    assert part(form, 0) == {"alg": "ES256", "typ": "JWT", "kid": "key-7"}
    assert (held.record.state, held.grant.refresh_token, held.record.granted) == ("connected", None, ("notes.read",))


@conformance("1 assertions: no refresh token")
def test_what_has_ended_costs_one_request_with_a_new_assertion_and_no_person(robot: Any) -> None:
    first = obtain(robot.world, robot.key("robot"))
    robot.clock.advance(HOUR + 1)

    second = obtain(robot.world, robot.key("robot"))

    one, other = forms(robot)
    assert one["assertion"] != other["assertion"]
    assert first.grant.access_token != second.grant.access_token
    assert second.record.state == "connected"


def test_whom_it_speaks_for_is_declared_or_stands_in_the_connection(robot: Any) -> None:
    robot.change("robot", assertion_subject="{owner}", grant_audience="issuer", issuer=robot.provider.issuer)

    held = obtain(robot.world, robot.key("robot", owner="ada"))

    claims = part(forms(robot)[0], 1)
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("ada", ROBOT, robot.provider.issuer)
    assert held.record.key.owner == "ada"
    with pytest.raises(ConfigurationError) as caught:
        obtain(robot.world, robot.key("robot"))
    assert caught.value.code == "assertion_subject_missing"
    assert len(robot.wire.sent) == 1


def test_scopes_may_stand_in_the_assertion_instead(robot: Any) -> None:
    robot.change("robot", assertion_claims={"scope": "{scope}", "box_sub_type": "enterprise"})

    held = obtain(robot.world, robot.key("robot"))

    (form,) = forms(robot)
    claims = part(form, 1)
    assert "scope" not in form
    assert (claims["scope"], claims["box_sub_type"]) == ("notes.read", "enterprise")
    assert held.record.granted == ("notes.read",)


@conformance("1 assertions: invalid_grant and invalid_client", "2 M:wif-jwt-bearer")
def test_a_refused_assertion_is_neither_the_apps_fault_nor_a_persons(robot: Any) -> None:
    robot.provider.trust(ROBOT, read_key(generate_key(), what="key", name="x").public)

    with pytest.raises(ProviderError) as caught:
        connect_app(robot.world, robot.credentials["robot"], robot.key("robot"), scopes=())

    assert (caught.value.code, caught.value.error) == ("assertion_refused", "invalid_grant")
    assert "clock" in caught.value.hint
    assert len(robot.wire.sent) == 1  # no blind retry
    robot.provider.trust(ROBOT, PUBLIC)
    obtain(robot.world, robot.key("robot"))
    robot.clock.advance(HOUR + 1)
    robot.provider.trust(ROBOT, read_key(generate_key(), what="key", name="x").public)
    with pytest.raises(ProviderError) as caught:
        obtain(robot.world, robot.key("robot"))
    assert caught.value.code == "assertion_refused"
    record = robot.record(robot.key("robot"))
    assert (record.state, record.error) == ("refresh_failing", "invalid_grant")
    robot.provider.trust(ROBOT, PUBLIC)
    robot.clock.advance(HOUR)
    assert obtain(robot.world, robot.key("robot")).record.state == "connected"


@conformance("1 assertions: invalid_grant and invalid_client")
def test_an_app_that_also_proves_itself_is_told_apart_from_its_assertion(robot: Any) -> None:
    robot.apps = replace(robot.apps, client_id="practice-app", client_secret=Secret("wrong"))
    robot.change("robot", client_auth="client_secret_basic", assertion_claims={"iss": ROBOT})

    with pytest.raises(ClientRejected) as caught:
        obtain(robot.world, robot.key("robot"))

    assert caught.value.error == "invalid_client"
    assert part(forms(robot)[0], 1)["iss"] == ROBOT


@conformance("1 assertions: invalid_grant and invalid_client")
def test_a_clock_that_is_wrong_is_learnt_from_the_refusal(robot: Any) -> None:
    """The server's clock stands; ours is ten minutes ahead, so that its assertions come from the future."""
    ours = type(robot.clock)(now=robot.clock.now() + 600)
    object.__setattr__(robot.world, "endpoint", Prover(robot.wire, ours))

    obtain(robot.world, robot.key("robot"))

    early, right = (part(form, 1)["iat"] for form in forms(robot))
    assert (early - right, right) == (600, int(robot.clock.now()))


def test_an_app_without_its_key_sends_nothing(robot: Any) -> None:
    robot.apps = AppCredentials(client_id=ROBOT)

    with pytest.raises(ConfigurationError) as caught:
        obtain(robot.world, robot.key("robot"))

    assert (caught.value.code, robot.wire.sent) == ("private_key_missing", [])


# -- assertions of others --------------------------------------------------------------------------------------------


def saml(stage: Any, life: float = 300) -> str:
    end = datetime.fromtimestamp(stage.clock.now() + life, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><saml:Subject>'
        f'<saml:NameID>ada</saml:NameID></saml:Subject><saml:Conditions NotOnOrAfter="{end}">'
        "<saml:AudienceRestriction><saml:Audience>"
        f"{stage.provider.issuer}</saml:Audience></saml:AudienceRestriction></saml:Conditions></saml:Assertion>"
    )


@pytest.fixture
def given(stage: Any) -> Callable[..., None]:
    """A credential whose assertions somebody else makes, and what they are."""
    stage.declare("hr", grant="saml2_bearer", client_auth="none", assertion_secret_id="hr-assertion", scopes=())

    def give(text: str, **fields: Any) -> None:
        stage.change("hr", **fields)
        object.__setattr__(stage.world, "assertion", lambda *_: Secret(text))

    return give


@conformance("1 assertions: SAML request")
def test_a_saml_assertion_goes_out_in_base64url_without_padding(stage: Any, given: Callable[..., None]) -> None:
    text = saml(stage) + "  "
    given("\n".join(base64.encodebytes(text.encode()).decode().split()))

    held = obtain(stage.world, stage.key("hr"))

    (form,) = forms(stage)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:saml2-bearer"
    assert base64.urlsafe_b64decode(form["assertion"] + "==").decode().strip() == text.strip()
    assert not set("=+/\n") & set(form["assertion"])
    assert held.grant.refresh_token is None


@conformance("1 assertions: SAML content")
def test_an_assertion_that_has_ended_or_is_none_is_not_sent(stage: Any, given: Callable[..., None]) -> None:
    ended = ".".join([base64.urlsafe_b64encode(b'{"exp": 1000000000}').decode().rstrip("=")] * 2) + ".sig"
    for text, grant, code in (
        (saml(stage, -1), "saml2_bearer", "assertion_expired"),
        ("<samlp:Response/>", "saml2_bearer", "assertion_invalid"),
        ("***", "saml2_bearer", "assertion_invalid"),
        (ended, "jwt_bearer", "assertion_expired"),
        ("no.jwt", "jwt_bearer", "assertion_invalid"),
    ):
        given(text, grant=grant)
        with pytest.raises(ConfigurationError) as caught:
            obtain(stage.world, stage.key("hr"))
        assert caught.value.code == code
        assert text not in str(caught.value) + caught.value.hint
    assert stage.wire.sent == []


def test_a_jwt_that_somebody_else_signed_is_passed_on(robot: Any, given: Callable[..., None]) -> None:
    signed: list[Request] = []
    robot.wire.before = signed.append
    obtain(robot.world, robot.key("robot"))
    key = read_key(KEY, what="key", name="robot")
    now = int(robot.clock.now())
    claims = {"iss": ROBOT, "sub": "ada", "aud": robot.provider.issuer, "exp": now + 60, "jti": "1"}
    text = key.sign({"typ": "JWT"}, claims)
    given(text, grant="jwt_bearer")

    assert obtain(robot.world, robot.key("hr"), Want()).record.state == "connected"

    assert forms(robot)[-1]["assertion"] == text


def test_nobody_who_gives_assertions_is_an_error_that_says_so(stage: Any) -> None:
    stage.declare("hr", grant="saml2_bearer", client_auth="none", assertion_secret_id="hr-assertion")

    with pytest.raises(ValetkeyError) as caught:
        obtain(stage.world, stage.key("hr"))

    assert (caught.value.code, "hr-assertion" in caught.value.hint) == ("assertion_missing", True)
