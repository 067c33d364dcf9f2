"""The program behind a proxy that takes the path of the public address off, as docs/web.md shows it."""

from __future__ import annotations

import re
import runpy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

HOST = "app.example.com"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Run the program as it stands, but for the server; give the application, and what the server is told."""
    given: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path))
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: given.append((app, options)))
    names = runpy.run_path(str(Path(__file__).parents[2] / "docs_src" / "behind_a_proxy.py"), run_name="__main__")
    yield given[0]
    names["valet"].close()


@contextmanager
def served(app: Any, root_path: str) -> Iterator[httpx2.Client]:
    """Serve it, and give what asks as the proxy does: the host passed on, the path taken off."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", root_path=root_path))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": HOST}) as proxy:
        yield proxy
    server.should_exit = True
    thread.join(20)


def leads(page: str) -> set[str]:
    """Return the paths that a page leads to."""
    return set(re.findall(r'(?:href|src|action)="(/[^"?#]*)', page))


def test_what_the_program_tells_the_server_makes_all_links_stay_below_the_path(
    program: tuple[Any, dict[str, Any]],
) -> None:
    app, told = program
    assert told == {"port": 8000, "root_path": "/accounts"}

    with served(app, told["root_path"]) as proxy:
        led = proxy.get("/console/connections")
        page = proxy.get("/login")
        style = proxy.get("/static/console.css")

    assert (led.status_code, led.headers["location"].partition("?")[0]) == (303, "/accounts/login")
    assert (page.status_code, style.status_code) == (200, 200)
    assert "/accounts/static/console.css" in leads(page.text)
    assert all(path.startswith("/accounts/") for path in leads(page.text))


def test_without_it_links_leave_the_path_as_the_page_says(program: tuple[Any, dict[str, Any]]) -> None:
    with served(program[0], "") as proxy:
        led = proxy.get("/console/connections")
    assert led.headers["location"].partition("?")[0] == "/login"
