"""Mistakes in declarations: each names the declaration, has its code, and its hint says the exact fix."""

from __future__ import annotations

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.wiring import Wiring

URLS = {"authorization_url": "https://auth.example.com/authorize", "token_url": "https://auth.example.com/token"}


def declare(name: object = "crm", **fields: object) -> object:
    return Wiring().oauth2_credential(name, **{**URLS, **fields})  # type: ignore[arg-type]


MISTAKES = [
    # fields that are not there
    pytest.param({"token_uri": "x"}, "field_unknown", '"token_uri"; did you mean "token_url"', "rename", id="unknown"),
    pytest.param({"scope": ["a"]}, "field_unknown", 'did you mean "scopes"', "rename", id="unknown, near"),
    pytest.param({"zzzzzzzz": 1}, "field_unknown", 'no field "zzzzzzzz"', "remove zzzzzzzz", id="unknown, far"),
    pytest.param({"client_secret": "s3cr3t"}, "field_unknown", "kept as a secret", "valetkey app add", id="secret"),
    # profiles and registrations
    pytest.param({"security_profile": "mcp"}, "profile_unmet", "URL is missing", 'api_base_url="https', id="mcp: URL"),
    pytest.param(
        {"security_profile": "mcp", "api_base_url": "https://mcp.example.com/mcp", "pkce": False},
        "profile_unmet",
        "wants PKCE",
        "pkce=True",
        id="mcp: PKCE",
    ),
    pytest.param(
        {
            "security_profile": "mcp",
            "api_base_url": "https://a.example",
            "resources": ["https://a.example", "https://b"],
        },
        "profile_unmet",
        "for one resource",
        "leave resources away",
        id="mcp: resources",
    ),
    pytest.param({"registration": "dynamic"}, "registration_unfit", "not known where", "registration_url=", id="where"),
    pytest.param(
        {"client_metadata": {"redirect_uris": "x"}}, "parameter_reserved", "redirect_uris", "remove", id="metadata"
    ),
    *(
        pytest.param({"client_metadata": value}, code, says, cure, id=f"metadata: {says}")
        for value, code, says, cure in [
            ([], "field_type", "has to be a table", "client_name"),
            ({"contacts": "a@example.com"}, "client_metadata_invalid", "contacts is a list", '["a@example.com"]'),
            ({"contacts": [1]}, "client_metadata_invalid", "a list of texts", "contacts"),
            ({"x": {"y": None}}, "field_type", "holds NoneType", "client_name"),
            ({"x": float("nan")}, "field_type", "holds float", "client_name"),
            ({"x": {1: "y"}}, "field_type", "a name that is no text", "client_name"),
            ({"x": [[[[[[[["deep"]]]]]]]]}, "field_type", "nested too deeply", "client_name"),
            ({"jwks": ["x"]}, "client_metadata_invalid", "no set of keys", "keys"),
            ({"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}, "secret_in_declaration", "a private one", "public half"),
            ({"jwks": {"keys": []}, "jwks_uri": "https://a.example/k"}, "client_metadata_invalid", "both", "remove"),
        ]
    ),
    *(
        pytest.param(
            {"token_url": "http://127.0.0.1:9000/token", **how},
            "url_insecure",
            "shows its certificate in TLS",
            "https://",
            id=f"certificate without TLS: {next(iter(how.values()))}",
        )
        for how in (
            {"client_auth": "tls_client_auth"},
            {"client_auth": "self_signed_tls_client_auth"},
            {"sender_constraint": "mtls"},
        )
    ),
    *(
        pytest.param(
            {"client_id_metadata_url": url}, "client_document_url", flaw, "https://host/path", id=f"document {url}"
        )
        for url, flaw in {
            "http://127.0.0.1/client.json": "is not https",
            "https://app.example.com": "has no path",
            "https://app.example.com/": "has no path",
            "https://app.example.com/a/../b.json": "holds a dot",
            "https://app.example.com/client.json?a=b": "has a query",
        }.items()
    ),
    # URLs
    pytest.param({"token_url": None}, "url_missing", "token_url is missing", 'token_url="https://', id="no token URL"),
    pytest.param({"token_url": ""}, "url_missing", "token_url is missing", 'preset="', id="empty token URL"),
    pytest.param({"authorization_url": None}, "url_missing", "authorization_url", 'authorization_url="', id="no authz"),
    pytest.param(
        {"token_url": "http://auth.example.com/token"},
        "url_insecure",
        "token_url does not start with https://",
        'token_url="https://auth.example.com/token"',
        id="http",
    ),
    pytest.param(
        {"revocation_url": "http://x.example/r"}, "url_insecure", "revocation_url", "https://x", id="http too"
    ),
    pytest.param({"token_url": "http://127.0.0.1.evil.example/"}, "url_insecure", "token_url", "https", id="not local"),
    pytest.param({"token_url": "ftp://a.example/t"}, "url_insecure", "token_url", "https://a.example/t", id="ftp"),
    pytest.param({"token_url": "auth.example.com/token"}, "url_invalid", "no absolute URL", "https://", id="no scheme"),
    pytest.param({"token_url": "https:///token"}, "url_invalid", "no absolute URL", "https://", id="no host"),
    pytest.param({"token_url": "https://[::1/t"}, "url_invalid", "no absolute URL", "https://", id="bracket"),
    pytest.param({"token_url": "https://a.example:99999/"}, "url_invalid", "no absolute URL", "https://", id="port"),
    pytest.param({"token_url": "https://a.example/t t"}, "url_invalid", "no absolute URL", "https://", id="space"),
    pytest.param({"token_url": "https://a.example\\@b/"}, "url_invalid", "no absolute URL", "https://", id="backslash"),
    pytest.param(
        {"token_url": "https://\u0430pple.com/t"}, "url_invalid", "no absolute URL", "https://", id="look-alike"
    ),
    pytest.param(
        {"token_url": "https://a.example/t\n"}, "text_invalid", "control characters", "one line", id="newline"
    ),
    pytest.param({"token_url": "https://a.example/#x"}, "url_invalid", "fragment", '"https://a.example/"', id="hash"),
    pytest.param({"token_url": "https://a.example/#"}, "url_invalid", "fragment", '"https://a.example/"', id="bare #"),
    pytest.param({"token_url": "https://u:p@a.example/"}, "url_invalid", "user or password", "// to @", id="userinfo"),
    pytest.param({"issuer": "https://a.example/?x=1"}, "url_invalid", "query", '"https://a.example/"', id="issuer"),
    pytest.param({"api_base_url": "https://a.example?x"}, "url_invalid", "query", "https://a.example", id="base query"),
    pytest.param({"redirect_uri": "myapp:/callback"}, "url_invalid", "no redirect URI", "127.0.0.1", id="short scheme"),
    pytest.param({"redirect_uri": "http://a.example/"}, "url_insecure", "redirect_uri", "https://", id="http redirect"),
    pytest.param(
        {"redirect_uri": "com.example.a:/c#x"}, "url_invalid", "redirect_uri", "127.0.0.1", id="redirect hash"
    ),
    pytest.param({"token_url": 5}, "field_type", "token_url is int", 'token_url="..."', id="URL is a number"),
    # secret ids
    pytest.param({"secret_id": ""}, "secret_id_missing", "secret_id is empty", "crm-app-credentials", id="secret id"),
    pytest.param({"token_secret_id": " "}, "secret_id_missing", "token_secret_id", "crm-oauth-token", id="token id"),
    pytest.param({"secret_id": "a", "token_secret_id": "a"}, "secret_id_duplicate", "the same", "crm-oauth", id="same"),
    # scopes
    pytest.param(
        {"scopes": "repo, read:user"}, "scopes_not_a_list", "one string", 'scopes=["repo", "read:user"]', id="string"
    ),
    pytest.param(
        {"scopes": ["repo user"]}, "scopes_malformed", "more than one", 'scopes=["repo", "user"]', id="two in one"
    ),
    pytest.param(
        {"scopes": ["a,b"], "scope_separator": ","}, "scopes_malformed", "more than one", '["a", "b"]', id="comma"
    ),
    pytest.param({"scopes": ['a"b']}, "scopes_malformed", "no scope may have", "documentation", id="quote"),
    pytest.param({"scopes": [""]}, "text_invalid", "empty string", "scopes", id="empty scope"),
    pytest.param({"scopes": [1]}, "field_type", "scopes is int", "scopes", id="number scope"),
    pytest.param({"scopes": 7}, "field_type", "list of strings", 'scopes=["..."]', id="scopes number"),
    pytest.param({"scopes": {"a": "b"}}, "field_type", "list of strings", 'scopes=["..."]', id="scopes table"),
    pytest.param({"scope_separator": ""}, "text_invalid", "scope_separator is empty", 'scope_separator=" "', id="sep"),
    # hosts
    pytest.param(
        {"api_hosts": ["https://api.example.com/v1"]},
        "host_invalid",
        "holds a URL",
        'api_hosts=["api.example.com"]',
        id="host is a URL",
    ),
    pytest.param({"api_hosts": ["api.example.com/v1"]}, "host_invalid", "a URL", '["api.example.com"]', id="host path"),
    pytest.param({"api_hosts": ["*"]}, "host_invalid", "no host name", "*.example.com", id="any host"),
    pytest.param({"api_hosts": ["*.com"]}, "host_invalid", "too wide", "*.example.com", id="a whole top level"),
    pytest.param({"api_hosts": ["api.*.com"]}, "host_invalid", "no host name", "*.example.com", id="star inside"),
    pytest.param({"api_hosts": ["a_b!.com"]}, "host_invalid", "no host name", "*.example.com", id="bad host"),
    pytest.param({"api_hosts": ["a.example:x"]}, "host_invalid", "no host name", "*.example.com", id="bad port"),
    pytest.param({"api_hosts": "api.example.com"}, "field_type", "one string", '["api.example.com"]', id="host string"),
    # numbers, flags, words
    pytest.param({"access_token_lifetime": -1}, "number_invalid", "is -1", "access_token_lifetime=3600", id="negative"),
    pytest.param({"access_token_lifetime": 0}, "number_invalid", "is 0", "leave", id="zero life"),
    pytest.param({"buffer": float("nan")}, "number_invalid", "buffer is nan", "buffer=3600", id="nan"),
    pytest.param({"refresh_grace": float("inf")}, "number_invalid", "refresh_grace is inf", "3600", id="inf"),
    pytest.param({"buffer": "60"}, "field_type", "buffer is str", "buffer=3600", id="number as text"),
    pytest.param({"buffer": True}, "field_type", "buffer is bool", "buffer=3600", id="number as flag"),
    pytest.param({"pkce": "false"}, "field_type", "pkce is str", "pkce=False", id="flag as text"),
    pytest.param({"pkce": 1}, "field_type", "pkce is int", "pkce=True", id="flag as number"),
    pytest.param({"rotates_refresh_token": "maybe"}, "field_type", "is str", "=True", id="tristate as text"),
    pytest.param(
        {"client_auth": "client_secret_bsaic"},
        "choice_invalid",
        'did you mean "client_secret_basic"',
        "one of",
        id="auth",
    ),
    pytest.param({"grant": "password"}, "choice_invalid", "grant", "authorization_code", id="grant"),
    pytest.param({"on_reuse": "explode"}, "choice_invalid", "on_reuse", "revoke_grant", id="reuse"),
    pytest.param({"revocation_auth": 3}, "field_type", "revocation_auth is int", 'revocation_auth="', id="word type"),
    # tables
    pytest.param({"additional_params": {"state": "x"}}, "parameter_reserved", '"state"', 'remove "state"', id="state"),
    pytest.param({"additional_params": {"client_id": "x"}}, "parameter_reserved", '"client_id"', "remove", id="id"),
    pytest.param(
        {"additional_params": {"Redirect_URI": "x"}}, "parameter_reserved", "Redirect_URI", "remove", id="uri"
    ),
    pytest.param({"additional_params": {"code_challenge": "x"}}, "parameter_reserved", "code_ch", "remove", id="pkce"),
    pytest.param({"additional_params": {"response_type": "x"}}, "parameter_reserved", "response", "remove", id="type"),
    pytest.param({"token_params": {"code": "x"}}, "parameter_reserved", "token_params", 'remove "code"', id="code"),
    pytest.param({"refresh_params": {"client_secret": "x"}}, "parameter_reserved", "client_secret", "remove", id="cs"),
    pytest.param({"additional_params": {"a": 1}}, "field_type", "strings only", 'additional_params={"a": "1"}', id="1"),
    pytest.param({"additional_params": {"a": ["b"]}}, "field_type", "strings only", "additional_params={", id="list"),
    pytest.param({"additional_params": {5: "b"}}, "field_type", "strings only", 'additional_params={"5": "b"}', id="5"),
    pytest.param({"additional_params": "a=b"}, "field_type", "is str", "additional_params={", id="table as text"),
    pytest.param({"api_headers": {"Authorization": "x"}}, "parameter_reserved", "Authorization", "remove", id="header"),
    pytest.param({"api_headers": {"a b": "x"}}, "parameter_reserved", "a b", "remove", id="header name"),
    pytest.param({"identity": {"mail": "x"}}, "choice_invalid", 'identity is "mail"', "email", id="identity"),
    # flows that cannot be
    pytest.param({"client_auth": "none", "pkce": False}, "client_public", "without PKCE", "pkce=True", id="no PKCE"),
    pytest.param(
        {"grant": "client_credentials", "client_auth": "none"},
        "client_public",
        "prove itself",
        'client_auth="client_secret_basic"',
        id="public client credentials",
    ),
    # presets and their parameters
    pytest.param({"preset": "githup"}, "preset_unknown", 'did you mean "github"', "providers search", id="preset"),
    pytest.param({"preset": "../github"}, "preset_unknown", "none of that name", "providers search", id="path"),
    pytest.param({"preset": 4}, "field_type", "preset is not text", 'preset="github"', id="preset number"),
    pytest.param({"token_url": "https://{shop}.example/t"}, "param_missing", '"shop"', 'params={"shop": "', id="param"),
    pytest.param({"params": {"shop": "a"}}, "param_invalid", "of no URL", 'remove "shop"', id="unused param"),
]


@pytest.mark.conformance("1 native: private scheme")
@pytest.mark.parametrize(("fields", "code", "message", "hint"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_its_cure(
    fields: dict[str, object], code: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(**fields)
    error = caught.value
    assert error.code == code
    assert str(error).startswith('credential "crm": ')
    assert message in str(error)
    assert hint in error.hint
    # what led to it may show the value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_no_mistake_repeats_a_secret() -> None:
    for fields in (
        {"client_secret": "s3cr3t"},
        {"token_url": "https://user:s3cr3t@a.example/"},
        {"token_url": "https://a.example:s3cr3t/"},
        {"additional_params": {"client_secret": "s3cr3t"}},
        {"api_headers": {"Authorization": "Bearer s3cr3t"}},
    ):
        with pytest.raises(ConfigurationError) as caught:
            declare(**fields)
        assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param(None, "name_missing", id="none"),
        pytest.param("", "name_missing", id="empty"),
        pytest.param("   ", "name_missing", id="blank"),
        pytest.param(7, "name_missing", id="number"),
        pytest.param("my crm", "name_invalid", id="space"),
        pytest.param("crm/eu", "name_invalid", id="slash"),
        pytest.param("..", "name_invalid", id="dots"),
        pytest.param("crm\n", "name_invalid", id="newline"),
        pytest.param("ünï", "name_invalid", id="not ASCII"),
        pytest.param("a" * 101, "name_invalid", id="too long"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: object, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(name)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("name", ["github", "GitHub2", "my-crm", "a.b_c", "1password", "a" * 100])
def test_a_plain_name_is_taken(name: str) -> None:
    assert declare(name).name == name


@pytest.mark.conformance("1 native: private scheme")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"token_url": "http://127.0.0.1:8421/token"}, id="http on loopback"),
        pytest.param({"token_url": "http://localhost:1/token"}, id="http on localhost"),
        pytest.param({"token_url": "http://[::1]:1/token"}, id="http on ::1"),
        pytest.param({"token_url": "https://a.example/t?tenant=x"}, id="query kept"),
        pytest.param({"api_hosts": ["*.example.com", "127.0.0.1:8080", "localhost"]}, id="hosts"),
        pytest.param({"authorization_url": None, "device_authorization_url": "https://a.example/d"}, id="device only"),
        pytest.param({"grant": "client_credentials", "authorization_url": None}, id="client credentials"),
        pytest.param({"redirect_uri": "com.example.app:/callback"}, id="private scheme"),
        pytest.param({"redirect_uri": "http://127.0.0.1:9/x"}, id="loopback redirect"),
        pytest.param({"buffer": 0, "refresh_grace": 0}, id="zero where zero means something"),
        pytest.param({"scopes": ["https://www.googleapis.com/auth/drive.file", "a:b", "chat:write"]}, id="scopes"),
        pytest.param({"scopes": (scope for scope in ["a"])}, id="a generator of scopes"),
        pytest.param({"client_auth": "none"}, id="public client with PKCE"),
        pytest.param({"revocation_url": "https://a.example/apps/{client_id}/token"}, id="client id in the URL"),
    ],
)
def test_what_is_in_order_is_taken(fields: dict[str, object]) -> None:
    declare(**fields)


def test_none_means_not_given() -> None:
    assert declare(scopes=None, pkce=None, buffer=None, preset=None) == declare()


def test_scopes_named_twice_count_once() -> None:
    assert Wiring().oauth2_credential("a", **URLS, scopes=["b", "a", "b"]).scopes == ("b", "a")
