"""The server under the provider: connections, counters, what it remembers, starting and stopping."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from valetkey.testing import PracticeProvider
from valetkey.testing import _http as server
from valetkey.testing.provider import DEFAULT_CLIENT_SECRET


def raw(provider: PracticeProvider, request: bytes) -> bytes:
    """Send bytes, and return all that comes until the server hangs up."""
    with socket.create_connection(("127.0.0.1", urlsplit(provider.url).port or 0), timeout=30) as connection:
        connection.sendall(request)
        answer = bytearray()
        while piece := connection.recv(65536):
            answer += piece
        return bytes(answer)


def test_a_stopped_provider_has_closed_everything_and_can_start_again(http: httpx2.Client) -> None:
    before = threading.active_count()
    provider = PracticeProvider()
    with provider:
        assert provider.start() is provider
        assert http.get(provider.url).status_code == 200
        address = provider.url
    provider.stop()

    assert threading.active_count() == before
    with pytest.raises(httpx2.ConnectError):
        http.get(address)
    with provider:
        assert http.get(provider.url).status_code == 200


def test_a_taken_port_is_an_error_at_once() -> None:
    with PracticeProvider() as first:
        port = urlsplit(first.url).port or 0
        with pytest.raises(OSError, match="in use"):
            PracticeProvider(port=port).start()


def test_a_port_of_ones_own_choice_can_be_taken_again_at_once(http: httpx2.Client) -> None:
    with PracticeProvider() as first:
        port = urlsplit(first.url).port or 0
        http.get(first.url)
    with PracticeProvider(port=port) as second:
        assert second.url == first.url
        assert http.get(second.url).status_code == 200


def test_a_connection_serves_many_requests(provider: PracticeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Any] = []
    accept = server._Server.process_request
    monkeypatch.setattr(
        server._Server, "process_request", lambda self, *a: (connections.append(a), accept(self, *a))[1]
    )

    with httpx2.Client() as http:
        for _ in range(5):
            assert http.get(provider.url).status_code == 200

    assert len(connections) == 1


def test_a_hundred_connections_are_served_at_once(provider: PracticeProvider) -> None:
    port = urlsplit(provider.url).port or 0
    with ExitStack() as stack:
        open_connection = lambda: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))  # noqa: E731
        with provider.hold("discovery") as hold:
            connections = [open_connection() for _ in range(100)]
            for connection in connections:
                connection.sendall(b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: x\r\n\r\n")
            hold.wait_for(100)
        assert all(connection.recv(15) == b"HTTP/1.1 200 OK" for connection in connections)


def test_half_a_request_is_no_request(provider: PracticeProvider, app: Any) -> None:
    token = app.connect()["refresh_token"]
    before = provider.token_requests
    form = f"grant_type=refresh_token&refresh_token={token}"
    head = "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(provider.url).port or 0), timeout=30) as connection:
        connection.sendall(head.format(len(form) + 10).encode() + form.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""

    assert provider.token_requests == before


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", id="no number"),
        pytest.param(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", id="too much"),
        pytest.param(
            b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", id="a huge chunk"
        ),
    ],
)
def test_a_body_of_no_sane_size_is_refused(provider: PracticeProvider, request_head: bytes) -> None:
    assert raw(provider, request_head).startswith(b"HTTP/1.1 413 ")


def test_broken_chunks_end_the_connection(provider: PracticeProvider) -> None:
    head = b"POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert raw(provider, head + b"zz\r\n") == b""


def test_trailers_are_read_over(provider: PracticeProvider) -> None:
    head = b"POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = raw(provider, head + b"2;x=1\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n" + rest)

    assert b'"body": "hi"' in answer
    assert b"HTTP/1.1 404 " in answer


def test_a_bug_of_the_provider_is_answered_and_logged(
    provider: PracticeProvider, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        msg = "boom"
        raise RuntimeError(msg)

    monkeypatch.setattr(provider, "_count", broken)
    with caplog.at_level(logging.ERROR):
        assert http.get(provider.url).status_code == 500

    assert "boom" in caplog.text


# -- what it counts and remembers


def test_requests_are_remembered_without_their_secrets(app: Any, provider: PracticeProvider) -> None:
    tokens = app.refresh(app.connect()["refresh_token"]).json()
    app.get("/me", tokens["access_token"])

    asked, exchanged, refreshed, called = provider.requests
    assert (asked.method, asked.path, asked.endpoint, asked.status) == ("GET", "/authorize", "authorization", 303)
    assert asked.parameters[:3] == ("response_type", "client_id", "redirect_uri")
    assert (exchanged.endpoint, exchanged.grant_type, exchanged.authentication) == (
        "token",
        "authorization_code",
        "basic",
    )
    assert refreshed.parameters == ("grant_type", "refresh_token")
    assert (called.endpoint, called.authentication, called.at) == ("api", "bearer", 1_800_000_000)
    assert called.headers["user-agent"].startswith("python-httpx2")
    everything = repr(provider.requests) + "".join(str(dict(request.headers)) for request in provider.requests)
    for secret in [*provider.tokens_ever_issued(), DEFAULT_CLIENT_SECRET, app.verifier]:
        assert secret not in everything


@pytest.mark.parametrize(
    ("headers", "form", "seen"),
    [
        pytest.param({}, {"client_id": "a", "client_secret": "b"}, "post", id="in the body"),
        pytest.param({}, {"client_id": "a"}, "none", id="an id alone"),
        pytest.param({"Authorization": "Basic x"}, {"client_secret": "b"}, "basic+post", id="both, as none may"),
        pytest.param({}, {}, "", id="nothing"),
    ],
)
def test_the_authentication_of_each_request_is_remembered(
    app: Any, provider: PracticeProvider, headers: dict[str, str], form: dict[str, str], seen: str
) -> None:
    app.token(headers, **form)

    assert provider.requests[-1].authentication == seen


def test_every_token_and_code_is_known_for_canary_tests(app: Any, provider: PracticeProvider) -> None:
    code = app.code()
    first = app.exchange(code).json()
    second = app.refresh(first["refresh_token"]).json()
    device = app.post("/device_authorization", {}).json()

    issued = provider.tokens_ever_issued()

    assert {code, device["device_code"]} <= issued
    for tokens in (first, second):
        assert {tokens["access_token"], tokens["refresh_token"]} <= issued


def test_counters_start_anew_while_grants_live(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    app.get("/me", tokens["access_token"])
    assert (provider.token_requests, provider.api_requests) == (1, 1)

    provider.reset_counters()

    assert (provider.token_requests, provider.api_requests, provider.requests) == (0, 0, ())
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert (provider.token_requests, provider.refreshes) == (1, 1)


def test_the_oldest_requests_are_forgotten_first(
    provider: PracticeProvider, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import deque

    monkeypatch.setattr(provider._tally, "_requests", deque(maxlen=2))
    for name in "abc":
        http.get(f"{provider.url}/{name}")

    assert [request.path for request in provider.requests] == ["/b", "/c"]
