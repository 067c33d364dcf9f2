"""The script that compares pictures of two builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_pictures.py"


def draw(file: Path, *, width: int = 20, dot: tuple[int, int, int] = (255, 255, 255)) -> None:
    file.parent.mkdir(exist_ok=True)
    picture = Image.new("RGB", (width, 10), "white")
    picture.putpixel((3, 4), dot)
    picture.save(file)


@pytest.mark.scenario(18)
def test_pages_that_differ_are_listed_and_shown(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for name, was, became in [("same", {}, {}), ("near", {}, {"dot": (250, 255, 255)}), ("wide", {}, {"width": 21})]:
        draw(before / f"{name}.png", **was)
        draw(after / f"{name}.png", **became)
    draw(before / "moved.png")
    draw(after / "moved.png", dot=(0, 0, 0))
    draw(before / "old.png")
    draw(after / "new.png")

    ran = subprocess.run(
        [sys.executable, SCRIPT, before, after], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stdout.splitlines() == [
        "old.png: gone",
        "new.png: new",
        "moved.png: 1 pixels differ (0.50 %), within 3,4 to 4,5",
        "wide.png: 20x10 became 21x10",
        "4 of 5 pictures differ",
    ]
    assert (ran.returncode, [file.name for file in (tmp_path / "after-differs").iterdir()]) == (1, ["moved.png"])
