"""The switches that put something in the place of an answer, each seen from the outside."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from valetkey.testing import PracticeProvider

# -- instead of an answer


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        pytest.param(
            {"status": 400, "error": "invalid_grant"}, 400, b'{"error": "invalid_grant"}', id="an OAuth error"
        ),
        pytest.param(
            {"status": 200, "error": "bad_refresh_token", "description": "no"},
            200,
            b'{"error": "bad_refresh_token", "error_description": "no"}',
            id="an error with status 200",
        ),
        pytest.param({"status": 400, "body": b""}, 400, b"", id="an empty 400"),
        pytest.param({"status": 401, "body": ""}, 401, b"", id="an empty 401"),
        pytest.param({"status": 200, "body": '{"access'}, 200, b'{"access', id="half a JSON"),
        pytest.param({"status": 599, "body": b"\xff"}, 599, b"\xff", id="an unknown status and no UTF-8"),
    ],
)
def test_the_next_request_fails_as_planned_and_the_one_after_does_not(
    app: Any, provider: PracticeProvider, fault: dict[str, Any], status: int, body: bytes
) -> None:
    tokens = app.connect()
    provider.fail_next(**fault)

    response = app.refresh(tokens["refresh_token"])

    assert (response.status_code, response.content) == (status, body)
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert (provider.refreshes, provider.reuses, provider.double_sends, provider.refresh_requests) == (1, 0, 1, 2)


def test_a_failure_without_words_is_a_page(app: Any, provider: PracticeProvider) -> None:
    provider.fail_next(status=503)

    response = app.token(grant_type="client_credentials")

    assert response.status_code == 503
    assert response.headers["Content-Type"].startswith("text/html")
    assert "<h1>503</h1>" in response.text


@pytest.mark.parametrize(
    ("retry_after", "sent"),
    [(7, "7"), (0.5, "0.5"), ("Fri, 15 Jan 2027 08:01:00 GMT", "Fri, 15 Jan 2027 08:01:00 GMT")],
)
def test_patience_can_be_asked_for(app: Any, provider: PracticeProvider, retry_after: Any, sent: str) -> None:
    provider.fail_next(status=429, error="slow_down", retry_after=retry_after, headers={"X-Limit": "0"})

    response = app.token(grant_type="client_credentials")

    assert (response.status_code, response.headers["Retry-After"], response.headers["X-Limit"]) == (429, sent, "0")


def test_a_401_at_the_token_endpoint_challenges_the_client(app: Any, provider: PracticeProvider) -> None:
    provider.fail_next(status=401, error="invalid_client")

    assert app.token(grant_type="client_credentials").headers["WWW-Authenticate"] == 'Basic realm="practice"'


def test_a_401_for_a_live_token_challenges_the_bearer(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    provider.fail_next(status=401, error="invalid_token", description="gone", endpoint="api", times=2)

    answers = [app.get("/me", tokens["access_token"]) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    challenge = 'Bearer realm="practice", error="invalid_token", error_description="gone"'
    assert answers[0].headers["WWW-Authenticate"] == challenge


def test_headers_of_the_test_win_over_the_usual_ones(app: Any, provider: PracticeProvider) -> None:
    challenge = 'Bearer error="insufficient_user_authentication", max_age="60"'
    provider.fail_next(status=401, endpoint="api", headers={"WWW-Authenticate": challenge})

    response = app.get("/me", app.connect()["access_token"])

    assert response.headers["WWW-Authenticate"] == challenge


def test_failures_come_in_the_order_in_which_they_were_planned(app: Any, provider: PracticeProvider) -> None:
    provider.fail_next(status=500)
    provider.fail_next(status=502, times=2)
    provider.fail_next(status=504, times=None)

    statuses = [app.token(grant_type="client_credentials").status_code for _ in range(6)]

    assert statuses == [500, 502, 502, 504, 504, 504]


def test_a_failure_after_the_work_has_spent_the_token(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    provider.fail_next(status=502, after=True)

    assert app.refresh(tokens["refresh_token"]).status_code == 502

    assert provider.refreshes == 1
    assert not provider.is_live(tokens["refresh_token"])


@pytest.mark.parametrize("after", [False, True])
def test_a_page_of_html_with_status_200(app: Any, provider: PracticeProvider, after: bool) -> None:
    tokens = app.connect()
    provider.answer_html(after=after)

    response = app.refresh(tokens["refresh_token"])

    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>" in response.text
    assert provider.is_live(tokens["refresh_token"]) is not after


def test_a_dropped_request_did_nothing(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    provider.drop_before()

    with pytest.raises(httpx2.RemoteProtocolError):
        app.refresh(tokens["refresh_token"])

    assert provider.is_live(tokens["refresh_token"])
    assert provider.requests[-1].status is None
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_a_dropped_answer_has_rotated(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    provider.drop_after_rotation()

    with pytest.raises(httpx2.RemoteProtocolError):
        app.refresh(tokens["refresh_token"])

    assert provider.refreshes == 1
    assert not provider.is_live(tokens["refresh_token"])


def test_only_a_granted_refresh_is_a_rotation(app: Any, provider: PracticeProvider) -> None:
    provider.drop_after_rotation()

    tokens = app.connect()
    assert app.refresh("unknown").status_code == 400

    with pytest.raises(httpx2.RemoteProtocolError):
        app.refresh(tokens["refresh_token"])


def test_the_answer_to_a_code_can_be_lost_too(app: Any, provider: PracticeProvider) -> None:
    code = app.code()
    provider.drop_after()

    with pytest.raises(httpx2.RemoteProtocolError):
        app.exchange(code)

    assert provider.live_grants == 1
    assert app.exchange(code).status_code == 400
    assert provider.live_grants == 0


@pytest.mark.parametrize("endpoint", ["authorization", "revocation", "device_authorization", "userinfo", "discovery"])
def test_every_endpoint_can_fail(app: Any, provider: PracticeProvider, endpoint: Any) -> None:
    paths = {
        "authorization": "/authorize",
        "revocation": "/revoke",
        "device_authorization": "/device_authorization",
        "userinfo": "/userinfo",
        "discovery": "/.well-known/oauth-authorization-server",
    }
    posts = endpoint in {"revocation", "device_authorization"}
    provider.fail_next(status=503, endpoint=endpoint)

    response = app.http.request("POST" if posts else "GET", provider.url + paths[endpoint])

    assert response.status_code == 503


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(lambda p: p.fail_next(status=500, endpoint="tokens"), id="fail_next"),
        pytest.param(lambda p: p.hold("tokens"), id="hold"),
        pytest.param(lambda p: p.slow(1, "tokens"), id="slow"),
        pytest.param(lambda p: p.change_answer(endpoint="tokens"), id="change_answer"),
    ],
)
def test_a_fault_at_no_endpoint_is_a_mistake(provider: PracticeProvider, plan: Any) -> None:
    with pytest.raises(ValueError, match="device_authorization"):
        plan(provider)


# -- slowness without waiting


def test_a_held_request_waits_before_the_work(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    with ThreadPoolExecutor(1) as pool, provider.hold() as hold:
        refresh = pool.submit(app.refresh, tokens["refresh_token"])
        assert hold.arrived.wait(30)
        assert provider.is_live(tokens["refresh_token"])
        assert not refresh.done()
        hold.release()
        assert refresh.result(30).status_code == 200


def test_a_held_answer_waits_after_the_work(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()

    with ThreadPoolExecutor(1) as pool, provider.hold(after=True) as hold:
        refresh = pool.submit(app.refresh, tokens["refresh_token"])
        hold.wait_for(1)
        assert not provider.is_live(tokens["refresh_token"])
        hold.release()
        assert refresh.result(30).status_code == 200


def test_a_hold_counts_who_waits_and_lets_all_go(app: Any, provider: PracticeProvider) -> None:
    token = app.connect()["access_token"]

    with ThreadPoolExecutor(5) as pool:
        with provider.hold("api") as hold:
            calls = [pool.submit(app.get, "/me", token) for _ in range(5)]
            hold.wait_for(5)
            assert hold.count == 5
        assert [call.result(30).status_code for call in calls] == [200] * 5
    assert app.get("/me", token).status_code == 200


def test_waiting_for_more_than_comes_ends_with_an_error(provider: PracticeProvider) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        provider.hold().wait_for(1, timeout=0)


def test_a_client_that_hangs_up_while_it_is_held_has_spent_its_token(app: Any, provider: PracticeProvider) -> None:
    tokens = app.connect()
    request = app.http.build_request(
        "POST",
        f"{provider.issuer}/token",
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
        headers=app.basic(),
    )
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    hold = provider.hold()
    with socket.create_connection((request.url.host, request.url.port), timeout=30) as connection:
        connection.sendall("\r\n".join(["POST /token HTTP/1.1", *lines, "", ""]).encode() + request.read())
        hold.wait_for(1)
    hold.release()
    provider.stop()

    assert provider.refreshes == 1


def test_slowness_by_the_real_clock_ends_by_itself(app: Any, provider: PracticeProvider) -> None:
    slow = provider.slow(0.01)

    assert app.token(grant_type="client_credentials").status_code == 200
    assert slow.count == 1


def test_stopping_lets_go_what_is_held(app: Any, provider: PracticeProvider) -> None:
    def call() -> int | None:
        try:
            return int(app.token(grant_type="client_credentials").status_code)
        except httpx2.TransportError:
            return None

    hold = provider.hold()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call)
        hold.wait_for(1)
        provider.stop()
        assert waiting.result(30) in {200, None}


# -- the end of it


def test_one_call_ends_all_misbehaviour(app: Any, provider: PracticeProvider) -> None:
    provider.fail_next(status=500, times=None)
    provider.drop_before(times=None, endpoint="api")
    provider.token_type_as("mac")
    provider.answer_form_encoded()
    provider.narrow_scopes()
    provider.deny_next()
    provider.hold("authorization")

    provider.reset_faults()

    tokens = app.connect()
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "notes.read notes.write")
    assert app.get("/me", tokens["access_token"]).status_code == 200


def test_of_many_racers_a_single_fault_hits_one(app: Any, provider: PracticeProvider) -> None:
    provider.fail_next(status=500, times=3)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(app.token(grant_type="client_credentials").status_code))
        for _ in range(12)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [*[200] * 9, *[500] * 3]
