"""``valetkey providers lint``: whether presets of one's own are in order, before anything uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.exits import NOT_WELL, OK
from valetkey.cli.output import emit
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, paint, say

if TYPE_CHECKING:
    from valetkey.model.preset_files import Found


@command(
    "lint",
    json=True,
    examples=("valetkey providers lint", "valetkey providers lint shop.toml", "valetkey providers lint ./presets"),
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@pass_session
def lint(session: Session, *, paths: tuple[Path, ...]) -> int:
    """Check presets: files, or all files of a folder; without PATH your own folder and what packages bring.

    Each mistake is a line of its own, with file, line, field and how it would be right.  The exit code is 1 where there
    is one.  With mistakes that could send a secret elsewhere a preset is not used at all; the others are advice.
    """
    from valetkey.model.presets import lint_plugins, lint_preset_file, user_folder  # noqa: PLC0415

    found = {str(file): lint_preset_file(file) for file in _files(paths or _folders(user_folder()))}
    if not paths:
        found |= {f"entry point {name}": mistakes for name, mistakes in lint_plugins().items()}
    wrong = sum(map(bool, found.values()))
    if session.json:
        emit({"presets": [{"file": file, "mistakes": list(map(_members, them))} for file, them in found.items()]})
        return NOT_WELL if wrong else OK
    for one in (one for them in found.values() for one in them):
        place = f"{one.file}:{one.line}" if one.line else str(one.file)
        out(f"{paint(place, 'bold')}: {one.mistake}")
    if not found:
        say(f"No preset in {', '.join(map(str, paths)) or user_folder()}.")
        say('  -> docs/presets.md shows how one is written; "valetkey providers show github" shows one')
    else:
        say(f"{len(found)} checked, {wrong} not in order." if wrong else f"{len(found)} checked, all in order.")
    return NOT_WELL if wrong else OK


def _members(found: Found) -> dict[str, Any]:
    mistake = found.mistake
    told = {"field": mistake.field, "text": mistake.text, "example": mistake.example, "grave": mistake.grave}
    return {"line": found.line or None, **told}


def _folders(own: Path) -> tuple[Path, ...]:
    """Return the folder of one's own presets, where there is one: most have none."""
    return (own,) if own.exists() else ()


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.toml")) if path.is_dir() else [path]
