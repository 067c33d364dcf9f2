"""Mistakes in the file of a preset, with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from valetkey.errors import clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.preset_members import MEMBERS, Mistake

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_NAME: Final = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY: Final = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_BARE: Final = re.compile(r"\s*([A-Za-z0-9_-]+)")
_PART: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
_WHERE: Final = re.compile(r"\(?at line (\d+), column \d+\)?")


@dataclass(frozen=True, slots=True)
class Found:
    """A mistake in a file.

    Attributes:
        file: The file; of a preset that a package brings as data, what its entry point names.
        line: Its line, from 1; 0: the file as a whole.
        mistake: What is wrong there.
    """

    file: Path | str
    line: int
    mistake: Mistake

    def __str__(self) -> str:
        """Return it as ``file:line: field: mistake; a right example``."""
        return f"{self.file}:{self.line}: {self.mistake}" if self.line else f"{self.file}: {self.mistake}"


def parsed(path: Path) -> Mapping[str, Any]:
    """Return what stands in a preset's file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no UTF-8 (UnicodeDecodeError), or no TOML (TOMLDecodeError).
    """
    import tomllib  # noqa: PLC0415 - only for those who use presets

    return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def unreadable(path: Path, error: OSError | ValueError) -> Found:
    """Return why a file cannot be read, with the line of a mistake in its syntax."""
    if isinstance(error, OSError):
        return Found(path, 0, Mistake("", f"it cannot be read: {error.strerror or type(error).__name__}"))
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return Found(path, line, Mistake("", "it is not UTF-8 text", "save it as UTF-8"))
    text = clean(error)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    where = _WHERE.search(text)
    number = int(where[1]) if where else max(len(lines), 1)
    field = _field_at(lines, number, bare="'='" in text)
    example = (
        "[credential], each table once" if _is_header(lines, number) else f"{_line_of(field)}, on a line of its own"
    )
    problem = "it stands there twice" if "overwrite" in text else _WHERE.sub("", text).strip().rstrip(":")
    return Found(path, number, Mistake(field, f"it is no TOML: {problem[:1].lower()}{problem[1:]}", example))


def _line_of(field: str) -> str:
    """Return how a member is written: as a member of the preset, else by what it looks like in declarations."""
    table, _, name = field.rpartition(".")
    if not table and name in MEMBERS:
        return MEMBERS[name].example
    kind = next(
        (str(one.type) for one in fields(OAuth2Credential) if table == "credential" and one.name == name), "str"
    )
    values = {"bool": "true", "float": "3600", "tuple": '["..."]', "Mapping": '{ name = "value" }'}
    value = next((value for begin, value in values.items() if kind.startswith(begin)), '"value"')
    return f"{name or 'name'} = {value}"


def located(path: Path, mistakes: list[Mistake]) -> list[Found]:
    """Return the mistakes with their lines in the file, the grave first."""
    lines = _lines(path.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    known = {where: number for number, where in reversed(list(lines))}
    found = [Found(path, _line(known, mistake.field), mistake) for mistake in mistakes]
    return sorted(found, key=lambda one: (not one.mistake.grave, one.line))


def _line(known: Mapping[tuple[str, ...], int], field: str) -> int:
    """Return the line of a field, else that of the nearest table around it, else the first."""
    named = {".".join(where): number for where, number in known.items()}
    while field:
        inside = [number for name, number in named.items() if name.startswith(f"{field}.")]
        if field in named or inside:
            return named.get(field) or min(inside)
        field = field.rpartition(".")[0]
    return 1


def _lines(lines: list[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the lines at which a table or a member begins, with what it is called."""
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    within = ""
    for number, line in enumerate(lines, 1):
        begins = not within
        within = _left_open(line, within)
        if not begins:
            continue
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, 0) + 1
                table = (*table, str(counts[table]))
            yield number, table
        elif key:
            yield number, (*table, *_parts(key[1]))


def _left_open(line: str, within: str) -> str:
    """Return the quotes of a text of several lines that is still open behind this line."""
    for mark in re.findall(r'"""|\'\'\'', line):
        within = "" if within == mark else within or mark
    return within


def _parts(name: str) -> tuple[str, ...]:
    return tuple("".join(groups) for groups in _PART.findall(name))


def _is_header(lines: list[str], number: int) -> bool:
    return lines[number - 1 : number] != [] and lines[number - 1].lstrip().startswith("[")


def _field_at(lines: list[str], number: int, *, bare: bool) -> str:
    """Return the member that a line belongs to, or names without a sign; empty for the beginning of a table."""
    if _is_header(lines, number):
        return ""
    before = [(at, where) for at, where in _lines(lines) if at <= number]
    name = _BARE.match(lines[number - 1]) if bare and number <= len(lines) else None
    if name:
        table = next((where for at, where in reversed(before) if _is_header(lines, at)), ())
        return ".".join((*table, name[1]))
    return ".".join(before[-1][1]) if before else ""
