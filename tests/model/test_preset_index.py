"""The index of the presets that come along: what is read for a search, for one preset, and at import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.model import preset_index, presets
from valetkey.model.preset_index import BUILT_IN, Listed, best_first
from valetkey.model.presets import load_preset, preset_ids, search_presets

FILES = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is read of the folder of presets, from a state in which nothing was read."""
    names: list[str] = []
    read = Path.read_text

    def counted(path: Path, *args: Any, **kwargs: Any) -> str:
        if path.parent == BUILT_IN:
            names.append(path.name)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", counted)
    preset_index.built_in.cache_clear()
    presets._built_in.cache_clear()
    yield names
    presets._built_in.cache_clear()


@pytest.mark.parametrize("text", ["", "google", "api.github.com", "storage", "nothing of the kind"])
def test_a_search_reads_the_index_once_and_no_preset(opened: list[str], text: str) -> None:
    search_presets(text)
    search_presets(text)

    assert opened == ["index.json"]


def test_one_preset_reads_its_own_file_and_that_of_its_family(opened: list[str]) -> None:
    load_preset("github")
    assert opened == ["github.toml"]
    load_preset("github")
    assert opened == ["github.toml"]
    load_preset("google-drive")
    assert opened == ["github.toml", "google-drive.toml", "google.toml"]


def test_the_ids_are_read_from_the_index(opened: list[str]) -> None:
    assert set(FILES) <= set(preset_ids())
    assert opened == ["index.json"]


def test_the_import_reads_none() -> None:
    script = """
import sys
read = []
sys.addaudithook(lambda event, args: read.append(str(args[0])) if event == "open" else None)
import valetkey
from valetkey import wire_oauth2_credential
assert "valetkey.model.presets" not in sys.modules
assert "valetkey.model.preset_index" not in sys.modules
print([path for path in read if path.endswith((".toml", "index.json"))])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("preset_id", FILES)
def test_the_index_tells_what_the_preset_says(preset_id: str) -> None:
    assert preset_index.built_in()[preset_id] == load_preset(preset_id).listed


LIST = [
    Listed(id="boxer", display_name="Boxer", hosts=("api.boxer.example",), category=("sport",)),
    Listed(id="box", display_name="Box", hosts=("account.box.com",), category=("storage",)),
    Listed(id="inbox", display_name="In Box", category=("mail",)),
    Listed(id="crate", display_name="Crate", hosts=("box.crate.example",), category=("goods",)),
    Listed(id="lid", display_name="Lid", category=("box",)),
    Listed(id="lids", display_name="Lids", category=("boxes",)),
    Listed(id="else", display_name="Else", hosts=("else.example",)),
]


def test_no_host_of_a_list_is_empty() -> None:
    assert [listed.id for listed in preset_index.built_in().values() if "" in listed.hosts] == []


def test_the_best_match_comes_first() -> None:
    found = [listed.id for listed in best_first(" Box ", LIST)]

    assert found == ["box", "boxer", "inbox", "crate", "lid", "lids"]
    assert [listed.id for listed in best_first("", LIST)] == sorted(listed.id for listed in LIST)


def test_words_may_stand_apart_and_in_another_order() -> None:
    assert [listed.id for listed in best_first("storage box.com", LIST)] == ["box"]
    assert [listed.id for listed in best_first("box in", LIST)] == ["inbox"]
    assert best_first("box nothing", LIST) == []
