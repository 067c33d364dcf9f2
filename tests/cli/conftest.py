"""The command over a practice provider: in this process where that will do, as a real process where it must be one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from valetkey.cli.app import root
from valetkey.cli.session import Session
from valetkey.engine.connect import finish_authorization, start_authorization
from valetkey.engine.secrets import encode_secret
from valetkey.model.connections import Document, Record
from valetkey.model.credentials import AppCredentials
from valetkey.model.settings import to_declaration
from valetkey.model.wiring import declare
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

BROWSER = Path(__file__).parent / "programs" / "browser.py"
COMMAND = [sys.executable, "-m", "valetkey.cli"]
PATIENCE = 60.0
SCOPES = ["notes.read", "notes.write"]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, sys.argv[1:])
"""
"""Makes stdin the terminal of a new session, which only a process of that session can do, and goes on."""


class Terminal:
    """The command in a terminal of its own, as a person has it."""

    def __init__(self, *args: str, columns: int = 80, **environment: str) -> None:
        settings = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **environment}
        self._fd, side = pty.openpty()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", IN_TERMINAL, *COMMAND, *args],
                stdin=side,
                stdout=side,
                stderr=side,
                env=settings,
                start_new_session=True,
            )
        finally:
            os.close(side)
        self._seen = ""

    @property
    def seen(self) -> str:
        """What stands on the screen, without colours."""
        return ESCAPES.sub("", self.raw)

    @property
    def raw(self) -> str:
        return self._seen.replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Read until `text` is there."""
        while text not in self.seen:
            assert self._read(), f"it ended without {text!r}:\n{self.seen}"

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        assert ready, f"nothing came for {PATIENCE} s:\n{self.seen}"
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # Linux says so when the other side of a terminal is closed
            return False
        self._seen += chunk.decode(errors="replace")
        return bool(chunk)


class Kit:
    """A practice provider that is declared in the store as ``notes``, and the command."""

    command = COMMAND

    def __init__(self, provider: PracticeProvider, clock: FakeClock | None) -> None:
        self.provider = provider
        self.clock = clock
        self._runner = CliRunner()

    # -- running

    def run(self, *args: str, text: str | None = None) -> Ran:
        """Run the command in this process, with nobody at the terminal."""
        done = self._runner.invoke(root, list(args), input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def ok(self, *args: str, text: str | None = None) -> str:
        """Run it and return its stdout; it has to end well."""
        ran = self.run(*args, text=text)
        assert ran.code == 0, ran
        return ran.out

    def start(self, *args: str, stdin: Any = subprocess.PIPE, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start it as a process of its own."""
        return subprocess.Popen([*COMMAND, *args], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True)

    def process(self, *args: str, text: str = "") -> Ran:
        """Run it as a process of its own."""
        with self.start(*args) as process:
            out, err = process.communicate(text, timeout=PATIENCE)
        return Ran(process.returncode, out, err)

    # -- what is there

    def declare(self, name: str = "notes", *, app: bool = True, **fields: Any) -> None:
        """Declare the provider under a name, as `app add` does."""
        with self.session() as session:
            core = session.core
            known = {"display_name": "Notes", "scopes": SCOPES, **self.provider.credential_fields()}
            credential = declare(name, {**known, **fields}, source="command")
            if app:
                value = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
                text = encode_secret(AppCredentials, value)
                core.secret_service.set(credential.secret_id, text)
            body = {"source": "command", "fields": to_declaration(credential)}
            core.store.put_document(Document(kind="declaration", env=core.env, id=name, body=body))
            self.provider.allow_redirect(f"http://127.0.0.1/callback/{name}")

    def connect(
        self, name: str = "notes", owner: str | None = None, account: str = "", *, login: str = "ada"
    ) -> Record:
        """Connect an account, the provider playing the person."""
        with self.session() as session:
            key = session.key_of(name, owner, account)
            credential = session.credential(name)
            uri = f"http://127.0.0.1:8421/callback/{name}"
            start = start_authorization(session.core.world, credential, key, scopes=(), redirect_uri=uri)
            callback = self.provider.approve(start.url, login=login)
            return finish_authorization(session.core.world, callback, binding=start.binding)

    def session(self, **settings: Any) -> Any:
        """Return a session of the command, as a context manager."""
        return Opened(Session(makes_store=True, **settings))


class Opened:
    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


@pytest.fixture
def bare() -> Iterator[Kit]:
    """Return the command with a provider that nobody declared, on the real clock."""
    with PracticeProvider(device_interval=1) as provider:
        yield Kit(provider, None)


@pytest.fixture
def kit(bare: Kit) -> Kit:
    """Return the command with the credential ``notes`` declared, on the real clock."""
    bare.declare()
    return bare


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Return the same on a clock that stands still, for runs in this process."""
    clock = FakeClock()
    monkeypatch.setattr("valetkey.core.SystemClock", lambda: clock)
    with PracticeProvider(clock=clock) as provider:
        made = Kit(provider, clock)
        made.declare()
        yield made


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Let a browser open that says yes; returns what waits for its notes: what it was given, and the last page."""
    notes = tmp_path / "browser-notes"
    monkeypatch.setenv("BROWSER", f"{shlex.quote(sys.executable)} {shlex.quote(str(BROWSER))} %s &")
    monkeypatch.setenv("BROWSER_NOTES", str(notes))

    def read() -> str:
        give_up = time.monotonic() + PATIENCE
        while not notes.exists() and time.monotonic() < give_up:
            time.sleep(0.02)
        return notes.read_text(encoding="utf-8")

    return read


@pytest.fixture
def terminal() -> Callable[..., Terminal]:
    """Return what runs the command in a terminal."""
    return Terminal
