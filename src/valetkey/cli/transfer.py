"""``valetkey import`` and ``valetkey export``: connections as JSON lines."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.completion import complete_credentials
from valetkey.cli.exits import NOT_WELL, OK, STORE, Stop
from valetkey.cli.output import Column, Table, count, emit
from valetkey.cli.prompts import confirm
from valetkey.cli.session import Session
from valetkey.cli.terminal import is_terminal, out, say, warn
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.engine.transfer import ImportReport

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@command(
    "import",
    json=True,
    makes_store=True,
    examples=(
        "valetkey import tokens.jsonl --dry-run",
        "valetkey import tokens.jsonl --on-conflict newer",
        "ssh old-host valetkey export --include-tokens | valetkey import -",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only say what would become of each row.")
@click.option(
    "--on-conflict",
    type=click.Choice(("skip", "newer")),
    default="skip",
    show_default=True,
    help="Where the connection exists: leave it, or take the row that was obtained later.",
)
@pass_session
def import_(session: Session, *, file: str, dry_run: bool, on_conflict: Literal["skip", "newer"]) -> int:
    """Take over tokens from elsewhere: from FILE (- is stdin), one JSON object a line.

    A row names its credential, which must be declared, perhaps owner and account, and holds access_token,
    refresh_token, expires_at and scope, in snake_case or camelCase, in seconds or milliseconds.

    Stop whatever refreshes these tokens first: two refreshers of one rotating grant kill it.  The exit code is 1 where
    a row could not be taken.
    """
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    report = session.core.call(
        lambda: session.desk.import_grants(_rows(text), dry_run=dry_run, on_conflict=on_conflict)
    )
    if session.json:
        emit({"dry_run": dry_run, "counts": _counts(report), "warning": report.warning, "rows": _members(report)})
    else:
        _tell(report)
    return NOT_WELL if report.counts.get("invalid") else OK


def _rows(text: str) -> Iterator[Any]:
    """Yield the objects of JSON lines, or of one JSON list; a line that is none is counted among the bad rows."""
    if text.lstrip().startswith("["):
        try:
            yield from json.loads(text)
        except ValueError:
            msg = "the file begins as a JSON list and is none"
            raise Stop(msg, code="input_not_json", hint="give one JSON object a line") from None
        return
    for line in text.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def _tell(report: ImportReport) -> None:
    columns = (Column("ROW"), Column("CREDENTIAL"), Column("OWNER", optional=True), Column("ACCOUNT", optional=True))
    table = Table((*columns, Column("OUTCOME"), Column("WHY", shrinks=True)))
    for row in report.rows:
        if row.reason or report.dry_run:
            table.add(
                str(row.number),
                clean(row.credential, 60),
                clean(row.owner or "", 60),
                clean(row.account, 60),
                row.outcome,
                clean(row.reason),
                colours={4: "bad"} if row.outcome == "invalid" else None,
            )
    if table.rows:
        table.write()
    counts = ", ".join(f"{number} {outcome}" for outcome, number in _counts(report).items() if number)
    out(f"{'Would be: ' if report.dry_run else ''}{counts or 'no rows'}.")
    warn(report.warning)


def _counts(report: ImportReport) -> dict[str, int]:
    return {
        "created": report.counts.get("created", 0),
        "replaced": report.counts.get("replaced", 0),
        "skipped": report.counts.get("skipped", 0),
        "invalid": report.counts.get("invalid", 0),
    }


def _members(report: ImportReport) -> list[dict[str, Any]]:
    return [
        {
            "row": row.number,
            "credential": row.credential,
            "owner": row.owner,
            "account": row.account,
            "outcome": row.outcome,
            "reason": row.reason,
        }
        for row in report.rows
    ]


@command(
    "export",
    examples=(
        "valetkey export | jq -r .identity.email",
        "valetkey export --include-tokens backup.jsonl    # makes it, mode 0600",
        "valetkey export --include-tokens | age -r age1EXAMPLE > backup.age",
    ),
)
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--credential", metavar="NAME", help="Only of this credential.", shell_complete=complete_credentials)
@click.option("--owner", metavar="ID", help="Only of this owner.")
@click.option("--include-tokens", is_flag=True, help="With the tokens in clear: a backup of accounts, guard it.")
@click.option("--yes", "-y", is_flag=True, help="Tokens may be shown on a terminal.")
@pass_session
def export(
    session: Session, *, file: str | None, credential: str | None, owner: str | None, include_tokens: bool, yes: bool
) -> int:
    """Write the connections as JSON lines, to stdout or into FILE, which must not exist yet.

    Without --include-tokens they hold nothing secret.  A refresh token that rotates is good for one place only: stop
    using it here before it is used elsewhere.
    """
    if include_tokens and file is None:
        _check_stdout(yes=yes)
    if credential is not None:
        session.credential(credential)
    rows = session.desk.export(credential, owner, include_tokens=include_tokens)
    number = broken = 0
    with _sink(file) as sink:
        for row in rows:
            sink.write(json.dumps(row, ensure_ascii=False) + "\n")
            number += 1
            broken += "error" in row
    if file is not None or is_terminal(sys.stdout):
        say(f"{count(number, 'connection')}.")
    if broken:
        warn(f"{count(broken, 'connection')} could not be read whole; the member error says why", "valetkey doctor")
    return STORE if broken else OK


def _check_stdout(*, yes: bool) -> None:
    """Let tokens go to a pipe or a file of this user's own, and to a terminal only where that is meant.

    Raises:
        Stop: Others could read them.
    """
    if is_terminal(sys.stdout):
        confirm("Show all tokens on this terminal?", yes=yes)
        return
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) and mode & _OTHERS:
        msg = f"stdout is a file that others may read (mode {stat.S_IMODE(mode):04o})"
        raise Stop(msg, code="output_readable_by_others", hint="name the file: valetkey export --include-tokens FILE")


@contextmanager
def _sink(file: str | None) -> Generator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            yield opened
    except BaseException:
        Path(file).unlink(missing_ok=True)  # half a backup is none
        raise
