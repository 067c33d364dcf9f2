"""What every case is handed."""

from __future__ import annotations

from dataclasses import dataclass

from report import Report


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        report: Where lines go.
        seed: What random choices come from.
        quick: Whether a rough answer is wanted.
        times: By how much to multiply how often things happen.
    """

    report: Report
    seed: int
    quick: bool
    times: float

    every = 0.2
    """Seconds between two kills, on average."""

    def size(self, *, quick: int, usual: int) -> int:
        """Return how often something is to happen."""
        return max(1, round((quick if self.quick else usual) * self.times))
