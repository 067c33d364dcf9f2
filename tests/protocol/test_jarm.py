"""Signed answers, whatever is in them; and how much memory the largest answers of a server may take."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valetkey.errors import ConnectError
from valetkey.model.credentials import ASYMMETRIC, OAuth2Credential
from valetkey.protocol.authorization import callback_of, claimed_state, parse_callback
from valetkey.protocol.bearer import parse_challenges
from valetkey.protocol.id_token import Expected, parse_id_token
from valetkey.protocol.jarm import SignedAnswer, parse_signed_answer, state_in
from valetkey.protocol.keys import parse_keys
from valetkey.protocol.metadata import parse_metadata
from valetkey.protocol.signatures import TokenFlaw
from valetkey.protocol.token_response import Refusal, parse_token_response
from valetkey.values import Response, Secret

ISSUER = "https://auth.example.com"
NOW = 1_800_000_000.0
EXPECTED = SignedAnswer(issuer=ISSUER, client_id="app", algs=ASYMMETRIC)
ANSWER: dict[str, Any] = {"iss": ISSUER, "aud": "app", "exp": NOW + 600, "code": "c", "state": "s"}
NAMES = [*ANSWER, "error", "error_description", "response", "nbf", "sub"]
VALUES = st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.lists(st.text(max_size=9), max_size=3)


@pytest.mark.conformance("1 keys: JARM")
def test_what_is_signed_is_what_counts(mint: Any) -> None:
    found = parse_signed_answer(mint.token(ANSWER), keys=mint.keys(), expected=EXPECTED, secret=None, now=NOW)

    assert found == {"iss": ISSUER, "code": "c", "state": "s"}


@pytest.mark.fuzz
@given(
    claims=st.dictionaries(st.sampled_from(NAMES), VALUES),
    raw=st.none() | st.text(alphabet="abcXYZ09-_.=\u00e9", max_size=60),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_signed_answer_makes_it_crash(mint: Any, claims: dict[str, Any], raw: str | None) -> None:
    answer = mint.token({**ANSWER, **claims}) if raw is None else Secret(raw)

    found = parse_signed_answer(answer, keys=mint.keys(mint.ec), expected=EXPECTED, secret=None, now=NOW)

    assert len(state_in(answer)) <= 8192
    if isinstance(found, TokenFlaw):
        assert found.what.isprintable()
    else:
        assert found["iss"] == ISSUER
        params = callback_of(found)
        assert (params.error + params.description).isprintable()


# -- the largest there are ---------------------------------------------------------------------------------------------

MIB = 1 << 20
SITE = OAuth2Credential(name="site", authorization_url=f"{ISSUER}/a", token_url=f"{ISSUER}/t", issuer=ISSUER)


def _token(body: bytes) -> object:
    return parse_token_response(Response(status=200, body=body), credential=SITE, now=NOW)


def _metadata(body: bytes) -> object:
    return parse_metadata(Response(status=200, body=body), issuer=ISSUER, document=f"{ISSUER}/.well-known/x")


def _keys(body: bytes) -> object:
    return parse_keys(Response(status=200, body=body), url=f"{ISSUER}/keys")


def _callback(body: bytes) -> object:
    with suppress(ConnectError):
        return parse_callback("https://app.example/callback?" + body.decode())
    return None


def _signed(body: bytes) -> object:
    token = Secret(body.decode())
    expected = Expected(issuer=ISSUER, client_id="app", algs=ASYMMETRIC)
    claimed_state("", token.reveal())
    return parse_id_token(token, keys=(), expected=expected, now=NOW)


def _challenges(body: bytes) -> object:
    return parse_challenges([body.decode()])


FILLINGS = {
    "open brackets": b"[" * MIB,
    "open braces": b'{"a":' * (MIB // 5),
    "one long text": json.dumps({"access_token": "x" * MIB, "issuer": ISSUER}).encode(),
    "many members": b"{" + b",".join(b'"a%d": 1' % n for n in range(100_000)) + b"}",
    "a long number": b'{"expires_in": ' + b"9" * MIB + b"}",
    "many parameters": b"a=1&" * (MIB // 4),
    "many challenges": b'Bearer a="b", ' * (MIB // 14),
    "many dots": b"." * MIB,
}


@pytest.mark.conformance("2 own: html", "1 metadata: bounds")
@pytest.mark.parametrize("parse", [_token, _metadata, _keys, _callback, _signed, _challenges])
def test_the_largest_answers_take_bounded_memory(parse: Callable[[bytes], object]) -> None:
    for what, body in FILLINGS.items():
        tracemalloc.start()
        try:
            found = parse(body)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 40 * MIB, what
        assert not isinstance(found, Refusal) or len(found.description) <= 300
