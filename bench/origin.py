"""The local server as the measurements see it: started as a process of its own, told what to do, asked what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVER = Path(__file__).with_name("server.py")


class Origin:
    """A running server.

    Attributes:
        base: Its origin.
        foreign: Another origin of it, under another name.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, SERVER], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        first, second = self._process.stdout.readline().split()
        self.base = f"http://127.0.0.1:{first}"
        self.foreign = f"http://localhost:{second}"

    def control(self, op: str, **wish: Any) -> Any:
        """Send a wish to the server and return its answer."""
        body = json.dumps({"op": op, **wish}).encode()
        request = urllib.request.Request(f"{self.base}/ctl", body)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return json.load(response)

    def fresh(self, **wish: Any) -> dict[str, Any]:
        """Forget everything, and return the token of a new grant."""
        self.control("reset")
        self.control("set", **wish)
        return self.tokens(1)[0]

    def tokens(self, count: int) -> list[dict[str, Any]]:
        """Return the tokens of so many new grants."""
        made: list[dict[str, Any]] = self.control("new", count=count)
        return made

    def stats(self) -> dict[str, Any]:
        """Return what the server counted since `fresh`."""
        counted: dict[str, Any] = self.control("stats")
        return counted

    def alive(self, refresh_token: str | None) -> bool:
        """Whether this refresh token would be taken."""
        return bool(self.control("alive", refresh_token=refresh_token or ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate()
