"""What both valets are: how they are set up, and what needs no colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.errors import ReauthorizationRequired
from valetkey.model.ports import Clock, KeyProvider, SecretService, Store
from valetkey.model.wiring import Wiring

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    import httpx2

    from valetkey.engine.declared import DeclaredSecrets


class BaseValet:
    """What both valets are."""

    def __init__(
        self,
        store: str | PathLike[str] | Store | SecretService | None = None,
        *,
        env: str | None = None,
        secrets: SecretService | None = None,
        wiring: Wiring | None = None,
        key: str | bytes | Path | KeyProvider | None = None,
        base_url: str | None = None,
        http: httpx2.Client | httpx2.AsyncClient | None = None,
        on_reauthorize: Callable[[ReauthorizationRequired], Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is opened before it is needed.

        Args:
            store: Where connections live: None for the embedded SQLite in the user's data folder (one file and one
                master key for each environment), a path, a URL, a store, or a plain secret service (whose claims then
                live in the embedded SQLite).
            env: The environment; default ``VALETKEY_ENV``, else ``default``.
            secrets: Where app credentials are looked for before the sealed store.
            wiring: A registry of your own instead of the default one and ``valetkey.toml``.
            key: The master key or where it is; default ``VALETKEY_KEY``, ``VALETKEY_KEY_FILE``, else a file beside
                the embedded store.
            base_url: The public address under which the application takes callbacks: ``.../callback/<credential>``.
            http: An HTTP client of your own for API calls (a blocking one also for token endpoints).
            on_reauthorize: Called once when a connection needs a person, with the error that tells why.
            clock: Time, for tests.
        """
        self._core = Core(
            store,
            env=env,
            secrets=secrets,
            wiring=wiring,
            key=key,
            base_url=base_url,
            http=http,
            on_reauthorize=on_reauthorize,
            clock=clock,
        )
        self._desk = Desk(self._core)

    @property
    def env(self) -> str:
        """The environment whose connections this valet holds."""
        return self._core.env

    @property
    def secrets(self) -> DeclaredSecrets:
        """The secrets of this environment: app credentials, declared secrets, and the token objects.

        A secret service whose values are checked against what `wire_secret` declared; its calls block.
        """
        return self._desk.secrets()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(env={self.env!r})"
