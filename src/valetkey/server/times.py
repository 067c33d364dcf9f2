"""Moments as people say them: relative, with the exact time in UTC beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86400 * 2, 86400, "days"), (5400, 3600, "h"), (60, 60, "min"), (0, 1, "s"))
"""From how many seconds on, which unit of how many seconds: one day and a half are 36 h, two are 2 days."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as it is shown.

    Attributes:
        said: What a person says: "in 41 min", "19 min ago", "never".
        iso: For ``<time datetime>``; empty where it is no moment.
        exact: In UTC, for people.
        over: What is said of it in a page that is open still when it has come; empty: how long ago it ended.
    """

    said: str
    iso: str = ""
    exact: str = ""
    over: str = ""


def length(seconds: float, *, rounded: bool = False) -> str:
    """Return how long something lasts: "41 min"; whole units that have passed, or `rounded` to the nearest."""
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{int(seconds / unit + (0.5 if rounded and unit > 1 else 0))} {name}"
    return "0 s"


def ago(when: float | None, now: float, *, never: str = "never") -> Moment:
    """Return a moment that is over."""
    if when is None:
        return Moment(never)
    return _moment("just now" if now - when < 1 else f"{length(now - when)} ago", when)


def until(when: float | None, now: float, *, never: str, over: str = "ended") -> Moment:
    """Return a moment that is to come, or how long ago it was: "in 41 min", "ended 18 min ago".

    What was made a moment ago for 24 h ends in 24 h, not in 23.
    """
    if when is None:
        return Moment(never)
    return _moment(f"in {length(when - now, rounded=True)}" if when > now else f"{over} {length(now - when)} ago", when)


def due(when: float | None, now: float, *, idle: str) -> Moment:
    """Return when something is done next: "in 41 s", counted down to "now"; `idle`: what is said where nobody waits."""
    if when is None or when <= now:
        return Moment(idle)
    return replace(until(when, now, never=""), over="now")


def short(when: float, now: float) -> str:
    """Return a moment in UTC, as short as it can be told: "13:03 UTC" within a day of now, else with its date."""
    try:
        at = datetime.fromtimestamp(when, UTC)
    except (OverflowError, OSError, ValueError):
        return "at no date"
    return at.strftime("%H:%M UTC" if abs(when - now) < 86400 else "%d %b %Y %H:%M UTC")  # noqa: PLR2004 - a day


def exactly(when: float) -> str:
    """Return a moment in UTC, to the second."""
    return _moment("", when).exact


def _moment(said: str, when: float) -> Moment:
    try:
        at = datetime.fromtimestamp(when, UTC)
    except (OverflowError, OSError, ValueError):
        return Moment("at no date")
    return Moment(said, at.isoformat(timespec="seconds"), at.strftime("%d %b %Y %H:%M:%S UTC"))
