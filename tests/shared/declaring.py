"""Which presets declare what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from valetkey.model.presets import BUILT_IN, load_preset


@cache
def declared() -> dict[str, Mapping[str, Any]]:
    """Return the fields of all presets that come along, by their ids."""
    return {name: load_preset(name).fields for name in sorted(path.stem for path in BUILT_IN.glob("*.toml"))}


def declaring(*names: str) -> list[str]:
    """Return the presets that say something of each of these fields."""
    found = [name for name, fields in declared().items() if all(fields.get(one) is not None for one in names)]
    assert found, f"no preset declares {' and '.join(names)}"
    return found


def renewing() -> list[str]:
    """Return the presets whose grants are renewed by refresh tokens, and that say whether those change."""
    return [name for name in declaring("rotates_refresh_token") if renews(declared()[name])]


def renews(fields: Mapping[str, Any]) -> bool:
    """Whether grants are renewed: tokens that have no end are not, unless they rotate."""
    rotates, life = fields.get("rotates_refresh_token"), fields.get("access_token_lifetime")
    return bool(rotates or life or "refresh_request" in fields or not fields.get("never_expires"))


def words_for(standard: str) -> list[tuple[str, str]]:
    """Return the presets that have a word of their own for a standard error, with each such word."""
    aliases = {name: dict(fields.get("error_aliases", {})) for name, fields in declared().items()}
    return [(name, word) for name, known in aliases.items() for word, meant in known.items() if meant == standard]
