"""Layer 6: the command ``valetkey``."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with `args`, by default those of the process, and return its exit code.

    Exit codes are part of the interface; `valetkey.cli.exits` has the table.
    """
    from valetkey.cli.app import run  # noqa: PLC0415 - importing the package must not import click

    return run(args)
