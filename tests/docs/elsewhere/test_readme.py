"""The README: its console block, its demo, and what it says about what is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def readme(page: Any) -> Any:
    return page("README.md")


@pytest.mark.usefixtures("elsewhere")
def test_github_is_connected_in_five_commands(
    readme: Any, terminal: Any, steps: Any, matches: Any, left_out: Any
) -> None:
    left_out.without("jq", what="The walk of the README does")
    terminal.answers = {"Client ID: ": "Ov23liEXAMPLE", "public client): ": "0123456789abcdef-EXAMPLE"}
    (block,) = (block for block in readme.blocks("console") if "app add" in block.text)
    commands = list(steps(block.text))

    assert len(commands) == 5
    assert commands[0] == ("pip install valetkey", "")
    for command, screen in commands[1:]:
        seen = terminal.type(command)
        assert matches(seen, screen), f"$ {command}\n{seen}"


def test_the_demo_prints_what_is_pasted(readme: Any, root: Path, matches: Any, tmp_path: Path) -> None:
    (block,) = (block for block in readme.blocks("text") if block.mark == "make demo")
    command = [sys.executable, str(root / "demo" / "run.py")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120)

    port = re.compile(r"127\.0\.0\.1:\d+")
    assert matches(port.sub("127.0.0.1:0", ran.stdout), port.sub("127.0.0.1:0", block.text)), ran.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["home"], "nothing is left behind"


def test_the_program_is_as_short_as_it_looks(root: Path) -> None:
    lines = (root / "docs_src" / "readme.py").read_text(encoding="utf-8").splitlines()

    assert len([line for line in lines if line]) <= 12


def test_the_python_and_the_licence_are_those_of_the_package(readme: Any, root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert f"Python {project['requires-python'].removeprefix('>=')} or newer" in readme.text
    assert f"[{project['license']}](LICENSE)" in readme.text


def test_what_is_not_there_yet_is_not_there(readme: Any) -> None:
    missing = readme.text.partition("## Not there yet")[2].partition("\n## ")[0]

    assert not any(word in missing for word in ("PAR", "DPoP", "iscovery", "id tokens")), "those are there"
