"""The colours of the stylesheet: what stands on what can be read, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import math
import re
from typing import Final

import pytest

from valetkey.model.preset_index import built_in
from valetkey.server.render import asset
from valetkey.server.views.providers import of_listed

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


# -- monograms ---------------------------------------------------------------------------------------------------------

OKLCH: Final = re.compile(r"oklch\(([.\d]+) ([.\d]+) var\(--h\)\)")
HUE: Final = re.compile(r"\.h(\d) \{ --h: (\d+); \}")


def hues() -> dict[int, float]:
    return {int(number): float(hue) for number, hue in HUE.findall(asset("console.css").decode())}


def luminance_of(lightness: float, chroma: float, hue: float) -> float:
    """Return the relative luminance of a colour in OKLCH (CSS Color 4, section 9.3), cut to what a screen shows."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    cone = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    matrix = (
        (4.0767416621, -3.3077115913, 0.2309699292),
        (-1.2684380046, 2.6097574011, -0.3413193965),
        (-0.0041960863, -0.7034186147, 1.7076147010),
    )
    red, green, blue = (
        min(max(sum(part * seen for part, seen in zip(line, cone, strict=True)), 0.0), 1.0) for line in matrix
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("number", sorted(hues()))
def test_the_letters_of_a_provider_can_be_read_on_their_tint(theme: int, number: int) -> None:
    rule = re.search(r"^\.logo \{.*\}$", asset("console.css").decode(), re.MULTILINE)
    assert rule is not None
    grounds, letters = OKLCH.findall(rule[0])[:2], OKLCH.findall(rule[0])[2:]
    ground, letter = (
        luminance_of(float(lightness), float(chroma), hues()[number])
        for lightness, chroma in (grounds[theme], letters[theme])
    )
    bright, dim = sorted((ground, letter), reverse=True)

    assert (bright + 0.05) / (dim + 0.05) >= TEXT


def test_every_provider_has_letters_and_a_tint_that_the_style_sheet_has() -> None:
    for listed in built_in().values():
        shown = of_listed(listed).mark
        assert 1 <= len(shown.letters) <= 2, listed.id
        assert int(shown.hue.removeprefix("h")) in hues()


def test_luminance_is_that_of_the_standard() -> None:
    assert round(luminance_of(1, 0, 0), 3) == 1.0
    assert round(luminance_of(0.6279554, 0.2576833, 29.2338803), 3) == 0.213, "pure red"


def test_contrast_is_that_of_the_standard() -> None:
    assert round(contrast("#000", "#ffffff"), 2) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
