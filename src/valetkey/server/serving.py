"""Serving the application on a socket of this host, and letting others who share the store know of it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from valetkey.core import Core
from valetkey.engine.hosts import reporting
from valetkey.errors import StoreError
from valetkey.model.connections import Document
from valetkey.model.ports import Store
from valetkey.server.settings import is_loopback

DEFAULT_PORT: Final = 8421
KIND: Final = "server"
_LIFE: Final = 60.0
"""Seconds after which a server that says nothing counts as gone."""
_EVERY: Final = 20.0
_GRACE: Final = 5
"""Seconds that requests under way get at the end; pages that listen for news would else hold it up for ever."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: The port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # TCP by name: asyncio looks at the protocol before it turns Nagle's algorithm off, which would else hold back the
    # end of an answer until the client has acknowledged its head, 40 ms later.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have the same port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def listen_near(host: str, port: int, *, tries: int = 20) -> socket.socket:
    """Return a socket that listens on `port`, or on the next one that is free.

    Raises:
        OSError: None of them can be had.
    """
    for number in range(port, min(port + tries, 65536)):
        with suppress(OSError):
            return listen(host, number)
    return listen(host, port)


def serve(app: ASGIApp, listening: socket.socket, *, trusted_proxies: str = "", root_path: str = "") -> None:
    """Serve until a signal comes; requests under way are finished, and the signal is raised then.

    Args:
        app: The application.
        listening: Where.
        trusted_proxies: Addresses whose word on the visitor's address is taken, with commas between them.
        root_path: The path under which a proxy that strips it shows the application.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        root_path=root_path,
        timeout_graceful_shutdown=_GRACE,
    )
    serving = uvicorn.Server(config).serve(sockets=[listening])
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serving)
    finally:
        serving.close()  # Ctrl-C may have come before it began


# -- who serves


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs now.

    Attributes:
        url: Its address, without a slash at its end.
        host: The machine on which it runs.
    """

    url: str
    host: str

    @property
    def reachable(self) -> bool:
        """Whether a browser on this machine can reach it."""
        return not is_loopback(urlsplit(self.url).hostname or "") or self.host == socket.gethostname()


@contextmanager
def announced(core: Core, url: str) -> Generator[None]:
    """Let others know that the server runs, while the block does.  They take its word for a minute."""

    def tell() -> None:
        body = {"host": socket.gethostname(), "pid": os.getpid()}
        ends = core.store.now() + _LIFE
        core.store.put_document(Document(kind=KIND, env=core.env, id=url, body=body, expires_at=ends))

    tell()
    try:
        with reporting(core.world, core.keys, what="server"), core.world.pulse(_EVERY, tell):
            yield
    finally:
        with suppress(StoreError):  # it runs out by itself
            core.store.delete_document(KIND, url, env=core.env)


def running(store: Store, env: str) -> list[Serving]:
    """Return the servers of an environment that run now and can be reached from here."""
    found = store.list_documents(KIND, env=env)
    every = [Serving(document.id, str(document.body.get("host", ""))) for document in found]
    return [one for one in every if one.reachable]
