from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.revocation import Revoked, StillLives, parse_revocation, revocation_request
from valetkey.protocol.signing import generate_key
from valetkey.values import Request, Response, Secret

NOW = 1_800_000_000.0
SITE = OAuth2Credential(name="site", revocation_url="https://as.example/revoke?v=2")
APP = AppCredentials(client_id="app/1", client_secret=Secret("s3cret"))
RT, AT = Secret("rt"), Secret("at")


def form(request: Request) -> dict[str, str]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def revoke(credential: OAuth2Credential, app: AppCredentials = APP, **changes: Any) -> Request:
    return revocation_request(credential, app, **{"token": RT, "hint": "refresh_token", **changes})


def parse(status: int, body: object = b"", headers: Mapping[str, str] | None = None, **changes: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_revocation(Response(status=status, headers=headers or {}, body=data), now=NOW, **changes)


# -- bound tokens ---


@pytest.mark.conformance("1 DPoP: scheme and proof")
def test_an_access_token_that_is_bound_goes_with_its_scheme_and_proof() -> None:
    key = generate_key("ES256")
    proved = revoke(replace(SITE, revocation_auth="access_token"), access_token=AT, dpop_key=key)
    assert (proved.headers["Authorization"], proved.dpop_key) == ("DPoP at", key)

    for plain in (
        revoke(replace(SITE, revocation_auth="access_token"), access_token=AT),
        revoke(replace(SITE, revocation_auth="client_secret_bearer"), access_token=AT, dpop_key=key),
    ):
        assert plain.headers["Authorization"].startswith("Bearer ")
        assert plain.dpop_key is None, "what carries no bound token needs no proof"


# -- the request ----------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 revocation: request")
def test_a_token_is_given_back_with_the_apps_own_proof() -> None:
    request = revoke(SITE)

    assert (request.method, request.url) == ("POST", "https://as.example/revoke?v=2")
    assert form(request) == {"token": "rt", "token_type_hint": "refresh_token"}
    assert request.headers["Accept"] == "application/json"
    assert base64.b64decode(request.headers["Authorization"][6:]) == b"app%2F1:s3cret"
    assert "rt'" not in repr(request)


def test_a_public_app_names_itself() -> None:
    request = revoke(replace(SITE, client_auth="none"), token=AT, hint="access_token")

    assert form(request) == {"token": "at", "token_type_hint": "access_token", "client_id": "app/1"}


@pytest.mark.parametrize(
    ("auth", "authorization", "members"),
    [
        pytest.param("client", "Basic YXBwJTJGMTpzM2NyZXQ=", {}, id="as at the token endpoint"),
        pytest.param("client_secret_basic", "Basic YXBwJTJGMTpzM2NyZXQ=", {}, id="Basic"),
        pytest.param("client_secret_post", None, {"client_id": "app/1", "client_secret": "s3cret"}, id="in the body"),
        pytest.param("client_secret_bearer", "Bearer s3cret", {}, id="the secret as bearer (Stripe)"),
        pytest.param("access_token", "Bearer at", {}, id="the access token as bearer (Slack)"),
        pytest.param("none", None, {}, id="nothing"),
    ],
)
def test_what_proves_the_right_to_revoke(auth: Any, authorization: str | None, members: dict[str, str]) -> None:
    request = revoke(replace(SITE, revocation_auth=auth), access_token=AT)

    assert request.headers.get("Authorization") == authorization
    assert form(request) == {"token": "rt", "token_type_hint": "refresh_token", **members}


def test_the_token_itself_is_the_proof_where_no_other_is_given() -> None:
    request = revoke(replace(SITE, revocation_auth="access_token"), token=AT, hint="access_token")

    assert request.headers["Authorization"] == "Bearer at"


def test_github_deletes_with_json_and_the_client_id_in_the_path() -> None:
    credential = replace(
        SITE,
        revocation_url="https://api.example/applications/{client_id}/grant",
        revocation_method="DELETE",
        revocation_format="json",
        revocation_auth="client_secret_basic",
        revocation_params={"access_token": "{token}"},
        api_headers={"X-Api-Version": "2022-11-28", "Accept": "application/vnd.x+json"},
        client_auth="client_secret_post",
    )

    request = revoke(credential, token=AT, hint="access_token")

    assert (request.method, request.url) == ("DELETE", "https://api.example/applications/app%2F1/grant")
    assert json.loads(request.body) == {"access_token": "at"}
    assert request.headers["X-Api-Version"] == "2022-11-28"
    assert request.headers["Accept"] == "application/vnd.x+json"


def test_stripe_names_the_account_and_no_token() -> None:
    credential = replace(
        SITE, revocation_params={"client_id": "{client_id}", "stripe_user_id": "{acct}"}, revocation_auth="none"
    )

    assert form(revoke(credential, params={"acct": "acct_1"})) == {"client_id": "app/1", "stripe_user_id": "acct_1"}


def test_a_param_that_the_connection_lacks_is_an_error() -> None:
    credential = replace(SITE, revocation_params={"stripe_user_id": "{acct}"})

    with pytest.raises(ConfigurationError, match=r"\{acct\}") as caught:
        revoke(credential)

    assert caught.value.code == "revocation_param_missing"


def test_a_connections_param_cannot_stand_for_the_token() -> None:
    assert form(revoke(SITE, params={"token": "other"}))["token"] == "rt"


@pytest.mark.parametrize("url", ["https://as.example/r", "https://as.example/r?a=1"])
def test_some_want_it_in_the_query(url: str) -> None:
    credential = replace(
        SITE,
        revocation_url=url,
        revocation_method="GET",
        revocation_format="query",
        revocation_auth="none",
        revocation_params={"token": "{token}"},
    )

    request = revoke(credential)

    assert (request.method, request.url, request.query, request.body) == ("GET", url, "token=rt", b"")
    assert "rt" not in repr(request)


def test_some_want_nothing_but_the_bearer() -> None:
    request = revoke(replace(SITE, revocation_format="none", revocation_auth="access_token"), access_token=AT)

    assert (request.body, urlsplit(request.url).query) == (b"", "v=2")
    assert "Content-Type" not in request.headers


@pytest.mark.parametrize(
    ("credential", "app", "code"),
    [
        (replace(SITE, revocation_url=""), APP, "url_missing"),
        (replace(SITE, revocation_url="http://as.example/revoke"), APP, "url_insecure"),
        (SITE, AppCredentials(client_id="app"), "client_secret_missing"),
        (replace(SITE, revocation_auth="client_secret_bearer"), AppCredentials(client_id="a"), "client_secret_missing"),
        (SITE, AppCredentials(client_id=""), "client_id_missing"),
    ],
)
def test_what_is_missing_is_named(credential: OAuth2Credential, app: AppCredentials, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        revoke(credential, app)

    assert caught.value.code == code


# -- the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 revocation: request")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"", id="200"),
        pytest.param(200, b"{}", id="GitLab: an empty object"),
        pytest.param(200, {"success": True}, id="monday"),
        pytest.param(200, {"ok": True, "revoked": True}, id="Slack"),
        pytest.param(200, b"<html>thanks</html>", id="a page: the body is ignored"),
        pytest.param(200, b'{"cut', id="cut JSON"),
        pytest.param(204, b"", id="204"),
        pytest.param(202, b"", id="202"),
        pytest.param(400, {"error": "invalid_token"}, id="invalid_token: dead already"),
        pytest.param(401, {"error": "invalid_token"}, id="invalid_token with 401"),
        pytest.param(400, {"status": 400, "message": "Invalid token"}, id="Twitch's invalid token"),
        pytest.param(400, {"message": "Invalid token."}, id="the same with a full stop"),
        pytest.param(200, {"ok": False, "error": "token_revoked"}, id="Slack: revoked already"),
        pytest.param(200, {"error": "invalid_token"}, id="invalid_token with 200"),
    ],
)
def test_the_token_is_dead(status: int, body: object) -> None:
    assert parse(status, body) == Revoked()


@pytest.mark.conformance("1 revocation: trouble")
@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        pytest.param(503, b"", {}, StillLives(error="http_503"), id="503"),
        pytest.param(503, b"", {"retry-after": "30"}, StillLives(error="http_503", retry_after=30.0), id="Retry-After"),
        pytest.param(
            503,
            b"",
            {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"},
            StillLives(error="http_503", retry_after=30.0),
            id="Retry-After as a date",
        ),
        pytest.param(
            400, {"error": "unsupported_token_type"}, {}, StillLives(error="unsupported_token_type"), id="400 type"
        ),
        pytest.param(401, {"error": "invalid_client"}, {}, StillLives(error="invalid_client"), id="invalid_client"),
        pytest.param(400, b"", {}, StillLives(error="http_400"), id="an empty 400"),
        pytest.param(404, b"<html>", {}, StillLives(error="http_404"), id="404"),
        pytest.param(302, b"", {}, StillLives(error="http_302"), id="302 is not followed"),
        pytest.param(500, {"error": "invalid_token"}, {}, StillLives(error="invalid_token"), id="500 is no word"),
        pytest.param(
            200, {"ok": False, "error": "fatal_error"}, {}, StillLives(error="fatal_error"), id="Slack: not ok"
        ),
        pytest.param(200, {"success": False}, {}, StillLives(error="http_200"), id="no success"),
        pytest.param(429, {"message": "Too many"}, {}, StillLives(error="http_429"), id="429"),
    ],
)
def test_the_token_may_still_live(status: int, body: object, headers: Mapping[str, str], expected: StillLives) -> None:
    assert parse(status, body, headers) == expected


@pytest.mark.parametrize(
    ("status", "body", "dead"),
    [
        pytest.param(404, b"", True, id="a declared status"),
        pytest.param(400, {"error": "already_revoked"}, True, id="a declared error"),
        pytest.param(422, {"error": "other"}, False, id="neither"),
    ],
)
def test_a_credential_names_what_else_means_gone(status: int, body: object, dead: bool) -> None:
    credential = replace(SITE, revocation_gone=("404", "already_revoked"))

    assert isinstance(parse(status, body, credential=credential), Revoked) is dead


@pytest.mark.fuzz
@given(status=st.integers(0, 700), body=st.binary(max_size=100), wait=st.text(max_size=30))
def test_no_bytes_raise(status: int, body: bytes, wait: str) -> None:
    found = parse_revocation(Response(status=status, headers={"retry-after": wait}, body=body))

    assert isinstance(found, (Revoked, StillLives))
