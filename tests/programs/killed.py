"""A program that stops in the middle of a refresh, to be killed there: `killed.py SETTINGS.json POINT`.

SETTINGS.json is as for caller.py.  POINT is where it stops: ``claimed`` (before the refresh token is sent), ``asking``
(nowhere by itself: the provider holds the answer), ``writing`` (the new grant is in a transaction, not yet committed),
``committed`` (right after the commit).  It says so on stderr and then waits to be killed.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from valetkey import Valet, Wiring
from valetkey.clock import SystemClock
from valetkey.secret_services.memory import MemorySecrets

AHEAD = 3720.0


class Ahead(SystemClock):
    now = staticmethod(lambda: time.time() + AHEAD)


def stop(*_: Any, **__: Any) -> NoReturn:
    print("stopped", file=sys.stderr, flush=True)
    while True:
        threading.Event().wait(60)


def stop_at(point: str) -> None:
    """Put the stop in place."""
    if point == "claimed":
        from valetkey.http import HttpEndpoint

        HttpEndpoint.send = stop  # type: ignore[assignment]
    elif point in {"writing", "committed"}:
        from valetkey.stores.sqlite import SQLiteStore

        name = "_update" if point == "writing" else "swap"
        work = getattr(SQLiteStore, name)
        after = lambda *args, **more: (work(*args, **more), stop())  # noqa: E731 - one expression for both kinds
        setattr(SQLiteStore, name, staticmethod(after) if point == "writing" else after)


def main(settings: dict[str, Any], point: str) -> None:
    wiring = Wiring()
    credential = wiring.oauth2_credential(settings["name"], **settings["credential"])
    secrets = MemorySecrets()
    secrets.set(credential.secret_id, json.dumps(settings["app"]))
    valet = Valet(
        settings["store"],
        key=Path(settings["key"]),
        env=settings["env"],
        wiring=wiring,
        secrets=secrets,
        clock=Ahead(),
    )
    valet.client(settings["name"]).status()
    stop_at(point)
    valet.client(settings["name"]).get("/me")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
