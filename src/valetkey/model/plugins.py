"""What other packages bring under an entry point: https://packaging.python.org/specifications/entry-points/."""

from __future__ import annotations

from typing import Any


def plugged(group: str, name: str) -> Any | None:
    """Return what the entry point `name` of `group` leads to; None where no package brings one."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only for a name that is not built in

    return next((entry.load() for entry in entry_points(group=group, name=name)), None)
