"""What follows from the presets is written down as `make providers` writes it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from valetkey.model.preset_data import Verified
from valetkey.model.presets import load_preset
from valetkey.model.wiring import Wiring

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("providers_written", ROOT / "scripts" / "providers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "scripts"))


def test_it_is_what_make_providers_writes(generator: Any) -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in generator.written().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run: make providers"
    assert generator.left_over() == [], "run: make providers"


def test_the_readme_and_the_page_count_every_preset(generator: Any) -> None:
    many = len(generator.presets())

    assert f"one of {many} presets" in generator.written()[generator.README]
    assert f"{many} presets." in generator.written()[generator.PAGE]


def test_the_page_lists_every_preset_once_and_members_with_their_family(generator: Any) -> None:
    listed = (
        generator.written()[generator.PAGE].partition(f"<!-- {generator.BEGIN} -->")[2].partition("<!-- end -->")[0]
    )
    rows = re.findall(r"^\| \[`([a-z0-9-]+)`\]\(providers/\1\.md\) \|", listed, re.MULTILINE)
    families = re.findall(r"^- of `([a-z0-9-]+)`: (.*)$", listed, re.MULTILINE)
    members = {name: family for family, names in families for name in re.findall("`([a-z0-9-]+)`", names)}

    assert sorted([*rows, *members]) == [preset.id for preset in generator.presets()]
    assert members == {preset.id: preset.family for preset in generator.presets() if preset.family}


def test_what_is_known_is_counted(generator: Any) -> None:
    made = [
        replace(load_preset("github"), sources={"token_url": "x"}),
        replace(load_preset("spotify"), verified=Verified(level="community", date="2026-11"), sources={}),
    ]

    assert generator.counted(made) == (
        "providers: 2 entries (checked against: 1 documentation, 0 sources-agree, 1 community); "
        "known are revocation of 1, identity of 2, rotation of 1, sources of 1"
    )


def test_what_a_page_shows_declares_the_provider(generator: Any) -> None:
    for preset in generator.presets():
        page = generator.pages.page(preset)
        (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        wiring = Wiring()
        scope: dict[str, Any] = {"wire_oauth2_credential": wiring.oauth2_credential}
        exec(code.partition("\n\n")[2].partition("client = ")[0], scope)  # noqa: S102 - that it can be pasted is shown
        assert wiring.credential(preset.id).preset == preset.id, preset.id
        assert f"valetkey app add {preset.id}" in page
        assert all(f" --param {name}=" in page for name in preset.listed.needed)


def test_categories_are_written_as_people_write_them(generator: Any) -> None:
    told = {word: generator.pages.title(word) for word in ("crm", "e-commerce", "dev-tools")}
    assert told == {"crm": "CRM", "e-commerce": "E-commerce", "dev-tools": "Dev tools"}


def test_what_a_revocation_ends_is_told_only_where_it_is_said(generator: Any) -> None:
    assert generator.pages.revoking(load_preset("github")) == "one token"
    assert generator.pages.revoking(load_preset("box")) == "not said; taken to be the grant"
    assert generator.pages.revoking(load_preset("spotify")) == "no endpoint known"


def test_a_page_claims_no_source_for_what_has_none(generator: Any) -> None:
    unread = replace(load_preset("heroku"), verified=Verified(level="sources-agree", date="2026-11"), sources={})
    agreed, documented = (generator.pages.page(preset) for preset in (unread, load_preset("github")))
    assert "agree on its endpoints" in agreed
    assert "own knowledge that nobody has checked" in agreed
    assert "own knowledge that nobody has checked" in documented
    assert "| `refresh_ends_access_token` | github/docs: " in documented


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        pytest.param(3599, "1 h", id="nearly an hour"),
        pytest.param(3600, "1 h", id="an hour"),
        pytest.param(5400, "1.5 h", id="an hour and a half"),
        pytest.param(4500, "75 min", id="an hour and a quarter"),
        pytest.param(86400, "1 day", id="a day"),
        pytest.param(7776000, "90 days", id="days"),
        pytest.param(600, "10 min", id="minutes"),
        pytest.param(10, "10 s", id="seconds"),
        pytest.param(None, "", id="not known"),
    ],
)
def test_times_are_told_as_people_say_them(generator: Any, seconds: object, told: str) -> None:
    assert generator.pages.lasting(seconds) == told
