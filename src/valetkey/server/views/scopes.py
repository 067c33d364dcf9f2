"""Scopes as people choose them: what each allows, and how much it weighs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from valetkey.model.credentials import EMPTY

Weight = Literal["read", "write", "admin", ""]
"""How much a scope allows; empty where nobody knows."""
_WEIGHTS: Final[tuple[tuple[Weight, re.Pattern[str]], ...]] = (
    ("admin", re.compile(r"(?i)(?:^|[^a-z])(?:admin|delete|full[_-]?access|manage|owner|sudo)(?:[^a-z]|$)")),
    (
        "write",
        re.compile(r"(?i)(?:^|[^a-z])(?:write|readwrite|edit|modify|create|send|post|upload|update|repo)(?:[^a-z]|$)"),
    ),
    ("write", re.compile(r"(?i)read.{0,5}write")),
    (
        "read",
        re.compile(r"(?i)(?:^|[^a-z])(?:read|readonly|view|list|history|metadata|openid|e?mail|profile)(?:[^a-z]|$)"),
    ),
)
TAGS: Final[Mapping[Weight, str]] = {"admin": "tag-bad", "write": "tag-warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scope on the page.

    Attributes:
        name: The scope.
        meaning: What it allows, in plain words; empty where nobody knows.
        weight: How much it allows: as its preset says, else as far as its name tells.
        chosen: Whether it is asked for.
        fixed: Whether it is declared, and so always asked for.
    """

    name: str
    meaning: str
    weight: Weight
    chosen: bool
    fixed: bool

    @property
    def tag(self) -> str:
        """The class of its tag."""
        return TAGS.get(self.weight, "")


def choices(
    declared: Iterable[str],
    meanings: Mapping[str, str],
    *,
    chosen: Iterable[str],
    fixed: Iterable[str],
    weights: Mapping[str, Weight] = EMPTY,
) -> tuple[Choice, ...]:
    """Return the scopes to choose from: those that are declared, then those that the preset knows."""
    picked, held = set(chosen), set(fixed)
    return tuple(
        Choice(
            name=name,
            meaning=meanings.get(name, ""),
            weight=weights.get(name) or weight(name),
            chosen=name in picked or name in held,
            fixed=name in held,
        )
        for name in dict.fromkeys((*declared, *meanings))
    )


def weight(scope: str) -> Weight:
    """Guess from its name what a scope lets do; empty where the name does not say."""
    for found, words in _WEIGHTS:
        if words.search(scope):
            return found
    return ""
