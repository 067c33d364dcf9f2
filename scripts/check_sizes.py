"""Fail when a source file has grown past what a reader holds in mind."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 400
SOURCE = Path(__file__).resolve().parent.parent / "src"


def main() -> int:
    """Print every file that is too long; return 1 when there is one."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    for path, lines in sorted(lengths.items()):
        if lines > LIMIT:
            print(f"{path.relative_to(SOURCE.parent)}: {lines} lines, and {LIMIT} are the most: split it")
    longest = max(lengths.values())
    print(f"sizes: {len(lengths)} files, {sum(lengths.values())} lines, the longest has {longest}")
    return 1 if longest > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
