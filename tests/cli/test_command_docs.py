"""docs/command.md says what the command says: its help blocks, its examples, its walk through.

``python tests/cli/test_command_docs.py`` writes the help blocks anew.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from valetkey.cli.app import root

PAGE = Path(__file__).parents[2] / "docs" / "command.md"
PLACE = re.compile(r"^<!-- help: (valetkey[^>]*?) -->\n(?:```text\n.*?^```\n)?", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^<!-- session -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def paths(group: click.Group = root, path: tuple[str, ...] = ("valetkey",)) -> Iterator[tuple[str, ...]]:
    yield path
    context = click.Context(group, info_name="valetkey")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from paths(command, (*path, name))
        else:
            yield (*path, name)


def help_of(path: str) -> str:
    """Return the block for a command, as it looks on a terminal of 80 columns."""
    done = CliRunner().invoke(root, [*path.split()[1:], "--help"], terminal_width=80)
    assert done.exit_code == 0, path
    return f"<!-- help: {path} -->\n```text\n{done.stdout.rstrip()}\n```\n"


def test_the_help_in_the_page_is_the_help_of_the_command() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert sorted(" ".join(path) for path in paths()) == sorted(found[1] for found in PLACE.finditer(text))
    for found in PLACE.finditer(text):
        assert found[0] == help_of(found[1]), f"run: python {Path(__file__).name}"


def typed(text: str) -> Iterator[list[str]]:
    """Yield the words of each ``valetkey ...`` that the page shows somebody type."""
    for block in CONSOLE.findall(text):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("$ "):
                tokens = shlex.shlex(line[2:], posix=True, punctuation_chars=True)
                tokens.whitespace_split = True
                yield from _commands(list(tokens))


def _commands(words: list[str]) -> Iterator[list[str]]:
    """Yield what stands behind ``valetkey`` in each part of a pipeline, without redirections."""
    part: list[str] = []
    for word in [*words, "|"]:
        if set(word) <= set("|&;<>()"):
            if "valetkey" in part:
                yield part[part.index("valetkey") + 1 :]
            part = []
        else:
            part.append(word)


def test_all_that_the_page_has_one_type_can_be_typed() -> None:
    seen = 0
    for words in typed(PAGE.read_text(encoding="utf-8")):
        group: click.Command = root
        context = click.Context(root, info_name="valetkey")
        rest = list(words)
        while isinstance(group, click.Group) and rest:
            if (found := group.get_command(context, rest[0])) is None:
                break
            group, rest = found, rest[1:]
        options = {name for parameter in group.params for name in parameter.opts}
        used = [word for word in (rest[: rest.index("--")] if "--" in rest else rest) if word.startswith("-")]
        works = not isinstance(group, click.Group) or group.invoke_without_command
        assert words[:1] == ["tokn"] or works, words
        assert {word for word in used if len(word) > 1} <= options, words
        seen += 1
    assert seen > 40


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what runs a line in a shell that knows ``valetkey``, and returns all it says."""
    program = tmp_path / "bin" / "valetkey"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m valetkey.cli "$@"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def run(line: str) -> str:
        ran = subprocess.run(
            ["sh", "-c", f"exec 2>&1; {line}"], stdout=subprocess.PIPE, text=True, check=False, timeout=120
        )
        return ran.stdout

    return run


@pytest.mark.usefixtures("browser")
def test_the_walk_through_goes_as_it_is_written(bare: Any, shell: Callable[[str], str]) -> None:
    bare.declare("practice", display_name="The practice provider")
    (session,) = SESSION.findall(PAGE.read_text(encoding="utf-8"))
    steps = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]

    assert len(steps) > 8
    for step in steps:
        line, _, expected = step.partition("\n")
        pattern = re.escape(expected).replace(r"\.\.\.", ".*")
        said = shell(line).rstrip("\n") + "\n"
        assert re.fullmatch(pattern, said), f"$ {line}\n{said}"


if __name__ == "__main__":
    PAGE.write_text(PLACE.sub(lambda found: help_of(found[1]), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
