"""The FAPI 2.0 profile at a real server: by key or certificate, pushed, bound, over both facades."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import ConfigurationError, ConnectError

conformance = pytest.mark.conformance
_DISCOVERED = ("authorization_url", "token_url", "device_authorization_url", "revocation_url", "userinfo_url")


def declare(program: Any, client: str, **fields: Any) -> None:
    """Declare "bank" for a client of the server, held to the profile: by the issuer alone."""
    given: dict[str, Any] = dict.fromkeys(_DISCOVERED, "")
    given["redirect_uri"] = f"http://127.0.0.1:8421/callback/{client}"
    program.declare("bank", client=client, security_profile="fapi2", **{**given, **fields})


@conformance("1 FAPI 2.0: confidential, PAR, bound")
@pytest.mark.parametrize("bound", ["dpop", "mtls"])
def test_a_whole_life_in_the_profile(program: Any, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(program.server.tls / "server.pem"))
    program.server.switch(nonce=1)
    if bound == "dpop":
        declare(program, "fapi2")
    else:
        base = program.server.metadata["mtls_endpoint_aliases"]["token_endpoint"].removesuffix("/token")
        declare(program, "mtls-fapi2", api_base_url=base, api_hosts=[base.removeprefix("https://")])
    start = program.valet.authorize("bank")
    assert set(parse_qs(urlsplit(start.url).query)) == {"client_id", "request_uri"}
    assert program.connect("bank").state == "connected"
    assert program.call("bank").status_code == 200
    program.clock.advance(400)
    assert program.call("bank").status_code == 200
    assert program.server.refreshes == (1, 0)
    assert program.client("bank").disconnect().revoked == ("refresh_token", "access_token")


@conformance("1 FAPI 2.0: algorithms")
def test_an_id_token_signed_with_rs256_is_refused(program: Any) -> None:
    declare(program, "pkjwt-dpop")
    with pytest.raises(ConnectError) as caught:
        program.connect("bank")
    assert caught.value.code == "id_token_invalid"
    assert program.tokens("bank") == {}


@conformance("1 FAPI 2.0: algorithms")
def test_an_answer_comes_back_by_https_or_to_this_machine_only(program: Any) -> None:
    declare(program, "fapi2")
    with pytest.raises(ConfigurationError) as caught:
        program.valet.authorize("bank", redirect_uri="http://app.example.com/callback/fapi2")
    assert (caught.value.code, "redirect_uri" in str(caught.value)) == ("url_insecure", True)
