"""What a run prints: one line for each fault, the target beside the figure."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from scene import Verdict

WHAT = 62
HEADS = f"{'what happened':{WHAT}} {'how often':>11} {'lost':>9} {'marked':>6} {'doubles':>7} {'requests':>8}  target"


@dataclass
class Report:
    """Prints the lines, and remembers whether a target was missed.

    Attributes:
        verbose: Whether to print every remark of a verdict, also where the target is met.
    """

    verbose: bool = False
    missed: int = 0
    lines: int = 0

    def head(self) -> None:
        print(f"\n{HEADS}\n{'-' * (len(HEADS) + 30)}", flush=True)

    def doing(self, what: str) -> None:
        """Say on a terminal what is going on."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{what[:110]}")
            sys.stderr.flush()

    def line(
        self, what: str, often: str, found: Verdict, *, target: str, met: bool, since: float, hosts: bool = True
    ) -> None:
        """Print one line.

        Args:
            what: The fault.
            often: How often it happened.
            found: What became of the grants.
            target: What was to be shown.
            met: Whether it was, apart from what holds for every fault: nothing healthy is marked, nothing sent twice.
            since: When the case began, on the monotonic clock.
            hosts: Whether a double send is a miss.
        """
        self.doing("")
        well = met and not found.marked and not found.misnamed and not found.stuck and not (hosts and found.doubles)
        lost = f"{found.lost}/{found.grants}"
        figures = f"{often:>11} {lost:>9} {found.marked:>6} {found.doubles:>7} {found.requests:>8}"
        word = "met" if well else "MISSED"
        print(f"{what:{WHAT}} {figures}  {target}: {word} ({time.monotonic() - since:.0f} s)", flush=True)
        self.lines += 1
        self.missed += not well
        if self.verbose or not well:
            stuck = [f"{found.stuck} did not end or settle in time"] if found.stuck else []
            told = [*stuck, *found.remarks[:12], *([f"met: {found.met}"] if found.met else [])]
            for remark in told:
                print(f"    {remark}", flush=True)
