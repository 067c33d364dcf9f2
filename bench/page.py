"""Put what a run printed into docs/benchmarks.md: `page.py RUN.txt`."""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
START, END = "```text\n", "\n```\n"


def main(run: Path) -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    printed = run.read_text(encoding="utf-8")
    PAGE.write_text(f"{before}{START}{printed[printed.index('date ') :].rstrip()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
