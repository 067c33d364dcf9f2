"""Providers that are known and have no preset, each with the reason: their sign-in ended, or cannot be said as data.

``presets/left_out.json`` is written by hand; the documentation's table is made from it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from valetkey.model.preset_index import BUILT_IN

LEFT_OUT: Final = BUILT_IN / "left_out.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A provider without a preset.

    Attributes:
        id: The name that its preset would have.
        provider: Its name for people.
        why: Why there is none; a clause without a full stop.
        source: The page that says so.
        month: When it was looked at, or of when the page is: ``2026-11``.
        instead: The id of the preset to use instead; empty for none.
    """

    id: str
    provider: str
    why: str
    source: str
    month: str
    instead: str = ""

    @property
    def told(self) -> str:
        """The reason, with where it is said."""
        return f"{self.provider} is left out: {self.why} ({self.source}, {self.month})"

    @property
    def hint(self) -> str:
        """What to do instead; empty where there is nothing."""
        return f'use preset="{self.instead}"' if self.instead else ""


@functools.cache
def left_out() -> Mapping[str, LeftOut]:
    """Return the providers that are left out, by the ids that their presets would have."""
    import json  # noqa: PLC0415 - only for those who look for what is not there

    rows: list[dict[str, Any]] = json.loads(LEFT_OUT.read_text(encoding="utf-8"))
    return {each["id"]: LeftOut(**each) for each in rows}
