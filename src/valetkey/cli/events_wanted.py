"""The filters of ``valetkey events``: those of the console's audit log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from valetkey.cli.completion import complete_credentials
from valetkey.engine.history import KINDS, ORIGINS, Wanted, mentions
from valetkey.model.connections import Event
from valetkey.model.places import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SPAN: Final = re.compile(r"([1-9]\d{0,5})([mhdw])", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _Span(click.ParamType[float]):
    """A length of time: 90m, 24h, 7d, 2w.  Its value is in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f'"{value}" is no length of time: write it as 90m, 24h, 7d or 2w.', param, ctx)
        return int(found[1]) * _UNITS[found[2]]


class _Moment(click.ParamType[float]):
    """A day or a moment, in UTC where no offset is named.  Its value is in Unix seconds.

    `through`: a day means its end, the first moment after it.
    """

    name = "moment"

    def __init__(self, *, through: bool = False) -> None:
        self._through = through

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        try:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            whole_day = self._through and _DAY.fullmatch(text) is not None
            return (at + timedelta(days=1)).timestamp() if whole_day else at.timestamp()
        except (ValueError, OverflowError):
            self.fail(f'"{text}" is no time: write it as 2026-11-29 or 2026-11-29T13:00.', param, ctx)


def _kinds(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for kind in given:
        if kind not in KINDS:
            msg = f'there is no kind "{kind}"{did_you_mean(kind, KINDS)}'
            raise click.BadParameter(msg)
    return given


def complete_kinds(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the kinds that begin so."""
    return [CompletionItem(kind) for kind in KINDS if kind.startswith(begun)]


def filters(function: F) -> F:
    """Add the options that choose events."""
    options = (
        click.option("--search", "-q", metavar="TEXT", default="", help="Only those in which that text stands."),
        click.option(
            "--credential", metavar="NAME", default="", shell_complete=complete_credentials, help="Only of that one."
        ),
        click.option(
            *("--kind", "kinds"),
            metavar="KIND",
            multiple=True,
            callback=_kinds,
            shell_complete=complete_kinds,
            help="Only of that kind; may be given more than once.",
        ),
        click.option("--actor", metavar="NAME", default="", help="Only what that one did."),
        click.option("--origin", type=click.Choice(ORIGINS), help="Only what was done from there."),
        click.option("--last", type=_Span(), metavar="SPAN", help="Only of the time until now: 24h, 7d..."),
        click.option("--from", "since", type=_Moment(), metavar="DAY", help="Only from that day or moment on (UTC)."),
        click.option("--to", "until", type=_Moment(through=True), metavar="DAY", help="Only to the end of that day."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def wanted_of(chosen: Mapping[str, Any], now: float, *, account: str = "") -> Wanted:
    """Return which events the options choose; `account`: of connections with that label alone.

    Raises:
        click.UsageError: The period cannot be.
    """
    last, since, until = chosen["last"], chosen["since"], chosen["until"]
    if last is not None and (since is not None or until is not None):
        msg = "--last ends now: give it, or --from and --to."
        raise click.UsageError(msg)
    since = now - last if last is not None else -inf if since is None else since
    until = inf if until is None else until
    if since >= until:
        msg = "--from is later than --to: nothing can be of that time."
        raise click.UsageError(msg)
    asks = _also(chosen["search"], chosen["kinds"], account)
    wanted = Wanted(
        credential=chosen["credential"],
        actor=chosen["actor"],
        origin=chosen["origin"] or "",
        since=since,
        until=until,
    )

    def all_of_them(event: Event) -> bool:
        return all(ask(event) for ask in asks)

    return replace(wanted, also=all_of_them) if asks else wanted


def _also(text: str, kinds: tuple[str, ...], account: str) -> list[Callable[[Event], bool]]:
    asks: list[Callable[[Event], bool]] = []
    if kinds:
        asks.append(lambda event: event.kind in kinds)
    if account:
        asks.append(lambda event: event.account == account)
    if text:
        asks.append(mentions(text))
    return asks
