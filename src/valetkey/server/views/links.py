"""Connect links as the console lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.errors import clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.links import Link, State
from valetkey.server.times import Moment, ago, until
from valetkey.server.views.providers import Provider, provider
from valetkey.server.words import OWN, Word

WORDS: Final[dict[State, Word]] = {
    "not_opened": Word("Not opened", "ring", "st-none"),
    "opened": Word("Opened", "ring", "st-none"),
    "at_provider": Word("At the provider", "ring", "st-none"),
    "to_confirm": Word("To be confirmed", "ring", "st-none"),
    "used": Word("Used", "ok", "st-ok"),
    "declined": Word("Declined", "off", "st-none"),
    "expired": Word("Expired", "off", "st-none"),
    "withdrawn": Word("Withdrawn", "off", "st-none"),
}
FILTERS: Final[dict[str, tuple[str, frozenset[State]]]] = {
    "open": ("Open", frozenset({"not_opened", "opened", "at_provider", "to_confirm"})),
    "used": ("Used", frozenset({"used"})),
    "declined": ("Declined", frozenset({"declined"})),
    "over": ("Expired or withdrawn", frozenset({"expired", "withdrawn"})),
}
_WHY: Final = {
    "declined": "the person chose \u201cNot now\u201d",
    "denied": "access was not allowed",
    "approval_pending": "waiting for an administrator",
    "error": "the last try failed",
    "scopes_missing": "connected, with a permission missing",
    "other_account": "asked about another account",
    "unconfirmed": "signed in, but not confirmed in time",
    "wrong_user": "somebody else came back than the owner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """One link in the list.

    Attributes:
        id: Its id.
        whose: The owner, or the program itself.
        place: Provider and account.
        provider: The provider.
        word: How its state is shown.
        why: More about it.
        since: When that was.
        ends: When it ends.
        by: Who made it.
        made: When.
        connection_id: What came of it.
        is_open: Whether it can be withdrawn.
        again: The query of the form for a new one.
    """

    id: str
    whose: str
    place: str
    provider: Provider
    word: Word
    why: str
    since: Moment | None
    ends: Moment | None
    by: str
    made: Moment
    connection_id: str
    is_open: bool


def link_row(link: Link, credential: OAuth2Credential, now: float) -> LinkRow:
    """Return how a link is listed."""
    shown = provider(credential)
    word = WORDS[link.state]
    at = f"At {shown.name}"
    account = f" · account {clean(link.key.account)}" if link.key.account else ""
    return LinkRow(
        id=link.id,
        whose=OWN if link.key.owner is None else clean(link.key.owner),
        place=f"{shown.name}{account}",
        provider=shown,
        word=Word(at, word.icon, word.tone) if link.state == "at_provider" else word,
        why=_why(link),
        since=_since(link, now),
        ends=until(link.ends_at, now, never="") if link.is_open else None,
        by=clean(link.created_by, 200),
        made=ago(link.created_at, now),
        connection_id=link.connection_id if link.state == "used" else "",
        is_open=link.is_open,
    )


def _why(link: Link) -> str:
    if link.state == "expired" and link.opened_at is None:
        return "never opened"
    if link.state == "to_confirm":
        return "signed in; your application has not confirmed it yet"
    if link.state in {"opened", "declined", "withdrawn"} and link.outcome:
        return _WHY.get(link.outcome, "")
    if link.state == "opened":
        return "bound to one browser" if link.browser else "looked at"
    return "signing in" if link.state == "at_provider" else ""


def _since(link: Link, now: float) -> Moment | None:
    when = {"opened": link.opened_at, "at_provider": link.left_at, "used": link.ended_at, "withdrawn": link.ended_at}
    moment = when.get(link.state)
    return None if moment is None else ago(moment, now)
