"""``/metrics``: figures in Prometheus' text format, for whoever has an API key with the scope ``read``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from valetkey.engine.overview import by_state, summed
from valetkey.errors import ValetkeyError
from valetkey.server.api.caller import beyond_limits, demand
from valetkey.server.api.gate import Doorman
from valetkey.server.api.problems import Refusal, answer
from valetkey.server.asking import Server

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LOOKED_AT: Final = 20_000
"""Events that one look at the figures counts, at most; what is left is counted by the next."""
_PAGE: Final = 500
_HELP: Final = {
    "valetkey_connections": ("gauge", "Connections by state, in this environment."),
    "valetkey_events_total": ("counter", "Events of all processes on this store since this server began to count."),
    "valetkey_flights": ("gauge", "Refreshes, sign-ins and reads under way in this process."),
    "valetkey_apps_failing": ("gauge", "Credentials whose app cannot be used."),
}
Samples = Iterable[tuple[Mapping[str, str], int]]


class Metrics:
    """The figures of one server.  Events are counted from the store, so those of its workers count too."""

    def __init__(self, server: Server) -> None:
        self._core = server.core
        self._doorman = Doorman(server)
        self._lock = threading.Lock()
        self._events: Counter[tuple[str, str]] = Counter()
        self._seen: int | None = None

    async def endpoint(self, request: Request) -> Response:
        """Answer a scrape."""
        try:
            key = await self._doorman.admit(request.headers, request.scope)
            demand(key, "read")
            if key.owners or key.credentials:
                raise beyond_limits("these figures are of all connections, and this API key does not see all")
            return Response(await run_in_threadpool(self.text), media_type=MEDIA_TYPE)
        except (Refusal, ValetkeyError) as error:
            return answer(error)

    def text(self) -> str:
        """Return the figures; blocking."""
        core = self._core
        failing = core.app_errors()
        counts = by_state(summed(core.store.counts(env=core.env, now=core.clock.now()), failing))
        self._count()
        families = (
            _family("valetkey_connections", (({"state": state}, number) for state, number in counts.items())),
            _family("valetkey_events_total", self._counted()),
            _family("valetkey_flights", [({}, len(core.flights.under_way()))]),
            _family("valetkey_apps_failing", [({}, len(failing))]),
        )
        return "".join(families)

    def _counted(self) -> Samples:
        with self._lock:
            counted = sorted(self._events.items())
        return [({"kind": kind, "credential": credential}, number) for (kind, credential), number in counted]

    def begin(self) -> None:
        """Count events from now on; blocking."""
        with self._lock:
            if self._seen is None:
                newest = self._core.store.list_events(env=self._core.env, limit=1, newest_first=True)
                self._seen = newest[0].seq if newest else 0

    def _count(self) -> None:
        self.begin()
        with self._lock:
            for _ in range(LOOKED_AT // _PAGE):
                page = self._core.store.list_events(env=self._core.env, after=self._seen or 0, limit=_PAGE)
                self._events.update((event.kind, event.credential) for event in page)
                if page:
                    self._seen = page[-1].seq
                if len(page) < _PAGE:
                    return


def _family(name: str, samples: Samples) -> str:
    kind, told = _HELP[name]
    lines = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
