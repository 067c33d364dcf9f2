"""The user's configuration folder: where platformdirs puts it, found without loading it where the rule is plain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from valetkey.model.folders import config_folder


@pytest.mark.parametrize(
    ("config", "home"),
    [
        pytest.param("/etc/of-mine", "/home/ada", id="named"),
        pytest.param("/etc/of-mine/", "/home/ada", id="named with a slash"),
        pytest.param(None, "/home/ada", id="of the home folder"),
        pytest.param(None, "/home/ada/", id="of a home folder with a slash"),
        pytest.param("", "/home/ada", id="an empty name"),
        pytest.param("mine", "/home/ada", id="a relative name"),
        pytest.param(None, "relative", id="a relative home folder"),
        pytest.param(None, None, id="by the user database"),
    ],
)
def test_it_is_where_platformdirs_puts_it(
    monkeypatch: pytest.MonkeyPatch, config: str | None, home: str | None
) -> None:
    for name, value in (("XDG_CONFIG_HOME", config), ("HOME", home)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    assert config_folder() == Path(platformdirs.user_config_dir("valetkey", appauthor=False))


def test_a_user_without_home_folder_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object, **__: object) -> str:
        raise RuntimeError

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(platformdirs, "user_config_dir", homeless)

    assert config_folder() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs is asked")
def test_a_first_search_and_a_first_preset_load_neither_platformdirs_nor_the_metadata_of_packages() -> None:
    script = """
import sys
from valetkey.model.presets import load_preset, search_presets
load_preset("google-drive")
assert search_presets("storage")
print(sorted({"platformdirs", "importlib.metadata", "difflib", "zipfile"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
