"""A row of the list of operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.server.grades import Grade
from valetkey.server.operators import Operator, Standing
from valetkey.server.times import Moment, ago, until
from valetkey.server.words import NOTHING, Word

STANDINGS: Final[dict[Standing, Word]] = {
    "active": Word("Active", "ok", "st-ok"),
    "invited": Word("Invited", "ring", "st-none"),
    "disabled": Word("Disabled", "off", "st-none"),
}
MAY: Final[dict[Grade, tuple[str, str]]] = {
    "look": ("look only", "changes nothing"),
    "connections": ("connections", "no keys, no operators"),
    "everything": ("everything", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One operator in the list.

    Attributes:
        name: Their name.
        initials: Two letters for the mark.
        word: How they stand.
        why: Since when, by whom, or until when.
        why_when: The moment in it.
        may: What they may do.
        limits: What they may not.
        seen: When they signed in last.
        acts: What can be done: (value of the form's field, words of the button).
        me: Whether it is who looks.
    """

    name: str
    initials: str
    word: Word
    why: str
    why_when: Moment | None
    may: str
    limits: str
    seen: Moment
    acts: tuple[tuple[str, str], ...]
    me: bool


_ACTS: Final[dict[Standing, tuple[tuple[str, str], ...]]] = {
    "active": (("disable", "Disable"),),
    "invited": (("renew", "New link"), ("remove", "Withdraw")),
    "disabled": (("enable", "Enable"), ("remove", "Remove")),
}


def person(operator: Operator, now: float, *, mine: str) -> Person:
    """Return how an operator is shown to whoever is called `mine`."""
    why, when = _why(operator, now)
    may, limits = MAY[operator.grade]
    return Person(
        name=operator.name,
        initials=initials(operator.name),
        word=STANDINGS[operator.standing],
        why=why,
        why_when=when,
        may=may,
        limits=limits,
        seen=ago(operator.seen_at, now, never=NOTHING),
        acts=() if operator.name == mine else _ACTS[operator.standing],
        me=operator.name == mine,
    )


def _why(operator: Operator, now: float) -> tuple[str, Moment | None]:
    if operator.standing == "invited":
        return "link ends", until(operator.until, now, never="")
    if operator.standing == "disabled":
        return f"by {operator.by}," if operator.by else "", ago(operator.since, now)
    return "", None


def initials(name: str) -> str:
    """Return two letters that stand for a name."""
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()]
    letters = "".join(word[0] for word in words[:2]) if len(words) > 1 else name[:2]
    return letters.upper()
