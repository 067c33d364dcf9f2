"""``valetkey doctor``: look at everything that can be wrong, and say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import click

from valetkey.cli import checks, checks_of_host
from valetkey.cli.checks import Finding, Level
from valetkey.cli.commands import command, pass_session
from valetkey.cli.exits import NOT_WELL, OK, told
from valetkey.cli.output import emit
from valetkey.cli.session import Session
from valetkey.cli.terminal import Kind, out, paint, say, terminal_width, width
from valetkey.errors import ValetkeyError

_SEALED: Final = ("apps", "connections")
"""What cannot be looked at without the key: to say so for each would bury the one thing to do."""
_COLOURS: Final[dict[Level, Kind]] = {"ok": "good", "warn": "warn", "fail": "bad"}


@command("doctor", json=True, examples=("valetkey doctor", "valetkey doctor --online", "valetkey doctor --json"))
@click.option("--online", is_flag=True, help="Ask the providers too: are they there, and what time is it?")
@pass_session
def doctor(session: Session, *, online: bool) -> int:
    """Look at keys, store, declarations, apps, connections, network and host, and say what to do.

    Nothing is changed.  Without --online no provider is asked.  The exit code is 1 where something fails.
    """
    found: list[Finding] = []
    for finding in _findings(session, online=online):
        found.append(finding)
        if not session.json:
            _write(finding)
    well = not any(finding.level == "fail" for finding in found)
    if session.json:
        emit({"ok": well, "checks": [finding.members() for finding in found]})
    elif not online:
        say("No provider was asked; to do so: valetkey doctor --online")
    return OK if well else NOT_WELL


def _findings(session: Session, *, online: bool) -> Iterator[Finding]:
    """Yield what the checks find; a check that cannot be done is a finding too, and the others go on."""
    look = [
        ("store", checks.store),
        ("key", checks.key),
        ("declarations", checks.declarations),
        ("apps", checks.apps),
        ("connections", checks.connections),
        ("network", checks.network),
        ("host", checks_of_host.host),
        *([("clock", checks.clock)] if online else []),
    ]
    failed: set[str] = set()
    for what, check in look:
        if "key" in failed and what in _SEALED:
            yield Finding("warn", what, "not looked at: no key")
            continue
        for finding in _found(session, what, check):
            yield finding
            if finding.level == "fail":
                failed.add(finding.what)
        if "store" in failed and what == "store":
            return


def _found(session: Session, what: str, check: Callable[[Session], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check(session)
    except ValetkeyError as error:
        trouble = told(error)
        yield Finding("fail", what, trouble.message, trouble.hint)


def _write(finding: Finding) -> None:
    level = finding.level.ljust(4)
    text = f"{finding.what}: {finding.text}"
    room = terminal_width()
    out(f"{paint(level, _COLOURS[finding.level])}  {text}" + _hint(finding, 6 + width(text), room))


def _hint(finding: Finding, used: int, room: int | None) -> str:
    """Return the next step: on the same line where it fits, else on one of its own."""
    if not finding.hint:
        return ""
    line = f"  -> {finding.hint.removeprefix('run: ')}"
    return f" {line}" if room is None or used + 1 + width(line) <= room else f"\n    {line}"


__all__: Sequence[str] = ("doctor",)
