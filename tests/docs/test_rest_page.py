"""The page about the REST API: every line is typed at a shell, before a real server."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from valetkey.engine.api_keys import SCOPES
from valetkey.server import create_app

BETWEEN = "\x1e"


@pytest.fixture
def address(practice: Any) -> Iterator[str]:
    """Serve the practice, and return where."""
    server = uvicorn.Server(uvicorn.Config(create_app(practice.valet), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


def script(practice: Any, commands: list[str]) -> str:
    """Return one shell script of all commands; ``valetkey`` is the command on the practice's store."""
    place = ["--store", f"{practice._folder}/practice.db", "--key", f"{practice._folder}/key", "--env", "test"]
    options = shlex.join(place)
    head = f'valetkey() {{ {shlex.quote(sys.executable)} -m valetkey.cli "$@" {options}; }}\nexec 2>&1\n'
    return head + "".join(f"{command}\nprintf '{BETWEEN}'\n" for command in commands)


def test_the_page_goes_as_it_is_written(
    page: Any, steps: Any, matches: Any, practice: Any, address: str, tmp_path: Path, left_out: Any
) -> None:
    left_out.without("curl", "jq", "bash", what="The page about the REST API does")
    practice.connect("notes", owner="u-17")
    wanted = [step for block in page("docs/rest.md").blocks("console") for step in steps(block.text)]

    ran = subprocess.run(
        ["bash", "-c", script(practice, [command for command, _ in wanted])],
        env={**os.environ, "VALETKEY": address},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    screens = ran.stdout.split(BETWEEN)[:-1]
    assert len(screens) == len(wanted) >= 12
    for (command, expected), screen in zip(wanted, screens, strict=True):
        assert matches(screen, expected), f"$ {command}\n{screen}\nand the page has\n{expected}"
    assert (tmp_path / "auth").stat().st_mode & 0o077 == 0


def test_the_scopes_are_those_of_keys(page: Any) -> None:
    told = [row[0].strip("`") for row in page("docs/rest.md").tables("scope", "what it opens")]

    assert told == list(SCOPES)
