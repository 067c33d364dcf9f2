"""What follows from the presets is written down as `make providers` writes it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("providers_written", ROOT / "scripts" / "providers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_what_make_providers_writes(generator: Any) -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in generator.written().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run: make providers"


def test_the_readme_and_the_page_count_every_preset(generator: Any) -> None:
    many = len(generator.presets())

    assert f"one of {many} presets" in generator.written()[generator.README]
    assert f"{many} presets." in generator.written()[generator.PAGE]


def test_the_page_lists_every_preset_once_and_members_with_their_family(generator: Any) -> None:
    listed = generator.written()[generator.PAGE].partition(generator.BEGIN)[2].partition(generator.END)[0]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", listed, re.MULTILINE)
    families = re.findall(r"^- of `([a-z0-9-]+)`: (.*)$", listed, re.MULTILINE)
    members = {name: family for family, names in families for name in re.findall("`([a-z0-9-]+)`", names)}

    assert sorted([*rows, *members]) == [preset.id for preset in generator.presets()]
    assert members == {preset.id: preset.family for preset in generator.presets() if preset.family}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        pytest.param(3599, "1 h", id="nearly an hour"),
        pytest.param(3600, "1 h", id="an hour"),
        pytest.param(5400, "1.5 h", id="an hour and a half"),
        pytest.param(86400, "1 day", id="a day"),
        pytest.param(7776000, "90 days", id="days"),
        pytest.param(600, "10 min", id="minutes"),
        pytest.param(10, "10 s", id="seconds"),
        pytest.param(None, "", id="not known"),
    ],
)
def test_times_are_told_as_people_say_them(generator: Any, seconds: object, told: str) -> None:
    assert generator.lasting(seconds) == told
