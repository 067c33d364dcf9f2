"""The command, run as processes of its own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

PERSON = Path(__file__).parent.parent / "programs" / "person.py"


class Command:
    """The command ``valetkey``, run as a process of its own in a folder of its own.

    Attributes:
        folder: Where it runs.
        env: What its environment has beside that of the tests.
    """

    program = shutil.which("valetkey", path=sysconfig.get_path("scripts"))

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self._page = folder / "browser.txt"
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *args: str) -> subprocess.Popen[str]:
        assert self.program is not None, "the console script is not installed"
        process = subprocess.Popen(
            [self.program, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **self.env},
        )
        self._running.append(process)
        return process

    def run(self, *args: str, stdin: str = "", status: int = 0) -> str:
        """Run it to its end, check its exit code, and return its output."""
        return self.finish(self.start(*args), stdin=stdin, status=status)[0]

    def json(self, *args: str, status: int = 0) -> Any:
        """Run it with --json and return what it answers."""
        return json.loads(self.run(*args, "--json", status=status))

    def finish(self, process: subprocess.Popen[str], *, stdin: str = "", status: int = 0) -> tuple[str, str]:
        out, err = process.communicate(stdin, timeout=60)
        page = self._page.read_text() if self._page.exists() else ""
        assert process.returncode == status, f"exit code {process.returncode}\n{out}\n{err}\n{page}"
        return out, err

    def browser(self, *args: str) -> None:
        """Have a person answer in the browser that it opens: their name, and approve or deny."""
        person = shlex.join((sys.executable, str(PERSON)))
        script = self.folder / "browser"
        script.write_text(f'#!/bin/sh\n{person} "$1" {shlex.join(args)} >"{self._page}" 2>&1 &\n')
        script.chmod(0o700)
        self.env["BROWSER"] = str(script)

    def declare(self, name: str, fields: Mapping[str, Any]) -> None:
        """Declare a credential in valetkey.toml."""
        lines = [f"{field} = {_toml(value)}" for field, value in fields.items() if value != ""]
        with (self.folder / "valetkey.toml").open("a") as file:
            file.write("\n".join([f"[credentials.{name}]", *lines, ""]))

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.communicate()


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    folder = tmp_path / "shell"
    folder.mkdir()
    command = Command(folder)
    yield command
    command.close()
