from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk

from valetkey.model.connections import Identity
from valetkey.model.credentials import ASYMMETRIC
from valetkey.protocol.id_token import Expected, claims_of, identity_of, left_half, moved, parse_id_token
from valetkey.protocol.signatures import TokenFlaw
from valetkey.values import Secret

conformance = pytest.mark.conformance
ISSUER = "https://auth.example.com"
NOW = 1_800_000_000.0
ACCESS = Secret("an-access-token")
CODE = Secret("a-code")
EXPECTED = Expected(
    issuer=ISSUER,
    client_id="app",
    algs=ASYMMETRIC,
    nonce="n-1",
    access_token=ACCESS,
    code=CODE,
    secret=Secret("s" * 40),
)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": "app",
    "exp": NOW + 600,
    "iat": NOW - 1,
    "nonce": "n-1",
    "email": "ada@example.com",
}
GONE = object()


def claims(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not GONE}


def look(mint: Any, token: Secret, keys: Any = None, **expected: Any) -> str:
    """Return what is wrong with a token, in a word; empty where it holds."""
    known = mint.keys() if keys is None else keys
    found = parse_id_token(token, keys=known, expected=replace(EXPECTED, **expected), now=NOW)
    if isinstance(found, TokenFlaw):
        assert not token or token.reveal() not in found.what
        return found.fault
    assert found["sub"] == "user-1"
    return ""


@conformance("1 openid: claims", "2 F:invalid-iss", "2 F:invalid-aud", "2 F:valid-aud-as-array")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, "", id="all in order"),
        pytest.param({"iss": "https://evil.example"}, "iss", id="another issuer"),
        pytest.param({"iss": f"{ISSUER}/"}, "iss", id="an issuer with a slash more"),
        pytest.param({"iss": GONE}, "iss", id="no issuer"),
        pytest.param({"aud": ["app"]}, "", id="one audience in a list"),
        pytest.param({"aud": "other"}, "aud", id="another audience"),
        pytest.param({"aud": GONE}, "aud", id="no audience"),
        pytest.param({"aud": ["app", "other"]}, "aud", id="a second audience that nobody trusts"),
        pytest.param({"aud": ["app", "other"], "azp": "app"}, "aud", id="which azp does not heal"),
        pytest.param({"aud": ["app", 7]}, "aud", id="an audience that is a number"),
        pytest.param({"azp": "other"}, "azp", id="given to another app"),
        pytest.param({"azp": "app"}, "", id="given to this app"),
        pytest.param({"sub": GONE}, "sub", id="no subject"),
        pytest.param({"sub": 7}, "sub", id="a subject that is a number"),
        pytest.param({"sub": "x" * 256}, "sub", id="an endless subject"),
        pytest.param({"exp": NOW - 301}, "exp", id="ended five minutes ago"),
        pytest.param({"exp": NOW - 59}, "", id="ended within the leeway"),
        pytest.param({"exp": NOW - 60}, "exp", id="ended at the end of the leeway"),
        pytest.param({"exp": GONE}, "exp", id="no end"),
        pytest.param({"exp": str(NOW + 600)}, "exp", id="an end that is a text"),
        pytest.param({"exp": True}, "exp", id="an end that is a truth"),
        pytest.param({"exp": (NOW + 600) * 1000}, "exp", id="an end in milliseconds"),
        pytest.param({"iat": GONE}, "iat", id="made at no time"),
        pytest.param({"iat": NOW + 59}, "", id="made within the leeway"),
        pytest.param({"iat": NOW + 120}, "iat", id="made in the future"),
        pytest.param({"iat": NOW - 7 * 86400}, "iat", id="made a week ago"),
        pytest.param({"nonce": "n-2"}, "nonce", id="another nonce"),
        pytest.param({"nonce": GONE}, "nonce", id="no nonce"),
        pytest.param({"nonce": ["n-1"]}, "nonce", id="a nonce in a list"),
    ],
)
def test_every_claim_has_to_hold(mint: Any, changes: dict[str, Any], fault: str) -> None:
    assert look(mint, mint.token(claims(**changes))) == fault


def test_another_audience_may_be_trusted(mint: Any) -> None:
    assert look(mint, mint.token(claims(aud=["app", "api"])), audiences=("api",)) == ""


def test_without_a_nonce_sent_none_is_wanted(mint: Any) -> None:
    assert look(mint, mint.token(claims(nonce=GONE)), nonce="") == ""


@conformance("1 openid: hashes", "2 O:invalid-athash", "2 O:invalid-chash")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"at_hash": left_half(ACCESS, "ES256"), "c_hash": left_half(CODE, "ES256")}, "", id="both fit"),
        pytest.param({"at_hash": left_half(Secret("x"), "ES256")}, "at_hash", id="another access token"),
        pytest.param({"at_hash": 7}, "at_hash", id="a number"),
        pytest.param({"c_hash": left_half(Secret("x"), "ES256")}, "c_hash", id="another code"),
    ],
)
def test_it_belongs_to_the_tokens_beside_it(mint: Any, changes: dict[str, Any], fault: str) -> None:
    assert look(mint, mint.token(claims(**changes))) == fault


def test_the_hash_is_that_of_the_specification() -> None:
    """From OpenID Connect Core, appendix A.3."""
    assert left_half(Secret("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


@conformance("1 openid: max_age and acr")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"auth_time": NOW - 100, "acr": "gold"}, "", id="fresh and strong"),
        pytest.param({"auth_time": NOW - 1000, "acr": "gold"}, "auth_time", id="an old sign-in"),
        pytest.param({"acr": "gold"}, "auth_time", id="no time of the sign-in"),
        pytest.param({"auth_time": NOW - 100}, "acr", id="no word of its strength"),
    ],
)
def test_a_sign_in_that_was_asked_to_be_fresh_and_strong_is(mint: Any, changes: dict[str, Any], fault: str) -> None:
    assert look(mint, mint.token(claims(**changes)), max_age=300.0, acr_values=("gold",)) == fault


@conformance("1 openid: signature", "2 F:invalid-null-alg", "2 F:invalid-alternate-alg", "2 O:invalid-sig-es256")
def test_a_signature_has_to_be_one_of_ours_and_hold(mint: Any) -> None:
    good = mint.token(claims())
    head, body, signature = good.reveal().split(".")
    assert look(mint, good) == ""
    assert look(mint, mint.token(claims(), key=mint.rsa, alg="RS256")) == ""
    assert look(mint, mint.token(claims(), key=mint.rsa, alg="PS384")) == ""
    assert look(mint, mint.token(claims(), key=mint.ed, alg="EdDSA")) == ""
    assert look(mint, mint.token(claims(), key=mint.ed, alg="Ed25519")) == ""
    assert look(mint, mint.token(claims(), alg="none")) == "alg"
    assert look(mint, mint.token(claims(), alg="none"), algs=("none",)) == "alg"
    assert look(mint, mint.token(claims(), key=mint.rsa, alg="RS256"), algs=("ES256",)) == "alg"
    assert look(mint, Secret(f"{head}.{body}.{signature[:-8]}AAAAAAAA")) == "signature"
    assert look(mint, Secret(f"{head}.{body}.")) == "signature"
    other = mint.token(claims(sub="user-2")).reveal().split(".")[1]
    assert look(mint, Secret(f"{head}.{other}.{signature}")) == "signature"
    assert look(mint, mint.token(claims(), crit=["b64"], b64=True)) == "malformed"
    assert look(mint, mint.token(claims(), key=mint.other, kid="ec")) == "signature"
    forged = mint.token(claims(), key=mint.other, jwk=mint.other.as_dict(private=False))
    assert look(mint, forged) == "key", "a key that the token brings along is not looked at"


@conformance("1 openid: signature")
def test_a_client_secret_signs_only_where_that_is_declared_and_a_public_key_never(mint: Any) -> None:
    secret = jwk.OctKey.import_key("s" * 40)
    signed = mint.token(claims(), key=secret, alg="HS256", kid=None)
    assert look(mint, signed) == "alg"
    assert look(mint, signed, algs=("HS256",)) == ""
    assert look(mint, signed, algs=("HS256",), secret=None) == "key"
    assert look(mint, signed, algs=("HS256",), secret=Secret("t" * 40)) == "signature"
    public = jwk.OctKey.import_key(json.dumps(mint.ec.as_dict(private=False)))
    confused = mint.token(claims(), key=public, alg="HS256", kid="ec")
    assert look(mint, confused, algs=("ES256", "HS256")) == "signature"


@conformance("1 openid: key rotation", "2 O:kid-absent-single-jwks", "2 O:kid-absent-multiple-jwks")
def test_keys_are_chosen_by_their_id_else_by_what_they_can_do(mint: Any) -> None:
    nameless = mint.token(claims(), kid=None)
    assert look(mint, nameless, mint.keys(mint.ec)) == ""
    assert look(mint, nameless, mint.keys(mint.other, mint.ec)) == "", "all that fit are tried"
    assert look(mint, nameless, mint.keys(mint.rsa)) == "key"
    assert look(mint, mint.token(claims()), mint.keys(mint.other)) == "key"
    twins = mint.read([*mint.jwks(mint.rsa, kid="ec"), *mint.jwks(mint.ec)])
    assert look(mint, mint.token(claims()), twins) == "", "of two of one id the one of the right kind"
    for other in ({"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ES384"}):
        assert look(mint, mint.token(claims()), mint.read(mint.jwks(mint.ec, **other))) == "key"


def test_odd_and_weak_keys_are_passed_over(mint: Any) -> None:
    weak = {**mint.jwks(mint.rsa)[0], "n": "AQAB" * 20, "kid": "weak"}
    off_curve = {**mint.jwks(mint.ec)[0], "x": "AAAA"}
    odd: list[Any] = [
        weak,
        7,
        None,
        [],
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"kty": "EC", "crv": "P-1"},
    ]

    assert mint.read(odd) == ()
    assert look(mint, mint.token(claims()), mint.read([off_curve])) == "signature"
    assert len(mint.read(mint.jwks(mint.ec) * 200)) == 100


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        pytest.param("", "malformed", id="empty"),
        pytest.param("a.b", "malformed", id="two parts"),
        pytest.param("a.b.c.d.e", "encrypted", id="encrypted"),
        pytest.param("e30.W10.c2ln", "malformed", id="claims that are a list"),
        pytest.param("e30=.e30.c2ln", "malformed", id="padding"),
        pytest.param("eyJhIjoxLCJhIjoyfQ.e30.c2ln", "malformed", id="a member twice"),
        pytest.param("e30.e30.c2ln", "alg", id="no algorithm"),
        pytest.param("x" * 70_000, "malformed", id="endless"),
    ],
)
def test_what_is_no_token_is_told(mint: Any, token: str, fault: str) -> None:
    assert look(mint, Secret(token)) == fault


@conformance("1 openid: refreshed id_token", "2 O:refresh-token-invalid-issuer", "2 O:refresh-token-invalid-sub")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"iat": NOW + 500}, "", id="the same, later"),
        pytest.param({"nonce": GONE}, "", id="without nonce"),
        pytest.param({"aud": ["app"]}, "", id="the audience in a list"),
        pytest.param({"auth_time": GONE}, "", id="without the time of the sign-in"),
        pytest.param({"iss": "https://evil.example"}, "iss", id="another issuer"),
        pytest.param({"sub": "user-2"}, "sub", id="another subject"),
        pytest.param({"sub": GONE}, "sub", id="no subject"),
        pytest.param({"aud": "other"}, "aud", id="another audience"),
        pytest.param({"nonce": "n-2"}, "nonce", id="another nonce"),
        pytest.param({"auth_time": NOW}, "auth_time", id="another sign-in"),
    ],
)
def test_the_token_of_a_refresh_speaks_of_the_same_sign_in(mint: Any, changes: dict[str, Any], fault: str) -> None:
    before = claims(auth_time=NOW - 50)

    found = moved(before, mint.token({k: v for k, v in {**before, **changes}.items() if v is not GONE}))

    assert (found.fault if found else "") == fault
    assert moved(before, Secret("unreadable")) is None


def test_who_it_is_comes_from_the_claims(mint: Any) -> None:
    found = claims_of(mint.token(claims(name="Ada\x1b[31m", preferred_username=7)))

    assert found is not None
    assert identity_of(found) == Identity(subject="user-1", email="ada@example.com", name="Ada [31m")
    assert claims_of(None) is None


@pytest.mark.fuzz
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit"]), st.none() | st.text(max_size=9) | st.integers()
    ),
    body=st.dictionaries(
        st.sampled_from(sorted(CLAIMS)), st.none() | st.text(max_size=9) | st.floats() | st.lists(st.text())
    ),
    raw=st.none() | st.text(alphabet="abcXYZ09-_.=\u00e9", max_size=60),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_token_makes_it_crash(mint: Any, header: dict[str, Any], body: dict[str, Any], raw: str | None) -> None:
    made = mint.token(CLAIMS | body).reveal().split(".")
    head = mint.token({}, alg="none", **header).reveal().split(".")[0] if "alg" not in header else made[0]
    token = Secret(raw if raw is not None else f"{head}.{made[1]}.{made[2]}")

    found = parse_id_token(token, keys=mint.keys(mint.ec), expected=EXPECTED, now=NOW)

    assert isinstance(found, TokenFlaw) or found["iss"] == ISSUER
    moved(CLAIMS, token)
