"""The notes API and what it says to a caller without a good token (RFC 6750)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from valetkey.testing import PracticeProvider


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.mark.parametrize("path", ["/notes", "/me", "/echo", "/redirect", "/stream", "/userinfo"])
def test_without_a_token_the_challenge_names_no_error(app: Any, path: str) -> None:
    response = app.http.get(app.provider.url + path)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="practice"'


@pytest.mark.parametrize("path", ["/notes", "/me", "/echo", "/redirect", "/stream", "/userinfo"])
def test_a_bad_token_is_named_as_such(app: Any, path: str) -> None:
    response = app.get(path, "bad")

    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_token_in_the_url_is_none(app: Any) -> None:
    token = app.connect()["access_token"]

    assert app.http.get(f"{app.provider.url}/me", params={"access_token": token}).status_code == 401


def test_the_scheme_is_compared_without_case(app: Any) -> None:
    headers = {"Authorization": f"bEARER {app.connect()['access_token']}"}

    assert app.http.get(f"{app.provider.url}/me", headers=headers).status_code == 200


def test_notes_are_written_and_listed_per_person(app: Any) -> None:
    ada, grace = app.connect(), app.connect(login_hint="grace")

    created = app.http.post(f"{app.provider.url}/notes", json={"text": "milk"}, headers=bearer(ada))

    assert created.status_code == 201
    assert created.json() | {"created_at": 0} == {"id": 1, "text": "milk", "created_at": 0}
    assert [note["text"] for note in app.get("/notes", ada["access_token"]).json()["notes"]] == ["milk"]
    assert app.get("/notes", grace["access_token"]).json() == {"notes": []}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"text": 5}', b'{"note": "x"}', b"{", b'"text"', b"5"])
def test_a_note_without_text_is_refused(app: Any, body: bytes) -> None:
    response = app.http.post(f"{app.provider.url}/notes", content=body, headers=bearer(app.connect()))

    assert response.status_code == 400


def test_writing_needs_its_scope(app: Any) -> None:
    tokens = app.connect(scope="notes.read")

    response = app.http.post(f"{app.provider.url}/notes", json={"text": "x"}, headers=bearer(tokens))

    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    assert 'scope="notes.write"' in response.headers["WWW-Authenticate"]


def test_a_body_in_chunks_arrives_whole(app: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"text": "one'
        yield b""
        yield b' two"}'

    response = app.http.post(f"{app.provider.url}/notes", content=pieces(), headers=bearer(app.connect()))

    assert response.json()["text"] == "one two"


def test_userinfo_and_me_tell_the_same_person(app: Any) -> None:
    token = app.connect()["access_token"]

    me, userinfo = app.get("/me", token).json(), app.get("/userinfo", token).json()

    assert me == {**userinfo, "scopes": ["notes.read", "notes.write"]}
    assert userinfo["sub"].startswith("user-")
    assert userinfo["email"] == "ada@example.com"


def test_echo_tells_what_came_but_not_the_token(app: Any) -> None:
    tokens = app.connect()

    response = app.http.put(f"{app.provider.url}/echo?a=1&a=2", content=b"hello", headers=bearer(tokens))

    body = response.json()
    assert (body["method"], body["path"], body["query"]) == ("PUT", "/echo", [["a", "1"], ["a", "2"]])
    assert (body["body"], body["authorization"]) == ("hello", "Bearer")
    assert tokens["access_token"] not in response.text


def test_the_open_echo_wants_no_token_and_tells_whether_one_came(app: Any) -> None:
    assert app.http.get(f"{app.provider.url}/open").json()["authorization"] == ""
    assert app.get("/open", "some").json()["authorization"] == "Bearer"


@pytest.mark.parametrize(("query", "status"), [("?to=/me", 302), ("?to=/me&status=307", 307)])
def test_the_redirect_goes_where_it_is_told(app: Any, query: str, status: int) -> None:
    response = app.get("/redirect" + query, app.connect()["access_token"])

    assert (response.status_code, response.headers["Location"]) == (status, "/me")


def test_the_redirect_knows_only_statuses_that_redirect(app: Any) -> None:
    assert app.get("/redirect?to=/me&status=200", app.connect()["access_token"]).status_code == 400


def test_the_stream_comes_in_lines(app: Any) -> None:
    with app.http.stream("GET", f"{app.provider.url}/stream?lines=4", headers=bearer(app.connect())) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert list(response.iter_lines()) == [f'{{"line": {n}}}' for n in range(1, 5)]


def test_heads_have_the_length_and_no_body(app: Any) -> None:
    headers = bearer(app.connect())

    head = app.http.head(f"{app.provider.url}/me", headers=headers)
    get = app.http.get(f"{app.provider.url}/me", headers=headers)

    assert head.content == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.content))


def test_what_is_not_there_is_not_found(http: httpx2.Client, provider: PracticeProvider) -> None:
    assert http.get(f"{provider.url}/nowhere").status_code == 404
    assert provider.requests[-1].endpoint == ""


def test_the_front_page_says_what_this_is(http: httpx2.Client, provider: PracticeProvider) -> None:
    assert provider.issuer in http.get(provider.url).text


def test_the_date_is_that_of_the_providers_clock(http: httpx2.Client, provider: PracticeProvider) -> None:
    assert http.get(provider.url).headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
