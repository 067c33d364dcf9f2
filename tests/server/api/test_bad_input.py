"""What the API does not take: each time a problem that says what to do, and nothing half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from valetkey.errors import StoreUnavailable
from valetkey.server.api.gate import LONGEST_BODY
from valetkey.server.settings import BODY_LIMIT

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def notes(api: Any) -> str:
    connection: str = api.practice.connect("notes", owner="ada").connection_id
    return connection


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        pytest.param("/token", b"{", JSON, 400, "input_not_json", id="half an object"),
        pytest.param("/token", b"\xff\xfe", JSON, 400, "input_not_json", id="no UTF-8"),
        pytest.param("/token", b"[" * 100_000, JSON, 400, "input_not_json", id="deep nesting"),
        pytest.param("/token", b"[]", JSON, 422, "fields_invalid", id="a list"),
        pytest.param("/token", b'{"scopes": "a b"}', JSON, 422, "fields_invalid", id="scopes in one text"),
        pytest.param("/token", b'{"scope": ["a"]}', JSON, 422, "fields_invalid", id="an unknown name"),
        pytest.param("/token", b'{"scopes": [NaN]}', JSON, 422, "fields_invalid", id="no number"),
        pytest.param("/token", b"{}", {}, 415, "content_type_unsupported", id="no type"),
        pytest.param("/token", b"{}", {"Content-Type": "text/plain"}, 415, "content_type_unsupported", id="text"),
        pytest.param(
            "/token",
            b"scopes=a",
            {"Content-Type": "application/x-www-form-urlencoded"},
            415,
            "content_type_unsupported",
            id="a form",
        ),
        pytest.param(
            "/token",
            b"{}",
            {"Content-Type": "application/json; charset=latin-1"},
            415,
            "content_type_unsupported",
            id="latin-1",
        ),
        pytest.param("", b'{"tags": {"a": "\\u0000"}}', JSON, 422, "fields_invalid", id="a control character"),
        pytest.param("", b'{"tags": {"a": "\\ud800"}}', JSON, 422, "fields_invalid", id="half a character"),
        pytest.param("", b'{"tags": {"\\u001b[31m": "a"}}', JSON, 422, "fields_invalid", id="an escape"),
        pytest.param("", b'{"tags": {}}', JSON, 422, "fields_invalid", id="no tags"),
        pytest.param("", b'{"tags": {"a": 1}}', JSON, 422, "fields_invalid", id="a number as tag"),
        pytest.param("", b"", JSON, 422, "fields_invalid", id="nothing"),
    ],
)
def test_bodies(api: Any, notes: str, path: str, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    program = api.program()

    answer = program.http.request(
        "POST" if path else "PATCH", f"/connections/{notes}{path}", content=body, headers=headers
    )

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"]
    assert program.get(f"/connections/{notes}").json()["tags"] == {}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "state=broken",
        "foo=1",
        "owner=",
        "search=%00",
        "own=perhaps",
        "limit=1e2",
        "limit=1&limit=2",
    ],
)
def test_queries(api: Any, query: str) -> None:
    answer = api.program().get(f"/connections?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid")
    assert answer.json()["errors"][0]["where"].startswith("query.")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/credentials"),
        ("GET", "/providers/github"),
        ("GET", "/events/stream"),
        ("POST", "/connections/x/token"),
    ],
)
def test_what_a_query_names_must_be_known(api: Any, method: str, path: str) -> None:
    answer = api.program().http.request(method, path, params={"scopes": "notes.read"})

    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid")
    assert [error["where"] for error in answer.json()["errors"]] == ["query.scopes"]


def test_what_was_sent_is_not_told_back(api: Any) -> None:
    answer = api.program().post("/connections/import", json={"rows": ["canary-token"], "canary": "canary-token"})

    assert answer.status_code == 422
    assert "canary-token" not in answer.text


def test_a_row_that_cannot_be_written_down_is_told_as_one_that_is_invalid(api: Any) -> None:
    rows = b'{"rows": [{"credential": "notes", "owner": "a\\ud800", "access_token": "canary-token"}]}'
    answer = api.program().post("/connections/import", content=rows, headers=JSON)

    assert answer.status_code == 200
    assert [(row["outcome"], row["owner"]) for row in answer.json()["rows"]] == [("invalid", "a?")]
    assert "canary-token" not in answer.text


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1.attacker.example"])
def test_another_host_name_is_refused(api: Any, host: str) -> None:
    answer = api.program().get("/connections", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "host_unknown")


def test_a_body_is_bounded_whether_it_says_its_length_or_not(api: Any) -> None:
    program = api.program()
    row = b'{"rows": [{"credential": "notes", "owner": "ada", "access_token": "' + b"x" * LONGEST_BODY + b'"}]}'
    pieces = (row[at : at + 4096] for at in range(0, len(row), 4096))

    for content in (row, pieces):
        answer = program.post("/connections/import", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")
    assert program.ids() == []


def test_a_body_that_the_guard_of_all_sees_first_is_too_long_too(api: Any) -> None:
    headers = {**api.program().http.headers, **JSON}

    async def at_once() -> AsyncIterator[bytes]:
        yield b"x" * (BODY_LIMIT + 1)

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=api.site.app)
        async with httpx2.AsyncClient(transport=transport, base_url=api.site.base) as client:
            return await client.post("/v1/connections/import", content=at_once(), headers=headers)

    answer = asyncio.run(send())

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/connections/", "/connections/a/b/c", "/connections/%2e%2e/token", "//connections"]
)
def test_addresses_that_are_none(api: Any, path: str) -> None:
    answer = httpx2.get(f"{api.site.base}/v1{path}", headers=api.program().http.headers)

    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


def test_methods_that_are_none(api: Any) -> None:
    answer = api.program().http.delete("/connections")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_unsupported")
    assert "GET" in answer.headers["allow"]


def test_a_store_that_is_away_is_told_and_comes_back(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = api.program()

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store does not answer", hint="try again")

    with monkeypatch.context() as context:
        context.setattr(type(api.core.store), "get_document", away)
        answer = program.get("/connections")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert program.get("/connections").status_code == 200


def test_a_mistake_of_ours_tells_nothing_about_itself(api: Any, notes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = api.program()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("canary-in-an-exception")

    monkeypatch.setattr(type(api.core.store), "find", broken)
    answer = program.get(f"/connections/{notes}")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "canary" not in answer.text
