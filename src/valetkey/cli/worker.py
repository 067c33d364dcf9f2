"""``valetkey worker``: refresh what is due although nobody asks."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.exits import INTERRUPTED, NOT_WELL, OK, TERMINATED
from valetkey.cli.output import FORMAT_VERSION, emit_line, moment
from valetkey.cli.running import Terminated
from valetkey.cli.session import Session
from valetkey.cli.terminal import Kind, out, paint, say
from valetkey.errors import ReauthorizationRequired, clean
from valetkey.flights import MAX_THREADS

if TYPE_CHECKING:
    from valetkey.engine.workplan import Happening, WorkerSummary

F = TypeVar("F", bound=Callable[..., Any])

_EVERY: Final = 10.0
"""Seconds between two lines of progress, at least."""
_SLICE: Final = 0.5
_COUNTED: Final = {"refreshed": "refreshed", "kept_alive": "kept alive", "failed": "failed"}
_WORDS: Final[dict[str, tuple[str, Kind]]] = {
    "failed": ("not refreshed", "warn"),
    "needs_reauth": ("needs a person", "bad"),
    "problem": ("problem", "bad"),
    "waiting": ("host waits", "warn"),
    "resumed": ("well again", "good"),
}
_SUMMARY: Final = (
    ("refreshed", "refreshed"),
    ("kept_alive", "kept alive"),
    ("failed", "failed"),
    ("needs_reauth", "need a person"),
    ("problems", "to be mended"),
    ("waiting", "still due"),
)


def _most(flag: str, usual: int, text: str) -> Callable[[F], F]:
    """Return the option for how many threads there may be at most."""
    limit = click.IntRange(1, MAX_THREADS)
    return click.option(flag, type=limit, default=usual, show_default=True, metavar="N", help=text)


@command(
    "worker",
    json=True,
    examples=(
        "valetkey worker                  # until Ctrl-C or SIGTERM",
        "valetkey worker --once           # from cron, every five minutes",
        "valetkey worker --env prod --json | jq -c .kind",
    ),
)
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@_most("--concurrency", 8, "How many refreshes may be under way at once.")
@_most("--per-host", 4, "How many of them at one provider's host.")
@pass_session
def worker(session: Session, *, once: bool, concurrency: int, per_host: int) -> int:
    """Refresh tokens ahead of need, and keep alive grants that die when nobody uses them.

    Any number of workers may share a store.  Ctrl-C and SIGTERM end it once the refreshes under way are finished, a
    second one ends it at once.  With --json everything that happens is an object on a line of its own, and the summary
    is the last.  With --once the exit code is 1 where something failed or is still due.
    """
    screen = _Json() if session.json else _Lines(session.core.clock.monotonic)
    stop = threading.Event()
    if not once:
        screen.begin(session.core.env)

    def start() -> Future[WorkerSummary]:
        return session.core.flights.call(
            lambda: session.desk.run_worker(once, concurrency, per_host, stop, tell=screen.tell)
        )

    summary, ended = _ended(start, stop, screen)
    screen.end(summary)
    return ended if ended is not None else NOT_WELL if once and not summary.well else OK


def _ended(
    start: Callable[[], Future[WorkerSummary]], stop: threading.Event, screen: _Lines | _Json
) -> tuple[WorkerSummary, int | None]:
    """Start the worker and wait for its end.  A signal has it stop, and decides the exit code; None: there was none.

    One that comes while it is being started is raised, and has it stop too: the process waits for its thread.
    """
    status: int | None = None
    try:
        work = start()
        while not work.done():
            try:
                if status is not None and not stop.is_set():
                    stop.set()
                    screen.stopping()
                wait([work], timeout=_SLICE)  # in slices: an endless wait cannot be interrupted on every system
            except (KeyboardInterrupt, Terminated) as signal:
                terminated = isinstance(signal, Terminated)
                if status is not None:
                    os._exit(TERMINATED if terminated else INTERRUPTED)
                status = OK if terminated else INTERRUPTED
    finally:
        stop.set()
    return work.result(), status


class _Lines:
    """Shows troubles as they come, successes counted, and a summary."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._shown = monotonic()
        self._warned: set[str] = set()

    def begin(self, env: str) -> None:
        """Say what is done."""
        say(f"Working in the environment {env} (Ctrl-C ends it).")

    def tell(self, happening: Happening) -> None:
        """Show what happened, or count it."""
        if happening.kind in self._counts:
            self._counts[happening.kind] += 1
        if happening.kind in _WORDS:
            self._show(happening)
        if happening.sign_in_by is not None and happening.subject not in self._warned:
            self._warned.add(happening.subject)
            words = paint("sign in again", "warn", sys.stderr)
            say(f"{moment(happening.at)}  {words}  {clean(happening.subject)}: by {moment(happening.sign_in_by)}")
        if self._monotonic() - self._shown >= _EVERY:
            self._shown = self._monotonic()
            told = [f"{number} {_COUNTED[kind]}" for kind, number in self._counts.items() if number]
            say(f"{moment(happening.at)}  {', '.join(told)} so far")

    def _show(self, happening: Happening) -> None:
        words, kind = _WORDS[happening.kind]
        error = happening.error
        why = "" if error is None else f": {clean(error, 500)} [{error.code}]"
        say(f"{moment(happening.at)}  {paint(words, kind, sys.stderr)}  {clean(happening.subject)}{why}")
        if error is not None and error.hint and happening.kind in {"problem", "needs_reauth"}:
            say(f"  -> {clean(error.hint, 500)}")

    def stopping(self) -> None:
        """Say that the refreshes under way are waited for."""
        say("Stopping; refreshes under way are finished first (once more: at once).")

    def end(self, summary: WorkerSummary) -> None:
        """Show the summary."""
        told = [f"{number} {words}" for name, words in _SUMMARY if (number := getattr(summary, name))]
        out(f"{', '.join(told) or 'nothing was due'}.".capitalize())


class _Json:
    """Writes an object a line, and nothing else."""

    def begin(self, env: str) -> None:
        """Say nothing."""

    def stopping(self) -> None:
        """Say nothing."""

    def tell(self, happening: Happening) -> None:
        """Write what happened."""
        self._write(happening.kind, at=happening.at, subject=happening.subject, **_about(happening))

    def end(self, summary: WorkerSummary) -> None:
        """Write the summary."""
        names = ("refreshed", "kept_alive", "failed", "needs_reauth", "skipped", "problems", "waiting", "requests")
        self._write("summary", **{name: getattr(summary, name) for name in names})

    @staticmethod
    def _write(kind: str, **members: Any) -> None:
        emit_line({"format_version": FORMAT_VERSION, "kind": kind, **members})


def _about(happening: Happening) -> dict[str, Any]:
    connection, error = happening.connection, happening.error
    reason = error.reason if isinstance(error, ReauthorizationRequired) else ""
    return {
        "connection_id": connection and connection.id,
        "credential": connection and connection.credential,
        "owner": connection and connection.owner,
        "account": connection and connection.account,
        "reason": reason,
        "sign_in_by": happening.sign_in_by,
        "error": None
        if error is None
        else {"code": error.code, "message": clean(error, 2000), "hint": clean(error.hint, 2000)},
    }
