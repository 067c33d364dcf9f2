from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.metadata import (
    Metadata,
    MetadataFlaw,
    filled,
    issuer_of,
    metadata_documents,
    metadata_request,
    parse_metadata,
    shrunk,
)
from valetkey.values import Response

conformance = pytest.mark.conformance
ISSUER = "https://auth.example.com"
DOCUMENT = f"{ISSUER}/.well-known/oauth-authorization-server"
WHOLE: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?tenant=x",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "userinfo_endpoint": f"{ISSUER}/me",
    "jwks_uri": f"{ISSUER}/keys",
    "device_authorization_endpoint": f"{ISSUER}/device",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}


def parsed(body: object, status: int = 200, issuer: str = ISSUER) -> Metadata | MetadataFlaw:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_metadata(Response(status=status, body=data), issuer=issuer, document=DOCUMENT)


def whole(**changes: Any) -> Metadata:
    found = parsed({**WHOLE, **changes})
    assert isinstance(found, Metadata), found
    return found


@conformance("1 metadata: well-known paths")
@pytest.mark.parametrize(
    ("issuer", "openid", "documents"),
    [
        pytest.param(
            "https://h",
            False,
            ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
            id="no path",
        ),
        pytest.param(
            "https://h/",
            True,
            ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"],
            id="a slash at the end",
        ),
        pytest.param(
            "https://h/a/b",
            False,
            [
                "/.well-known/oauth-authorization-server/a/b",
                "/.well-known/openid-configuration/a/b",
                "/a/b/.well-known/openid-configuration",
            ],
            id="a path",
        ),
        pytest.param(
            "https://h/a/",
            True,
            [
                "/.well-known/openid-configuration/a",
                "/a/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/a",
            ],
            id="a path with a slash at its end",
        ),
    ],
)
def test_metadata_is_looked_for_in_all_known_places(issuer: str, openid: bool, documents: list[str]) -> None:
    assert [url.removeprefix("https://h") for url in metadata_documents(issuer, openid=openid)] == documents


@pytest.mark.parametrize(
    ("typed", "issuer"),
    [
        ("auth.example.com/a", "https://auth.example.com/a"),
        ("https://h/.well-known/openid-configuration", "https://h"),
        ("https://h/a/.well-known/openid-configuration", "https://h/a"),
        ("https://h/.well-known/oauth-authorization-server/a", "https://h/a"),
    ],
)
def test_the_address_of_a_document_stands_for_its_issuer(typed: str, issuer: str) -> None:
    assert issuer_of(typed) == issuer


def test_only_https_is_asked_and_loopback() -> None:
    assert metadata_request("http://127.0.0.1:1/x", name="crm").method == "GET"
    with pytest.raises(ConfigurationError) as caught:
        metadata_request("http://auth.example.com/x", name="crm")
    assert caught.value.code == "url_insecure"


def test_a_whole_document_names_everything() -> None:
    found = whole()

    assert (found.token_url, found.authorization_url) == (f"{ISSUER}/token", f"{ISSUER}/authorize?tenant=x")
    assert (found.jwks_url, found.device_authorization_url) == (f"{ISSUER}/keys", f"{ISSUER}/device")
    assert (found.iss_advertised, found.challenge_methods) == (True, ("S256",))
    assert Metadata.from_body(json.loads(json.dumps(found.to_body()))) == found


@conformance("1 metadata: absent fields")
def test_what_a_document_leaves_out_has_the_meaning_of_the_rfc() -> None:
    found = parsed({"issuer": ISSUER, "jwks_uri": None, "surprise": [1]})

    assert isinstance(found, Metadata)
    assert found.client_auths == ("client_secret_basic",)
    assert found.grants == ("authorization_code", "implicit")
    assert (found.challenge_methods, found.jwks_url, found.iss_advertised) == ((), "", False)


@conformance("1 metadata: issuer equal", "2 F:discovery-issuer-mismatch", "2 M:metadata-issuer-mismatch")
@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param("https://evil.example", id="another host"),
        pytest.param(f"{ISSUER}/", id="a slash more"),
        pytest.param("https://AUTH.example.com", id="another case"),
        pytest.param("https://auth.example.com:443", id="the port written out"),
        pytest.param(None, id="none"),
        pytest.param(["https://auth.example.com"], id="a list"),
    ],
)
def test_a_document_of_another_issuer_is_not_used(issuer: object) -> None:
    found = parsed({**WHOLE, "issuer": issuer})

    assert isinstance(found, MetadataFlaw)
    assert (found.member, found.absent) == ("issuer", False)


@conformance("1 metadata: bounds")
@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        pytest.param(WHOLE, 404, "HTTP 404", id="not found"),
        pytest.param(WHOLE, 302, "redirects", id="redirect"),
        pytest.param(WHOLE, 204, "HTTP 204", id="a success without a document"),
        pytest.param(b"<html>ok</html>", 200, "HTML", id="HTML with 200"),
        pytest.param(b"", 200, "empty", id="empty"),
        pytest.param([WHOLE], 200, "no readable JSON object", id="an array"),
        pytest.param(b"error=no&issuer=x", 200, "no readable JSON object", id="a form"),
        pytest.param(b'{"issuer":"a","issuer":"b"}', 200, "no readable JSON object", id="two issuers"),
        pytest.param({**WHOLE, "x": "y" * 300_000}, 200, "longer than 256 KiB", id="too long"),
    ],
)
def test_what_is_no_document_is_told_apart(body: object, status: int, what: str) -> None:
    found = parsed(body, status)

    assert isinstance(found, MetadataFlaw)
    assert what in found.what
    assert found.absent is (what != "longer than 256 KiB")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_is_busy_may_have_it_later(status: int) -> None:
    found = parsed(b"", status)

    assert isinstance(found, MetadataFlaw)
    assert found.transient


@conformance("1 metadata: bounds")
@pytest.mark.parametrize(
    ("member", "value", "what"),
    [
        pytest.param("token_endpoint", "http://auth.example.com/token", "is not https", id="http"),
        pytest.param("token_endpoint", "https://169.254.169.254/latest", "private network", id="link local"),
        pytest.param("jwks_uri", "http://127.0.0.1:8080/keys", "private network", id="this machine"),
        pytest.param("jwks_uri", "https://localhost/keys", "private network", id="localhost"),
        pytest.param("userinfo_endpoint", "https://[fd00::1]/", "private network", id="IPv6, private"),
        pytest.param("token_endpoint", "https://u:p@auth.example.com/", "no usable", id="with a password"),
        pytest.param("token_endpoint", "https://auth.example.com/#x", "fragment", id="with a fragment"),
        pytest.param("token_endpoint", ["https://auth.example.com/"], "no URL", id="a list"),
        pytest.param("token_endpoint", "https://auth.example.com/" + "x" * 3000, "no URL", id="endless"),
        pytest.param("code_challenge_methods_supported", "S256", "no list", id="a text for a list"),
        pytest.param("authorization_response_iss_parameter_supported", "true", "neither true", id="a text for a truth"),
    ],
)
def test_a_member_that_is_wrong_spoils_the_document_and_is_named(member: str, value: object, what: str) -> None:
    found = parsed({**WHOLE, member: value})

    assert isinstance(found, MetadataFlaw)
    assert found.member == member
    assert what in found.what
    assert "p@" not in found.what


def test_a_server_on_this_machine_may_name_this_machine() -> None:
    issuer = "http://127.0.0.1:9000"

    found = parsed({"issuer": issuer, "token_endpoint": f"{issuer}/token"}, issuer=issuer)

    assert isinstance(found, Metadata)


@conformance("1 metadata: signed_metadata")
def test_signed_metadata_is_not_looked_at() -> None:
    assert whole(signed_metadata="a.b.c").token_url == f"{ISSUER}/token"


def test_what_a_document_lost_is_named() -> None:
    before = whole()
    now = replace(before, revocation_url="", iss_advertised=False, challenge_methods=("plain",))

    assert shrunk(before, now) == ("revocation_url", "iss_advertised", "challenge_methods")
    assert shrunk(now, before) == ()
    assert shrunk(before, replace(before, token_url="https://auth.example.com/token2")) == ()


@conformance("1 metadata: not all of scopes_supported")
def test_declared_urls_win_and_the_rest_is_filled_in() -> None:
    mine = OAuth2Credential(name="crm", issuer=ISSUER, revocation_url="https://mine.example/revoke")

    found = filled(
        mine, whole(token_endpoint_auth_methods_supported=["client_secret_post", "none"], scopes_supported=["all"])
    )

    assert (found.revocation_url, found.token_url) == ("https://mine.example/revoke", f"{ISSUER}/token")
    assert found.all_scopes == ()
    assert (found.client_auth, found.iss_advertised) == ("client_secret_post", True)
    assert filled(replace(mine, client_auth="none"), whole()).client_auth == "none"
    assert filled(replace(mine, grant="client_credentials"), whole()).userinfo_url == ""


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(max_size=20) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.fuzz
@given(
    st.binary(max_size=300)
    | st.dictionaries(st.sampled_from(sorted(WHOLE)), _JSON).map(lambda d: json.dumps({"issuer": ISSUER} | d).encode())
)
def test_no_document_makes_it_crash(body: bytes) -> None:
    assert isinstance(parsed(body), Metadata | MetadataFlaw)


@conformance("1 client authentication: mTLS", "2 O:mtls-endpoint-aliases")
def test_aliases_are_for_requests_that_carry_a_certificate() -> None:
    found = whole(
        mtls_endpoint_aliases={"token_endpoint": "https://mtls.example.com/token", "more": 1},
        tls_client_certificate_bound_access_tokens=True,
    )
    assert Metadata.from_body(json.loads(json.dumps(found.to_body()))) == found, "and so it is kept"
    plain = OAuth2Credential(name="bank", issuer=ISSUER, client_auth="private_key_jwt")
    assert filled(plain, found).token_url == f"{ISSUER}/token"
    for credential in (replace(plain, client_auth="tls_client_auth"), replace(plain, sender_constraint="mtls")):
        whole_one = filled(credential, found)
        assert whole_one.token_url == "https://mtls.example.com/token"
        assert whole_one.revocation_url == f"{ISSUER}/revoke", "what has no alias is where it is"
        assert whole_one.client_auth == credential.client_auth, "a proof is not traded for a secret"
    assert filled(replace(plain, sender_constraint="mtls", token_url="https://own.example/t"), found).token_url == (
        "https://own.example/t"
    )
    for bad in ([], "x", {"token_endpoint": 1}, {"token_endpoint": "http://127.0.0.1/token"}):
        assert isinstance(parsed({**WHOLE, "mtls_endpoint_aliases": bad}), MetadataFlaw)
