"""The loopback listener, asked over plain sockets as browsers, other users and web pages would."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from valetkey import _loopserver
from valetkey.errors import ConnectError, ConsentExpired
from valetkey.loopback import LoopbackListener, Outcome, start_file

AUTHORIZE = "https://provider.example/authorize?client_id=a&state=the-state-of-this-sign-in&scope=x"
CALLBACK = "/callback/notes?code=the-code&state=the-state-of-this-sign-in"
CONNECTED = Outcome(kind="connected", provider="Notes", identity="ada", granted=1, requested=2)


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def cookie(self) -> str:
        return self.headers["set-cookie"].partition(";")[0]


class Browser:
    """Asks the listener; keeps the cookie."""

    def __init__(self, listener: LoopbackListener) -> None:
        self.listener = listener
        self.cookie = ""

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=20)
        try:
            sent = {"Cookie": self.cookie, **headers} if self.cookie else headers
            connection.request(method, path, headers=sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def land(self, path: str) -> Answer:
        """Come to the callback, and go to where it leads: no page stands at its address."""
        led = self.get(path)
        assert (led.status, led.text) == (303, "")
        assert "?" not in led.headers["location"]
        return self.get(led.headers["location"])

    def start(self) -> Answer:
        answer = self.get("/" + self.listener.start_url.split("/", 3)[3])
        if "set-cookie" in answer.headers:
            self.cookie = f"other=1; {answer.cookie}; more=2"
        return answer


@pytest.fixture
def listener() -> Iterator[LoopbackListener]:
    with LoopbackListener(port=None, path="/callback/notes", provider="Notes") as listener:
        listener.begin(AUTHORIZE)
        yield listener


@pytest.fixture
def browser(listener: LoopbackListener) -> Browser:
    return Browser(listener)


@pytest.fixture
def background() -> Iterator[Callable[..., Any]]:
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def _say(listener: LoopbackListener, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as raw:
        raw.sendall(data)
        answer = b""
        while chunk := raw.recv(4096):
            answer += chunk
    return answer


@pytest.mark.conformance("1 native: loopback listener")
def test_it_listens_on_loopback_alone_on_a_port_of_its_own(listener: LoopbackListener) -> None:
    with LoopbackListener(port=None, path="/x") as other:
        assert listener.port != other.port
    assert listener.redirect_uri == f"http://127.0.0.1:{listener.port}/callback/notes"
    assert listener._server._listener.getsockname()[0] == "127.0.0.1"


def test_the_whole_way_of_a_browser(listener: LoopbackListener, browser: Browser, background: Any) -> None:
    start = browser.start()
    assert (start.status, start.headers["location"]) == (302, AUTHORIZE)
    assert listener.started

    back = browser.get(CALLBACK)
    assert (back.status, back.headers["location"]) == (303, "/done")
    assert listener.wait(5) == f"http://127.0.0.1:{listener.port}{CALLBACK}"

    page = background(browser.get, "/done")
    listener.report(CONNECTED)
    shown = page.result(10)
    assert shown.status == 200
    assert "<h1>Notes is connected</h1>" in shown.text
    assert "<b>ada</b>, 1 of 2 scopes." in shown.text


def test_the_cookie_is_for_this_listener_and_out_of_reach_of_scripts(browser: Browser) -> None:
    cookie = browser.start().headers["set-cookie"]

    assert re.fullmatch(r"vk_[0-9a-f]{16}=[\w-]{43}; Path=/; Max-Age=900; HttpOnly; SameSite=Lax", cookie)


def test_two_listeners_have_cookies_of_different_names(browser: Browser) -> None:
    with LoopbackListener(port=None, path="/x") as other:
        other.begin(AUTHORIZE)
        assert Browser(other).start().cookie.partition("=")[0] != browser.start().cookie.partition("=")[0]


def test_the_start_address_works_once_but_for_the_same_browser(listener: LoopbackListener, browser: Browser) -> None:
    first, again = browser.start(), browser.start()
    stranger = Browser(listener).start()

    assert (first.status, again.status, stranger.status) == (302, 302, 403)
    assert "set-cookie" not in stranger.headers
    assert "opened already" in stranger.text


def test_before_there_is_an_address_to_go_to_nothing_starts() -> None:
    with LoopbackListener(port=None, path="/x") as listener:
        assert Browser(listener).start().status == 403


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/callback/notes?code=c&state=another", id="another state"),
        pytest.param("/callback/notes?code=c", id="no state"),
        pytest.param("/callback/notes?error=access_denied", id="an error without state"),
        pytest.param(CALLBACK + "&state=the-state-of-this-sign-in", id="state twice"),
    ],
)
def test_an_answer_to_another_question_is_dropped_and_the_wait_goes_on(
    listener: LoopbackListener, browser: Browser, path: str
) -> None:
    browser.start()

    dropped = browser.land(path)

    assert dropped.status == 403
    assert "Code: <code>state_mismatch</code>" in dropped.text
    assert not listener.answered(within=0)
    assert browser.get(CALLBACK).status == 303


@pytest.mark.parametrize("cookie", ["", "vk_0000000000000000=x", "{name}=wrong", "{name}={value}; {name}={value}"])
def test_an_answer_of_another_browser_is_dropped_and_the_wait_goes_on(
    listener: LoopbackListener, browser: Browser, cookie: str
) -> None:
    name, _, value = browser.start().cookie.partition("=")
    stranger = Browser(listener)
    stranger.cookie = cookie.format(name=name, value=value)

    assert stranger.land(CALLBACK).status == 403
    assert not listener.answered(within=0)
    assert browser.get(CALLBACK).status == 303


@pytest.mark.conformance("1 native: loopback listener")
def test_the_first_answer_wins(listener: LoopbackListener, browser: Browser) -> None:
    browser.start()
    browser.get(CALLBACK)

    second = browser.land(CALLBACK.replace("the-code", "another"))

    assert second.status == 409
    assert "answered already" in second.text
    assert "the-code" in listener.wait(0)


def test_the_outcome_is_shown_to_the_one_browser_only(listener: LoopbackListener, browser: Browser) -> None:
    browser.start()
    browser.get(CALLBACK)
    listener.report(CONNECTED, linger=0)

    assert Browser(listener).get("/done").status == 404
    assert browser.get("/done").status == 200


@pytest.mark.parametrize(
    "path", ["/", "/favicon.ico", "/callback", "/callback/notes/", "/callback/other?code=1", "/start/x"]
)
def test_anything_else_is_not_found(browser: Browser, path: str) -> None:
    browser.start()

    assert browser.get(path).status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil"]
)
def test_a_request_to_another_host_name_is_refused(listener: LoopbackListener, browser: Browser, host: str) -> None:
    browser.start()

    assert browser.get(CALLBACK, Host=host.format(port=listener.port)).status == 421
    assert not listener.answered(within=0)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
def test_it_answers_get_alone(browser: Browser, method: str) -> None:
    browser.start()

    answer = browser.get(CALLBACK, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400", id="TLS"),
        pytest.param(b"GET / HTTP/2\r\n\r\n", b"400", id="another version"),
        pytest.param(b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n", b"400", id="absolute target"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400", id="no header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"400", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"421", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431", id="too long"),
    ],
)
def test_what_is_no_proper_request_is_refused(listener: LoopbackListener, data: bytes, status: bytes) -> None:
    assert _say(listener, data).split()[1] == status


@pytest.mark.conformance("1 core: callback page")
def test_every_page_is_sealed_off(listener: LoopbackListener, browser: Browser) -> None:
    browser.start()
    pages = [browser.get("/x"), browser.land("/callback/notes"), browser.get("/x", Host="evil.example")]
    browser.get(CALLBACK)
    listener.report(CONNECTED, linger=0)
    pages += [browser.land(CALLBACK), browser.get("/done"), Browser(listener).start()]

    for page in pages:
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["connection"] == "close"
        assert page.headers["x-content-type-options"] == "nosniff"
        policy = page.headers["content-security-policy"]
        style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"(?i)<script|\ssrc=|\son\w+=", page.text)
        assert 'href="data:,"' in page.text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        pytest.param(
            Outcome(kind="denied", provider="Notes", again="valetkey connect notes"),
            ["Nothing was connected", "reports that access was not allowed", "<code>valetkey connect notes</code>"],
            id="denied",
        ),
        pytest.param(
            Outcome(kind="failed", provider="Notes", code="code_refused"),
            ["Notes could not be connected", "took too long", "<code>code_refused</code>"],
            id="failed",
        ),
        pytest.param(
            Outcome(kind="failed", provider="Notes", code="new_code"),
            ["Something went wrong"],
            id="a code without words",
        ),
        pytest.param(Outcome(kind="connected", provider="Notes"), ["Access was given."], id="nothing known"),
    ],
)
def test_each_outcome_has_its_page(
    listener: LoopbackListener, browser: Browser, outcome: Outcome, words: list[str]
) -> None:
    browser.start()
    browser.get(CALLBACK)
    listener.report(outcome, linger=0)

    text = browser.get("/done").text
    for word in words:
        assert word in text


@pytest.mark.conformance("1 core: sanitize")
def test_what_comes_from_outside_is_escaped(listener: LoopbackListener, browser: Browser) -> None:
    browser.start()
    browser.get(CALLBACK)
    evil = "<script>alert(1)</script>\x1b[31m\"'"
    listener.report(Outcome(kind="connected", provider=evil, identity=evil), linger=0)

    text = browser.get("/done").text
    assert "<script" not in text
    assert "\x1b" not in text
    assert text.count("&lt;script&gt;") == 2


def _asked_for_done(listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set when a browser asks how it ended."""
    asked, done = threading.Event(), listener._done

    def noted() -> Any:
        asked.set()
        return done()

    monkeypatch.setattr(listener, "_done", noted)
    return asked


def test_a_finished_browser_waits_for_the_real_outcome(
    listener: LoopbackListener, browser: Browser, background: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.start()
    browser.get(CALLBACK)
    asked = _asked_for_done(listener, monkeypatch)
    page = background(browser.get, "/done")
    assert asked.wait(10)
    assert not page.done()

    listener.report(Outcome(kind="failed", provider="Notes", code="code_refused"))
    assert "code_refused" in page.result(10).text


def test_closing_tells_a_waiting_browser_to_look_at_the_terminal(
    background: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackListener(port=None, path="/callback/notes", provider="Notes") as listener:
        listener.begin(AUTHORIZE)
        browser = Browser(listener)
        browser.start()
        browser.get(CALLBACK)
        waiting = _asked_for_done(listener, monkeypatch)
        page = background(browser.get, "/done")
        assert waiting.wait(10)
    assert "The terminal says how it went" in page.result(10).text


def test_a_slow_client_holds_nobody_up(listener: LoopbackListener, browser: Browser) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX")
        browser.start()
        assert browser.get(CALLBACK).status == 303
    assert listener.answered(within=5)


def test_many_silent_clients_hold_nobody_up(listener: LoopbackListener, browser: Browser) -> None:
    silent = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(60)]
    try:
        browser.start()
        assert browser.get(CALLBACK).status == 303
        assert len(listener._server._reading) <= _loopserver._READERS
    finally:
        for one in silent:
            one.close()


def test_a_client_that_says_too_little_is_let_go(listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loopserver, "_READ_SECONDS", 0.05)

    assert _say(listener, b"GET / HTTP/1.1\r\n") == b""


def test_an_error_inside_is_answered_and_the_wait_goes_on(
    listener: LoopbackListener, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        msg = "broken"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(listener, "_start", broken)
        assert browser.start().status == 500
    assert browser.start().status == 302


def test_nobody_answering_ends_the_wait(listener: LoopbackListener) -> None:
    with pytest.raises(ConsentExpired, match="nobody answered"):
        listener.wait(0.01)


def test_closing_ends_the_wait(listener: LoopbackListener, background: Any) -> None:
    waiting = background(listener.wait, 60)
    listener.close()

    with pytest.raises(ConnectError) as caught:
        waiting.result(10)
    assert caught.value.code == "connect_cancelled"


@pytest.mark.conformance("1 native: loopback listener")
def test_closing_frees_the_port_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with LoopbackListener(port=None, path="/x") as listener:
        port = listener.port
        idle = socket.create_connection(("127.0.0.1", port))
    listener.close()

    assert {t for t in threading.enumerate() if t.name.startswith("valetkey-loopback")} <= before
    idle.close()
    with LoopbackListener(port=port, path="/x") as again:
        assert again.port == port


def test_a_port_in_use_is_told_with_the_way_out(listener: LoopbackListener) -> None:
    with pytest.raises(ConnectError) as caught:
        LoopbackListener(port=listener.port, path="/x")

    assert caught.value.code == "port_in_use"
    assert str(listener.port) in str(caught.value)
    assert "--port" in caught.value.hint


def test_a_port_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)

    with pytest.raises(ConnectError) as caught:
        LoopbackListener(port=80, path="/x")
    assert caught.value.code == "port_unusable"


def test_a_redirect_uri_may_say_localhost() -> None:
    with LoopbackListener(port=None, path="/cb", host="localhost") as listener:
        listener.begin(AUTHORIZE)
        assert listener.redirect_uri == f"http://localhost:{listener.port}/cb"
        browser = Browser(listener)

        assert browser.start().status == 421
        assert browser.get("/" + listener.start_url.split("/", 3)[3], Host=f"localhost:{listener.port}").status == 302


def test_the_start_file_is_for_its_owner_alone_and_goes_away() -> None:
    url = "http://127.0.0.1:1/start/abc?x=<&"
    with start_file(url, "Notes & Co") as path:
        text = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "abc" not in str(path)
        refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', text)
        assert refresh is not None
        assert unescape(refresh[1]) == url
        assert "Connect Notes &amp; Co" in text
        assert "<script" not in text
    assert not path.parent.exists()


def test_the_start_file_goes_away_also_after_an_error() -> None:
    kept: list[Path] = []

    def fail() -> None:
        with start_file("http://127.0.0.1:1/start/abc", "Notes") as path:
            kept.append(path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not kept[0].parent.exists()
