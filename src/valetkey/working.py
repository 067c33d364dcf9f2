"""A worker over a valet's core: its threads, its sleep, its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

from valetkey.clock import SystemClock
from valetkey.core import Core
from valetkey.engine.app_replacing import look_after
from valetkey.engine.hosts import reporting
from valetkey.engine.worker import work
from valetkey.engine.workplan import Happening, Means, Plan, WorkerSummary
from valetkey.errors import ConfigurationError, ReauthorizationRequired, StoreError
from valetkey.flights import MAX_THREADS
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey

MOST: Final = MAX_THREADS
"""Refreshes that a worker may have under way at once: each has a thread of the worker's lane."""
LANE: Final = "(worker)"
"""The lane in which workers refresh, and no name of a credential: what others look up has threads of its own."""
LOOK_AFTER_APPS: Final = 3600.0
"""Seconds between two looks which apps' secrets end soon."""
_SLICE: Final = 0.5
_log = get_logger("worker")


def run_worker(
    core: Core,
    *,
    once: bool,
    concurrency: int,
    per_host: int,
    stops: Sequence[threading.Event],
    tell: Callable[[Happening], object] | None,
    on_dead: Callable[[ConnectionKey, ReauthorizationRequired], object],
) -> WorkerSummary:
    """Work in this thread until one of `stops` is set.

    Args:
        core: The inside of the valet.
        once: Do what is due now, and return.
        concurrency: How many refreshes may be under way at once.
        per_host: How many of them at one host.
        stops: What ends it.
        tell: Told of all that happens; None: the log.
        on_dead: Told of connections that need a person.

    Raises:
        ConfigurationError: A number is out of range (``concurrency_invalid``).
        StoreError: The store cannot be opened, or read at the first look.
    """
    for name, number in (("concurrency", concurrency), ("per_host", per_host)):
        if not 1 <= number <= MOST:
            msg = f"{name}={number} is out of range"
            raise ConfigurationError(msg, code="concurrency_invalid", hint=f"use a number from 1 to {MOST}")

    def told(happening: Happening) -> None:
        (tell or log)(happening)
        if happening.connection is not None and isinstance(happening.error, ReauthorizationRequired):
            try:
                on_dead(happening.connection.key, happening.error)
            except StoreError as trouble:
                not_told(happening.connection.key, trouble)

    def launch(function: Callable[[], None]) -> None:
        core.flights.run(object(), function, lane=LANE)

    def stopped() -> bool:
        return any(stop.is_set() for stop in stops)

    looked = float("-inf")

    def stopped_or_looks() -> bool:
        nonlocal looked
        if core.clock.monotonic() - looked >= LOOK_AFTER_APPS:
            looked = core.clock.monotonic()
            _look_after_apps(core)
        return stopped()

    means = Means(launch=launch, stopped=stopped_or_looks, nap=_nap(core, stops, stopped), tell=told)
    plan = Plan(once=once, concurrency=concurrency, per_host=per_host)
    world = replace(core.world, actor="worker")
    with nullcontext() if once else reporting(world, core.keys, what="worker"):
        return work(world, core.env, plan, means)


def _look_after_apps(core: Core) -> None:
    try:
        look_after(replace(core.world, actor="worker"), core.env, core.credentials())
    except (ConfigurationError, StoreError) as trouble:  # the refreshes meet it too, and tell of it
        _log.info("the apps were not looked at: %s [%s]", trouble, trouble.code)


def _nap(core: Core, stops: Sequence[threading.Event], stopped: Callable[[], bool]) -> Callable[[float], object]:
    """Return what waits.  Another clock than the system's is asked to `sleep`: a test decides how time passes."""
    if not isinstance(core.clock, SystemClock):
        return core.clock.sleep
    waited = stops[0] if stops else threading.Event()

    def nap(seconds: float) -> None:
        end = core.clock.monotonic() + seconds
        while not stopped() and (left := end - core.clock.monotonic()) > 0:
            waited.wait(left if len(stops) < 2 else min(left, _SLICE))  # noqa: PLR2004 - of several, one is waited for

    return nap


def not_told(key: ConnectionKey, trouble: StoreError) -> None:
    """Log that nobody was told of a connection that needs a person: the work goes on, and who calls it is told."""
    _log.warning("on_reauthorize was not called for %s: %s [%s]", key, trouble, trouble.code)


def log(happening: Happening) -> None:
    """Write what happens into the log."""
    why = "" if happening.error is None else f": {happening.error} [{happening.error.code}]"
    if happening.kind in {"needs_reauth", "problem", "waiting"}:
        _log.warning("%s: %s%s", happening.kind, happening.subject, why)
    else:
        _log.info("%s: %s%s", happening.kind, happening.subject, why)
