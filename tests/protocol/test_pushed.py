"""Requests that are pushed (RFC 9126) or signed (RFC 9101), signed answers (JARM), and how a person is asked."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import AuthenticationRequest, ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.authorization import authorization_params, claimed_state, front_url
from valetkey.protocol.jarm import SignedAnswer, parse_signed_answer, state_in
from valetkey.protocol.keys import parse_keys
from valetkey.protocol.pushed import Pushed, by_reference, parse_pushed, pushed_request, request_object
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.signatures import TokenFlaw
from valetkey.protocol.signing import generate_key, read_key
from valetkey.values import Params, Response, Secret

NOW = 1_800_000_000.0
BANK = OAuth2Credential(
    name="bank",
    issuer="https://as.example",
    authorization_url="https://as.example/authorize?tenant=x",
    pushed_authorization_url="https://as.example/par",
    token_url="https://as.example/token",
    resources=("https://api.example/", "https://other.example/"),
)
APP = AppCredentials(client_id="app", client_secret=Secret("s"), private_key=generate_key())
KEY = read_key(APP.private_key or Secret(""), what="private_key", name="bank")
JWKS = Response(status=200, body=json.dumps({"keys": [KEY.public_jwk()]}).encode())


def params(credential: OAuth2Credential = BANK, **more: Any) -> Params:
    return authorization_params(
        credential,
        APP,
        redirect_uri="https://me.example/cb",
        state="st",
        challenge="ch",
        scopes=["a"],
        nonce=None,
        **more,
    )


@pytest.mark.conformance("1 resource: parameter")
def test_a_resource_stands_in_the_url_as_often_as_there_are_apis() -> None:
    asked = parse_qs(urlsplit(front_url(BANK, params())).query)
    assert asked["resource"] == ["https://api.example/", "https://other.example/"]
    assert asked["tenant"] == ["x"]
    assert "authorization_details" not in asked


@pytest.mark.conformance("1 RAR: authorization_details")
def test_what_a_sign_in_wants_goes_before_what_is_usual() -> None:
    usual = replace(
        BANK, additional_params={"prompt": "consent", "audience": "x"}, authorization_details='[{"type":"u"}]'
    )
    wants = AuthenticationRequest(
        prompt="login", max_age=0, acr_values=["gold", "silver"], claims={"userinfo": {"email": None}}
    )
    asked = params(usual, wants=wants)
    assert {name: asked[name] for name in ("prompt", "audience", "max_age", "acr_values")} == {
        "prompt": "login", "audience": "x", "max_age": "0", "acr_values": "gold silver",
    }  # fmt: skip
    assert asked["claims"] == '{"userinfo":{"email":null}}'
    assert asked["authorization_details"] == '[{"type":"u"}]'
    details = AuthenticationRequest(authorization_details=[{"type": "payment", "amount": 5}])
    assert params(usual, wants=details)["authorization_details"] == '[{"type":"payment","amount":5}]'


@pytest.mark.conformance("1 RAR: authorization_details")
@pytest.mark.parametrize(
    ("member", "fields"),
    [
        ("prompt", {"prompt": "now"}),
        ("prompt", {"prompt": "none login"}),
        ("max_age", {"max_age": -1}),
        ("max_age", {"max_age": True}),
        ("acr_values", {"acr_values": "gold"}),
        ("acr_values", {"acr_values": ["a b"]}),
        ("authorization_details", {"authorization_details": [{"amount": 1}]}),
        ("claims", {"claims": {"a": object()}}),
        ("claims", {"claims": {"a": "x" * 20_000}}),
    ],
    ids=range(9),
)
def test_what_means_nothing_is_refused_before_anything_is_sent(member: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=member) as caught:
        AuthenticationRequest(**fields)
    assert caught.value.code == "authentication_request_invalid"


@pytest.mark.conformance("1 keys: PAR")
def test_a_pushed_request_is_authenticated_and_only_its_reference_travels() -> None:
    request = pushed_request(BANK, APP, params())
    sent = parse_qs(request.body.decode())
    assert request.url == "https://as.example/par"
    assert request.headers["Authorization"].startswith("Basic ")
    assert sent["resource"] == ["https://api.example/", "https://other.example/"]
    assert (sent["state"], sent["response_type"]) == (["st"], ["code"])
    pushed = Pushed(request_uri="urn:x:1", expires_in=60)
    url = front_url(BANK, by_reference(params(), pushed))
    assert parse_qs(urlsplit(url).query) == {"tenant": ["x"], "client_id": ["app"], "request_uri": ["urn:x:1"]}


@pytest.mark.conformance("1 keys: PAR")
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, '{"request_uri": "urn:x", "expires_in": 60}', ""),
        (200, '{"request_uri": "urn:x"}', ""),
        (201, '{"request_uri": "a b"}', "doubt"),
        (201, '{"request_uri": 7}', "doubt"),
        (201, "[]", "doubt"),
        (400, '{"error": "invalid_request"}', "request"),
        (401, '{"error": "invalid_client"}', "client"),
        (413, "", "request"),
        (429, "", "transient"),
        (500, "", "doubt"),
    ],
    ids=range(10),
)
def test_the_answers_to_a_push(status: int, body: str, kind: str) -> None:
    got = parse_pushed(Response(status=status, body=body.encode()), credential=BANK, now=NOW)
    assert (got.kind if isinstance(got, Refusal) else "") == kind, got


def claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, body = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return head, body


@pytest.mark.conformance("1 keys: JAR")
def test_a_request_object_holds_everything_and_nothing_beside_it_counts() -> None:
    wants = AuthenticationRequest(max_age=9, claims={"userinfo": {"email": None}})
    made = request_object(BANK, APP, params(wants=wants), now=NOW)
    assert set(made) == {"client_id", "request"}
    head, inside = claims(made["request"])
    assert head == {"alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": KEY.kid}
    assert (inside["iss"], inside["aud"], inside["client_id"]) == ("app", "https://as.example", "app")
    assert (inside["exp"] - inside["nbf"], inside["max_age"]) == (300, 9)
    assert inside["claims"] == {"userinfo": {"email": None}}
    assert inside["resource"] == ["https://api.example/", "https://other.example/"]
    assert not {"sub", "request", "request_uri"} & set(inside)
    assert claims(request_object(BANK, APP, params(), now=NOW)["request"])[1]["jti"] != inside["jti"]


@pytest.mark.conformance("1 keys: JAR")
def test_what_is_all_digits_is_a_number_in_a_request_object_only_where_the_rfc_says_so() -> None:
    app = replace(APP, client_id="1234567")
    wants = AuthenticationRequest(max_age=0, login_hint="4930123")
    asked = {**params(wants=wants), "client_id": "1234567", "state": "٣", "scope": "1"}
    _, inside = claims(request_object(BANK, app, asked, now=NOW)["request"])
    assert (inside["client_id"], inside["login_hint"], inside["scope"]) == ("1234567", "4930123", "1")
    assert (inside["max_age"], inside["state"]) == (0, "٣")


def answer(alg: str = "", **changes: Any) -> Secret:
    said = {"iss": BANK.issuer, "aud": "app", "exp": NOW + 60, "code": "c", "state": "st", **changes}
    signed = KEY.sign({"kid": KEY.kid}, {name: value for name, value in said.items() if value is not None})
    if alg:
        head = base64.urlsafe_b64encode(json.dumps({"alg": alg}).encode()).decode().rstrip("=")
        signed = ".".join([head, signed.split(".")[1], ""])
    return Secret(signed)


@pytest.mark.conformance("1 keys: JARM")
@pytest.mark.parametrize(
    ("token", "fault"),
    [
        (answer(), ""),
        (answer(aud=["app"]), ""),
        (answer(error="access_denied", code=None), ""),
        (answer("none"), "alg"),
        (Secret(answer().reveal()[:-6] + "AAAAAA"), "signature"),
        (answer(exp=NOW - 61), "exp"),
        (answer(exp=None), "exp"),
        (answer(exp=True), "exp"),
        (answer(aud="somebody"), "aud"),
        (answer(aud=None), "aud"),
        (answer(iss="https://as.example/"), "iss"),
        (answer(iss=None), "iss"),
        (Secret("nothing"), "malformed"),
    ],
    ids=range(13),
)
def test_a_signed_answer_counts_only_as_a_whole(token: Secret, fault: str) -> None:
    keys = parse_keys(JWKS, url="https://as.example/jwks")
    assert isinstance(keys, tuple)
    expected = SignedAnswer(issuer="https://as.example", client_id="app", algs=("ES256", "PS256"))
    got = parse_signed_answer(token, keys=keys, expected=expected, secret=None, now=NOW)
    if fault:
        assert isinstance(got, TokenFlaw)
        assert got.fault == fault
    else:
        assert isinstance(got, dict)
        assert (got["state"], "aud" in got) == ("st", False)


def test_the_state_of_a_signed_answer_only_helps_to_find_who_signs() -> None:
    assert state_in(answer()) == claimed_state("", answer().reveal()) == "st"
    assert claimed_state("mine", answer().reveal()) == "mine"
    assert state_in(Secret("x.y.z")) == state_in(answer(state=7)) == ""
