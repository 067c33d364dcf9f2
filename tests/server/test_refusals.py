"""What goes wrong before, beside and below the pages: an answer that says what to do, and nothing half done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.server.settings import BODY_LIMIT

CONSOLE = "/console/connections"


def stop_store(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        msg = "the store does not answer"
        raise StoreUnavailable(msg)

    for name in ("get_document", "put_document", "list_documents", "list", "now"):
        monkeypatch.setattr(site.server.core.store, name, down)


def send(site: Any, visitor: Any, body: bytes, **headers: str) -> Any:
    return visitor.client.post("/logout", content=body, headers={"Origin": site.base, **headers})


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        pytest.param("application/json", b"{}", 415, "another format", id="JSON"),
        pytest.param("multipart/form-data; boundary=x", b"--x--", 415, "another format", id="multipart"),
        pytest.param("text/plain", b"csrf=x", 415, "another format", id="text"),
        pytest.param("application/x-www-form-urlencoded", b"csrf=%ff", 400, "not UTF-8", id="escaped bytes"),
        pytest.param("application/x-www-form-urlencoded", b"csrf=\xff", 400, "not UTF-8", id="bytes"),
        pytest.param("application/x-www-form-urlencoded", b"a=1&" * 3000, 400, "could not be read", id="many fields"),
        pytest.param("application/x-www-form-urlencoded", b"x" * BODY_LIMIT + b"x", 413, "256 KiB", id="long"),
        pytest.param("application/x-www-form-urlencoded", b"", 403, "too old", id="empty"),
    ],
)
def test_a_form_that_cannot_be_read_is_told_so(site: Any, kind: str, body: bytes, status: int, words: str) -> None:
    visitor = site.operator()
    answer = send(site, visitor, body, **{"Content-Type": kind})

    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert visitor.get(CONSOLE).status_code == 200


def test_what_is_missing_looks_like_what_is_not_ours(site: Any) -> None:
    visitor = site.operator()
    pages = [
        visitor.get(path) for path in ("/console/nowhere", "/nowhere", "/static/secret.key", "/static/..%2fapp.py")
    ]

    assert {page.status_code for page in pages} == {404}
    assert len({page.content for page in pages}) == 1


def test_another_method_is_told_so(site: Any) -> None:
    answer = site.operator().client.delete("/login", headers={"Origin": site.base})

    assert answer.status_code == 405
    assert "cannot be done here" in answer.text


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/connections/x/nothing"])
def test_programs_get_problem_details(site: Any, path: str) -> None:
    answer = site.visitor().client.post(path, content=b"x" * (BODY_LIMIT + 1), headers={"Authorization": "Bearer x"})

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "body_too_long"


def test_a_store_that_is_down_is_told_without_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = site.operator()
    stop_store(site, monkeypatch)
    answer = visitor.get(CONSOLE)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "cannot reach its store" in answer.text
    assert str(site.server.core.store.url) not in answer.text
    assert "http-equiv" not in answer.text
    assert visitor.get("/healthz").status_code == 200
    assert visitor.get("/readyz").status_code == 503
    monkeypatch.undo()
    assert visitor.get("/readyz").status_code == 200
    assert visitor.get(CONSOLE).status_code == 200


def test_a_mistake_of_ours_has_an_id_in_answer_and_log(
    site: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = site.operator()
    monkeypatch.setattr(site.server.core, "credentials", lambda: {}["the secret of the trade"])
    with caplog.at_level(logging.ERROR, "valetkey.server"):
        answer = visitor.get(CONSOLE)

    name = answer.headers["x-request-id"]
    assert answer.status_code == 500
    assert name in answer.text
    assert "secret of the trade" not in answer.text
    assert [record.getMessage() for record in caplog.records] == [f"{name}: a mistake of ours (KeyError)"]


def test_what_the_library_refuses_is_told_with_the_next_step(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        msg = "there is <no> such thing"
        raise ConfigurationError(msg, code="thing_missing", hint="make one")

    visitor = site.operator()
    monkeypatch.setattr(site.server.core, "credentials", refuse)
    answer = visitor.get(CONSOLE)

    assert answer.status_code == 409
    for words in ("there is &lt;no&gt; such thing", "make one", "thing_missing", answer.headers["x-request-id"]):
        assert words in answer.text


def test_every_answer_has_an_id_of_its_own(site: Any) -> None:
    visitor = site.visitor()
    names = [visitor.get(path).headers["x-request-id"] for path in ("/login", "/login", "/healthz", "/nowhere")]

    assert len(set(names)) == 4
    assert all(name.startswith("req_") for name in names)


def test_a_plain_wsgi_server_serves_the_application(practice: Any) -> None:
    """The recipe of the documentation, under the standard library's server."""
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from a2wsgi import ASGIMiddleware

    from valetkey.server import create_app

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    app = create_app(practice.valet)
    bridge: Callable[..., Any] = ASGIMiddleware(app)
    server: WSGIServer = make_server("127.0.0.1", 0, bridge, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        import httpx2

        with httpx2.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            sessions = app.state.server.sessions
            link = sessions.link().reveal()
            page = client.get(f"/login/link?token={link}")
            token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
            origin = {"Origin": str(client.base_url).rstrip("/")}
            answer = client.post("/login/link", data={"csrf": token, "token": link}, headers=origin)
            assert (answer.status_code, answer.headers["location"]) == (303, CONSOLE)
            assert "Connections" in client.get(CONSOLE).text
            assert client.get("/nowhere").status_code == 404
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        bridge.loop.call_soon_threadsafe(bridge.loop.stop)  # type: ignore[attr-defined]
