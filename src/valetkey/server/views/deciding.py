"""The question about another account, as a page asks it."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.engine.holding import Held
from valetkey.errors import clean
from valetkey.model.connections import Identity
from valetkey.server.times import Moment, until
from valetkey.server.views.comparing import difference


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the provider: what they are called first, and what else is known."""

    title: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        place: Provider, owner and account.
        before: Who it was until now.
        now: Who it is now.
        pieces: The title of `now` in pieces, with whether each differs from that of `before`.
        ends: Until when an answer is taken.
        may_switch: Whether the connection may go over to the new account: not for those who came by a link.
        broken: Whether the connection does not work as it is.
    """

    place: str
    before: Person
    now: Person
    pieces: tuple[tuple[str, bool], ...]
    ends: Moment
    may_switch: bool
    broken: bool


def question(held: Held, place: str, moment: float, *, may_switch: bool, broken: bool) -> Question:
    """Return the question at a moment."""
    before, now = _person(held.before), _person(held.now)
    return Question(
        place=place,
        before=before,
        now=now,
        pieces=difference(before.title, now.title)[0],
        ends=until(held.until, moment, never=""),
        may_switch=may_switch,
        broken=broken,
    )


def _person(identity: Identity) -> Person:
    title = clean(identity.title, 120)
    others = {text.lower(): text for text in (clean(one, 120) for one in (identity.login, identity.name)) if text}
    others.pop(title.lower(), None)
    return Person(title or "an account without a name", ", ".join(others.values()))
