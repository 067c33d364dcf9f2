"""What `valetkey` shows at its top level, what importing it costs, and that the layers hold."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import valetkey
from valetkey import errors

ROOT = Path(__file__).resolve().parent.parent
SURFACE = {
    "AppCredentials",
    "AsyncOAuth2Client",
    "AsyncValet",
    "AuthenticationRequest",
    "BackchannelRequest",
    "Grant",
    "OAuth2Client",
    "OAuth2Credential",
    "Secret",
    "SecretService",
    "Status",
    "Valet",
    "Wiring",
    "wire_oauth2_credential",
    "wire_secret",
}
HEAVY = {
    "aiohttp",
    "asyncio",
    "click",
    "cryptography",
    "httpx",
    "httpx2",
    "importlib.metadata",
    "joserfc",
    "keyring",
    "pydantic",
    "requests",
    "rich",
}
IMPORTED_BY = """
import sys, json
before = set(sys.modules)
{program}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def error_names() -> set[str]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name for name, cls in classes if issubclass(cls, errors.ValetkeyError)}


def imported_by(program: str) -> set[str]:
    """Return the modules that a program imports in a fresh interpreter, unwatched by coverage."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", IMPORTED_BY.format(program=program)]
    ran = subprocess.run(command, env=plain, check=True, capture_output=True, text=True)
    return set(json.loads(ran.stdout))


def test_the_top_level_is_the_designed_surface_and_the_errors() -> None:
    assert set(valetkey.__all__) == SURFACE | error_names()


def test_the_top_level_list_is_sorted_and_every_name_is_there() -> None:
    assert list(valetkey.__all__) == sorted(valetkey.__all__)
    assert all(getattr(valetkey, name) is not None for name in valetkey.__all__)
    assert set(valetkey.__all__) <= set(dir(valetkey))


def test_every_public_name_is_documented() -> None:
    assert [name for name in valetkey.__all__ if not inspect.getdoc(getattr(valetkey, name))] == []


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("valetkey").joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import valetkey", id="importing the package"),
        pytest.param("from valetkey import Secret, Wiring, ConfigurationError", id="taking names of the lower layers"),
    ],
)
def test_importing_loads_nothing_heavy(program: str) -> None:
    assert imported_by(program) & HEAVY == set()


def test_the_watch_over_imports_sees_what_is_imported() -> None:
    assert "importlib.metadata" in imported_by("import importlib.metadata")


def lint_imports(source: Path) -> tuple[int, str]:
    """Check the layers of the package below `source`; return the exit code and the report."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = os.environ | {"PYTHONPATH": str(source), "NO_COLOR": "1"}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def test_imports_go_downward_only() -> None:
    code, report = lint_imports(ROOT / "src")

    assert code == 0, report


@pytest.mark.parametrize(
    ("module", "line", "finding"),
    [
        pytest.param("protocol/sneaky.py", "import valetkey.engine.world", "valetkey.protocol", id="upward"),
        pytest.param("engine/sneaky.py", "def f():\n    import sqlite3", "sqlite3", id="the engine and a database"),
        pytest.param("sneaky.py", "", "sneaky", id="a module that stands in no layer"),
    ],
)
def test_the_layer_check_finds(module: str, line: str, finding: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src" / "valetkey" / module).write_text(line + "\n", encoding="utf-8")

    code, report = lint_imports(tmp_path / "src")

    assert code == 1
    assert "BROKEN" in report
    assert finding in report
