"""The command as a process of its own, and what every refusal of it owes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey.testing.provider import DEFAULT_CLIENT_SECRET

CONFINED = Path(__file__).parent.parent / "programs" / "confined.py"


class Shell:
    """The command as people have it, and the folder in which it keeps store and key."""

    def __init__(self, kit: Any) -> None:
        self.kit = kit
        self.home = Path(os.environ["VALETKEY_HOME"])
        self.database, self.key = self.home / "valetkey.db", self.home / "key"

    def run(self, *args: str, text: str = "hush", rules: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        confined = [sys.executable, str(CONFINED), *rules, "--"] if rules else []
        command = [] if "nobodys-home" in rules else self.kit.command
        # A confined process may not be able to write what coverage measured in it, and would say so on stderr.
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        return subprocess.run(
            [*confined, *command, *args],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=unmeasured if rules else None,
        )

    def ok(self, *args: str, text: str = "hush", rules: tuple[str, ...] = ()) -> str:
        done = self.run(*args, text=text, rules=rules)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(
        self, status: int, code: str, *args: str, named: str = "", text: str = "hush", rules: tuple[str, ...] = ()
    ) -> str:
        """Run it; check how it fails; return the hint."""
        done = self.run(*args, text=text, rules=rules)
        assert (done.returncode, f"[{code}]" in done.stderr) == (status, True), done
        return self._checked(done, named)

    def _checked(self, done: subprocess.CompletedProcess[str], named: str) -> str:
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        assert named in done.stderr
        lines = done.stderr.splitlines()
        error = next(at for at, line in enumerate(lines) if line.startswith("error: "))
        assert lines[error + 1].startswith("  -> "), "each error has a next step"
        self.check_secrets(done)
        return lines[error + 1].removeprefix("  -> ")

    def check_secrets(self, done: subprocess.CompletedProcess[str]) -> None:
        keys = self.key.read_text().split()[-1:] if self.key.is_file() else []
        secrets = {*self.kit.provider.tokens_ever_issued(), DEFAULT_CLIENT_SECRET, *keys}
        assert [secret for secret in secrets if secret in done.stderr] == []

    def paste(self, answer: Callable[[str], str], *args: str) -> subprocess.CompletedProcess[str]:
        """Connect by pasting what `answer` makes of the address to open."""
        with self.kit.start("connect", "notes", "--paste", *args) as process:
            url = next(line for line in process.stderr if line.startswith("http")).strip()
            out, err = process.communicate(answer(url) + "\n", timeout=60)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def refused_paste(self, status: int, code: str, answer: Callable[[str], str], *args: str, named: str = "") -> str:
        done = self.paste(answer, *args)
        assert (done.returncode, f"[{code}]" in done.stderr) == (status, True), done
        return self._checked(done, named)

    def files(self) -> dict[str, bytes]:
        """Return all that lies in the folder; SQLite's own files beside the store are empty when nobody uses it."""
        beside = ("-wal", "-shm")
        return {
            path.name: path.read_bytes()
            for path in self.home.iterdir()
            if path.is_file() and not path.name.endswith(beside)
        }

    def sql(self, statement: str) -> list[Any]:
        db = sqlite3.connect(self.database, isolation_level=None)
        try:
            return db.execute(statement).fetchall()
        finally:
            db.close()


@pytest.fixture
def shell(kit: Any) -> Shell:
    return Shell(kit)


@pytest.fixture
def connected(shell: Shell) -> Shell:
    shell.kit.connect()
    return shell
