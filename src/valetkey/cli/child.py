"""``valetkey exec``: run a program with tokens in its environment, and nowhere else."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from valetkey.cli.commands import Command, command, pass_session, whose
from valetkey.cli.completion import complete_credentials
from valetkey.cli.exits import NOT_STARTED, Stop
from valetkey.cli.session import Session
from valetkey.errors import ValetkeyError
from valetkey.model.secret_names import variable_name

_META = "valetkey.child"


class _Split(Command):
    """Keeps what stands behind ``--`` away from the parser, and gives every failure of its own the exit code 125."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split the arguments, and parse what stands before ``--``: the other words are the child's."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_META] = args[at + 1 :]
        with _never_started():
            return super().parse_args(ctx, args[:at])

    def invoke(self, ctx: click.Context) -> Any:
        """Run."""
        with _never_started():
            return super().invoke(ctx)


@contextmanager
def _never_started() -> Generator[None]:
    """Let errors say that the program never started: any other exit code would be taken for its own."""
    try:
        yield
    except ValetkeyError as error:
        raise Stop(str(error), code=error.code, hint=error.hint, status=NOT_STARTED) from error
    except click.UsageError as error:
        hint = "see: valetkey exec --help"
        raise Stop(error.format_message(), hint=hint, status=NOT_STARTED) from error


def _as_split(made: Command) -> Command:
    made.__class__ = _Split
    return made


@_as_split
@command(
    "exec",
    makes_store=True,
    examples=(
        "valetkey exec github -- gh repo list              # GITHUB_TOKEN",
        "valetkey exec github slack -- python report.py    # and SLACK_TOKEN",
        "valetkey exec github --as GH_TOKEN -- gh api user",
    ),
)
@click.argument("names", metavar="NAME... -- COMMAND...", nargs=-1, required=True, shell_complete=complete_credentials)
@whose
@click.option("--as", "variables", metavar="VARIABLE", multiple=True, help="Another variable; once for each NAME.")
@click.pass_context
@pass_session
def exec_(
    session: Session,
    context: click.Context,
    *,
    names: Sequence[str],
    owner: str | None,
    account: str,
    variables: Sequence[str],
) -> NoReturn:
    """Run a program with the token of each NAME in its environment: GITHUB_TOKEN for github.

    The program takes the place of this command: signals reach it, and its exit code is the one you get; 125 says that
    it never started.  The token is as fresh as it was at the start.
    """
    words: list[str] = context.meta[_META]
    if not words:
        msg = 'what shall run?  Write it behind "--", as in: valetkey exec github -- gh repo list'
        raise click.UsageError(msg)
    if variables and len(variables) != len(names):
        msg = f"--as is given {len(variables)} times for {len(names)} names"
        raise click.UsageError(msg)
    targets = variables or [f"{variable_name(name)}_TOKEN" for name in names]
    tokens = [session.source(name, owner, account).get() for name in names]
    for token in tokens:
        token.ensure_bearer()
    environment = {**os.environ, **{v: token.secret.reveal() for v, token in zip(targets, tokens, strict=True)}}
    session.close()  # what is under way here ends before the program takes over
    _become(words, environment)


def _become(words: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Let the program take the place of this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    for name in ("SIGPIPE", "SIGXFSZ", "SIGTERM"):  # Python ignores or handles them, and a program inherits that
        number: Any = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(words[0], list(words), environment)  # noqa: S606 - running it is the very purpose, without a shell
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        msg = f"{words[0]!r} did not start: {why}"
        raise Stop(msg, code="program_not_started", hint="check its name, and that it can be executed") from error
