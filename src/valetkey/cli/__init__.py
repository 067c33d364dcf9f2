"""Layer 6: the command ``valetkey``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with `args`, by default those of the process, and return its exit code.

    Exit codes are part of the interface; `valetkey.cli.exits` has the table.
    """
    given = list(sys.argv[1:] if args is None else args)
    if given[:1] in (["token"], ["header"]):
        try:
            if _answered_quickly(given):
                return 0
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            return 130
    from valetkey.cli.app import run  # noqa: PLC0415 - importing the package must not import click

    return run(given)


def _answered_quickly(args: Sequence[str]) -> bool:
    from valetkey.cli.quick import answer  # noqa: PLC0415 - only where it may help

    text = answer(args)
    if text is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:  # nobody reads: the usual way ends as that has to end
        return False
    return True
