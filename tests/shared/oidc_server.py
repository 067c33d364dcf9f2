"""A real authorization server that this project did not write, as tests see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from shared.certificates import self_signed

HERE = Path(__file__).parents[1] / "oidc"
SCOPES = ("openid", "offline_access", "profile", "email", "api.read")
READY_SECONDS = 60
REAL = "The tests against a real authorization server do"

_open = build_opener(ProxyHandler({})).open


def _answer(request: Request | str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request and return status and body, whatever the status is."""
    try:
        with _open(request, body) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


_ELSEWHERE = ("authorization_url", "token_url", "device_authorization_url")


class Server:
    """The server as tests see it.

    Attributes:
        issuer: Its address, and its issuer identifier.
        tls: The folder with ``server.pem``, which its second port shows, and ``client.pem``, which is its clients'.
    """

    def __init__(self, issuer: str, log: Path, tls: Path) -> None:
        self.issuer = issuer
        self.tls = tls
        self._log = log
        self._read = 0

    @cached_property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self._get("/.well-known/openid-configuration")
        return found

    @cached_property
    def clients(self) -> dict[str, dict[str, Any]]:
        """The registered clients, by the names that the tests give their credentials."""
        return {client["client_id"].partition(":")[0]: client for client in self._get("/_clients")}

    @property
    def stats(self) -> dict[str, int]:
        """What was asked for in this test: ``refresh_token granted``, ``reuse``, ``calls``..."""
        found: dict[str, int] = self._get("/_stats")
        return found

    def count(self, name: str) -> int:
        return self.stats.get(name, 0)

    @property
    def refreshes(self) -> tuple[int, int]:
        """How many refreshes were granted and refused."""
        return self.count("refresh_token granted"), self.count("refresh_token refused")

    def switch(self, **switches: int) -> None:
        self._post(f"/_switch?{urlencode(switches)}")

    def answer_phone(self, login: str, *, approve: bool = True) -> str | None:
        """Have who is asked on a phone say yes or no, and return what is shown there."""
        query = urlencode({"login": login, "action": "approve" if approve else "deny"})
        return cast("str | None", self._get(f"/_phone?{query}")["message"])

    def expire_access_tokens(self) -> None:
        """Have the API take none of the access tokens that were issued so far."""
        self._post("/_expire")

    def reset(self) -> None:
        self._post("/_reset")

    def fields(self, name: str) -> dict[str, Any]:
        """Return how the credential `name` is declared: for the client of that name."""
        meta, client = self.metadata, self.clients[name]
        service = client["grant_types"] == ["client_credentials"]
        phone = {"backchannel_authentication_url": meta["backchannel_authentication_endpoint"], "authorization_url": ""}
        return {
            "issuer": self.issuer,
            "iss_advertised": meta["authorization_response_iss_parameter_supported"],
            "authorization_url": meta["authorization_endpoint"],
            "token_url": meta["token_endpoint"],
            "device_authorization_url": meta["device_authorization_endpoint"],
            "revocation_url": meta["revocation_endpoint"],
            "userinfo_url": "" if service else meta["userinfo_endpoint"],
            "api_base_url": self.issuer,
            "client_auth": client.get("token_endpoint_auth_method", "client_secret_basic"),
            "sender_constraint": _constraint(client),
            "grant": "client_credentials" if service else "authorization_code",
            "scopes": ["api.read"] if service else list(SCOPES),
            # RFC-like servers give offline access only to somebody who was asked (OpenID Connect Core section 11)
            "additional_params": {} if service else {"prompt": "consent"},
            # a certificate is shown in TLS, which is where the aliases in the metadata lead
            **(dict.fromkeys(_ELSEWHERE, "") if name.startswith("mtls") else {}),
            **(phone if client.get("backchannel_token_delivery_mode") else {}),
        }

    def app(self, name: str) -> dict[str, str]:
        """Return the app credentials of the client `name`, as a secret holds them."""
        client = {**self.clients[name], "certificate": (self.tls / "client.pem").read_text()}
        if not name.startswith("mtls"):
            del client["certificate"]
        members = ("client_id", "client_secret", "private_key", "certificate")
        return {member: client[member] for member in members if member in client}

    def spend(self, name: str, refresh_token: str) -> tuple[int, str]:
        """Send a refresh token by hand, as another program does; returns the status and the error."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self.app(name)}
        status, body = _answer(self.metadata["token_endpoint"], urlencode(form).encode())
        return status, json.loads(body).get("error", "")

    def revoke(self, name: str, token: str) -> None:
        """Revoke a token by hand."""
        form = {"token": token, **self.app(name)}
        assert _answer(self.metadata["revocation_endpoint"], urlencode(form).encode())[0] == 200

    def accepts(self, access_token: str) -> bool:
        """Tell whether the API takes an access token."""
        headers = {"Authorization": f"Bearer {access_token}"}
        status, _ = _answer(Request(f"{self.issuer}/resource", headers=headers))  # noqa: S310 - it is http
        return {200: True, 401: False}[status]

    def said(self) -> str:
        """Return what it has logged since the last time."""
        text = self._log.read_text()
        new, self._read = text[self._read :], len(text)
        return new

    def _post(self, path: str) -> None:
        assert _answer(self.issuer + path, b"")[0] == 200

    def _get(self, path: str) -> Any:
        return json.loads(_answer(self.issuer + path)[1])


def _constraint(client: dict[str, Any]) -> str:
    if client.get("tls_client_certificate_bound_access_tokens"):
        return "mtls"
    return "dpop" if client.get("dpop_bound_access_tokens") else "none"


def _await_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that the server says it is ready at."""
    give_up_at = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        for line in log.read_text().splitlines():
            if line.startswith("ready "):
                return line.removeprefix("ready ")
        time.sleep(0.02)
    pytest.fail(f"the authorization server did not start:\n{log.read_text()}", pytrace=False)


@contextmanager
def running(left_out: Any, folder: Path) -> Iterator[Server]:
    """Run the server, whose log is in `folder`; leaves the test out where the machine lacks it."""
    node = shutil.which("node")
    if node is None:
        left_out(REAL, "Node.js 20 or newer is not here; install it with npm (https://nodejs.org), then: make test")
    if not (HERE / "node_modules" / "oidc-provider" / "package.json").is_file():
        left_out(REAL, "tests/oidc/node_modules is not here; run make test, which installs it (it needs npm)")
    log = folder / "server.log"
    for name in ("server", "client"):
        (folder / f"{name}.pem").write_text("".join(self_signed(name)))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [node, str(HERE / "server.mjs")],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=HERE,
            env={**os.environ, "TLS_FOLDER": str(folder)},
        )
    try:
        yield Server(_await_ready(process, log), log, folder)
    finally:
        process.terminate()
        process.communicate(timeout=30)
