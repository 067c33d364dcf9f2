from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.urls import (
    allowed_hosts,
    allows,
    host_allowed,
    is_loopback,
    join,
    origin,
    require_https,
    stays,
)

HOSTS = ("api.example.com", "*.shops.example", "files.example.com:8443", "127.0.0.1:9000", "[::1]:9000", "localhost")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://api.example.com/v1/me?x=1#f", id="a listed host"),
        pytest.param("https://api.example.com", id="without a path"),
        pytest.param("https://api.example.com?x=https://evil.example/", id="a query without a path"),
        pytest.param("https://api.example.com#https://evil.example/", id="a fragment without a path"),
        pytest.param("https://api.example.com:443/", id="the scheme's own port"),
        pytest.param("HTTPS://API.Example.COM/", id="capitals"),
        pytest.param("https://api.example.com./", id="a final dot"),
        pytest.param("https://a.shops.example/", id="below a star"),
        pytest.param("https://b.a.shops.example/", id="two below a star"),
        pytest.param("https://files.example.com:8443/x", id="a listed port"),
        pytest.param("http://127.0.0.1:9000/", id="plain http on this machine"),
        pytest.param("http://[::1]:9000/", id="the same with IPv6"),
        pytest.param("http://localhost/", id="localhost, port 80"),
        pytest.param("https://localhost/", id="localhost with https"),
    ],
)
def test_a_token_may_go_there(url: str) -> None:
    assert host_allowed(url, HOSTS)


@pytest.mark.conformance("1 core: confidential")
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://evil.example/", id="another host"),
        pytest.param("https://api.example.com.evil.example/", id="the host as a prefix"),
        pytest.param("https://evil-api.example.com/", id="the host as a suffix"),
        pytest.param("https://example.com/", id="the parent"),
        pytest.param("https://shops.example/", id="the apex of a star"),
        pytest.param("https://evilshops.example/", id="a star's suffix without the dot"),
        pytest.param("https://a.shops.example.evil.example/", id="a star's suffix in the middle"),
        pytest.param("https://.shops.example/", id="an empty label below a star"),
        pytest.param("https://a..shops.example/", id="two dots"),
        pytest.param("https://a.shops.example:8443/", id="another port below a star"),
        pytest.param("https://api.example.com:8443/", id="another port"),
        pytest.param("https://api.example.com:0/", id="port zero"),
        pytest.param("https://api.example.com:99999/", id="a port that is none"),
        pytest.param("https://api.example.com:x/", id="a port of letters"),
        pytest.param("https://files.example.com/", id="a listed port left out"),
        pytest.param("http://api.example.com/", id="plain http"),
        pytest.param("http://api.example.com:443/", id="plain http on the other port"),
        pytest.param("ftp://api.example.com/", id="another scheme"),
        pytest.param("wss://api.example.com/", id="a web socket"),
        pytest.param("https://api.example.com@evil.example/", id="the host as userinfo"),
        pytest.param("https://evil.example@api.example.com/", id="userinfo before the host"),
        pytest.param("https://@api.example.com/", id="empty userinfo"),
        pytest.param("https://evil.example\\@api.example.com/", id="a backslash"),
        pytest.param("https://api.example.com\\.evil.example/", id="a backslash after the host"),
        pytest.param("https:\\\\api.example.com/", id="backslashes for slashes"),
        pytest.param("https:/api.example.com/", id="one slash"),
        pytest.param("https:api.example.com/", id="no slash"),
        pytest.param("https:///api.example.com/", id="three slashes"),
        pytest.param("//api.example.com/", id="no scheme"),
        pytest.param("/v1/me", id="a path"),
        pytest.param("", id="nothing"),
        pytest.param("api.example.com", id="a bare host"),
        pytest.param(" https://api.example.com/", id="a space before it"),
        pytest.param("https://api.example.com\t.evil.example/", id="a tab inside"),
        pytest.param("https://api.example.com\n/", id="a line end inside"),
        pytest.param("https://api.exa%6dple.com/", id="a percent-encoded host"),
        pytest.param("https://api.example.com%2eevil.example/", id="a percent-encoded dot"),
        pytest.param("https://api\u3002example.com/", id="an ideographic dot"),
        pytest.param("https://\uff41pi.example.com/", id="a full-width letter"),
        pytest.param("https://api.ex\u0430mple.com/", id="a Cyrillic letter"),
        pytest.param("https://api.example.com\u2024evil/", id="a character that normalises to a dot"),
        pytest.param("https://api.example.com\u2100evil/", id="a character that normalises to a slash"),
        pytest.param("https://[::1/", id="an open bracket"),
        pytest.param("https://[evil.example]/", id="a name in brackets"),
        pytest.param("http://127.0.0.1/", id="this machine on another port"),
        pytest.param("http://127.0.0.1.evil.example:9000/", id="an address as a prefix"),
        pytest.param("http://0177.0.0.1:9000/", id="an octal address"),
        pytest.param("http://2130706433:9000/", id="an address as one number"),
        pytest.param("http://[::ffff:127.0.0.1]:9000/", id="an address inside another"),
        pytest.param("http://localhost.evil.example/", id="localhost as a prefix"),
    ],
)
def test_a_token_may_not_go_there(url: str) -> None:
    assert not host_allowed(url, HOSTS)


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        pytest.param("API.example.com", "https://api.example.com/", True, id="an entry in capitals"),
        pytest.param("api.example.com.", "https://api.example.com/", True, id="an entry with a final dot"),
        pytest.param("api.example.com:443", "https://api.example.com/", True, id="an entry with the scheme's own port"),
        pytest.param("api.example.com:443", "https://api.example.com:8443/", False, id="and another port"),
        pytest.param("*.example.com:8443", "https://a.example.com:8443/", True, id="a star with a port"),
        pytest.param("*.example.com:8443", "https://a.example.com/", False, id="a star with a port left out"),
        pytest.param("b\u00fccher.example", "https://xn--bcher-kva.example/", True, id="an international entry"),
        pytest.param("xn--bcher-kva.example", "https://B\u00dcCHER.example/", True, id="an international URL"),
        pytest.param("strasse.example", "https://stra\u00dfe.example/", False, id="where two standards differ"),
        pytest.param("*.\u00fc.example", "https://a.\u00fc.example/", True, id="an international star"),
        pytest.param("x" * 70 + ".\u00fc", "https://" + "x" * 70 + ".\u00fc/", False, id="a label too long"),
        pytest.param("::1", "http://[::1]/", True, id="a bare IPv6 entry"),
        pytest.param("[::1]", "http://[::1]/", True, id="an IPv6 entry in brackets"),
        pytest.param("*", "https://api.example.com/", False, id="a star alone is no entry"),
        pytest.param("", "https://api.example.com/", False, id="an empty entry"),
        pytest.param("a.*.com", "https://a.b.com/", False, id="a star in the middle"),
        pytest.param("https://eu.example.com/services", "https://eu.example.com/x", True, id="a URL as entry"),
        pytest.param("https://eu.example.com:8443", "https://eu.example.com:8443/x", True, id="a URL with a port"),
        pytest.param("https://eu.example.com@evil.example", "https://evil.example/", False, id="a URL with userinfo"),
    ],
)
def test_how_an_entry_is_read(entry: str, url: str, allowed: bool) -> None:
    assert host_allowed(url, [entry]) is allowed


def test_no_entry_allows_nothing() -> None:
    assert not host_allowed("https://api.example.com/", ())


@pytest.mark.parametrize(
    ("scheme", "host", "port", "allowed"),
    [
        ("https", "api.example.com", None, True),
        ("HTTPS", "API.example.com.", 443, True),
        ("https", "api.example.com", 444, False),
        ("http", "api.example.com", None, False),
        ("http", "::1", 9000, True),
        ("ws", "api.example.com", None, False),
        ("https", "", None, False),
    ],
)
def test_a_url_that_is_split_already(scheme: str, host: str, port: int | None, allowed: bool) -> None:
    assert allows(scheme, host, port, HOSTS) is allowed


@given(st.text(max_size=60))
def test_any_text_is_allowed_or_not(text: str) -> None:
    assert host_allowed(text, HOSTS) in (True, False)
    assert host_allowed("https://" + text, HOSTS) in (True, False)


@given(st.text(min_size=1, max_size=30))
def test_nothing_put_before_or_after_the_host_makes_it_another_listed_one(text: str) -> None:
    authority = f"{text}evil.test"
    if host_allowed(f"https://{authority}/", ("api.example.com",)):
        assert text.startswith(("api.example.com/", "api.example.com?", "api.example.com#"))


# -- this machine ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.9", "::1", "[::1]", "localhost", "LOCALHOST", "localhost."])
def test_this_is_our_own_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.1", "10.0.0.1", "128.0.0.1", "::", "::2", "127.1", "0x7f.0.0.1", "127.0.0.1.example", "a.localhost"],
)
def test_this_is_not_our_own_machine(host: str) -> None:
    assert not is_loopback(host)


# -- https ----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: TLS")
@pytest.mark.parametrize(
    "url", ["https://as.example/t?x=1", "http://localhost:1/t", "http://[::1]/", "http://127.9.9.9/"]
)
def test_https_and_this_machine_pass(url: str) -> None:
    require_https(url, what="token_url", name="site")


@pytest.mark.conformance("1 core: TLS")
@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("", "url_missing", id="nothing"),
        pytest.param("http://as.example/t", "url_insecure", id="http"),
        pytest.param("http://user:planted@as.example/t?key=planted", "url_invalid", id="userinfo"),
        pytest.param("http://as.example/t?key=planted", "url_insecure", id="a secret in the query"),
        pytest.param("as.example/t", "url_invalid", id="no scheme"),
        pytest.param("https://", "url_invalid", id="no host"),
        pytest.param("https://as example/t", "url_invalid", id="a space"),
        pytest.param("file:///etc/passwd", "url_invalid", id="a file"),
    ],
)
def test_anything_else_is_refused_by_field_and_name(url: str, code: str) -> None:
    with pytest.raises(ConfigurationError, match="site: token_url") as caught:
        require_https(url, what="token_url", name="site")

    assert caught.value.code == code
    assert "token_url" in caught.value.hint
    assert "planted" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://AS.example:443/t?x", "https://as.example"),
        ("https://as.example:8443", "https://as.example:8443"),
        ("http://[::1]:80/", "http://[::1]"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example"),
    ],
)
def test_the_origin_of_a_url(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["", "as.example", "mailto:a@b", "https://u:p@as.example/"])
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        origin(url)

    assert caught.value.code == "url_invalid"


# -- a credential's hosts -------------------------------------------------------------------------------------------


def test_the_declared_hosts_are_the_allowed_ones() -> None:
    credential = OAuth2Credential(name="s", api_hosts=("api.example.com",), token_url="https://as.example/t")

    assert allowed_hosts(credential) == ("api.example.com",)


def test_without_them_the_hosts_of_its_own_endpoints_are() -> None:
    credential = OAuth2Credential(
        name="s",
        api_base_url="http://127.0.0.1:9000/v1",
        token_url="https://as.example/t",
        authorization_url="https://AS.example:443/a",
        userinfo_url="https://id.example:8443/me",
        revocation_url="nonsense",
    )

    assert allowed_hosts(credential) == ("127.0.0.1:9000", "id.example:8443", "as.example")


# -- relative URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "url", "joined"),
    [
        ("https://api.example.com", "/user", "https://api.example.com/user"),
        ("https://api.example.com/", "user", "https://api.example.com/user"),
        ("https://api.example.com/v1/", "/users?a=1", "https://api.example.com/v1/users?a=1"),
        ("https://api.example.com/v1", "users:batchGet", "https://api.example.com/v1/users:batchGet"),
        ("https://api.example.com/v1", "?a=1", "https://api.example.com/v1?a=1"),
        ("https://api.example.com/v1", "", "https://api.example.com/v1"),
        ("https://api.example.com", "@evil.example/", "https://api.example.com/@evil.example/"),
        ("https://api.example.com", ".evil.example", "https://api.example.com/.evil.example"),
        ("https://api.example.com", "https:evil.example", "https://api.example.com/https:evil.example"),
        ("https://api.example.com", "javascript:alert(1)", "https://api.example.com/javascript:alert(1)"),
        ("https://api.example.com", "/a//b", "https://api.example.com/a//b"),
        ("https://api.example.com", "https://other.example/x", "https://other.example/x"),
        ("https://api.example.com", "HTTPS://other.example/x", "HTTPS://other.example/x"),
        ("", "https://other.example/x", "https://other.example/x"),
    ],
)
def test_a_relative_url_is_joined_to_its_base(base: str, url: str, joined: str) -> None:
    assert join(base, url) == joined


@pytest.mark.parametrize("url", ["//evil.example/x", "///evil.example", "/\\evil.example", "\\\\evil.example", "\\x"])
def test_a_host_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        join("https://api.example.com", url)

    assert caught.value.code == "url_invalid"


def test_a_relative_url_needs_a_base() -> None:
    with pytest.raises(ConfigurationError, match="api_base_url") as caught:
        join("", "/user?token=planted")

    assert caught.value.code == "base_url_missing"
    assert "planted" not in str(caught.value)


@given(st.text(max_size=40))
def test_no_relative_url_leaves_the_host_of_its_base(url: str) -> None:
    try:
        joined = join("https://api.example.com/v1", url)
    except ConfigurationError:
        return
    assert joined == url or joined.startswith(("https://api.example.com/v1/", "https://api.example.com/v1"))
    assert "://" in url or host_allowed(joined, ("api.example.com",))


@pytest.mark.parametrize(
    ("location", "same"),
    [
        pytest.param("/other?x=a b", True, id="a path, even with a space"),
        pytest.param("?x=1", True, id="a query"),
        pytest.param("", True, id="nothing"),
        pytest.param("//api.example.com/x", True, id="the host without a scheme"),
        pytest.param("HTTPS://API.Example.com:443/x", True, id="the same in other words"),
        pytest.param("https://api.example.com./x", True, id="the host with its final dot"),
        pytest.param("https://example.com/x", False, id="another host"),
        pytest.param("https://api.example.com:8443/x", False, id="another port"),
        pytest.param("http://api.example.com/x", False, id="another scheme"),
        pytest.param("https://api.example.com@evil.example/x", False, id="userinfo"),
        pytest.param("https://evil.example\\@api.example.com/x", False, id="a backslash"),
        pytest.param("https://[broken/x", False, id="what is no URL"),
        pytest.param("mailto:ada@example.com", False, id="what has no host"),
    ],
)
def test_a_redirect_stays_or_leaves(location: str, same: bool) -> None:
    assert stays("https://api.example.com/a/b", location) is same
