"""What the address of the audit log asks for: which events, of which time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final
from urllib.parse import urlencode

from valetkey.engine.history import ORIGINS, Wanted
from valetkey.errors import clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.views.events import speaks

FILTERS: Final = ("q", "connection", "credential", "owner", "kind", "actor", "origin", "last", "from", "to")
LASTS: Final[dict[str, tuple[str, float]]] = {
    "24h": ("Last 24 hours", 86400.0),
    "7d": ("Last 7 days", 7 * 86400.0),
    "30d": ("Last 30 days", 30 * 86400.0),
}
"""Periods that end now: their words, and their seconds."""
_DAY: Final = timedelta(days=1)


class LogFilters:
    """What was chosen.  Every state of the log has an address.

    Attributes:
        chosen: What was chosen, by name.
        trouble: What cannot be understood of it; empty where all can.
    """

    def __init__(self, given: Mapping[str, str], now: float) -> None:
        self.chosen = {name: value for name in FILTERS if (value := given.get(name, "").strip())}
        self.trouble = ""
        for name, known in (("origin", ORIGINS), ("last", LASTS)):
            if self.chosen.get(name, "") not in {"", *known}:
                self.chosen.pop(name)
        self._since, self._until = self._period(now)

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, "")

    def __bool__(self) -> bool:
        return bool(self.chosen)

    def wanted(self, declared: Mapping[str, OAuth2Credential]) -> Wanted:
        """Return which events these are."""
        search = {"also": speaks(self["q"], declared)} if self["q"] else {}
        return Wanted(
            connection_id=self["connection"],
            credential=self["credential"],
            owner=self["owner"],
            kind=self["kind"],
            actor=self["actor"],
            origin=self["origin"],
            since=self._since,
            until=self._until,
            **search,
        )

    def address(self, **more: object) -> str:
        """Return the query of an address with these filters and more."""
        return urlencode({**self.chosen, **more})

    def _period(self, now: float) -> tuple[float, float]:
        """Return the first moment, and the first one after it: days that were named outdo a period that ends now."""
        since, until = self._day("from", -inf), self._day("to", inf, after=_DAY)
        if since == -inf and until == inf and self["last"]:
            return now - LASTS[self["last"]][1], inf
        self.chosen.pop("last", None)
        if since >= until and not self.trouble:
            self.trouble = f"{self['from']} is later than {self['to']}: no entry can be of that time."
        return since, until

    def _day(self, name: str, none: float, *, after: timedelta = timedelta()) -> float:
        given = self[name]
        if not given:
            return none
        try:
            at = datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC) + after
        except (ValueError, OverflowError):
            shown = clean(given, 40)
            self.trouble = f"\u201c{shown}\u201d is no day: write it as 2026-11-29. It was left out."
            self.chosen.pop(name)
            return none
        return at.timestamp()
