"""A program whose store is not of this host: `elsewhere.py SETTINGS.json POINT`.

SETTINGS.json is as for caller.py, with ``place``: ``service`` (a plain secret service that keeps files in the folder
``store``) or ``database`` (a store that says that it is elsewhere).  POINT is where the refresh stops, to be killed
there: ``hanging`` (the store takes the new grant and never answers), ``down`` (it does not answer, and is tried again
and again), ``claimed`` (nothing was sent yet), ``nowhere``.  Having come there it says ``stopped`` on stderr.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from valetkey import StoreUnavailable, Valet, Wiring
from valetkey.clock import SystemClock
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.sqlite import SQLiteStore

AHEAD = 3720.0


class Ahead(SystemClock):
    now = staticmethod(lambda: time.time() + AHEAD)


class Folder:
    """A plain secret service: a file per secret."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(exist_ok=True)

    def get(self, secret_id: str) -> str | None:
        file = self.place / secret_id
        return file.read_text() if file.exists() else None

    def set(self, secret_id: str, value: str) -> None:
        (self.place / secret_id).write_text(value)

    def delete(self, secret_id: str) -> None:
        (self.place / secret_id).unlink(missing_ok=True)


class Elsewhere(SQLiteStore):
    """A database that does not count as this host's."""

    local = False


def valet_of(settings: dict[str, Any], clock: SystemClock) -> Valet:
    wiring = Wiring()
    credential = wiring.oauth2_credential(settings["name"], **settings["credential"])
    secrets = MemorySecrets()
    secrets.set(credential.secret_id, json.dumps(settings["app"]))
    place = Path(settings["store"])
    store = Folder(place) if settings["place"] == "service" else Elsewhere(place, clock=clock)
    key = settings["key"] and Path(settings["key"])
    return Valet(store, key=key, env=settings["env"], wiring=wiring, secrets=secrets, clock=clock)


def stopped() -> None:
    print("stopped", file=sys.stderr, flush=True)


def hang(*_: Any, **__: Any) -> NoReturn:
    stopped()
    while True:
        threading.Event().wait(60)


def down(*_: Any, **__: Any) -> NoReturn:
    stopped()
    msg = "the store is down"
    raise StoreUnavailable(msg)


def stop_at(point: str) -> None:
    if point == "claimed":
        from valetkey.http import HttpEndpoint

        HttpEndpoint.send = hang  # type: ignore[method-assign]
    elif point in {"hanging", "down"}:
        stop = hang if point == "hanging" else down
        Folder.set = stop  # type: ignore[method-assign]
        Elsewhere.swap = stop  # type: ignore[method-assign]


def main(settings: dict[str, Any], point: str) -> None:
    with valet_of(settings, Ahead()) as valet:
        valet.client(settings["name"]).status()
        stop_at(point)
        print(valet.client(settings["name"]).get("/me").status_code)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
