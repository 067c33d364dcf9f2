"""The values of the worker: how it is to work, what it works with, what it tells, what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from valetkey.errors import ValetkeyError
from valetkey.model.connections import Connection

LOOK_EVERY: Final = 15.0
"""Seconds between two looks for new work, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSummary:
    """What a worker did.

    Attributes:
        refreshed: Access tokens refreshed ahead of need.
        kept_alive: Refresh tokens used because they would have died of disuse.
        failed: Tries that failed; the grants are kept, and tried again.
        needs_reauth: Connections whose grants have ended by their providers' word: a person must sign in again.
        skipped: Connections that others had refreshed, or were at.
        problems: What somebody has to mend: each connection, app or credential counts once.
        waiting: Connections that were due at the last look and could not be refreshed: there is a problem, or their
            host asks for patience.
        requests: Requests sent to token endpoints.
    """

    refreshed: int = 0
    kept_alive: int = 0
    failed: int = 0
    needs_reauth: int = 0
    skipped: int = 0
    problems: int = 0
    waiting: int = 0
    requests: int = 0

    @property
    def well(self) -> bool:
        """Whether nothing went wrong, and nothing was left."""
        return not (self.failed or self.needs_reauth or self.problems or self.waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that a worker tells while it works.

    Attributes:
        kind: ``refreshed``, ``kept_alive``, ``failed``, ``needs_reauth``: of a connection; ``problem``: somebody has
            to mend something, told once; ``waiting``: a host asks for patience or does not answer; ``resumed``: an
            app, a host or the store is well again.
        at: Unix seconds.
        subject: What it is about: a connection's key, a credential's name, a host, or ``store``.
        connection: The connection, where it is about one.
        error: Why.
        sign_in_by: Unix seconds by which a person must sign in again, where that is soon.
    """

    kind: Literal["refreshed", "kept_alive", "failed", "needs_reauth", "problem", "waiting", "resumed"]
    at: float
    subject: str
    connection: Connection | None = None
    error: ValetkeyError | None = None
    sign_in_by: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a worker is to work.

    Attributes:
        once: Do what is due now, and end.
        concurrency: How many refreshes may be under way at once.
        per_host: How many of them at one token endpoint's host.
        look_every: Seconds between two looks for new work, at most.
    """

    once: bool = False
    concurrency: int = 8
    per_host: int = 4
    look_every: float = LOOK_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a worker works with, beside its world.

    Attributes:
        launch: Runs a function in another thread.
        stopped: Whether it is to stop.
        nap: Waits so many seconds, or until it is to stop.
        tell: Told of all that happens, in the worker's own thread.
    """

    launch: Callable[[Callable[[], None]], object]
    stopped: Callable[[], bool]
    nap: Callable[[float], object]
    tell: Callable[[Happening], object] = lambda _: None
