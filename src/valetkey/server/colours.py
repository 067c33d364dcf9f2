"""Colours and whether what stands on them can be read (WCAG 2.2, success criteria 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from valetkey.errors import ConfigurationError, clean

TEXT: Final = 4.5
"""The least contrast of text (1.4.3)."""
SHAPE: Final = 3.0
"""The least contrast of what a control is known by (1.4.11)."""
_HEX: Final = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})", re.ASCII)
_STEPS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """What an accent has to stand out from in a theme.

    Attributes:
        text: The colour of the text on the accent.
        page: The colour of the page around it.
        towards: Black or white: where the text can be read better.
    """

    text: str
    page: str
    towards: float


LIGHT: Final = Theme(text="#ffffff", page="#ffffff", towards=0.0)
DARK: Final = Theme(text="#15171a", page="#18191c", towards=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the contrast check.

    Attributes:
        name: What stands on what.
        where: In which theme, and what it needs.
        ratio: The contrast, cut and not rounded, so that 4.49 is not shown as enough.
        passes: Whether it is enough.
    """

    name: str
    where: str
    ratio: str
    passes: bool


def colour(text: str) -> str:
    """Return a colour as six hex digits behind a number sign.

    Raises:
        ConfigurationError: It is none (``brand_colour``).
    """
    found = text.strip().lower()
    if not _HEX.fullmatch(found):
        msg = f"{clean(text, 40)!r} is no colour"
        raise ConfigurationError(msg, code="brand_colour", hint="write six hex digits, such as #b9500f")
    return found if len(found) == 7 else "#" + "".join(digit * 2 for digit in found[1:])  # noqa: PLR2004 - #rrggbb


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    bright, dim = sorted((_luminance(_linear(one)), _luminance(_linear(other))), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def passes(accent: str, theme: Theme) -> bool:
    """Whether a button in this colour can be read and found in a theme."""
    return contrast(accent, theme.text) >= TEXT and contrast(accent, theme.page) >= SHAPE


def nearest(accent: str, theme: Theme) -> str:
    """Return the colour nearest to `accent` that passes: itself, or the first on the straight way to black or white."""
    start = _linear(accent)
    for step in range(_STEPS + 1):
        part = step / _STEPS
        tried = _hex(channel + (theme.towards - channel) * part for channel in start)
        if passes(tried, theme):
            return tried
    return "#000000" if theme is LIGHT else "#ffffff"


def checks(light: str, dark: str) -> tuple[Check, ...]:
    """Return the contrast check of an accent: its colour in the light theme, and that in the dark one."""
    return (
        _check("White text on the accent", "light theme", light, LIGHT.text, TEXT),
        _check("Dark text on the accent", "dark theme", dark, DARK.text, TEXT),
        _check("Button against white page", "", light, LIGHT.page, SHAPE),
        _check("Button against dark page", "", dark, DARK.page, SHAPE),
    )


def _check(name: str, theme: str, accent: str, other: str, least: float) -> Check:
    ratio = contrast(accent, other)
    where = f"{theme}{', ' if theme else ''}needs {least:g}"
    return Check(name=name, where=where, ratio=f"{int(ratio * 10) / 10:.1f}", passes=ratio >= least)


def _linear(colour_: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour_[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return _opened(red), _opened(green), _opened(blue)


def _opened(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB


def _hex(linear: Iterable[float]) -> str:
    def closed(part: float) -> int:
        bent = part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055  # noqa: PLR2004 - sRGB
        return round(min(max(bent, 0.0), 1.0) * 255)

    return "#" + "".join(f"{closed(part):02x}" for part in linear)


def _luminance(linear: tuple[float, float, float]) -> float:
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
