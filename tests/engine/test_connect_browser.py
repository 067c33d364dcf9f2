"""Connecting with the browser of this machine, from the opened file to the page at the end."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from valetkey import connecting, loopback
from valetkey.connecting import connect_browser, loopback_place
from valetkey.engine.leases import LEASE_SECONDS, Lease
from valetkey.errors import AuthorizationDenied, ConfigurationError, ConnectError, ConsentExpired, ValetkeyError
from valetkey.model.connections import ConnectionKey, Document
from valetkey.model.credentials import OAuth2Credential


class Talk:
    """An interaction that writes down what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.on_waiting: Callable[[], object] = lambda: None

    def opening(self, name: str) -> None:
        self.told.append(f"opening {name}")

    def waiting(self, text: str) -> None:
        self.told.append(text)
        self.on_waiting()

    def show_url(self, url: str) -> None:
        self.told.append(url)

    def show_code(self, user_code: str, verification_uri: str, complete: str, expires_in: float) -> None:
        self.told.append(f"{user_code} {verification_uri} {complete} {expires_in}")

    def ask_callback(self, prompt: str) -> str:
        self.told.append(prompt)
        return ""


class Person:
    """A browser and who sits in front of it: opens the local file, follows it, answers the provider, looks."""

    def __init__(self, provider: Any, *, login: str = "ada", deny: bool = False) -> None:
        self.provider = provider
        self.login = login
        self.deny = deny
        self.opened: list[str] = []
        self.pages: list[str] = []
        self._threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        thread = threading.Thread(target=self._browse, args=(Path(unquote(urlsplit(url).path)).read_text(),))
        thread.start()
        self._threads.append(thread)
        return True

    def _browse(self, text: str) -> None:
        refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', text)
        assert refresh is not None
        location, cookie, _ = _visit(unescape(refresh[1]), "")
        answer = self.provider.deny(location) if self.deny else self.provider.approve(location, login=self.login)
        location, _, _ = _visit(answer, cookie)
        _, _, page = _visit(f"http://{urlsplit(answer).netloc}{location}", cookie)
        self.pages.append(page)

    def leave(self) -> None:
        for thread in self._threads:
            thread.join(30)


def _visit(url: str, cookie: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}".rstrip("?"), headers={"Cookie": cookie})
        answer = connection.getresponse()
        page = answer.read().decode()
        return answer.getheader("Location", ""), answer.getheader("Set-Cookie", "").partition(";")[0], page
    finally:
        connection.close()


def _connect(stage: Any, person: Any, talk: Talk | None = None, **options: Any) -> Any:
    key = options.pop("key", stage.key())
    known: dict[str, Any] = {"scopes": (), "port": None, "interaction": talk or Talk(), "opener": person.open}
    try:
        return connect_browser(stage.world, stage.credentials["notes"], key, **{**known, **options})
    finally:
        person.leave()


def test_the_browser_is_led_through_and_shows_the_real_outcome(stage: Any) -> None:
    person, talk = Person(stage.provider), Talk()

    record = _connect(stage, person, talk)

    assert (record.state, record.identity.login) == ("connected", "ada")
    assert "Notes is connected" in person.pages[0]
    assert f"<b>{record.identity.title}</b>, 2 of 2 scopes." in person.pages[0]
    assert talk.told == ["opening Notes"]


def test_no_one_time_address_stands_in_the_command_line_and_the_file_is_gone(stage: Any) -> None:
    person = Person(stage.provider)

    _connect(stage, person)

    (opened,) = person.opened
    assert re.fullmatch(r"file:///\S*/connect\.html", opened)
    assert not Path(unquote(urlsplit(opened).path)).exists()


def test_a_denial_is_shown_with_the_command_to_try_again(stage: Any) -> None:
    person = Person(stage.provider, deny=True)

    with pytest.raises(AuthorizationDenied):
        _connect(stage, person, key=stage.key(owner="ada's"))

    assert "Nothing was connected" in person.pages[0]
    assert "valetkey connect notes --owner" in unescape(person.pages[0])


def test_a_failed_exchange_is_shown_as_one(stage: Any) -> None:
    stage.provider.fail_next(status=400, error="invalid_grant")
    person = Person(stage.provider)

    with pytest.raises(ConnectError):
        _connect(stage, person)
    assert "<code>code_refused</code>" in person.pages[0]


def test_an_interruption_of_the_last_step_is_shown_and_passed_on(stage: Any) -> None:
    person = Person(stage.provider)

    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _connect(stage, person, run=interrupted)
    assert "<code>connect_interrupted</code>" in person.pages[0]


def test_the_last_step_runs_where_it_is_told_to(stage: Any) -> None:
    threads: list[str] = []

    def elsewhere(finish: Any) -> Any:
        def noted() -> Any:
            threads.append(threading.current_thread().name)
            return finish()

        with ThreadPoolExecutor(1, thread_name_prefix="flight") as pool:
            return pool.submit(noted).result()

    assert _connect(stage, Person(stage.provider), run=elsewhere).state == "connected"
    assert threads == ["flight_0"]


class Nobody:
    """A machine without a browser, or with one that nobody looks at."""

    def __init__(self, *, opens: bool) -> None:
        self.opens = opens

    def open(self, _: str) -> bool:
        return self.opens

    def leave(self) -> None:
        """Nobody is there to leave."""


def test_no_browser_is_told_with_the_other_ways(stage: Any) -> None:
    with pytest.raises(ConnectError) as caught:
        _connect(stage, Nobody(opens=False))

    assert caught.value.code == "browser_missing"
    assert "--device" in caught.value.hint
    assert stage.flows() == 0


def test_nobody_answering_ends_it_and_leaves_nothing(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_SHOW_UP", 0.01)
    talk = Talk()

    with pytest.raises(ConsentExpired):
        _connect(stage, Nobody(opens=True), talk, timeout=0.02)

    assert "If no page has opened" in talk.told[-1]
    assert stage.flows() == 0
    assert len(stage.store.list_documents("lease", env="test")) == 0


# -- where the answer is to come


def _credential(**fields: Any) -> OAuth2Credential:
    return OAuth2Credential(name="my notes", **fields)


@pytest.mark.conformance("1 native: IP literal", "1 native: own path")
@pytest.mark.parametrize(
    ("fields", "port", "host", "wanted", "path"),
    [
        pytest.param({}, None, "127.0.0.1", None, "/callback/my%20notes", id="any port"),
        pytest.param({}, 5000, "127.0.0.1", 5000, "/callback/my%20notes", id="any port, one chosen"),
        pytest.param({"loopback": "fixed_port"}, None, "127.0.0.1", 8421, "/callback/my%20notes", id="fixed port"),
        pytest.param(
            {"loopback": "fixed_port"}, 5000, "127.0.0.1", 5000, "/callback/my%20notes", id="another fixed port"
        ),
        pytest.param({"loopback_host": "localhost"}, None, "localhost", None, "/callback/my%20notes", id="localhost"),
        pytest.param({"redirect_uri": "http://localhost:3000/cb"}, None, "localhost", 3000, "/cb", id="declared"),
        pytest.param({"redirect_uri": "http://localhost:3000/cb"}, 3000, "localhost", 3000, "/cb", id="declared twice"),
        pytest.param({"redirect_uri": "http://127.0.0.1/cb"}, None, "127.0.0.1", None, "/cb", id="declared, any port"),
        pytest.param(
            {"redirect_uri": "http://127.0.0.1/", "loopback": "fixed_port"}, None, "127.0.0.1", 80, "/", id="port 80"
        ),
        pytest.param({"redirect_uri": "http://[::1]:3000"}, None, "::1", 3000, "/", id="IPv6"),
    ],
)
def test_the_address_of_the_answer(
    fields: dict[str, Any], port: int | None, host: str, wanted: int | None, path: str
) -> None:
    place = loopback_place(_credential(**fields), port)

    assert (place.host, place.port, place.path) == (host, wanted, path)


@pytest.mark.parametrize(
    ("fields", "port", "error", "code"),
    [
        pytest.param({"loopback": "https_only"}, None, ConnectError, "redirect_https_only", id="https only"),
        pytest.param(
            {"redirect_uri": "https://a.example/cb"}, None, ConnectError, "redirect_https_only", id="elsewhere"
        ),
        pytest.param(
            {"redirect_uri": "https://localhost/cb"}, None, ConnectError, "redirect_https_only", id="https here"
        ),
        pytest.param(
            {"redirect_uri": "http://localhost:3000/cb"}, 3001, ConfigurationError, "port_declared", id="port"
        ),
    ],
)
def test_an_address_where_nobody_can_listen(
    fields: dict[str, Any], port: int | None, error: type[ValetkeyError], code: str
) -> None:
    with pytest.raises(error) as caught:
        loopback_place(_credential(**fields), port)
    assert caught.value.code == code


@pytest.mark.conformance("1 core: redirect URI")
def test_a_declared_redirect_uri_is_used_to_the_letter(stage: Any) -> None:
    with loopback.LoopbackListener(port=None, path="/x") as probe:
        port = probe.port
    uri = f"http://localhost:{port}/my/own"
    stage.change(redirect_uri=uri)
    stage.provider.register_client(
        stage.apps.client_id, stage.apps.client_secret.reveal(), redirect_uris=[uri], loopback_any_port=False
    )

    assert _connect(stage, Person(stage.provider)).state == "connected"


def test_a_port_in_use_opens_no_browser(stage: Any) -> None:
    person = Person(stage.provider)
    with (
        loopback.LoopbackListener(port=None, path="/x") as other,
        pytest.raises(ConnectError) as caught,
    ):
        _connect(stage, person, port=other.port)

    assert caught.value.code == "port_in_use"
    assert person.opened == []
    assert stage.flows() == 0


# -- one tab, however many ask


def test_a_second_process_waits_for_the_first_and_takes_what_it_brought(stage: Any) -> None:
    gate, talk = threading.Event(), Talk()
    talk.on_waiting = gate.set
    stage.world.clock.sleep = lambda _: threading.Event().wait(0.01)

    class Slow(Person):
        def _browse(self, text: str) -> None:
            assert gate.wait(20)
            super()._browse(text)

    first, second = Slow(stage.provider), Person(stage.provider)
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(_connect, stage, first)
        while not first.opened:
            threading.Event().wait(0.001)
        two = _connect(stage, second, talk)

    assert two == one.result()
    assert second.opened == []
    assert "Another process has the browser open for Notes" in talk.told[0]
    assert stage.provider.token_requests == 1


def test_after_the_first_gave_up_the_second_takes_over(stage: Any) -> None:
    talk = Talk()
    with Lease(stage.world, stage.key()) as held:
        assert held.take()
        talk.on_waiting = lambda: held.__exit__(None, None, None)

        record = _connect(stage, Person(stage.provider), talk)

    assert record.state == "connected"
    assert len(talk.told) == 2


def test_a_first_that_died_is_not_waited_for_longer_than_its_lease(stage: Any) -> None:
    dead = Lease(stage.world, stage.key())
    assert dead.take()
    dead._pulse.__exit__(None, None, None)  # type: ignore[union-attr]
    began = stage.clock.now()

    assert _connect(stage, Person(stage.provider)).state == "connected"
    assert LEASE_SECONDS <= stage.clock.now() - began < LEASE_SECONDS + 2


def test_a_first_that_stays_at_it_is_waited_for_no_longer_than_was_asked(stage: Any) -> None:
    person = Person(stage.provider)
    began = stage.clock.now()
    with Lease(stage.world, stage.key()) as held:
        assert held.take()
        with pytest.raises(ConsentExpired, match="another process still has the browser open for Notes, after 5 s"):
            _connect(stage, person, timeout=5)

    assert 5 <= stage.clock.now() - began < 6
    assert person.opened == []


def test_a_first_that_asked_for_less_does_not_serve_the_second(stage: Any) -> None:
    talk = Talk()
    with Lease(stage.world, stage.key()) as held:
        assert held.take()

        def first_connects() -> None:
            stage.connect()
            held.__exit__(None, None, None)

        talk.on_waiting = first_connects
        stage.provider.register_client(
            stage.apps.client_id, stage.apps.client_secret.reveal(), scopes=("notes.read", "notes.write", "extra")
        )

        record = _connect(stage, Person(stage.provider), talk, scopes=("extra",))
    assert "extra" in record.requested
    assert stage.provider.token_requests == 2


def test_connections_of_different_owners_do_not_wait_for_each_other(stage: Any) -> None:
    with Lease(stage.world, ConnectionKey("test", "notes", "a/b")) as one:
        assert one.take()
        with Lease(stage.world, ConnectionKey("test", "notes", "a", "b")) as other:
            assert other.take()


def test_of_two_that_take_a_lease_at_once_one_gets_it(stage: Any) -> None:
    with Lease(stage.world, stage.key()) as one, Lease(stage.world, stage.key()) as other:
        stage.store.get_document, look = lambda *_, **__: None, stage.store.get_document
        assert [one.take(), other.take()] == [True, False]
        stage.store.get_document = look


def test_a_lease_is_renewed_and_only_its_holder_gives_it_back(stage: Any) -> None:
    lease = Lease(stage.world, stage.key())
    assert lease.take()
    assert lease.take()
    (document,) = stage.store.list_documents("lease", env="test")
    stage.clock.advance(20)

    lease._renew()

    renewed = stage.store.get_document("lease", document.id, env="test")
    assert renewed.expires_at == stage.clock.now() + LEASE_SECONDS
    stage.store.put_document(Document(kind="lease", id=document.id, env="test", body={"holder": "another"}))
    lease.__exit__(None, None, None)
    assert stage.store.get_document("lease", document.id, env="test") is not None


def test_a_lease_in_a_store_that_went_down_is_left_to_run_out(stage: Any) -> None:
    with Lease(stage.world, stage.key()) as lease:
        assert lease.take()
        stage.break_store("get_document")
