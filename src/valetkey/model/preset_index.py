"""The index of the presets that come along: what a search looks at, in one file instead of hundreds.

``presets/index.json`` is written by ``make providers`` and read when something is first looked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

from valetkey.model.preset_data import Verified

BUILT_IN: Final = Path(__file__).resolve().parent.parent / "presets"
INDEX: Final = BUILT_IN / "index.json"

Origin = Literal["built in", "folder", "plugin"]
_NOT_FOUND: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A preset in a list: what tells it from others.

    Attributes:
        id: Its name, as in ``preset="github"``.
        display_name: The provider's name.
        family: The id of the preset that it extends; empty for none.
        category: What it is for.
        hosts: The hosts of its URLs and API, parameters left as they are.
        params: The parameters of its URLs, by name.
        needed: Those of them that have to be given.
        register_url: The page where an app is registered.
        docs_url: The provider's page about OAuth.
        scopes_doc_url: The page that lists the scopes.
        verified: How well the facts are checked, and when.
        origin: Where the preset came from.
    """

    id: str
    display_name: str
    family: str = ""
    category: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    register_url: str = ""
    docs_url: str = ""
    scopes_doc_url: str = ""
    verified: Verified = field(default_factory=Verified)
    origin: Origin = "built in"


_MEMBERS: Final = tuple(f.name for f in fields(Listed) if f.name != "origin")


def row(listed: Listed) -> list[object]:
    """Return the line of the index for a preset, as JSON values."""
    values = {name: getattr(listed, name) for name in _MEMBERS}
    values["verified"] = [listed.verified.level, listed.verified.date]
    return [list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value for value in values.values()]


@functools.cache
def built_in() -> Mapping[str, Listed]:
    """Return the presets that come along, by their ids.  One file is read for all, once."""
    import json  # noqa: PLC0415 - only for those who look for a preset

    rows: list[list[Any]] = json.loads(INDEX.read_text(encoding="utf-8"))
    return {each[0]: _listed(each) for each in rows}


def _listed(values: list[Any]) -> Listed:
    named = zip(_MEMBERS, values, strict=True)
    read: dict[str, Any] = {name: _frozen(value) for name, value in named}
    level, date = read.pop("verified")
    return Listed(**read, verified=Verified(level=level, date=date))


def _frozen(value: Any) -> Any:
    return tuple(cast("list[str]", value)) if isinstance(value, list) else value


def best_first(text: str, among: Iterable[Listed]) -> list[Listed]:
    """Return those whose id, name, host or category holds `text`, or every word of it; the best first.

    All for an empty text.
    """
    wanted = text.strip().lower()
    ranked = [(rank, listed.id, listed) for listed in among if (rank := _rank(listed, wanted)) < _NOT_FOUND]
    return [listed for _, _, listed in sorted(ranked, key=lambda each: each[:2])]


def _rank(listed: Listed, wanted: str) -> int:
    name = listed.display_name.lower()
    if wanted in {listed.id, name}:
        return 0
    if listed.id.startswith(wanted) or name.startswith(wanted):
        return 1
    if wanted in listed.id or wanted in name:
        return 2
    if any(wanted in host.lower() for host in listed.hosts):
        return 3
    if wanted in listed.category:
        return 4
    return 5 if any(wanted in category for category in listed.category) else _by_words(listed, wanted.split())


def _by_words(listed: Listed, words: list[str]) -> int:
    return 6 if len(words) > 1 and all(_rank(listed, word) < _NOT_FOUND for word in words) else _NOT_FOUND
