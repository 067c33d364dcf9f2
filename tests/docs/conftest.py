"""The pages of the documentation, taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: What stands behind the fence.
        text: What is inside.
        line: The line of the page where it begins.
        mark: The HTML comment on the line before the fence, without its signs.
    """

    language: str
    text: str
    line: int
    mark: str = ""


FENCE = re.compile(r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Page:
    """A page of the documentation, by its path in the repository."""

    def __init__(self, path: str) -> None:
        self.path = ROOT / path
        self.text = self.path.read_text(encoding="utf-8")

    def blocks(self, *languages: str) -> list[Block]:
        return [
            Block(m["language"], m["text"], self.text.count("\n", 0, m.start("text")) + 1, m["mark"] or "")
            for m in FENCE.finditer(self.text)
            if m["language"] in languages
        ]

    def tables(self, *titles: str) -> list[list[str]]:
        """Return the rows of the tables that have these column titles, as the text of their cells."""
        rows: list[list[str]] = []
        for table in re.findall(r"(?:^\|.*\|\n)+", self.text, re.MULTILINE):
            lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
            if lines[0] == list(titles):
                rows += lines[2:]
        return rows


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def page() -> Callable[[str], Page]:
    return Page


@pytest.fixture(scope="session")
def steps() -> Callable[[str], list[tuple[str, str]]]:
    """Give a function that takes a console block apart: each command, and what is shown below it."""

    def steps(console: str) -> list[tuple[str, str]]:
        parts = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
        return [(command, screen) for command, _, screen in (part.partition("\n") for part in parts)]

    return steps


@pytest.fixture(scope="session")
def matches() -> Callable[[str, str], bool]:
    """Give a function that compares a screen with a page: dots are any text, a line of them any lines or none."""

    def matches(screen: str, page: str) -> bool:
        wanted = (re.escape(line).replace(r"\.\.\.", ".+") for line in _lines(page))
        pattern = "".join("(?:.*\n)*" if line == ".+" else f"{line}\n" for line in wanted)
        return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(screen))) is not None

    return matches


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
