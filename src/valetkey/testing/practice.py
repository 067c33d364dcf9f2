"""Everything a test of a program that uses valetkey wants, in one object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from valetkey.async_valet import AsyncValet
from valetkey.client import OAuth2Client
from valetkey.model.connections import Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.wiring import Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing._ledger import NOTES_SCOPES
from valetkey.testing.clock import FakeClock
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, PracticeProvider
from valetkey.valet import Valet

BASE_URL = "http://127.0.0.1:8421"
"""Where the pretended application takes callbacks.  Nothing listens there: the provider's answer is handed over."""


class Practice:
    """A practice provider, a clock that stands still, and real valets on a real store between them.

    The credential ``notes`` is declared and its app is known; nobody is connected yet.

    >>> with Practice() as practice:
    ...     practice.connect("notes").state
    'connected'

    Args:
        folder: Where the SQLite store and its key are made; None: a temporary folder that goes away with `close`.

    Attributes:
        provider: The provider, on the same clock.
        clock: The time of provider, store and valets.
        wiring: The declarations of the valets.
        secrets: Where they find the app credentials.
        valet: A `Valet`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._cleanup: Callable[[], None] = lambda: None
        if folder is None:
            temporary = TemporaryDirectory(prefix="valetkey-practice-")
            folder, self._cleanup = Path(temporary.name), temporary.cleanup
        self._folder = folder
        self.clock = FakeClock()
        self.provider = PracticeProvider(clock=self.clock).start()
        self.wiring = Wiring()
        self.secrets = MemorySecrets()
        self.valet = Valet(**self._options())
        self.declare("notes", display_name="Notes")

    def _options(self) -> dict[str, Any]:
        return {
            "store": self._folder / "practice.db",
            "key": self._folder / "key",
            "env": "test",
            "secrets": self.secrets,
            "wiring": self.wiring,
            "base_url": BASE_URL,
            "clock": self.clock,
        }

    @cached_property
    def async_valet(self) -> AsyncValet:
        """An `AsyncValet` on the same store."""
        return AsyncValet(**self._options())

    def declare(self, name: str, *, discover: bool = False, **fields: Any) -> OAuth2Credential:
        """Declare another credential of the provider, with the default client as its app.

        Args:
            name: Its name.
            discover: Whether its URLs are left to its metadata.
            fields: Any keyword of `wire_oauth2_credential`, before those of the provider.
        """
        known = {"scopes": list(NOTES_SCOPES), **self.provider.credential_fields(discover=discover)}
        credential = self.wiring.oauth2_credential(name, **{**known, **fields})
        app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
        self.secrets.set(credential.secret_id, json.dumps(app))
        self.provider.allow_redirect(f"{BASE_URL}/callback/{name}")
        return credential

    def connect(
        self,
        name: str = "notes",
        *,
        owner: str | None = None,
        account: str = "",
        scopes: Sequence[str] = (),
        login: str = "ada",
    ) -> Status:
        """Connect an account by a real sign-in: authorization request, consent of `login`, code exchange.

        Raises:
            ConnectError: As the fault switches of the provider have it.
        """
        start = self.valet.authorize(name, owner=owner, account=account, scopes=scopes)
        callback = self.provider.approve(start.url, login=login)
        return self.valet.finish(callback, binding=start.binding, owner=owner)

    def client(
        self, name: str = "notes", *, owner: str | None = None, account: str = "", scopes: Sequence[str] = ()
    ) -> OAuth2Client:
        """Return a client of the valet: ``practice.client().get("/me")``."""
        return self.valet.client(name, owner=owner, account=account, scopes=scopes)

    def close(self) -> None:
        """Let go what the provider holds, wait for refreshes under way, stop the provider, remove a folder of ours."""
        self.provider.reset_faults()
        self.valet.close()
        if "async_valet" in self.__dict__:
            asyncio.run(self.async_valet.close())
        self.provider.stop()
        self._cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
