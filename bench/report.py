"""What a run prints: on what it ran, a table for each thing measured, and at its end each target met or missed."""

from __future__ import annotations

import os
import platform
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distributions
from time import process_time

WIDTH = 120


@dataclass(frozen=True)
class Target:
    """One row of the last table."""

    what: str
    target: str
    measured: str
    met: bool


@dataclass
class Report:
    """Collects the targets while the tables are printed."""

    targets: list[Target] = field(default_factory=list)

    def title(self, text: str, *notes: str) -> None:
        print(f"\n## {text}\n")
        for note in notes:
            print(textwrap.fill(note, WIDTH))
        if notes:
            print(flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table: the first column to the left, numbers to the right."""
        widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
        for row in (heads, ["-" * width for width in widths], *rows):
            cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
            print("  ".join(cells).rstrip(), flush=True)

    def target(self, what: str, target: str, measured: str, *, met: bool) -> None:
        self.targets.append(Target(what, target, measured, met))

    def at_most(self, what: str, limit: float, value: float, unit: str, digits: int = 2) -> None:
        """Hold a figure to a limit; as it is, not as it is printed."""
        shown = f"{value:.{digits}f} {unit}".strip()
        self.target(what, f"<= {limit:g} {unit}".strip(), shown, met=value <= limit)

    def close(self) -> None:
        """Print the last table."""
        self.title("Targets")
        rows = [(t.what, t.target, t.measured, "met" if t.met else "MISSED") for t in self.targets]
        self.table(("what", "target", "measured", ""), rows)
        missed = [target.what for target in self.targets if not target.met]
        print(f"\n{len(self.targets) - len(missed)} of {len(self.targets)} targets met")


def surroundings() -> None:
    """Print when and on what this runs."""
    print(f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    print(f"machine   {machine}, load {load_average()}, {pace()} ms for a million additions")
    print(f"Python    {platform.python_version()} ({sys.implementation.name})")
    names = sorted({f"{d.name} {d.version}" for d in distributions()}, key=str.lower)
    print(textwrap.fill("packages  " + ", ".join(names), WIDTH, subsequent_indent=" " * 10), flush=True)


def pace() -> str:
    """Return the milliseconds that a million additions take, best of five.

    Absolute figures of two runs compare only by it: machines differ, and one machine is not always as fast.
    """
    return f"{min(_additions() for _ in range(5)) * 1000:.0f}"


def _additions() -> float:
    began, total = process_time(), 0
    for number in range(1_000_000):
        total += number
    return process_time() - began


def load_average() -> str:
    """Return how many programs wanted a core in the last minute, on average."""
    return f"{os.getloadavg()[0]:.1f}"
