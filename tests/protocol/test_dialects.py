"""Requests and answers of providers with words, places and steps of their own."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwk, jwt

from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.authorization import (
    authorization_params,
    challenge,
    front_url,
    new_verifier,
    parse_callback,
    translated,
)
from valetkey.protocol.bodies import retry_after
from valetkey.protocol.device import device_authorization_request, device_token_request
from valetkey.protocol.dialects import long_lived_request
from valetkey.protocol.revocation import revocation_request
from valetkey.protocol.token_request import code_request, refresh_request
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.values import Request, Response, Secret

NOW = 1_800_000_000.0
SITE = OAuth2Credential(
    name="site",
    authorization_url="https://as.example/authorize",
    token_url="https://as.example/token",
    client_auth="client_secret_post",
)
TIKTOK = replace(SITE, param_names={"client_id": "client_key", "scope": "user_scope", "code": "auth_code"})
APP = AppCredentials(client_id="app", client_secret=Secret("s3cret"))
KEY = jwk.ECKey.generate_key("P-256")
KEYED = AppCredentials(client_id="com.example", private_key=Secret(KEY.as_pem(private=True).decode()), key_id="K1")
SIGNED = replace(SITE, signed_secret_claims={"iss": "TEAM", "aud": "https://as.example", "azp": "{client_id}"})
AT, RT, CODE = Secret("the-access-token"), Secret("the-refresh-token"), Secret("the-code")
META = replace(
    SITE,
    refresh_url="https://graph.example/refresh",
    refresh_method="GET",
    refresh_request={"grant_type": "ig_refresh_token", "access_token": "{access_token}"},
    long_lived_url="https://graph.example/trade",
    long_lived_method="GET",
    long_lived_request={
        "grant_type": "ig_exchange_token",
        "client_secret": "{client_secret}",
        "access_token": "{access_token}",
    },
)


def code(credential: OAuth2Credential, app: AppCredentials = APP) -> Request:
    return code_request(credential, app, code=CODE, redirect_uri="https://app.example/cb", verifier=None)


def form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def query(request: Request) -> dict[str, str]:
    assert request.body == b""
    return dict(parse_qsl(request.query, strict_parsing=True))


def read(members: Any, credential: OAuth2Credential = SITE, *, status: int = 200) -> TokenSet | Refusal:
    response = Response(status=status, body=json.dumps(members).encode())
    return parse_token_response(response, credential=credential, now=NOW)


def tokens(members: Any, credential: OAuth2Credential = SITE) -> TokenSet:
    found = read(members, credential)
    assert isinstance(found, TokenSet)
    return found


# -- names ----------------------------------------------------------------------------------------------------------


def test_names_of_its_own_are_used_wherever_a_parameter_is_sent() -> None:
    asked = authorization_params(
        TIKTOK, APP, redirect_uri="https://app.example/cb", state="s", challenge=None, scopes=["a"], nonce=None
    )
    front = dict(parse_qsl(urlsplit(front_url(TIKTOK, asked)).query))
    device = replace(TIKTOK, device_authorization_url="https://as.example/device")
    sent = [
        form(code(TIKTOK)),
        form(refresh_request(TIKTOK, APP, refresh_token=RT)),
        form(device_authorization_request(device, APP, scopes=["a"])),
        form(device_token_request(TIKTOK, APP, device_code=Secret("d"))),
        form(
            revocation_request(
                replace(TIKTOK, revocation_url="https://as.example/r"), APP, token=RT, hint="refresh_token"
            )
        ),
    ]

    assert (front["client_key"], front["user_scope"], front["response_type"]) == ("app", "a", "code")
    assert (sent[0]["auth_code"], sent[0]["client_secret"]) == ("the-code", "s3cret")
    assert sent[2]["user_scope"] == "a"
    for given in [front, *sent]:
        assert given["client_key"] == "app"
        assert not {"client_id", "scope", "code"} & set(given)


def test_what_the_endpoints_own_query_says_otherwise_is_refused_under_its_own_name() -> None:
    strange = replace(TIKTOK, authorization_url="https://as.example/authorize?client_key=somebody")

    with pytest.raises(Exception, match="client_key"):
        front_url(strange, {"client_id": "app"})


def test_a_code_may_come_back_under_another_name() -> None:
    came = translated(parse_callback("https://app.example/cb?auth_code=the-code&state=s&shop=1"), TIKTOK)

    assert came.code == CODE
    assert dict(came.extra) == {"shop": "1"}
    assert translated(parse_callback("?auth_code=x&state=s"), SITE).code is None
    both = translated(parse_callback("?auth_code=x&code=the-code&state=s"), TIKTOK)
    assert both.code == CODE


def test_parameters_that_it_does_not_take_are_left_out_of_the_code_exchange_alone() -> None:
    bare = replace(SITE, unsent_params=("grant_type", "redirect_uri"))

    assert form(code(bare)) == {"code": "the-code", "client_id": "app", "client_secret": "s3cret"}
    assert form(refresh_request(bare, APP, refresh_token=RT))["grant_type"] == "refresh_token"


def test_instagrams_mark_behind_an_answer_is_no_malformed_answer() -> None:
    assert parse_callback("https://app.example/cb?code=the-code&state=s#_").code == CODE


def test_a_fragment_that_the_provider_wants_stands_behind_the_query() -> None:
    wechat = replace(SITE, authorization_fragment="wechat_redirect")

    assert front_url(wechat, {"client_id": "app"}) == "https://as.example/authorize?client_id=app#wechat_redirect"
    assert "#" not in front_url(SITE, {"client_id": "app"})


def test_a_challenge_may_be_written_in_hex() -> None:
    verifier = new_verifier(bytes(32))
    digest = hashlib.sha256(verifier.reveal().encode()).digest()

    assert challenge(verifier, "hex") == digest.hex()
    assert challenge(verifier) == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# -- methods and requests of its own -----------------------------------------------------------------------------------


def test_a_token_request_by_get_has_all_in_the_query_and_shows_nothing_of_it() -> None:
    request = code(replace(SITE, token_method="GET", token_url="https://as.example/token?v=2"))

    assert (request.method, request.url) == ("GET", "https://as.example/token?v=2")
    assert query(request) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": "https://app.example/cb",
        "client_id": "app",
        "client_secret": "s3cret",
    }
    assert "Content-Type" not in request.headers
    assert "s3cret" not in repr(request)
    assert "the-code" not in repr(request)


def test_a_grant_is_renewed_where_and_how_it_is_declared() -> None:
    apart = replace(SITE, refresh_url="https://as.example/refresh")
    by_get = replace(apart, refresh_method="GET")

    assert refresh_request(apart, APP, refresh_token=RT).url == "https://as.example/refresh"
    assert form(refresh_request(apart, APP, refresh_token=RT))["client_secret"] == "s3cret"
    assert code(apart).url == "https://as.example/token"
    assert query(refresh_request(by_get, APP, refresh_token=RT))["refresh_token"] == "the-refresh-token"


def test_a_renewal_that_is_spelled_out_holds_that_and_nothing_else() -> None:
    said = {"appid": "{client_id}", "grant_type": "refresh_token", "refresh_token": "{refresh_token}"}
    wechat = replace(SITE, refresh_request=said, refresh_method="GET")

    assert query(refresh_request(wechat, APP, refresh_token=RT)) == {
        "appid": "app",
        "grant_type": "refresh_token",
        "refresh_token": "the-refresh-token",
    }
    both = replace(SITE, refresh_request={"r": "{refresh_token}", "a": "{access_token}", "s": "{client_secret}"})
    assert form(refresh_request(both, APP, refresh_token=RT, access_token=AT)) == {
        "r": "the-refresh-token",
        "a": "the-access-token",
        "s": "s3cret",
    }
    assert not both.renews_by_access_token


def test_a_grant_without_refresh_tokens_is_renewed_by_its_access_token() -> None:
    assert META.renews_by_access_token
    request = refresh_request(META, APP, refresh_token=AT)

    assert (request.method, request.url) == ("GET", "https://graph.example/refresh")
    assert query(request) == {"grant_type": "ig_refresh_token", "access_token": "the-access-token"}
    grant = tokens({"access_token": "new", "expires_in": 100}).grant(
        now=NOW, credential=META, requested=(), previous=None, learnt_lifetime=None
    )
    assert grant.refresh_token == grant.access_token == Secret("new")
    assert grant.refresh_expires_at == grant.expires_at == NOW + 100


def test_a_short_lived_token_is_traded_by_the_request_that_is_declared() -> None:
    request = long_lived_request(META, APP, access_token=AT)

    assert (request.method, request.url) == ("GET", "https://graph.example/trade")
    assert query(request) == {
        "grant_type": "ig_exchange_token",
        "client_secret": "s3cret",
        "access_token": "the-access-token",
    }


# -- a client secret that is signed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: code(SIGNED, KEYED), id="code"),
        pytest.param(lambda: refresh_request(SIGNED, KEYED, refresh_token=RT), id="refresh"),
        pytest.param(
            lambda: revocation_request(
                replace(SIGNED, revocation_url="https://as.example/r"), KEYED, token=RT, hint="refresh_token"
            ),
            id="revocation",
        ),
        pytest.param(
            lambda: long_lived_request(
                replace(
                    SIGNED,
                    long_lived_url="https://as.example/t",
                    long_lived_request={
                        "client_secret": "{client_secret}",
                        "client_id": "{client_id}",
                        "t": "{access_token}",
                    },
                ),
                KEYED,
                access_token=AT,
            ),
            id="spelled out",
        ),
    ],
)
def test_a_client_secret_may_be_signed_for_every_attempt(made: Any) -> None:
    request = made()

    assert request.anew is not None
    assert "client_secret" not in form(request)
    sent = [form(request.anew(now)) for now in (NOW, NOW + 9)]
    signed = [jwt.decode(each["client_secret"], KEY, algorithms=["ES256"]) for each in sent]
    assert sent[0]["client_id"] == "com.example"
    assert signed[0].header == {"typ": "JWT", "kid": "K1", "alg": "ES256"}
    assert signed[0].claims == {
        "iss": "TEAM",
        "aud": "https://as.example",
        "azp": "com.example",
        "sub": "com.example",
        "iat": NOW,
        "exp": NOW + 300,
    }
    assert signed[1].claims["iat"] == NOW + 9


def test_an_app_without_the_key_is_told_before_anything_is_sent() -> None:
    with pytest.raises(Exception, match="private key"):
        code(SIGNED, APP)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_tokens_are_read_where_they_stand() -> None:
    paths = {"access_token": "data.0.access_token", "scope": "data.0.permissions", "expires_in": "data.0.life"}
    found = tokens(
        {"data": [{"access_token": "at", "permissions": "a,b", "life": 60, "user_id": 5}], "note": "n"},
        replace(SITE, answer_paths=paths, kept_params={"user_id": "data.0.user_id"}),
    )

    assert (found.access_token, found.scope, found.expires_in) == (Secret("at"), ("a", "b"), 60)
    assert found.extra["data.0.user_id"] == "5"


def test_one_token_set_is_never_mixed_with_the_other() -> None:
    person = {name: f"authed_user.{name}" for name in ("access_token", "refresh_token", "expires_in", "scope")}
    slack = replace(SITE, answer_paths=person)
    bot = {"ok": True, "access_token": "bot", "refresh_token": "bots", "expires_in": 9, "scope": "bots"}

    found = tokens({**bot, "authed_user": {"id": "U1", "access_token": "person"}}, slack)
    assert (found.access_token, found.refresh_token, found.expires_in, found.scope) == (
        Secret("person"),
        None,
        None,
        None,
    )
    flat = tokens({"ok": True, "access_token": "person", "refresh_token": "next", "expires_in": 5}, slack)
    assert (flat.access_token, flat.refresh_token, flat.expires_in) == (Secret("person"), Secret("next"), 5)


def test_lifetimes_of_refresh_tokens_have_names_of_their_own() -> None:
    named = replace(SITE, answer_paths={"refresh_token_expires_in": "rt_life"})
    found = tokens({"access_token": "at", "refresh_token": "rt", "rt_life": 77}, named)

    assert found.refresh_expires_in == 77
    assert "rt_life" not in found.extra


def test_errors_are_read_where_they_stand_and_some_mean_success() -> None:
    wrapped = replace(
        SITE,
        answer_paths={"access_token": "data.access_token", "error": "code", "error_description": "message"},
        answer_ok=("20000",),
        error_aliases={"40105": "invalid_grant"},
    )
    good = tokens({"code": 20000, "message": "OK", "data": {"access_token": "at"}}, wrapped)
    bad = read({"code": 40105, "message": "the token has expired", "data": {}}, wrapped)

    assert good.access_token == Secret("at")
    assert isinstance(bad, Refusal)
    assert (bad.kind, bad.error, bad.description) == ("grant", "invalid_grant", "the token has expired")
    unknown = read({"code": 1, "message": "no", "data": {"access_token": "at"}}, wrapped)
    assert isinstance(unknown, Refusal)


def test_an_answer_by_get_that_repeats_a_secret_does_not_show_it() -> None:
    request = code(replace(SITE, token_method="GET"))
    response = Response(status=400, body=b'{"error": "invalid_client", "error_description": "s3cret is wrong"}')
    found = parse_token_response(response, credential=SITE, now=NOW, request=request)

    assert isinstance(found, Refusal)
    assert "s3cret" not in found.description


def test_the_end_may_stand_in_the_token_and_goes_before_never() -> None:
    def end(credential: OAuth2Credential, members: dict[str, Any]) -> float | None:
        grant = tokens(members, credential).grant(
            now=NOW, credential=credential, requested=(), previous=None, learnt_lifetime=None
        )
        return grant.expires_at

    payload = base64.urlsafe_b64encode(json.dumps({"exp": NOW + 500}).encode()).rstrip(b"=").decode()
    signed, plain = {"access_token": f"e30.{payload}.c2ln"}, {"access_token": "opaque"}
    monday = replace(SITE, expiry_in_token=True, never_expires=True)

    assert end(monday, signed) == NOW + 500
    assert end(monday, plain) is None
    assert end(replace(SITE, never_expires=True), signed) is None
    assert end(monday, {**signed, "expires_in": 7}) == NOW + 7


def test_a_scope_that_is_answered_otherwise_than_asked_counts_under_both_names() -> None:
    google = replace(SITE, scopes=("email", "files"), scope_aliases={"https://scopes.example/email": "email"})
    found = tokens({"access_token": "at", "scope": "https://scopes.example/email"}, google)

    assert found.scope == ("https://scopes.example/email", "email")


def test_a_refresh_token_says_that_the_scope_which_asks_for_one_was_granted() -> None:
    microsoft = replace(SITE, scopes=("User.Read",), forced_scopes=("offline_access",))

    assert tokens({"access_token": "at", "refresh_token": "rt", "scope": "User.Read"}, microsoft).scope == (
        "User.Read",
        "offline_access",
    )
    assert tokens({"access_token": "at", "scope": "User.Read"}, microsoft).scope == ("User.Read",)
    assert tokens({"access_token": "at", "refresh_token": "rt"}, microsoft).scope is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"x-ratelimit-reset": "30"}, 30, id="seconds"),
        pytest.param({"x-ratelimit-reset": str(int(NOW) + 40)}, 40, id="a Unix time"),
        pytest.param({"x-ratelimit-reset": str((int(NOW) + 40) * 1000)}, 40, id="in milliseconds"),
        pytest.param({"x-ratelimit-reset": str(int(NOW) - 5)}, 0, id="over"),
        pytest.param({"x-ratelimit-reset": "30", "retry-after": "3"}, 3, id="Retry-After goes first"),
        pytest.param({"x-ratelimit-reset": "soon"}, None, id="no number"),
        pytest.param({"x-other": "30"}, None, id="another header"),
        pytest.param({"x-ratelimit-reset": "999999"}, 3600, id="at most an hour"),
    ],
)
def test_a_header_may_say_when_a_limit_ends(headers: dict[str, str], wait: float | None) -> None:
    limited = replace(SITE, rate_limit_reset=("X-RateLimit-Reset",))
    answers = [
        parse_token_response(Response(status=status, headers=headers, body=b"{}"), credential=limited, now=NOW)
        for status in (429, 400)
    ]

    assert retry_after(headers, NOW, resets=("X-RateLimit-Reset",)) == wait
    assert [one.retry_after for one in answers if isinstance(one, Refusal)] == [
        wait,
        3 if "retry-after" in headers else None,
    ]
