"""Apps that prove themselves by a certificate, and tokens bound to it (RFC 8705), at a real server."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import pytest

from shared.certificates import self_signed
from valetkey import ConfigurationError

conformance = pytest.mark.conformance
AGES = 400
"""More seconds than an access token lives."""


@pytest.fixture
def bank(program: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trust the server's certificate, and return what declares "bank" for a client, by the issuer alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(program.server.tls / "server.pem"))
    aliases = program.server.metadata["mtls_endpoint_aliases"]
    base = aliases["token_endpoint"].removesuffix("/token")

    def declare(client: str, **fields: Any) -> str:
        given = dict.fromkeys(("authorization_url", "token_url", "device_authorization_url"), "")
        given |= {
            "revocation_url": "",
            "userinfo_url": "",
            "api_base_url": base,
            "api_hosts": [base.removeprefix("https://")],
        }
        back = {} if client == "mtls-ca" else {"redirect_uri": f"http://127.0.0.1:8421/callback/{client}"}
        program.declare("bank", client=client, **{**given, **back, **fields})
        return str(base)

    return declare


@conformance("1 client authentication: mTLS")
@pytest.mark.parametrize("certificate_apart", [False, True], ids=["one text", "two texts"])
def test_a_whole_life_with_a_certificate(program: Any, bank: Any, certificate_apart: bool) -> None:
    base = bank("mtls-self")
    if certificate_apart:
        whole = (program.server.tls / "client.pem").read_text()
        head, mark, tail = whole.partition("-----BEGIN PRIVATE KEY-----")
        app = {"client_id": "mtls-self", "certificate": head, "certificate_key": mark + tail}
        program.secrets.set("bank-app-credentials", json.dumps(app))
    status = program.connect("bank")
    assert (status.state, status.identity.subject) == ("connected", "alice"), "userinfo takes the bound token too"
    first = program.tokens("bank")
    assert [program.call("bank").status_code for _ in range(2)] == [200, 200]
    program.clock.advance(AGES)
    assert program.call("bank").status_code == 200
    last = program.tokens("bank")
    assert first["refresh_token"] != last["refresh_token"]
    assert program.server.refreshes == (1, 0)

    assert _status_without(program, f"{base}/resource", last["access_token"]) == 401, "it is bound"
    assert program.client("bank").disconnect().revoked == ("refresh_token", "access_token")
    assert "POST /token/revocation 200" in program.server.said()


def _status_without(program: Any, url: str, access_token: str) -> int:
    """Call the API with the token and without the certificate."""
    from urllib.error import HTTPError

    context = ssl.create_default_context(cafile=str(program.server.tls / "server.pem"))
    request = Request(url, headers={"Authorization": f"Bearer {access_token}"})  # noqa: S310 - it is https
    try:
        with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(request) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


@conformance("1 client authentication: mTLS", "2 O:mtls-endpoint-aliases")
def test_an_app_of_its_own_is_known_by_its_subject_at_the_alias(program: Any, bank: Any) -> None:
    bank("mtls-ca")
    assert program.call("bank").status_code == 200
    assert program.call("bank").json()["client_id"] == "mtls-ca"


@conformance("1 client authentication: mTLS")
def test_another_certificate_is_refused_and_a_missing_or_unfit_one_told_before_anything_is_sent(
    program: Any, bank: Any
) -> None:
    bank("mtls-ca")
    certificate, key = self_signed("somebody")
    _, other_key = self_signed("client")
    codes = []
    for app in (
        {"certificate": certificate, "certificate_key": key},
        {"certificate": certificate, "certificate_key": other_key},
        {"certificate": "hunter2", "certificate_key": key},
        {"certificate": certificate},
        {},
    ):
        program.secrets.set("bank-app-credentials", json.dumps({"client_id": "mtls-ca", **app}))
        with pytest.raises(Exception) as caught:
            program.call("bank")
        codes.append(getattr(caught.value, "code", ""))
        assert "hunter2" not in f"{caught.value} {caught.value!r}"
    assert codes[1:] == ["certificate_unfit", "certificate_unreadable", "certificate_missing", "certificate_missing"]
    assert program.server.count("client_credentials refused") == 1


def test_http_clients_that_cannot_choose_the_certificate_say_so(program: Any, bank: Any) -> None:
    base = bank("mtls-ca")
    assert program.call("bank").status_code == 200
    client, url = program.client("bank").target, f"{base}/resource"
    calls = program.server.count("calls")
    if program.colour.name == "sync":
        _refused_by_blocking_clients(client, url)
    else:
        program.colour.run(_refused_by_async_clients(client, url))
    assert program.server.count("calls") == calls


def _refused_by_blocking_clients(client: Any, url: str) -> None:
    import httpx
    import httpx2
    import requests

    from valetkey.adapters.httpx import HttpxAuth
    from valetkey.adapters.requests import RequestsAuth

    with httpx2.Client(auth=client.auth) as ours, httpx.Client(auth=HttpxAuth(client)) as theirs:
        for one in (ours, theirs):
            with pytest.raises(ConfigurationError) as caught:
                one.get(url)
            assert caught.value.code == "client_certificate"
    with requests.Session() as session, pytest.raises(ConfigurationError) as caught:
        session.get(url, auth=RequestsAuth(client))
    assert caught.value.code == "client_certificate"


async def _refused_by_async_clients(client: Any, url: str) -> None:
    import aiohttp

    from valetkey.adapters.aiohttp import middleware

    async with aiohttp.ClientSession(middlewares=(middleware(client),)) as session:
        with pytest.raises(ConfigurationError) as caught:
            await session.get(url)
    assert caught.value.code == "client_certificate"


@conformance("1 client authentication: mTLS")
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_a_certificate_that_is_replaced_in_its_files_is_used_without_an_error(
    program: Any, bank: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    base = bank("mtls-fapi2", require_par=True)
    files = tmp_path / "app.crt", tmp_path / "app.key"
    write(files, self_signed("first"))
    monkeypatch.setenv("VALETKEY_BANK_CERTIFICATE_FILE", str(files[0]))
    monkeypatch.setenv("VALETKEY_BANK_CERTIFICATE_KEY_FILE", str(files[1]))
    program.connect("bank")
    assert program.call("bank").status_code == 200

    write(files, self_signed("second"))
    assert program.call("bank").status_code == 200, "the token is bound to the first one, which serves on"
    program.clock.advance(100)
    program.server.expire_access_tokens()
    calls = program.server.count("calls")
    assert called(program, f"{base}/resource", streams=streams) == 200
    assert program.server.count("calls") == calls + 2, "refused once, and sent again with the second certificate"
    assert program.server.refreshes == (1, 0)


def write(files: tuple[Any, Any], pair: tuple[str, str]) -> None:
    for path, text in zip(files, pair, strict=True):
        path.write_text(text)


def called(program: Any, url: str, *, streams: bool) -> int:
    """Call the API, and read the answer whole or bit by bit."""
    if not streams:
        return int(program.client("bank").get(url).status_code)
    client = program.client("bank").target
    if program.colour.name == "sync":
        with client.stream("GET", url) as response:
            assert b"alice" in response.read()
            return int(response.status_code)

    async def read() -> int:
        async with client.stream("GET", url) as response:
            assert b"alice" in await response.aread()
            return int(response.status_code)

    return int(program.colour.run(read()))


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_a_client_that_was_given_cannot_carry_it(program: Any, bank: Any, tmp_path: Any) -> None:
    """One facade is enough: it is said below both."""
    import httpx2

    from valetkey import Valet

    bank("mtls-ca")
    with (
        httpx2.Client() as given,
        Valet(
            tmp_path / "other.db", key=tmp_path / "key", wiring=program.wiring, secrets=program.secrets, http=given
        ) as valet,
        pytest.raises(ConfigurationError) as caught,
    ):
        valet.client("bank").get("/resource")
    assert caught.value.code == "http_certificate"
