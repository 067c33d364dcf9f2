"""Tables, times and JSON: how data is shown."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from valetkey.cli.terminal import Kind, cut, out, paint, terminal_width, width

FORMAT_VERSION: Final = 1
"""The version of all ``--json`` objects.  Members may be added within a version; none goes or changes its meaning."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_GAP: Final = 2


def emit(members: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout: the members, behind ``format_version``."""
    out(json.dumps({"format_version": FORMAT_VERSION, **members}, indent=2, ensure_ascii=False))


def emit_line(members: Mapping[str, Any]) -> None:
    """Write one JSON object on a line of its own, and let whoever reads have it at once."""
    out(json.dumps(members, ensure_ascii=False))
    sys.stdout.flush()


# -- tables ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its head.
        shrinks: Whether it gives way where the terminal is too narrow; the last ones give way first.
        optional: Whether it is left out on a terminal when it is empty in all rows.
    """

    title: str
    shrinks: bool = False
    optional: bool = False


@dataclass(slots=True)
class Table:
    """Plain aligned columns.  On a terminal no line is longer than that is wide; elsewhere nothing is cut.

    An empty cell shows as ``-``.  A row may have lines below it: a note, and the next step.
    """

    columns: Sequence[Column]
    rows: list[tuple[Sequence[str], Mapping[int, Kind], Sequence[str]]] = field(
        default_factory=list[tuple[Sequence[str], Mapping[int, Kind], Sequence[str]]]
    )

    def add(self, *cells: str, colours: Mapping[int, Kind] | None = None, below: str = "", note: str = "") -> None:
        """Add a row; `colours` are by the column's number, `note` and `below`, the next step, are lines more."""
        lines = [*([f"  {note}"] if note else ()), *([f"  -> {below}"] if below else ())]
        self.rows.append(([cell or "-" for cell in cells], colours or {}, lines))

    def write(self) -> None:
        """Write the table to stdout."""
        room = terminal_width()
        shown = [n for n, column in enumerate(self.columns) if room is None or not self._is_blank(n, column)]
        widths = self._widths(shown, room)
        out(paint(self._line([c.title for c in self.columns], shown, widths, {}), "bold"))
        for cells, colours, below in self.rows:
            out(self._line(cells, shown, widths, colours))
            for line in below:
                out(line)

    def _is_blank(self, number: int, column: Column) -> bool:
        return column.optional and all(cells[number] == "-" for cells, _, _ in self.rows)

    def _widths(self, shown: Sequence[int], room: int | None) -> dict[int, int]:
        widths = {
            n: max(width(self.columns[n].title), *(width(cells[n]) for cells, _, _ in self.rows), 1) for n in shown
        }
        if room is None:
            return widths
        excess = sum(widths.values()) + _GAP * (len(shown) - 1) - room
        for n in reversed(shown):
            if excess > 0 and self.columns[n].shrinks:
                least = min(widths[n], max(width(self.columns[n].title), 8))
                given = min(excess, widths[n] - least)
                widths[n] -= given
                excess -= given
        return widths

    def _line(
        self, cells: Sequence[str], shown: Sequence[int], widths: Mapping[int, int], colours: Mapping[int, Kind]
    ) -> str:
        parts: list[str] = []
        for n in shown:
            text = cut(cells[n], widths[n])
            pad = "" if n == shown[-1] else " " * (widths[n] - width(text) + _GAP)
            parts.append(paint(text, colours.get(n)) + pad)
        return "".join(parts).rstrip()


def facts(pairs: Mapping[str, str]) -> None:
    """Write names and values in two columns; empty values are left out."""
    named = {name: value for name, value in pairs.items() if value}
    longest = max((len(name) for name in named), default=0)
    for name, value in named.items():
        out(f"{paint(name.ljust(longest), 'dim')}  {value}")


# -- times -------------------------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """Return a length of time as people say it: ``41 s``, ``59 min``, ``3 h``, ``12 d``."""
    seconds = abs(seconds)
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def ago(at: float | None, now: float) -> str:
    """Return how long ago a Unix time was; empty for None."""
    if at is None:
        return ""
    return "just now" if abs(now - at) < 1 else f"{span(now - at)} ago" if now > at else f"in {span(at - now)}"


def ahead(at: float | None, now: float) -> str:
    """Return how far ahead a Unix time is; empty for None."""
    if at is None:
        return ""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def moment(at: float) -> str:
    """Return a Unix time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def count(number: int, thing: str) -> str:
    """Return ``1 connection``, ``2 connections``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
