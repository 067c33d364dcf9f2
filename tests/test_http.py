"""The shared HTTP client, and the way to token endpoints: no redirects, no cookies, bounded in size and time."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest

from shared.certificates import self_signed
from valetkey import deadlines
from valetkey.clock import SystemClock
from valetkey.errors import ConfigurationError
from valetkey.http import BODY_LIMIT, Http, HttpEndpoint
from valetkey.model.ports import InDoubt, NotSent, TooLate
from valetkey.testing import FakeClock
from valetkey.values import Request, Secret

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on loopback whose answers a test writes by hand."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.answers[self.path](self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def http() -> Iterator[Http]:
    http = Http()
    yield http
    http.close()


@pytest.fixture
def endpoint(http: Http) -> HttpEndpoint:
    return HttpEndpoint(http, SystemClock())


def plain(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def send(endpoint: HttpEndpoint, url: str) -> object:
    request = Request(method="POST", url=url, headers={"Authorization": "Basic c2VjcmV0"}, body=b"a=b")
    return endpoint.send(request, deadline=SystemClock.monotonic() + 30)


@pytest.mark.conformance("1 core: no redirects", "2 own: redirect")
def test_a_redirect_of_the_token_endpoint_is_an_answer_and_is_not_followed(site: Site, endpoint: HttpEndpoint) -> None:
    site.answers["/token"] = plain(b"", 307, Location=site.url("/elsewhere"))
    site.answers["/elsewhere"] = plain(b"{}")

    answer = send(endpoint, site.url("/token"))

    assert answer.status == 307  # type: ignore[attr-defined]
    assert [path for path, _ in site.seen] == ["/token"]


def test_cookies_of_one_call_do_not_go_with_the_next(site: Site, http: Http, endpoint: HttpEndpoint) -> None:
    site.answers["/token"] = plain(b"{}", Set_Cookie="session=of-ada; Path=/")

    send(endpoint, site.url("/token"))
    http.client.get(site.url("/token"))
    http.client.get(site.url("/token"))

    assert ["cookie" in headers for _, headers in site.seen] == [False, False, False]


def test_gzip_that_was_not_asked_for_is_read(site: Site, endpoint: HttpEndpoint) -> None:
    site.answers["/token"] = plain(gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")

    assert send(endpoint, site.url("/token")).body == b'{"a": 1}'  # type: ignore[attr-defined]
    assert site.seen[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(plain(b"x" * (BODY_LIMIT + 1)), id="longer than a mebibyte"),
        pytest.param(plain(gzip.compress(b"x" * (BODY_LIMIT * 50)), Content_Encoding="gzip"), id="gzip bomb"),
        pytest.param(plain(b"not gzip", Content_Encoding="gzip"), id="broken gzip"),
        pytest.param(plain(b"{}", Content_Encoding="br"), id="an encoding nobody asked for"),
        pytest.param(lambda handler: handler.connection.close(), id="closed without an answer"),
    ],
)
def test_what_cannot_be_read_leaves_a_doubt(site: Site, endpoint: HttpEndpoint, answer: Answer) -> None:
    def then_close(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            answer(handler)
        except OSError:
            handler.close_connection = True  # the client had read enough

    site.answers["/token"] = then_close

    with pytest.raises(InDoubt):
        send(endpoint, site.url("/token"))


@pytest.mark.parametrize("late", [0.0, 5.0], ids=["at its deadline", "past its deadline"])
def test_what_has_no_time_left_is_not_sent(site: Site, endpoint: HttpEndpoint, late: float) -> None:
    site.answers["/token"] = plain(b"{}")
    request = Request(method="POST", url=site.url("/token"), headers={}, body=b"a=b")

    with pytest.raises(NotSent):
        endpoint.send(request, deadline=SystemClock.monotonic() - late)
    assert site.seen == []


def dripping(start: bytes, drip: bytes, closed: threading.Event) -> Answer:
    """Answer with `start`, then with `drip` again and again, until nobody listens any more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.sendall(start)
        try:
            while not closed.wait(0.01):
                handler.connection.sendall(drip)
        except OSError:
            closed.set()

    return answer


DRIPS = [
    pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", b".", id="in its headers"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{", b" ", id="in its body"),
    pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="in what comes before the answer"),
]


@pytest.mark.parametrize(("start", "drip"), DRIPS)
def test_an_answer_that_comes_byte_by_byte_ends_at_the_deadline(
    site: Site, endpoint: HttpEndpoint, start: bytes, drip: bytes
) -> None:
    closed = threading.Event()
    site.answers["/token"] = dripping(start, drip, closed)
    site.answers["/quick"] = plain(b"{}")
    request = Request(method="POST", url=site.url("/token"), headers={}, body=b"a=b")
    send(endpoint, site.url("/quick"))  # so that the connection is one that is used again

    with pytest.raises(InDoubt):
        endpoint.send(request, deadline=SystemClock.monotonic() + 1.0)
    assert closed.wait(30)
    assert send(endpoint, site.url("/quick")).status == 200  # type: ignore[attr-defined]


@pytest.mark.parametrize(("start", "drip"), DRIPS)
def test_a_proxy_may_drip_as_little(site: Site, monkeypatch: pytest.MonkeyPatch, start: bytes, drip: bytes) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url(""))
    closed = threading.Event()
    site.answers["http://provider.example/token"] = dripping(start, drip, closed)
    request = Request(method="POST", url="http://provider.example/token", headers={}, body=b"a=b")
    http = Http()
    endpoint = HttpEndpoint(http, SystemClock())

    with pytest.raises(InDoubt):
        endpoint.send(request, deadline=SystemClock.monotonic() + 1.0)
    assert closed.wait(30)
    http.close()


def test_other_requests_of_the_same_client_have_their_own_time_outs(site: Site, http: Http) -> None:
    site.answers["/token"] = plain(b"{}")
    send(HttpEndpoint(http, SystemClock()), site.url("/token"))

    assert http.for_endpoints.post(site.url("/token"), timeout=None).status_code == 200


def test_token_endpoints_have_a_client_of_their_own_beside_that_of_api_calls(site: Site, http: Http) -> None:
    """Deadlines cost API calls two per cent; both clients share the TLS context, and both are closed."""
    site.answers["/token"] = plain(b"{}")

    send(HttpEndpoint(http, SystemClock()), site.url("/token"))
    http.client.get(site.url("/token"))
    clients = [http.for_endpoints, http.client]

    backends = [client._transport._pool._network_backend for client in clients]  # type: ignore[attr-defined]
    assert [type(backend).__module__ for backend in backends] == ["valetkey.deadlines", "httpcore2"]
    contexts = [client._transport._pool._ssl_context for client in clients]  # type: ignore[attr-defined]
    assert contexts[0] is contexts[1]
    http.close()
    assert [client.is_closed for client in clients] == [True, True]
    assert http.for_endpoints is not clients[0]
    http.close()


def test_a_client_that_was_given_serves_token_endpoints_too() -> None:
    with httpx2.Client() as given:
        http = Http(given)

        assert [http.client, http.for_endpoints] == [given, given]
        http.close()
        assert [http.client, http.for_endpoints] == [given, given]
        assert not given.is_closed


def test_what_is_late_once_the_connection_is_there_is_not_sent(site: Site, http: Http) -> None:
    site.answers["/token"] = plain(b"{}")
    clock = FakeClock()
    endpoint = HttpEndpoint(http, clock)
    request = Request(method="POST", url=site.url("/token"), body=b"a=b", send_by=clock.monotonic())

    endpoint.send(request, deadline=clock.monotonic() + 30)
    clock.advance(1)
    with pytest.raises(TooLate):
        endpoint.send(request, deadline=clock.monotonic() + 30)
    endpoint.send(replace(request, send_by=None), deadline=clock.monotonic() + 30)

    assert len(site.seen) == 2


def test_what_cannot_be_connected_was_not_sent(endpoint: HttpEndpoint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port, nobody answers on it
        with pytest.raises(NotSent):
            send(endpoint, f"http://127.0.0.1:{taken.getsockname()[1]}/token")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/token", "http://"], ids=["another scheme", "no host"])
def test_what_is_no_http_url_was_not_sent(endpoint: HttpEndpoint, url: str) -> None:
    with pytest.raises(NotSent):
        send(endpoint, url)


def test_a_proxy_of_the_environment_is_honoured(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url(""))
    site.answers["http://provider.example/token"] = plain(b"{}")
    http = Http()

    send(HttpEndpoint(http, SystemClock()), "http://provider.example/token")

    assert [path for path, _ in site.seen] == ["http://provider.example/token"]
    http.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_the_child_has_a_client_of_its_own(http: Http) -> None:
    before = http.client, http.for_endpoints

    http.reset()  # what `os.register_at_fork` has the child do

    assert not {http.client, http.for_endpoints} & set(before)
    for client in before:
        assert not client.is_closed
        client.close()


# -- a client of the program's own


def test_hooks_of_a_client_that_was_given_see_api_calls_and_no_token_endpoint(site: Site) -> None:
    site.answers["/token"] = plain(b'{"error": "invalid_grant"}', 400)
    site.answers["/me"] = plain(b"{}")
    seen: list[str] = []

    def response(answer: httpx2.Response) -> None:
        seen.append(answer.url.path)
        answer.raise_for_status()

    with httpx2.Client(event_hooks={"response": [response]}) as given:
        http = Http(given)
        answer = send(HttpEndpoint(http, SystemClock()), site.url("/token"))
        http.client.get(site.url("/me"))

    assert answer.status == 400  # type: ignore[attr-defined]
    assert seen == ["/me"]


def test_valets_that_share_a_client_put_their_hook_on_it_once() -> None:
    calls: list[str] = []
    with httpx2.Client(
        event_hooks={"request": [lambda request: calls.append(request.url.path)]},
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200)),
    ) as given:
        Http(given)
        hooks = given.event_hooks
        Http(given)
        given.get("https://api.example/me")

        assert given.event_hooks == hooks
    assert calls == ["/me"]


@pytest.mark.parametrize("make", [httpx2.Client, httpx2.AsyncClient])
def test_a_client_that_was_given_is_not_used_in_a_forked_child(make: Any) -> None:
    given = make(transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))
    http = Http(given)
    http.after_fork()

    with pytest.raises(ConfigurationError, match="before the fork") as caught:
        _ = http.client if make is httpx2.Client else http.client_here()

    assert caught.value.code == "http_forked"
    if make is httpx2.AsyncClient:
        asyncio.run(given.aclose())
    else:
        given.close()


# -- deadlines


class Waiting(httpcore2.NetworkStream):
    """A connection on which an answer waits."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as httpcore2 has it
        self.timeouts.append(timeout)
        return b"."


def test_a_process_that_was_frozen_still_reads_what_has_come_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Waiting()
    stream = deadlines._Stream(inner)
    with deadlines.within(60.0):
        assert stream.read(1, 30.0) == b"."
        woken = deadlines.monotonic() + 3600
        monkeypatch.setattr(deadlines, "monotonic", lambda: woken)
        for _ in range(deadlines.LATE_READS):
            assert stream.read(1, 30.0) == b"."
        with pytest.raises(httpcore2.ReadTimeout):
            stream.read(1, 30.0)
        with pytest.raises(httpcore2.WriteTimeout):
            stream.write(b".", 30.0)

    assert set(inner.timeouts) == {30.0, 0.0}
    assert stream.read(1, 30.0) == b"."


def test_a_whole_answer_counts_however_late_it_is_read(site: Site, http: Http) -> None:
    clock = FakeClock()
    answer = plain(b"{}")

    def after_an_hour(handler: BaseHTTPRequestHandler) -> None:
        clock.advance(3600)
        answer(handler)

    site.answers["/token"] = after_an_hour
    request = Request(method="POST", url=site.url("/token"), headers={}, body=b"a=b")

    assert HttpEndpoint(http, clock).send(request, deadline=clock.monotonic() + 60).body == b"{}"


def test_a_transport_of_another_kind_that_fails_with_a_word_of_its_own_leaves_it_in_doubt() -> None:
    """Only a client that is closed says for sure that nothing has left."""

    def fail(_: httpx2.Request) -> httpx2.Response:
        msg = "the event loop is closed"
        raise RuntimeError(msg)

    client = httpx2.Client(transport=httpx2.MockTransport(fail))
    clock = SystemClock()
    endpoint = HttpEndpoint(Http(client), clock)
    request = Request(method="POST", url="https://provider.example/token")

    with pytest.raises(InDoubt, match="the event loop is closed"):
        endpoint.send(request, deadline=clock.monotonic() + 30)
    client.close()
    with pytest.raises(NotSent):
        endpoint.send(request, deadline=clock.monotonic() + 30)


# -- certificates


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_certificate_has_one_client_with_a_context_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_memory: bool
) -> None:
    """OpenSSL reads it from memory where the system can, else from a file that is gone afterwards."""
    if not in_memory:
        monkeypatch.delattr("os.memfd_create", raising=False)
    folder = tmp_path / "for files"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    http, certificates = Http(), [Secret("".join(self_signed(name))) for name in ("a", "b")]
    clients = [http.carrying(one).client for one in (None, *certificates, *certificates)]
    try:
        assert clients[0] is http.client
        assert len({id(client) for client in clients}) == 3
        assert clients[1:3] == clients[3:5]
        assert list(folder.iterdir()) == []
    finally:
        http.close()
    assert all(client.is_closed for client in clients)


def test_secrets_that_a_server_wants_in_the_query_are_in_no_log(
    site: Site, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    site.answers["/token?v=2&secret=s3cret"] = lambda handler: _plain(handler, b"{}")
    request = Request(method="GET", url=site.url("/token?v=2"), query="secret=s3cret")

    with caplog.at_level("DEBUG"):
        response = HttpEndpoint(http, SystemClock()).send(request, deadline=SystemClock().monotonic() + 10)

    assert response.status == 200
    assert [path for path, _ in site.seen] == ["/token?v=2&secret=s3cret"]
    assert "/token" in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(request)


def _plain(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
