from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.client_authentication import authenticate
from valetkey.protocol.token_request import client_credentials_request, code_request, refresh_request
from valetkey.values import Request, Secret

SITE = OAuth2Credential(name="site", display_name="The Site", token_url="https://as.example/token")
POST = replace(SITE, client_auth="client_secret_post")
PUBLIC = replace(SITE, client_auth="none")
APP = AppCredentials(client_id="app", client_secret=Secret("s3cret"))
BARE = AppCredentials(client_id="app")
CODE, RT, VERIFIER = Secret("the code"), Secret("rt+/="), Secret("v" * 43)
Make = Callable[..., Request]
BACK = "http://127.0.0.1:8421/callback/site"


def form(request: Request) -> dict[str, str]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter twice"
    assert all(value for _, value in pairs), "an empty parameter"
    return dict(pairs)


def basic(request: Request) -> str:
    scheme, _, value = request.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(value).decode()


def code(credential: OAuth2Credential = SITE, app: AppCredentials = APP) -> Request:
    return code_request(credential, app, code=CODE, redirect_uri=BACK, verifier=VERIFIER)


def refresh(credential: OAuth2Credential = SITE, app: AppCredentials = APP) -> Request:
    return refresh_request(credential, app, refresh_token=RT)


# -- what is asked --------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: redirect URI", "1 core: POST forms")
def test_a_code_is_redeemed_with_its_redirect_uri_and_verifier() -> None:
    request = code()

    assert (request.method, request.url) == ("POST", "https://as.example/token")
    assert request.headers["Accept"] == "application/json"
    assert form(request) == {
        "grant_type": "authorization_code",
        "code": "the code",
        "redirect_uri": BACK,
        "code_verifier": "v" * 43,
    }


def test_without_pkce_no_verifier_is_sent() -> None:
    request = code_request(SITE, APP, code=CODE, redirect_uri="", verifier=None)

    assert form(request) == {"grant_type": "authorization_code", "code": "the code"}


@pytest.mark.conformance("1 core: refresh")
def test_a_refresh_asks_for_the_same_scopes_by_naming_none() -> None:
    assert form(refresh()) == {"grant_type": "refresh_token", "refresh_token": "rt+/="}


def test_a_refresh_can_ask_for_less() -> None:
    credential = replace(SITE, scope_separator=",")
    request = refresh_request(credential, APP, refresh_token=RT, scope=["a", "b"])

    assert form(request)["scope"] == "a,b"


def test_an_app_asks_for_a_token_of_its_own() -> None:
    request = client_credentials_request(SITE, APP, scope=("a", "b"))

    assert form(request) == {"grant_type": "client_credentials", "scope": "a b"}
    assert basic(request) == "app:s3cret"


@pytest.mark.conformance("1 core: client credentials")
def test_a_public_app_has_no_token_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="client_auth is 'none'") as caught:
        client_credentials_request(PUBLIC, APP, scope=())

    assert caught.value.code == "client_public"
    assert "'site'" in caught.value.hint


@pytest.mark.parametrize(
    ("credential", "make", "added"),
    [
        pytest.param(replace(SITE, token_params={"expiring": "1"}), code, {"expiring": "1"}, id="code"),
        pytest.param(replace(SITE, refresh_params={"scope": "a"}), refresh, {"scope": "a"}, id="refresh"),
        pytest.param(replace(SITE, token_params={"expiring": "1"}), refresh, {}, id="refresh takes none of the code's"),
        pytest.param(replace(SITE, token_params={"empty": ""}), code, {}, id="an empty one is not sent"),
        pytest.param(
            replace(SITE, token_params={"grant_type": "authorization_code"}), code, {}, id="the same value is no clash"
        ),
    ],
)
def test_declared_parameters_are_added(credential: OAuth2Credential, make: Make, added: dict[str, str]) -> None:
    assert form(make(credential)) == {**form(make(SITE)), **added}


def test_client_credentials_take_the_declared_parameters() -> None:
    credential = replace(SITE, token_params={"audience": "https://api.example"})

    assert form(client_credentials_request(credential, APP, scope=()))["audience"] == "https://api.example"


@pytest.mark.parametrize(
    ("credential", "make", "words"),
    [
        (replace(SITE, token_params={"code": "mine"}), code, "^site: token_params sets 'code'"),
        (
            replace(SITE, refresh_params={"refresh_token": "mine"}),
            refresh,
            "^site: refresh_params sets 'refresh_token'",
        ),
    ],
)
def test_no_declared_parameter_replaces_one_of_the_protocol(
    credential: OAuth2Credential, make: Make, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        make(credential)

    assert caught.value.code == "parameter_reserved"
    assert "rt+" not in str(caught.value) + caught.value.hint


@pytest.mark.conformance("1 core: endpoint query")
def test_the_query_of_the_endpoint_is_kept() -> None:
    assert code(replace(SITE, token_url="https://as.example/token?tenant=x")).url == "https://as.example/token?tenant=x"


@pytest.mark.conformance("1 core: POST forms")
def test_text_goes_as_utf8() -> None:
    request = code_request(SITE, APP, code=Secret("\u00fc"), redirect_uri="", verifier=None)

    assert b"code=%C3%BC" in request.body


def test_some_providers_want_json() -> None:
    request = refresh(replace(POST, token_request_format="json"))

    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "refresh_token": "rt+/=",
        "client_id": "app",
        "client_secret": "s3cret",
    }


def test_some_providers_want_another_accept_header() -> None:
    assert code(replace(SITE, accept="application/vnd.x+json")).headers["Accept"] == "application/vnd.x+json"


@pytest.mark.conformance("1 core: TLS")
@pytest.mark.parametrize(
    ("url", "code_"),
    [
        pytest.param("", "url_missing", id="none declared"),
        pytest.param("http://as.example/token", "url_insecure", id="plain http"),
        pytest.param("ftp://as.example/token", "url_invalid", id="no web URL"),
    ],
)
def test_nothing_is_made_for_an_endpoint_that_is_not_https(url: str, code_: str) -> None:
    with pytest.raises(ConfigurationError, match="site: token_url") as caught:
        code(replace(SITE, token_url=url))

    assert caught.value.code == code_


def test_plain_http_is_allowed_on_this_machine() -> None:
    assert code(replace(SITE, token_url="http://127.0.0.1:9/token")).url == "http://127.0.0.1:9/token"


def test_a_request_shows_none_of_its_secrets() -> None:
    shown = repr(code(POST)) + repr(refresh())

    assert not any(secret in shown for secret in ("the code", "the+code", "v" * 43, "s3cret", "rt+", "Basic"))


# -- how the app proves itself --------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: one client authentication")
@pytest.mark.parametrize("make", [code, refresh])
def test_basic_keeps_id_and_secret_out_of_the_body(make: Make) -> None:
    request = make(SITE)

    assert basic(request) == "app:s3cret"
    assert not {"client_id", "client_secret"} & form(request).keys()


@pytest.mark.conformance("1 core: one client authentication")
@pytest.mark.parametrize("make", [code, refresh])
def test_post_puts_id_and_secret_into_the_body_only(make: Make) -> None:
    request = make(POST)

    assert "Authorization" not in request.headers
    assert (form(request)["client_id"], form(request)["client_secret"]) == ("app", "s3cret")


@pytest.mark.conformance("1 core: client_id", "1 native: public")
@pytest.mark.parametrize("app", [APP, BARE])
@pytest.mark.parametrize("make", [code, refresh])
def test_a_public_app_names_itself_and_proves_nothing(make: Make, app: AppCredentials) -> None:
    request = make(PUBLIC, app)

    assert "Authorization" not in request.headers
    assert form(request)["client_id"] == "app"
    assert "client_secret" not in form(request)


@pytest.mark.conformance("1 core: Basic encoding")
@pytest.mark.parametrize(
    ("client_id", "secret", "pair"),
    [
        pytest.param("odd:id/+%41", "p%+ :&", "odd%3Aid%2F%2B%2541:p%25%2B+%3A%26", id="odd characters"),
        pytest.param("\u00fcber", "\u00df", "%C3%BCber:%C3%9F", id="beyond ASCII"),
        pytest.param("plain-id_1.2", "s", "plain-id_1.2:s", id="plain ones"),
    ],
)
def test_basic_encodes_id_and_secret_before_base64(client_id: str, secret: str, pair: str) -> None:
    assert basic(code(SITE, AppCredentials(client_id=client_id, client_secret=Secret(secret)))) == pair


@pytest.mark.conformance("1 core: Basic encoding")
def test_some_servers_want_basic_as_it_is() -> None:
    app = AppCredentials(client_id="a/b", client_secret=Secret("c%d"))

    assert basic(code(replace(SITE, basic_raw=True), app)) == "a/b:c%d"


@given(client_id=st.text(min_size=1), secret=st.text(min_size=1))
def test_a_server_that_decodes_basic_finds_id_and_secret(client_id: str, secret: str) -> None:
    app = AppCredentials(client_id=client_id, client_secret=Secret(secret))
    first, colon, second = basic(code(SITE, app)).partition(":")

    assert (unquote_plus(first), colon, unquote_plus(second)) == (client_id, ":", secret)


@pytest.mark.parametrize("credential", [SITE, POST])
@pytest.mark.parametrize("secret", [None, Secret("")])
def test_a_missing_secret_is_an_error_that_names_the_way_out(
    credential: OAuth2Credential, secret: Secret | None
) -> None:
    with pytest.raises(ConfigurationError, match="the app of The Site has no client secret") as caught:
        code(credential, AppCredentials(client_id="app", client_secret=secret))

    assert (caught.value.code, caught.value.hint) == ("client_secret_missing", "valetkey app add site")


@pytest.mark.parametrize("credential", [replace(SITE, display_name=""), POST, PUBLIC])
def test_a_missing_client_id_is_an_error_too(credential: OAuth2Credential) -> None:
    with pytest.raises(ConfigurationError, match="has no client id") as caught:
        code(credential, AppCredentials(client_id="", client_secret=Secret("s")))

    assert (caught.value.code, caught.value.hint) == ("client_id_missing", "valetkey app add site")


def test_authentication_leaves_what_it_was_given_alone() -> None:
    params, headers = {"a": "1"}, {"X": "y"}

    authenticated, proved = authenticate(POST, APP, params, headers)

    assert (params, headers) == ({"a": "1"}, {"X": "y"})
    assert authenticated == {"a": "1", "client_id": "app", "client_secret": "s3cret"}
    assert proved == {"X": "y"}
