"""What installed packages bring: it is found wherever a package may lie, and nothing is parsed where none names it."""

from __future__ import annotations

import importlib.metadata
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.model import presets
from valetkey.model.plugins import brought
from valetkey.model.presets import load_preset, preset_ids, search_presets

ENTRIES = "[console_scripts]\nx = x:x\n[valetkey.presets]\nacorn = some_package:ACORN\n"
METADATA = "Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n"
ACORN = """ACORN = {
    "display_name": "Acorn",
    "credential": {
        "authorization_url": "https://acorn.example/a",
        "token_url": "https://acorn.example/t",
        "api_hosts": ["api.acorn.example"],
    },
}
"""


def _as_wheel(folder: Path) -> str:
    info = folder / "some_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRIES)
    (folder / "some_package.py").write_text(ACORN)
    return str(folder)


def _as_develop(folder: Path) -> str:
    info = folder / "Some_Package.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRIES)
    (folder / "some_package.py").write_text(ACORN)
    return str(folder)


def _as_egg(folder: Path) -> str:
    egg = folder / "some_package-1.0-py3.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text(METADATA)
    (egg / "EGG-INFO" / "entry_points.txt").write_text(ENTRIES)
    (egg / "some_package.py").write_text(ACORN)
    return str(egg)


def _as_archive(folder: Path) -> str:
    folder.mkdir()
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("some_package-1.0.dist-info/METADATA", METADATA)
        archive.writestr("some_package-1.0.dist-info/entry_points.txt", ENTRIES)
        archive.writestr("some_package.py", ACORN)
    return str(folder / "all.zip")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process that has not looked for packages yet."""
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path / "none"))
    presets._plugins.cache_clear()
    yield
    presets._plugins.cache_clear()
    sys.modules.pop("some_package", None)


@pytest.fixture
def never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be a failure to ask for entry points."""

    def asked(**wanted: str) -> Any:
        pytest.fail(f"the metadata of all packages was parsed for {wanted}")

    monkeypatch.setattr(importlib.metadata, "entry_points", asked)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("install", [_as_wheel, _as_develop, _as_egg, _as_archive])
def test_a_preset_of_an_installed_package_is_listed_searched_and_loaded(
    install: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, install(tmp_path / "lib")])

    assert [(listed.id, listed.origin) for listed in search_presets("acorn.example")] == [("acorn", "plugin")]
    assert "acorn" in {listed.id for listed in search_presets("")}
    assert "acorn" in preset_ids()
    assert load_preset("acorn").display_name == "Acorn"


@pytest.mark.usefixtures("fresh", "never_parsed")
def test_where_no_package_names_the_group_nothing_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(_as_wheel(tmp_path / "lib"))
    (place / "some_package-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nx = x:x\n")
    (place / "bare-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", ["", str(place), str(tmp_path / "nothing-here.zip")])

    assert [listed.id for listed in search_presets("slack.com")] == ["slack", "slack-user"]
    assert "acorn" not in preset_ids()


def test_a_finder_of_another_kind_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        """It knows packages that lie in no folder of ``sys.path``."""

        def find_spec(self, *_: object) -> None:
            """It imports nothing."""

        def find_distributions(self, _: object = None) -> Iterator[importlib.metadata.Distribution]:
            """Return the one package."""
            yield Held()

    class Held(importlib.metadata.Distribution):
        def read_text(self, filename: str) -> str | None:
            return {"METADATA": METADATA, "entry_points.txt": ENTRIES}.get(filename)

        def locate_file(self, path: Any) -> Any:
            raise NotImplementedError(path)

    monkeypatch.setattr(sys, "path", [])
    assert brought("valetkey.presets") == ()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Elsewhere()])
    assert [entry.name for entry in brought("valetkey.presets")] == ["acorn"]
