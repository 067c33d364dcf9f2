"""valetkey as its documentation says: one valet per process over one SQLite file, its key in a file beside it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from peer import APP, Peer

from valetkey import AsyncValet, Valet, Wiring
from valetkey.secret_services.memory import MemorySecrets

NAME = "bench"
AGE = 600
"""Seconds since a valid token was obtained: the 401 for one that is younger than a minute would be handed back."""


def settings(base: str, folder: Path) -> dict[str, Any]:
    """Return what a valet is made with, for the credential `NAME` of the local server."""
    wiring = Wiring()
    declared = wiring.oauth2_credential(
        NAME,
        authorization_url=f"{base}/authorize",
        token_url=f"{base}/token",
        client_auth="client_secret_post",
        scopes=["read"],
    )
    secrets = MemorySecrets({declared.secret_id: json.dumps({"client_id": APP[0], "client_secret": APP[1]})})
    return {"store": folder / "bench.db", "key": folder / "key", "wiring": wiring, "secrets": secrets}


def row(token: Mapping[str, Any], *, expired: bool, owner: str | None = None) -> dict[str, Any]:
    """Return a token as a row for `Valet.import_grants`."""
    now = time.time()
    began = now - (3610 if expired else AGE)
    held = {**token, "obtained_at": began, "expires_at": began + 3600}
    return {"credential": NAME, "owner": owner, "token": held}


def take_over(valet: Valet, rows: Iterable[Mapping[str, Any]]) -> None:
    """Import rows; none may fail."""
    report = valet.import_grants(rows)
    if set(report.counts) != {"created"}:
        raise RuntimeError(str(report))


class _Valetkey(Peer):
    own_store = True
    face: ClassVar[type[Valet | AsyncValet]]
    valet: Any

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        self._folder = None if self.store else Path(tempfile.mkdtemp(prefix="valetkey-bench-"))
        folder = self.store or self._folder
        assert folder is not None  # noqa: S101 - for the type checker
        folder.mkdir(exist_ok=True)
        self._settings = settings(base, folder)
        if token is not None:
            with Valet(**self._settings) as valet:
                take_over(valet, [row(token, expired=expired)])
        self.valet = self.face(**self._settings)
        self.client = self.valet.client(NAME)
        return self

    def refresh_token(self) -> str | None:
        with Valet(**self._settings) as valet:
            (found,) = valet.export(credential=NAME, include_tokens=True)
        return str(found["token"]["refresh_token"])

    def objects(self) -> list[Any]:
        with Valet(**self._settings) as valet:
            token = valet.client(NAME).get_access_token()
        return [self.valet, self.client, self.client.auth, token, self._settings["secrets"]]

    def clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder)


class ValetkeySync(_Valetkey):
    colour = "sync"
    face = Valet

    def get(self, url: str) -> int:
        return int(self.client.get(url, follow_redirects=True).status_code)

    def close(self) -> None:
        self.valet.close()
        self.clear()


class ValetkeyAsync(_Valetkey):
    colour = "async"
    face = AsyncValet

    async def get(self, url: str) -> int:
        return int((await self.client.get(url, follow_redirects=True)).status_code)

    async def close(self) -> None:
        await self.valet.close()
        self.clear()
