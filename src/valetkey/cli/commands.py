"""What all commands have in common: their options, their help, and how groups find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from valetkey.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])
EXAMPLES: Final = "examples"
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

pass_session = click.make_pass_decorator(Session, ensure=True)


# -- options that stand everywhere -------------------------------------------------------------------------------------


def _setting(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Write an option into the session; the one nearest to the end of the line counts."""
    session = context.ensure_object(Session)
    given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    if given:
        _refuse_secrets(str(parameter.name), value)
        setattr(session, str(parameter.name), value)


def _refuse_secrets(option: str, value: Any) -> None:
    """Refuse a key where its place is meant, and a password: the arguments of a process can be read by others.

    Raises:
        click.BadParameter: There is one.
    """
    if option == "store" and (urlsplit(str(value)).password or "password=" in urlsplit(str(value)).query):
        msg = "it holds a password, and others can read command lines: leave it to the settings of the database."
        raise click.BadParameter(msg)
    if option == "key":
        from valetkey.model.ciphers import parse_key  # noqa: PLC0415 - seldom used

        try:
            parse_key(value)
        except ValueError:
            return
        msg = "that is a key, and others can read command lines: set VALETKEY_KEY_FILE to a file that holds it."
        raise click.BadParameter(msg)


def everywhere(*, json: bool) -> list[click.Parameter]:
    """Return the options that every command takes."""
    shared: dict[str, Any] = {"expose_value": False, "callback": _setting}
    place = [
        click.Option(["--env"], metavar="NAME", help="The environment: dev, prod...  [VALETKEY_ENV]", **shared),
        click.Option(["--store"], metavar="PLACE", help="Another store: its path, or its URL.", **shared),
        click.Option(["--key"], metavar="PLACE", help='"keyring", or the path of the key file.', **shared),
    ]
    return [*([click.Option(["--json"], is_flag=True, help="Answer with a JSON object.", **shared)] * json), *place]


def whose(function: F) -> F:
    """Add the options that say whose connection is meant."""
    owner = click.option("--owner", metavar="ID", help="Whose connection it is in your program.")
    account = click.option("--account", metavar="LABEL", default="", help="Which of several accounts of that owner.")
    return owner(account(function))


def resource_option(function: F) -> F:
    """Add the option that says for which resource the token is to be."""
    says = "One of the declared resources: a token for it alone."
    return click.option("--resource", metavar="URL", help=says)(function)


def credential_argument(function: F) -> F:
    """Add the argument NAME: a declared credential, completed by the shell."""
    from valetkey.cli.completion import complete_credentials  # noqa: PLC0415 - it imports from here

    return click.argument("name", metavar="NAME", shell_complete=complete_credentials)(function)


# -- commands and groups -----------------------------------------------------------------------------------------------


class _Shown(click.Command):
    """Shows examples at the end of its help, and the options that stand everywhere after its own."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), json: bool = False, **kwargs: Any) -> None:
        self.examples = examples
        self._everywhere: list[click.Parameter] = []
        kwargs["context_settings"] = {**_SETTINGS, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self._everywhere = everywhere(json=json)
        self.params += self._everywhere

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two sections."""
        own = (p for p in self.get_params(ctx) if isinstance(p, click.Option) and p not in self._everywhere)
        mine = [option.get_help_record(ctx) for option in own]
        common = [p.get_help_record(ctx) for p in self._everywhere]
        for title, rows in (("Options", mine), ("Options of every command", common)):
            shown = [row for row in rows if row is not None]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the examples as they are."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Command(_Shown):
    """A command that works; `makes_store`: also where a store is named that is not there yet."""

    def __init__(self, *args: Any, makes_store: bool = False, **kwargs: Any) -> None:
        self._makes_store = makes_store
        super().__init__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        ctx.ensure_object(Session).makes_store = self._makes_store
        return super().invoke(ctx)


class Group(_Shown, click.Group):
    """A command that holds others.  Its options of every command stand at those others."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands only."""
        self.format_commands(ctx, formatter)


def command(
    name: str, *, examples: Sequence[str] = (), json: bool = False, makes_store: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function; `json`: it takes ``--json``; `makes_store`: see `Command`."""
    return click.command(name, cls=Command, examples=examples, json=json, makes_store=makes_store)


def group(name: str) -> Callable[[Callable[..., Any]], Group]:
    """Make a group of a function that does nothing."""
    return click.group(name, cls=Group, json=True)


class WorkingGroup(Group):
    """A group that does something by itself too, where no command of it is named."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its options, and its commands."""
        self.format_commands(ctx, formatter)
        _Shown.format_options(self, ctx, formatter)


def working_group(name: str, *, examples: Sequence[str]) -> Callable[[Callable[..., Any]], WorkingGroup]:
    """Make a group of a function that works where no command is named: ``context.invoked_subcommand`` is None then."""
    return click.group(
        name,
        cls=WorkingGroup,
        json=True,
        examples=examples,
        invoke_without_command=True,
        subcommand_metavar="[COMMAND ...]",
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined, and what is said of it in the help of its group."""

    module: str
    attribute: str
    summary: str


class LazyGroup(Group):
    """A group whose commands are imported when they are called, and listed in sections without being imported."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, Entry]], **kwargs: Any) -> None:
        self.sections = sections
        self._entries = {name: entry for entries in sections.values() for name, entry in entries.items()}
        super().__init__(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names, in the order of the help."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import the command with that name."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        found: click.Command = getattr(import_module(f"valetkey.cli.{entry.module}"), entry.attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; where there is none, say which is near."""
        name = args[0]
        if name not in self._entries and not name.startswith("-") and not ctx.resilient_parsing:
            from valetkey.model.places import did_you_mean  # noqa: PLC0415 - only on the way to an error

            msg = f'there is no command "{name}"{did_you_mean(name, self._entries)}'
            raise click.UsageError(msg, ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, then the options."""
        longest = max(map(len, self._entries))
        for title, entries in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), entry.summary) for name, entry in entries.items()])
        _Shown.format_options(self, ctx, formatter)


def pairs(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE``, any number of times."""
    found = {name: text for name, _, text in (value.partition("=") for value in values)}
    if not all(name and text for name, text in found.items()):
        msg = "write NAME=VALUE, such as tenant=contoso.com"
        raise click.BadParameter(msg)
    return found
