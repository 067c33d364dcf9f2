"""The folder in which valetkey looks for what a user wrote: declarations and presets."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_NAME: Final = "valetkey"


def config_folder() -> Path | None:
    """Return the user's configuration folder for valetkey; None for a user without home folder.

    It need not exist.
    """
    plain = _plain()
    if plain is not None:
        return plain
    import platformdirs  # noqa: PLC0415 - 20 ms, only where the rule is not plain

    try:
        return Path(platformdirs.user_config_dir(_NAME, appauthor=False))
    except RuntimeError:  # no home folder
        return None


def _plain() -> Path | None:
    """Return it on Linux, by the XDG Base Directory Specification; None where that is not all there is to say."""
    if sys.platform != "linux" or "ANDROID_ROOT" in os.environ:
        return None
    named, home = os.environ.get("XDG_CONFIG_HOME", ""), os.environ.get("HOME", "")
    folder = named or (f"{home}/.config" if home else "")
    return Path(folder, _NAME) if folder.startswith("/") else None
