"""The colours of the stylesheet: what stands on what can be read, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from typing import Final

import pytest

from valetkey.server.render import asset

TOKEN: Final = re.compile(r"--([\w-]+): light-dark\((#\w{3,6}), (#\w{3,6})\)")
TEXT, OUTLINE = 4.5, 3.0


def colours() -> dict[str, tuple[str, str]]:
    return {name: (light, dark) for name, light, dark in TOKEN.findall(asset("console.css").decode())}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


GROUNDS = ("bg", "surface", "surface-2", "hover")
PAIRS = [
    *(
        (text, ground, TEXT)
        for text in ("text", "text-2", "text-3")
        for ground in ("bg", "surface", "surface-2", "hover")
    ),
    *((name, "surface", TEXT) for name in ("accent", "ok", "warn", "retry", "bad", "idle")),
    *((name, f"{name}-bg", TEXT) for name in ("ok", "warn", "retry", "bad", "idle", "accent")),
    ("bad", "bad-soft", TEXT),
    ("accent", "bg", TEXT),
    ("btn-text", "btn", TEXT),
    ("btn-text", "btn-hover", TEXT),
    ("control", "bg", OUTLINE),
    ("control", "surface", OUTLINE),
]


@pytest.mark.parametrize(("one", "other", "least"), PAIRS)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_a_pair_of_colours_has_contrast(theme: int, one: str, other: str, least: float) -> None:
    known = colours()

    assert contrast(known[one][theme], known[other][theme]) >= least


def test_contrast_is_that_of_the_standard() -> None:
    assert round(contrast("#000", "#ffffff"), 2) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
