"""Programs of their own that use the connections of a store, and the parent that connected them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.waiting import PATIENCE, settle, wait_until
from valetkey import NotConnected, Valet, Wiring
from valetkey.clock import SystemClock
from valetkey.keys.files import FileKeys
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET


class Callers:
    """Programs of their own that use the connections of a store: see ``programs/caller.py``.

    They do nothing before they are told to go.
    """

    program = Path(__file__).parent.parent / "programs" / "caller.py"

    def __init__(self, folder: Path) -> None:
        self._settings = folder / "callers.json"
        self._running: list[subprocess.Popen[str]] = []

    def know(self, settings: Mapping[str, Any]) -> None:
        """Tell them where the store and its key are, and what is declared."""
        self._settings.write_text(json.dumps(settings))

    def start(self, mode: str, count: int = 1) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(self.program), str(self._settings), mode, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def go(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    def result(self, process: subprocess.Popen[str]) -> list[str]:
        """Wait for its end, and return what its calls came to: HTTP statuses and error codes."""
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        outcome: list[str] = json.loads(out)
        return outcome

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


class Family:
    """A parent that has connected an account on the real clock, and programs of their own that use it.

    Each of these finds the token expired; the provider rotates, and counts.
    """

    def __init__(self, provider: Any, callers: Callers, store: str, key: Path) -> None:
        self.provider = provider
        self.start, self.go, self.result = callers.start, callers.go, callers.result
        FileKeys(key, can_create=True).create()
        app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
        credential = {**provider.credential_fields(), "scopes": ["notes.read"]}
        paths = {"store": store, "key": str(key), "env": "test"}
        callers.know({"name": "notes", "credential": credential, "app": app, **paths})

        def valet() -> Any:
            wiring = Wiring()
            wiring.oauth2_credential("notes", **credential)
            secrets = MemorySecrets()
            secrets.set("notes-app-credentials", json.dumps(app))
            return Valet(store, key=key, env="test", wiring=wiring, secrets=secrets, clock=SystemClock())

        self.another_valet = valet
        self.valet = valet()
        provider.allow_redirect("http://127.0.0.1:8421/callback/notes")
        start = self.valet.authorize("notes", redirect_uri="http://127.0.0.1:8421/callback/notes")
        self.valet.finish(provider.approve(start.url), binding=start.binding)

    def herd(self, mode: str, processes: int, count: int) -> list[str]:
        """Let `count` callers in each of so many processes call at once; return what their calls came to."""
        started = [self.start(mode, count) for _ in range(processes)]
        for process in started:
            self.go(process)
        return [answer for process in started for answer in self.result(process)]

    def fork_during_the_refresh(self) -> list[str]:
        """Let a program fork while it refreshes; return what the calls of parent and child came to."""
        held = self.provider.hold("token")
        process = self.start("forked")
        self.go(process)
        assert held.arrived.wait(PATIENCE)
        self.go(process)
        assert process.stderr is not None
        assert process.stderr.readline() == "forked\n"
        held.release()
        return self.result(process)

    def hear_of_a_disconnect(self) -> None:
        """Disconnect while another valet has the token in memory, which looks at the store only when it is told."""
        with self.another_valet() as other:
            client = other.client("notes")
            assert client.get("/me").status_code == 200
            wait_until(other._core.store.listens)
            settle(other)
            client.get_access_token()
            source = other._core.own_source("notes")
            source.token.until = float("inf")

            self.valet.disconnect("notes")

            wait_until(lambda: source.token.until == 0.0)
            with pytest.raises(NotConnected):
                client.get("/me")

    def refreshed_once(self) -> bool:
        provider = self.provider
        return (provider.refreshes, provider.refresh_requests, provider.reuses, provider.live_grants) == (1, 1, 0, 1)
