from __future__ import annotations

import base64
import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError, ConnectError, IssuerMismatch, ValetkeyError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.authorization import (
    CallbackParams,
    authorization_params,
    challenge,
    check_issuer,
    front_url,
    new_verifier,
    parse_callback,
)
from valetkey.values import Secret

SITE = OAuth2Credential(
    name="site", display_name="The Site", authorization_url="https://as.example/authorize", issuer="https://as.example"
)
APP = AppCredentials(client_id="odd:id/+%41", client_secret=Secret("s3cret"))
BACK = "http://127.0.0.1:8421/callback/site"


def url(credential: OAuth2Credential = SITE, **changes: object) -> str:
    options = {
        "redirect_uri": BACK,
        "state": "the-state",
        "challenge": "the-challenge",
        "scopes": ("a", "b:c"),
        "nonce": None,
    }
    params = authorization_params(credential, APP, **{**options, **changes})  # type: ignore[arg-type]
    return front_url(credential, params)


def query(address: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter twice"
    return dict(pairs)


# -- PKCE -----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: PKCE")
@pytest.mark.parametrize(("size", "length"), [(32, 43), (64, 86), (96, 128)])
def test_a_verifier_is_as_long_as_the_rfc_wants(size: int, length: int) -> None:
    assert len(new_verifier(b"\xff" * size).reveal()) == length


@pytest.mark.parametrize("size", [0, 16, 31, 97])
def test_a_verifier_is_never_shorter_or_longer(size: int) -> None:
    with pytest.raises(ValueError, match="32 to 96"):
        new_verifier(bytes(size))


@pytest.mark.conformance("1 core: PKCE")
@given(st.binary(min_size=32, max_size=96))
def test_a_verifier_holds_unreserved_characters_and_its_challenge_is_s256(random: bytes) -> None:
    verifier = new_verifier(random)
    digest = hashlib.sha256(verifier.reveal().encode()).digest()

    assert re.fullmatch(r"[A-Za-z0-9\-._~]{43,128}", verifier.reveal())
    assert base64.urlsafe_b64decode(challenge(verifier) + "=") == digest


@pytest.mark.conformance("1 core: PKCE")
def test_the_challenge_of_the_rfc_example() -> None:  # RFC 7636 appendix B
    assert challenge(Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")) == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_other_bytes_make_another_verifier() -> None:
    assert new_verifier(secrets.token_bytes(32)) != new_verifier(secrets.token_bytes(32))


# -- the address ----------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: PKCE", "1 core: PKCE known", "1 core: no implicit, no password")
def test_the_address_asks_for_a_code_with_state_and_s256() -> None:
    address = url()

    assert address.startswith("https://as.example/authorize?")
    assert query(address) == {
        "response_type": "code",
        "client_id": "odd:id/+%41",
        "redirect_uri": BACK,
        "scope": "a b:c",
        "state": "the-state",
        "code_challenge": "the-challenge",
        "code_challenge_method": "S256",
    }


def test_nothing_empty_is_sent() -> None:
    asked = query(url(challenge=None, scopes=(), redirect_uri=""))

    assert asked.keys() == {"response_type", "client_id", "state"}


def test_a_nonce_is_sent_where_there_is_one() -> None:
    assert query(url(nonce="n-0S6"))["nonce"] == "n-0S6"


@pytest.mark.conformance("1 core: endpoint query")
def test_the_endpoints_own_query_is_kept() -> None:
    asked = url(replace(SITE, authorization_url="https://as.example/a?tenant=x&flag=&response_type=code#top"))

    assert (query(asked)["tenant"], query(asked)["flag"], query(asked)["response_type"]) == ("x", "", "code")
    assert "#" not in asked


def test_an_endpoint_may_repeat_parameters_of_its_own() -> None:
    asked = url(replace(SITE, authorization_url="https://as.example/a?r=1&r=2"))

    assert parse_qsl(urlsplit(asked).query)[:2] == [("r", "1"), ("r", "2")]


def test_declared_parameters_are_added_once() -> None:
    credential = replace(
        SITE,
        authorization_url="https://as.example/a?prompt=none",
        additional_params={"prompt": "consent", "access_type": "offline", "response_type": "code"},
    )

    assert query(url(credential))["prompt"] == "consent"
    assert query(url(credential))["access_type"] == "offline"


def test_scopes_are_joined_as_the_provider_wants_them() -> None:
    assert query(url(replace(SITE, scope_separator=",")))["scope"] == "a,b:c"


def test_a_provider_without_scopes_can_take_them_by_another_parameter() -> None:
    credential = replace(SITE, additional_params={"scope": "fixed"})

    assert query(url(credential, scopes=()))["scope"] == "fixed"


@pytest.mark.parametrize("name", ["state", "client_id", "redirect_uri", "code_challenge_method", "response_type"])
@pytest.mark.parametrize("place", ["additional_params", "authorization_url"])
def test_nothing_declared_replaces_a_parameter_of_the_protocol(name: str, place: str) -> None:
    value: object = {name: "mine"} if place == "additional_params" else f"https://as.example/a?{name}=mine"

    with pytest.raises(ConfigurationError, match=f"^site: {place} sets '{name}'") as caught:
        url(replace(SITE, **{place: value}))  # type: ignore[arg-type]

    assert caught.value.code == "parameter_reserved"
    assert "the-state" not in str(caught.value) + caught.value.hint


@pytest.mark.conformance("1 core: TLS")
@pytest.mark.parametrize(
    ("address", "code"),
    [("", "url_missing"), ("http://as.example/a", "url_insecure"), ("as.example/a", "url_invalid")],
)
def test_a_browser_is_sent_to_https_only(address: str, code: str) -> None:
    with pytest.raises(ConfigurationError, match="authorization_url") as caught:
        url(replace(SITE, authorization_url=address))

    assert caught.value.code == code


def test_an_app_without_an_id_asks_for_nothing() -> None:
    with pytest.raises(ConfigurationError, match="no client id") as caught:
        authorization_params(
            SITE, AppCredentials(client_id=""), redirect_uri=BACK, state="s", challenge=None, scopes=(), nonce=None
        )

    assert caught.value.code == "client_id_missing"


@pytest.mark.conformance("1 core: one client authentication")
def test_the_secret_is_in_no_address() -> None:
    assert "s3cret" not in url()


@given(
    state=st.text(min_size=1),
    tenant=st.text(),
    redirect=st.text(min_size=1),
    scopes=st.lists(st.from_regex(r"[!#-\[\]-~]{1,12}", fullmatch=True), min_size=1),
)
def test_whatever_goes_into_the_address_comes_out_of_it(
    state: str, tenant: str, redirect: str, scopes: list[str]
) -> None:
    credential = replace(SITE, authorization_url="https://as.example/a?" + urlencode({"tenant": tenant}))

    asked = query(url(credential, state=state, redirect_uri=redirect, scopes=scopes))

    assert (asked["state"], asked["tenant"], asked["redirect_uri"]) == (state, tenant, redirect)
    assert asked["scope"].split(" ") == scopes


# -- the callback ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{BACK}?code=c%2F1&state=s+t&iss=https%3A%2F%2Fas.example&shop=x", id="a URL"),
        pytest.param("/callback/site?code=c%2F1&state=s+t&iss=https%3A%2F%2Fas.example&shop=x", id="a path"),
        pytest.param("?code=c%2F1&state=s+t&iss=https%3A%2F%2Fas.example&shop=x", id="a query with its mark"),
        pytest.param("code=c%2F1&state=s+t&iss=https%3A%2F%2Fas.example&shop=x", id="a query or a form body"),
        pytest.param("code=c/1&shop=x&iss=https://as.example&state=s%20t", id="another order, less encoded"),
        pytest.param("  127.0.0.1:8421/cb?code=c/1&state=s+t&iss=https://as.example&shop=x \n", id="pasted"),
        pytest.param(f"{BACK}?code=c/1&state=s+t&iss=https://as.example&shop=x#_=_", id="Facebook's ending"),
        pytest.param(f"{BACK}?code=c/1&state=s+t&iss=https://as.example&shop=x#", id="an empty fragment"),
    ],
)
def test_a_callback_is_read_from_a_url_or_a_query(text: str) -> None:
    params = parse_callback(text)

    assert params == CallbackParams(code=Secret("c/1"), state="s t", iss="https://as.example", extra={"shop": "x"})
    assert "s t" not in repr(params)


def test_a_question_mark_inside_a_value_is_part_of_it() -> None:
    assert dict(parse_callback("code=c&next=/x?a=1").extra) == {"next": "/x?a=1"}


@pytest.mark.parametrize(
    "text", ["", "?", BACK, "/callback/site", f"{BACK}?code=&state=&iss=&error=", "code", "http://127.0.0.1:1/?"]
)
def test_a_callback_without_values_holds_nothing(text: str) -> None:
    assert parse_callback(text) == CallbackParams()


@pytest.mark.conformance("1 core: sanitize")
def test_an_error_is_made_safe_to_show() -> None:
    params = parse_callback(
        "error=access_denied&error_description=%1B%5B31m%3Cscript%3E+no%0D%0A&error_uri=https://evil.example&state=s"
    )

    assert (params.error, params.description) == ("access_denied", "[31m<script> no")
    assert "evil" not in repr(params)
    assert dict(params.extra) == {}


@pytest.mark.conformance("1 core: duplicate parameters")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("code=planted-1&code=planted-2&state=s", id="two codes"),
        pytest.param("code=c&state=planted-1&state=planted-2", id="two states"),
        pytest.param("code=planted-1&code=planted-1", id="twice the same code"),
        pytest.param("code=c&iss=https://planted&iss=https://as.example", id="two issuers"),
        pytest.param("error=a&error=planted&state=s", id="two errors"),
        pytest.param("error=a&error_description=planted&error_description=b", id="two descriptions"),
        pytest.param("code=c&code=", id="a second code without a value"),
        pytest.param(f"{BACK}#code=planted&state=s", id="parameters in a fragment"),
        pytest.param(f"{BACK}?code=c#access_token=planted", id="a token in a fragment"),
        pytest.param("&".join(f"planted{n}=x" for n in range(200)), id="too many parameters"),
        pytest.param("code=planted" + "x" * 70_000, id="too long"),
    ],
)
def test_a_malformed_callback_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConnectError, match="no proper answer") as caught:
        parse_callback(text)

    assert caught.value.code == "callback_malformed"
    assert "planted" not in str(caught.value) + caught.value.hint


@pytest.mark.conformance("1 core: token answer")
def test_unknown_parameters_are_kept_but_bounded() -> None:
    text = "&".join(["realmId=12", "bad=%1B", "long=" + "x" * 3000, *(f"p{n}=v" for n in range(60))])

    extra = parse_callback(text).extra

    assert extra["realmId"] == "12"
    assert not {"bad", "long"} & extra.keys()
    assert len(extra) == 32


def test_an_unknown_parameter_may_come_twice() -> None:
    assert dict(parse_callback("shop=a&shop=b").extra) == {"shop": "a"}


@pytest.mark.fuzz
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ConnectError):
        params = parse_callback(text)
        assert (params.error + params.description).isprintable()
        assert isinstance(repr(params), str)


@pytest.mark.fuzz
@given(code=st.text(min_size=1), state=st.text(min_size=1), extra=st.dictionaries(st.text(max_size=9), st.text()))
def test_what_a_server_encodes_is_what_is_read(code: str, state: str, extra: dict[str, str]) -> None:
    members = {**extra, "code": code, "state": state}

    params = parse_callback(f"{BACK}?{urlencode(members)}")

    assert (params.code, params.state) == (Secret(code), state)


# -- who answered ---------------------------------------------------------------------------------------------------

ADVERTISED = replace(SITE, iss_advertised=True)
UNKNOWN = replace(SITE, issuer="")


@pytest.mark.conformance("1 metadata: iss table")
@pytest.mark.parametrize(
    ("credential", "iss"),
    [
        pytest.param(ADVERTISED, "https://as.example", id="advertised and right"),
        pytest.param(SITE, "https://as.example", id="not advertised and right"),
        pytest.param(SITE, "", id="not advertised and absent"),
        pytest.param(UNKNOWN, "https://as.example", id="nothing to compare with"),
        pytest.param(UNKNOWN, "", id="nothing at all"),
    ],
)
def test_an_answer_from_the_right_server_goes_on(credential: OAuth2Credential, iss: str) -> None:
    check_issuer(CallbackParams(iss=iss), credential=credential)


@pytest.mark.conformance("1 metadata: iss table", "0 9")
@pytest.mark.parametrize(
    ("credential", "iss"),
    [
        pytest.param(ADVERTISED, "", id="advertised and absent"),
        pytest.param(ADVERTISED, "https://evil.example", id="advertised and wrong"),
        pytest.param(SITE, "https://evil.example", id="not advertised and wrong"),
        pytest.param(SITE, "https://as.example/", id="a slash more"),
        pytest.param(SITE, "https://AS.example", id="another case"),
        pytest.param(SITE, "https://as.example:443", id="the port written out"),
        pytest.param(SITE, "https://as.ex\u0430mple", id="a letter that looks the same"),
        pytest.param(replace(UNKNOWN, iss_advertised=True), "", id="advertised, not known, absent"),
    ],
)
@pytest.mark.parametrize("error", ["", "access_denied"])
def test_an_answer_from_another_server_is_refused_and_not_shown(
    credential: OAuth2Credential, iss: str, error: str
) -> None:
    params = CallbackParams(iss=iss, code=Secret("c"), state="st4te", error=error, description="planted words")

    with pytest.raises(IssuerMismatch) as caught:
        check_issuer(params, credential=credential)

    assert caught.value.code == "issuer_mismatch"
    assert "The Site" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("planted", "access_denied", "evil", "st4te"))
    assert "do not continue" in caught.value.hint


def test_an_empty_iss_counts_as_absent() -> None:
    with pytest.raises(IssuerMismatch):
        check_issuer(parse_callback("code=c&state=s&iss="), credential=ADVERTISED)


def test_the_issuer_of_a_credential_without_a_title_is_called_by_its_name() -> None:
    with pytest.raises(ValetkeyError, match="than site"):
        check_issuer(CallbackParams(iss="x"), credential=replace(SITE, display_name=""))
