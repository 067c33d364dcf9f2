"""The top of the command: what there is, in the order of its help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from valetkey.cli.commands import Entry, LazyGroup
from valetkey.cli.running import PipeClosed, guarded
from valetkey.cli.session import Session

SECTIONS = {
    "Begin": {
        "practice": Entry("practice", "practice", "Try everything against a provider on this machine."),
        "providers": Entry("providers", "providers", "See which providers are known, and what is odd about them."),
        "app": Entry("apps", "app", "Add the app that you registered at a provider."),
        "connect": Entry("connecting", "connect", "Sign in and connect an account."),
    },
    "Use a connection": {
        "request": Entry("request", "request", "Call an API."),
        "exec": Entry("child", "exec_", "Run a program with the token in its environment."),
        "header": Entry("token", "header", "Print the Authorization header, for curl."),
        "token": Entry("token", "token", "Print the access token."),
        "exchange": Entry("exchanging", "exchange", "Exchange a token for one for another service."),
    },
    "Look after connections": {
        "status": Entry("status", "status", "See what is connected, and what to do about what is not."),
        "connections": Entry("connections", "connections", "List and search connections."),
        "events": Entry("events", "events", "See what happened."),
        "refresh": Entry("changing", "refresh", "Refresh a token now."),
        "look-up": Entry("changing", "look_up", "Look up tenant, site, data centre anew."),
        "disconnect": Entry("changing", "disconnect", "Revoke and erase a connection's tokens."),
        "doctor": Entry("doctor", "doctor", "Check keys, store, clock and every connection."),
        "worker": Entry("worker", "worker", "Refresh what is due although nobody asks."),
    },
    "In the browser": {
        "console": Entry("console", "console", "See and mend everything in the browser, on this machine."),
        "serve": Entry("serve", "serve", "Serve the console and the connect pages to others."),
    },
    "Look after the store": {
        "secret": Entry("secrets", "secret", "Set, list and delete secrets."),
        "key": Entry("keys", "key", "See, make and rotate the keys that everything is sealed with."),
        "api-key": Entry("api_keys", "api_key", "Make, list and revoke keys for the REST API."),
        "import": Entry("transfer", "import_", "Take over tokens from elsewhere."),
        "export": Entry("transfer", "export", "Write connections as JSON lines."),
        "completion": Entry("completion", "completion", "Print the completion script of your shell."),
    },
}
HELP = """Connect accounts at OAuth2 providers once; have valid tokens ever after.

\b
First steps:
  valetkey providers list                which providers are known?
  valetkey app add github                add the app that you registered there
  valetkey connect github                sign in, in the browser
  valetkey request github /user          call the API; the token stays inside
Nothing to connect yet?  Try it all on this machine:  valetkey practice
"""


class Root(LazyGroup):
    """The command itself: its errors become lines and exit codes."""

    def main(self, args: Any = None, prog_name: Any = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run and exit; it takes what `click.Group.main` takes."""
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        sys.exit(guarded(given, lambda: super(Root, self).main(given, prog_name or "valetkey", *rest, **extra)))

    def invoke(self, ctx: click.Context) -> Any:
        """Run; a closed pipe gets past click, which has an exit code of its own for it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosed from error


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from valetkey import __version__  # noqa: PLC0415

        click.echo(f"valetkey {__version__}")
        context.exit()


@click.group(
    "valetkey",
    cls=Root,
    sections=SECTIONS,
    help=HELP,
    invoke_without_command=True,
    json=True,
    subcommand_metavar="COMMAND ...",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def root(context: click.Context) -> None:
    """Show the help where no command is given."""
    session = context.ensure_object(Session)
    context.call_on_close(session.close)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        root.main(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
