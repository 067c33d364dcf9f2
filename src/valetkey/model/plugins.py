"""What other packages bring under an entry point: https://packaging.python.org/specifications/entry-points/."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_METADATA: Final = (".dist-info", ".egg-info")
_STANDARD: Final = "PathFinder"
"""The finder of ``sys.meta_path`` that looks for packages in the folders of ``sys.path``."""


def plugged(group: str, name: str) -> Any | None:
    """Return what the entry point `name` of `group` leads to; None where no package brings one."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only for a name that is not built in

    return next((entry.load() for entry in entry_points(group=group, name=name)), None)


def brought(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group that seldom has any.

    To ask for them costs 30 ms, for the metadata of every installed package is parsed.  So it is looked first whether
    any of their files names the group, which costs less than one.
    """
    if not _may_be_named(group):
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415 - only where a package brings some

    return tuple(entry_points(group=group))


def _may_be_named(group: str) -> bool:
    """Tell whether an installed package may bring something; True too where that cannot be told by its files."""
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_distributions"))
    if any(getattr(finder, "__name__", "") != _STANDARD for finder in finders):  # it may know packages without folders
        return True
    wanted = group.encode()
    return any(_is_named_below(place, wanted) for place in dict.fromkeys(sys.path))


def _is_named_below(place: str, wanted: bytes) -> bool:
    """Tell whether a package in one entry of ``sys.path`` names the group."""
    try:
        names = os.listdir(place or os.curdir)  # noqa: PTH208 - a quarter of the time of Path.iterdir
    except NotADirectoryError:  # an archive, which may hold packages too
        return True
    except OSError:  # nothing is there, which is usual
        return False
    packages = (name for name in names if name.lower().endswith(_METADATA) or name.lower() == "egg-info")
    return any(wanted in _read(os.path.join(place, name, "entry_points.txt")) for name in packages)  # noqa: PTH118


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - Path's is slower, and these are many
            return file.read()
    except OSError:  # most packages bring none
        return b""
