"""Put what a run printed into docs/benchmarks.md, and draw its plot anew: `page.py RUN.txt`."""

from __future__ import annotations

import sys
from pathlib import Path

from plot import DOCS, pictures

PAGE = DOCS / "benchmarks.md"
START, END = "```text\n", "\n```\n"


def main(run: Path) -> None:
    printed = run.read_text(encoding="utf-8")
    printed = printed[printed.index("date ") :].rstrip()
    drawn = pictures(printed)  # before anything is written: it refuses a run that is not whole
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{printed}{END}{after}", encoding="utf-8")
    for path, svg in drawn.items():
        path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
