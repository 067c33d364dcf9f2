"""Endpoints that their providers will switch off: a warning while there is time."""

from __future__ import annotations

from datetime import date
from typing import Final

from valetkey.logs import get_logger
from valetkey.model import preset_lint
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.presets import Preset
from valetkey.model.templates import holes

AHEAD: Final = 90
"""Days before the last one from when on a program that declares the endpoint is warned."""
_log = get_logger("presets")


def warn_of_last_days(credential: OAuth2Credential, preset: Preset) -> None:
    """Write a warning to the log for each endpoint of the preset that is in use and ends within 90 days, or has."""
    for field, day in preset.legacy.items():
        left = (date.fromisoformat(day) - preset_lint.today()).days
        template = str(preset.fields.get(field, ""))
        in_use = bool(holes(template)) or getattr(credential, field) == template
        if left <= AHEAD and in_use:
            when = f"ends on {day}, in {left} days" if left >= 0 else f"ended on {day}"
            _log.warning(
                "%s: the %s of preset %s %s; see %s, or say %s yourself",
                credential.name,
                field,
                preset.id,
                when,
                preset.docs_url or "its provider",
                field,
            )
