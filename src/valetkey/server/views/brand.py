"""How the brand is shown: what may be changed, the contrast check, and the colours that would pass."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.errors import ConfigurationError
from valetkey.server.brand import Brand
from valetkey.server.colours import DARK, LIGHT, Check, checks, colour, nearest

USUAL = ("#1b57c9", "#86b3ff")
"""What the form begins with where no accent was chosen: the console's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accent:
    """An accent as the page shows it.

    Attributes:
        used: Whether there is one; otherwise the colours are those that the form begins with.
        light: Its colour in the light theme.
        dark: Its colour in the dark theme.
        checks: The contrast check.
        failing: How many lines of it fail.
        near_light: The nearest colour that passes in the light theme.
        near_dark: The same in the dark theme.
        offer: What would have to change, in words; empty where all passes.
    """

    used: bool
    light: str
    dark: str
    checks: tuple[Check, ...]
    near_light: str
    near_dark: str

    @property
    def failing(self) -> int:
        """How many lines of the check fail."""
        return sum(not check.passes for check in self.checks)

    @property
    def offer(self) -> str:
        """What would have to change, in words; empty where all passes."""
        parts = [
            ("yours" if near == mine else near, theme)
            for near, mine, theme in ((self.near_light, self.light, "light"), (self.near_dark, self.dark, "dark"))
        ]
        return ", ".join(f"{which} in {theme}" for which, theme in parts) if self.failing else ""


def accent(brand: Brand) -> Accent:
    """Return the accent of a brand, as it is or as somebody entered it; what is no colour counts as none."""
    try:
        light, dark = colour(brand.light), colour(brand.dark)
    except ConfigurationError:
        light, dark = USUAL
        return Accent(used=False, light=light, dark=dark, checks=(), near_light=light, near_dark=dark)
    return Accent(
        used=True,
        light=light,
        dark=dark,
        checks=checks(light, dark),
        near_light=nearest(light, LIGHT),
        near_dark=nearest(dark, DARK),
    )
