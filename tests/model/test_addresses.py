"""Servers and APIs that are named by an IPv6 address (RFC 3986 section 3.2.2)."""

from __future__ import annotations

import pytest

from valetkey import ConfigurationError, Wiring
from valetkey.protocol.metadata import metadata_documents
from valetkey.protocol.urls import host_allowed, origin


@pytest.mark.parametrize("host", ["[2001:db8::1]", "[2001:db8::1]:8443", "[::1]:9000", "[::ffff:192.0.2.1]"])
def test_an_issuer_may_be_an_ipv6_address(host: str) -> None:
    issuer = f"https://{host}/tenant"
    credential = Wiring().oauth2_credential("notes", issuer=issuer, api_hosts=[host])

    assert credential.issuer == issuer
    assert credential.discovers
    assert origin(issuer) == f"https://{host}"
    assert host_allowed(f"https://{host}/v1/notes", credential.api_hosts)
    assert not host_allowed("https://[2001:db8::2]/v1/notes", credential.api_hosts)
    assert all(place.startswith(f"https://{host}/") for place in metadata_documents(issuer, openid=True))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"issuer": "http://[2001:db8::1]"}, "url_insecure", id="not https, and not this machine"),
        pytest.param({"issuer": "https://[2001:db8::1"}, "url_invalid", id="a bracket is missing"),
        pytest.param({"issuer": "https://2001:db8::1"}, "url_invalid", id="no brackets"),
        pytest.param({"issuer": "https://[fe80::1%25eth0]"}, "url_invalid", id="a zone"),
        pytest.param({"issuer": "https://[2001:db8::g]"}, "url_invalid", id="no address"),
        pytest.param({"issuer": "https://a.example", "api_hosts": ["[::1]:x"]}, "host_invalid", id="no port"),
        pytest.param({"issuer": "https://a.example", "api_hosts": ["[a.example]"]}, "host_invalid", id="a name"),
        pytest.param({"issuer": "https://a.example", "api_hosts": ["2001:db8::1"]}, "host_invalid", id="bare"),
    ],
)
def test_what_is_no_such_address_is_refused(fields: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("notes", **fields)
    assert caught.value.code == code
