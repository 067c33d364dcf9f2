from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.protocol.token_response import TokenSet, parse_token_response
from valetkey.values import Response, Secret

NOW = 1_800_000_000.0
SITE = OAuth2Credential(name="site", token_url="https://as.example/token", scopes=("read", "write"))


def tokens(members: Mapping[str, Any]) -> TokenSet:
    body = json.dumps({"access_token": "at", **members}).encode()
    found = parse_token_response(Response(status=200, body=body), credential=SITE, now=NOW)
    assert isinstance(found, TokenSet)
    return found


def jwt(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


def grant(
    found: TokenSet,
    *,
    credential: OAuth2Credential = SITE,
    previous: Grant | None = None,
    learnt: float | None = None,
) -> Grant:
    return found.grant(
        now=NOW, credential=credential, requested=("read", "write"), previous=previous, learnt_lifetime=learnt
    )


OLD = Grant(
    access_token=Secret("at0"),
    refresh_token=Secret("rt0"),
    expires_at=NOW - 5,
    refresh_expires_at=NOW + 500,
    scope=("read",),
    id_token=Secret("i.d.0"),
    obtained_at=NOW - 3600,
)
JWT = jwt({"exp": NOW + 1200})


@pytest.mark.parametrize(
    ("members", "credential", "learnt", "expires_at"),
    [
        pytest.param({"expires_in": 60}, replace(SITE, access_token_lifetime=900), 300, NOW + 60, id="1. the answer"),
        pytest.param({"access_token": JWT}, replace(SITE, access_token_lifetime=900), 300, NOW + 1200, id="2. JWT exp"),
        pytest.param({"access_token": JWT, "expires_in": 60}, SITE, None, NOW + 60, id="JWT exp changes no answer"),
        pytest.param({}, replace(SITE, access_token_lifetime=900), 300, NOW + 900, id="3. the preset"),
        pytest.param({}, SITE, 300, NOW + 300, id="4. what was learnt"),
        pytest.param({}, SITE, None, None, id="5. unknown"),
        pytest.param({"expires_in": 0}, SITE, 300, NOW + 300, id="zero is no life"),
        pytest.param({"expires_in": -1}, replace(SITE, access_token_lifetime=900), None, NOW + 900, id="nor is less"),
        pytest.param({"expires_in": 1e-119}, replace(SITE, access_token_lifetime=900), None, NOW + 900, id="or less"),
        pytest.param({"expires_in": 0}, replace(SITE, never_expires=True), 300, None, id="zero that means never"),
        pytest.param(
            {"access_token": JWT}, replace(SITE, never_expires=True), None, None, id="absence that means never"
        ),
        pytest.param({"expires_in": 60}, replace(SITE, never_expires=True), None, NOW + 60, id="never, but it says so"),
        pytest.param({"access_token": jwt({"exp": NOW})}, SITE, 300, NOW + 300, id="a JWT that ends right now"),
        pytest.param({"access_token": jwt({"exp": NOW - 1})}, SITE, 300, NOW + 300, id="a JWT that is over: clock off"),
        pytest.param({"access_token": jwt({"exp": "soon"})}, SITE, 300, NOW + 300, id="a JWT with odd exp"),
        pytest.param({"access_token": jwt([NOW + 5])}, SITE, 300, NOW + 300, id="a JWT that is a list"),
        pytest.param({"access_token": "a.!!!.c"}, SITE, None, None, id="three parts and no JWT"),
        pytest.param({"access_token": "a.b3Bh.c"}, SITE, None, None, id="three parts of base64"),
        pytest.param({"access_token": "a.b.c.d.e"}, SITE, None, None, id="five parts: encrypted"),
        pytest.param({}, SITE, -300, None, id="nonsense learnt"),
    ],
)
def test_the_life_of_a_token_follows_r13(
    members: Mapping[str, Any], credential: OAuth2Credential, learnt: float | None, expires_at: float | None
) -> None:
    assert grant(tokens(members), credential=credential, learnt=learnt).expires_at == expires_at


@pytest.mark.conformance("0 4", "1 core: refresh")
@pytest.mark.parametrize(
    ("members", "refresh_token"),
    [
        pytest.param({}, "rt0", id="none came: the old one stays (Google)"),
        pytest.param({"refresh_token": "rt1"}, "rt1", id="a new one came: it replaces the old"),
        pytest.param({"refresh_token": "rt0"}, "rt0", id="the same came again"),
        pytest.param({"refresh_token": None}, "rt0", id="null came"),
        pytest.param({"refresh_token": ""}, "rt0", id="an empty one came"),
    ],
)
def test_the_refresh_token_after_a_refresh(members: Mapping[str, Any], refresh_token: str) -> None:
    assert grant(tokens(members), previous=OLD).refresh_token == Secret(refresh_token)


@pytest.mark.parametrize(
    ("members", "credential", "previous", "end"),
    [
        pytest.param({"refresh_token": "rt1", "refresh_expires_in": 9}, SITE, OLD, NOW + 9, id="the answer says"),
        pytest.param({"refresh_expires_in": 9}, SITE, OLD, NOW + 9, id="the answer says it of the old one"),
        pytest.param({}, SITE, OLD, NOW + 500, id="the old token keeps its end"),
        pytest.param({"refresh_token": "rt0"}, SITE, OLD, NOW + 500, id="the same token keeps its end"),
        pytest.param({"refresh_token": "rt1"}, SITE, OLD, None, id="a new token has no known end"),
        pytest.param({}, replace(SITE, refresh_token_lifetime=70), OLD, NOW + 70, id="use moves an idle end"),
        pytest.param(
            {"refresh_token": "rt1"}, replace(SITE, refresh_token_lifetime=70), None, NOW + 70, id="first use"
        ),
        pytest.param({"refresh_expires_in": 9}, SITE, None, None, id="no refresh token, no end"),
    ],
)
def test_the_end_of_the_refresh_token(
    members: Mapping[str, Any], credential: OAuth2Credential, previous: Grant | None, end: float | None
) -> None:
    assert grant(tokens(members), credential=credential, previous=previous).refresh_expires_at == end


@pytest.mark.conformance("1 core: scope", "2 C:no-scope")
@pytest.mark.parametrize(
    ("members", "previous", "scope"),
    [
        pytest.param({}, None, ("read", "write"), id="absent: as asked"),
        pytest.param({}, OLD, ("read",), id="absent at a refresh: as before, not as asked"),
        pytest.param({"scope": "read"}, None, ("read",), id="less than asked"),
        pytest.param({"scope": "read write admin"}, OLD, ("read", "write", "admin"), id="more than before"),
    ],
)
def test_the_granted_scopes_are_what_the_answer_says(
    members: Mapping[str, Any], previous: Grant | None, scope: tuple[str, ...]
) -> None:
    assert grant(tokens(members), previous=previous).scope == scope


def test_the_scope_that_asked_for_a_refresh_token_counts_while_that_token_stays() -> None:
    offline = replace(OLD, scope=("read", "offline_access"))

    assert grant(tokens({"scope": "read"}), previous=offline).scope == ("read", "offline_access")
    assert grant(tokens({"scope": "read"}), previous=replace(offline, refresh_token=None)).scope == ("read",)


def test_what_a_refresh_does_not_renew_stays() -> None:
    old = replace(OLD, quarantined=Secret("q"))

    new = grant(tokens({}), previous=old)

    assert (new.id_token, new.quarantined, new.obtained_at) == (Secret("i.d.0"), Secret("q"), NOW)
    assert grant(tokens({"id_token": "i.d.1"}), previous=old).id_token == Secret("i.d.1")
    assert grant(tokens({})).id_token is None


@pytest.mark.conformance("1 core: client credentials")
def test_client_credentials_keep_no_refresh_token_and_nothing_of_before() -> None:
    credential = replace(SITE, grant="client_credentials")

    new = grant(tokens({"refresh_token": "stray"}), credential=credential, previous=OLD)

    assert (new.refresh_token, new.refresh_expires_at, new.scope) == (None, None, ("read", "write"))


# -- never raises ---------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(
    [
        *("access_token", "refresh_token", "id_token", "token_type", "expires_in", "expires_at", "scope", "scopes"),
        *("error", "error_description", "error_codes", "suberror", "interval", "ok", "success", "message", "team"),
        *("refresh_expires_in", "refresh_token_expires_in", "instance_url"),
    ]
)
headers = st.dictionaries(st.sampled_from(["date", "retry-after"]), st.text(max_size=40), max_size=2)


def settle(body: bytes, *, status: int = 200, headers: Mapping[str, str] = EMPTY) -> None:
    """Read an answer, and take all the roads that an engine takes with it."""
    response = Response(status=status, headers=headers, body=body)
    found = parse_token_response(response, credential=SITE, now=NOW)
    if isinstance(found, TokenSet):
        made = grant(found, previous=OLD, learnt=60.0)
        assert Grant.from_json(made.to_json()).access_token == found.access_token
        assert made.expires_at is None or made.expires_at > NOW
        found.access_token.reveal().encode("ascii")
    else:
        assert len(found.description) <= 300
        assert (found.error + found.description).isprintable()
        assert found.retry_after is None or 0 <= found.retry_after <= 3600
    assert isinstance(repr(found), str)


@pytest.mark.fuzz
@given(status=st.integers(0, 700), body=st.binary(max_size=200), headers=headers)
@example(status=200, body=b"[" * 100_000, headers={})
@example(status=200, body=b'{"a":' * 50_000, headers={})
@example(status=400, body=b'{"error":' * 50_000, headers={})
@example(status=200, body=b"a=1&" * 5_000, headers={})
@example(status=200, body=b'{"access_token": "at", "n": ' + b"9" * 10_000 + b"}", headers={})
@example(status=200, body=b'{"access_token": "at", "expires_in": 1E400}', headers={})
@example(status=200, body=b'{"access_token": "at", "expires_in": 1.2e-119}', headers={})
@example(status=503, body=b"", headers={"retry-after": "Fri, 31 Dec 99999 23:59:60 GMT"})
@example(status=503, body=b"", headers={"retry-after": "Mon, 00 Jan 0000 00:00:00 -9999"})
def test_no_bytes_raise(status: int, body: bytes, headers: Mapping[str, str]) -> None:
    settle(body, status=status, headers=headers)


@pytest.mark.fuzz
@given(status=st.integers(200, 599), members=st.dictionaries(names | st.text(max_size=5), json_values), headers=headers)
def test_no_json_object_raises(status: int, members: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    settle(json.dumps(members).encode(), status=status, headers=headers)


@pytest.mark.fuzz
@given(members=st.dictionaries(names, json_values))
def test_no_success_with_a_token_raises(members: Mapping[str, Any]) -> None:
    settle(json.dumps({**members, "access_token": "at"}).encode())
