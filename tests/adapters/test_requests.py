"""What is special about `requests`: hooks, prepared requests, sessions."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from valetkey import HostNotAllowed, StepUpRequired
from valetkey.adapters.requests import RequestsAuth

HOUR = 3600


@pytest.fixture
def auth(world: Any) -> RequestsAuth:
    return RequestsAuth(world.practice.client("api"))


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_one_call_needs_no_session(auth: RequestsAuth, world: Any) -> None:
    world.provider.expire_access_tokens()

    assert requests.get(f"{world.api.url}/me", auth=auth, timeout=10).text == "welcome"


def test_the_first_answer_stays_on_record_with_the_token_that_was_sent(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.provider.expire_access_tokens()

    answer = session.get(f"{world.api.url}/me", auth=auth)

    (first,) = answer.history
    assert (first.status_code, first.text[:8]) == (401, "stay out")
    headers = [one.request.headers["Authorization"] for one in (first, answer)]
    assert headers == [f"Bearer {seen.token}" for seen in world.api.seen]


def test_each_hop_stays_on_record_as_it_was_sent(auth: RequestsAuth, session: requests.Session, world: Any) -> None:
    world.foreign.answers["/to"] = lambda _: (200, {}, b"")
    world.api.lead("/from", f"{world.foreign.url}/to")

    answer = session.get(f"{world.api.url}/from", auth=auth)

    assert [("Authorization" in one.request.headers) for one in (*answer.history, answer)] == [True, False]


def test_a_redirect_that_is_not_followed_prepares_a_next_request_without_the_token(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.api.lead("/from", f"{world.foreign.url}/to")

    answer = session.get(f"{world.api.url}/from", auth=auth, allow_redirects=False)

    assert answer.next is not None
    assert {"authorization", "x-provider"}.isdisjoint(name.lower() for name in answer.next.headers)


def test_a_location_that_nobody_can_read_is_not_ours_to_complain_of(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.api.lead("/from", "http://[broken/")

    with pytest.raises(ValueError, match="Invalid IPv6 URL"):
        session.get(f"{world.api.url}/from", auth=auth)


def test_a_prepared_request_may_be_sent_again_and_is_healed_each_time(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.api.lead("/from", f"{world.foreign.url}/to")
    prepared = session.prepare_request(requests.Request("GET", f"{world.api.url}/me", auth=auth))
    for refreshes in (1, 2):
        world.provider.expire_access_tokens()
        assert session.send(prepared).status_code == 200
        assert world.provider.refreshes == refreshes
        world.practice.clock.advance(120)


def test_a_prepared_request_keeps_its_token_over_a_redirect_to_elsewhere(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.foreign.answers["/to"] = lambda _: (200, {}, b"")
    world.api.lead("/from", f"{world.foreign.url}/to")
    prepared = session.prepare_request(requests.Request("GET", f"{world.api.url}/from", auth=auth))
    for _ in range(2):
        session.send(prepared)

    assert all(seen.token for seen in world.api.seen)
    assert not any(seen.token for seen in world.foreign.seen)


def test_hooks_of_the_caller_see_the_answer_that_counts(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    world.provider.expire_access_tokens()
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    session.get(f"{world.api.url}/me", auth=auth, hooks={"response": hook})

    assert seen == [200]


def test_a_streamed_answer_is_left_to_be_read(auth: RequestsAuth, session: requests.Session, world: Any) -> None:
    world.provider.expire_access_tokens()

    with session.get(f"{world.api.url}/me", auth=auth, stream=True) as answer:
        assert answer.raw.read() == b"welcome"


def test_an_error_lets_go_of_the_connection(auth: RequestsAuth, session: requests.Session, world: Any) -> None:
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
    session.mount("http://", adapter)
    world.api.refuse("/pay", 'Bearer error="insufficient_user_authentication"')
    for _ in range(2):
        with pytest.raises(StepUpRequired):
            session.get(f"{world.api.url}/pay", auth=auth)

    assert session.get(f"{world.api.url}/me", auth=auth).status_code == 200


class Unwilling(io.BytesIO):
    """A file that does not go back once it was read."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"body")
        self._error = error
        self._begun = False

    def read(self, size: int | None = -1) -> bytes:
        self._begun = True
        return super().read(size)

    def seek(self, *where: int) -> int:
        if self._begun:
            raise self._error
        return super().seek(*where)


@pytest.mark.parametrize("error", [OSError("a pipe"), ValueError("it was closed")], ids=str)
def test_a_file_that_does_not_go_back_is_not_sent_again(
    auth: RequestsAuth, session: requests.Session, world: Any, error: Exception
) -> None:
    world.provider.expire_access_tokens()

    assert session.post(f"{world.api.url}/notes", data=Unwilling(error), auth=auth).status_code == 401
    assert len(world.api.seen) == 1


def test_a_form_with_files_is_in_memory(auth: RequestsAuth, session: requests.Session, world: Any) -> None:
    world.provider.expire_access_tokens()
    files = {"file": ("name", io.BytesIO(b"a note"))}

    assert session.post(f"{world.api.url}/notes", files=files, auth=auth).status_code == 200
    assert world.api.seen[0].body == world.api.seen[1].body
    assert b"a note" in world.api.seen[1].body


def test_urls_that_parsers_disagree_about_get_nothing(
    auth: RequestsAuth, session: requests.Session, world: Any
) -> None:
    for url in (f"http://me@{world.api.host}/me", f"http://{world.foreign.host}\\@{world.api.host}/me"):
        with pytest.raises((HostNotAllowed, requests.RequestException)):
            session.get(url, auth=auth)

    assert world.api.seen == world.foreign.seen == []


def test_a_netrc_file_of_the_machine_takes_a_hop_over_and_its_401_is_the_callers(
    auth: RequestsAuth, session: requests.Session, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.trust_env = True
    home = os.environ["HOME"]
    netrc = os.path.join(home, ".netrc")  # noqa: PTH118 - as requests looks for it
    with open(netrc, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("machine 127.0.0.1 login ada password secret\n")
    os.chmod(netrc, 0o600)  # noqa: PTH101
    monkeypatch.setenv("NETRC", netrc)
    world.api.lead("/from", "/me")

    assert session.get(f"{world.api.url}/from", auth=auth).status_code == 401
    assert world.api.at("/me")[0].headers["authorization"].startswith("Basic ")
    assert world.provider.refreshes == 0
