"""Events looked at from the newest back, and only those that are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, get_args

from valetkey.model.connections import Event
from valetkey.model.ports import Store

_PAGE: Final = 500
LOOKED_AT: Final = 10_000
"""How many events are looked at for one page: where few match, the page says how far back it looked."""
CLOCKS: Final = 3600.0
"""Seconds by which clocks of hosts may differ: numbers only grow, and times nearly so."""

Origin = Literal["library", "command", "worker", "console", "api_key", "account_holder"]
"""From where something was done: the face that did it."""
ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
KINDS: Final = (
    "connected",
    "refreshed",
    "refresh_failed",
    "needs_reauth",
    "disconnected",
    "revoked",
    "revocation_incomplete",
    "id_token_refused",
    "imported",
    "refresh_asked",
    "refresh_job",
    "links_job",
    "links_fetched",
    "disconnect_job",
    "tested",
    "owner_forgotten",
    "connect_failed",
    "link_created",
    "link_to_confirm",
    "sign_in_due",
    "link_used",
    "link_declined",
    "link_withdrawn",
    "link_refused",
    "sign_in_dropped",
    "app_added",
    "app_registered",
    "app_unregistered",
    "app_changed",
    "app_secret_added",
    "app_secret_replaced",
    "app_secret_refused",
    "app_secret_withdrawn",
    "app_secret_fell_back",
    "app_secret_erased",
    "app_secret_end",
    "app_secret_ends_soon",
    "app_certificate_ends_soon",
    "signed_in",
    "sign_in_refused",
    "operator_added",
    "operator_invited",
    "operator_disabled",
    "operator_enabled",
    "operator_password_changed",
    "operator_removed",
    "api_key_made",
    "api_key_revoked",
    "tags_changed",
    "brand_changed",
    "addresses_changed",
    "key_change_begun",
    "key_changed",
    "key_retired",
)
"""The kinds that can be chosen as a filter."""
API_KEY: Final = "API key "
"""What the actor of an event begins with where an API key did it; its name follows."""
_FACES: Final[dict[str, Origin]] = {
    "library": "library",
    "": "library",
    "command": "command",
    "the command": "command",
    "worker": "worker",
    "account holder": "account_holder",
}


def origin_of(event: Event) -> Origin:
    """Return from where an event came: operators, by whatever name, act in the console."""
    if event.kind == "sign_in_refused":  # nobody is its actor
        return "console"
    if event.actor.startswith(API_KEY):
        return "api_key"
    return _FACES.get(event.actor, "console")


def _all(_: Event) -> bool:
    return True


def mentions(text: str) -> Callable[[Event], bool]:
    """Return what tells whether a text stands in an event, whatever its case: in its kind, names, actor or details."""
    wanted = text.lower()

    def says(event: Event) -> bool:
        plain = (event.kind, event.credential, event.owner or "", event.account, event.actor)
        return any(wanted in one.lower() for one in (*plain, json.dumps(dict(event.detail), ensure_ascii=False)))

    return says


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events.  A member that is empty does not filter.

    Attributes:
        connection_id: Of this connection.
        credential: Of this credential.
        owner: Of this owner.
        kind: Of this kind.
        actor: Done by this actor.
        origin: Done from there.
        since: Not before this time, in Unix seconds.
        until: Before this time.
        also: Asked last, of those that all else takes.
    """

    connection_id: str = ""
    credential: str = ""
    owner: str = ""
    kind: str = ""
    actor: str = ""
    origin: str = ""
    since: float = -inf
    until: float = inf
    also: Callable[[Event], bool] = _all

    def takes(self, event: Event) -> bool:
        """Whether an event is one of them; that of the connection was asked of the store."""
        return (
            self.since <= event.at < self.until
            and self.credential in {"", event.credential}
            and (not self.owner or self.owner == event.owner)
            and self.kind in {"", event.kind}
            and self.actor in {"", event.actor}
            and (not self.origin or self.origin == origin_of(event))
            and self.also(event)
        )


def newest(store: Store, env: str) -> int:
    """Return the number of the last event: whoever reads on from there knows of what came before; 0: none came."""
    found = store.list_events(env=env, limit=1, newest_first=True)
    return found[0].seq if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One page of events, the newest first.

    Attributes:
        items: The events.
        before: Below which number the next page begins, the older one; None: there are no older ones.
        after: Above which number the page before it begins, the newer one; None: there are no newer ones.
        short: Whether the look ended although the page is not full and others are there.
    """

    items: tuple[Event, ...]
    before: int | None = None
    after: int | None = None
    short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The events of an environment, or those of them that are wanted.

    Attributes:
        store: Where they are.
        env: Of which environment.
        wanted: Which ones.
    """

    store: Store
    env: str
    wanted: Wanted

    def back(self, before: int | None, limit: int) -> Seen:
        """Return the page of events below a number, or the newest page."""
        found, short = self._some(self._backwards(before), limit)
        older = None
        if short is not None:
            older = short + 1
        elif len(found) > limit:
            older = found[limit - 1].seq
        items = tuple(found[:limit])
        top = items[0].seq if items else None if before is None else before - 1
        newer = top if before is not None and top is not None and self._any_above(top) else None
        return Seen(items=items, before=older, after=newer, short=short is not None)

    def forth(self, after: int, limit: int) -> Seen:
        """Return the page of events above a number, those that are nearest to it, the newest of them first."""
        found, short = self._some(self._forwards(after), limit)
        newer = None
        if short is not None:
            newer = short - 1
        elif len(found) > limit:
            newer = found[limit - 1].seq
        items = tuple(found[:limit][::-1])
        return Seen(items=items, before=items[-1].seq if items else after + 1, after=newer, short=short is not None)

    def all(self) -> Iterator[Event]:
        """Yield all of them, the newest first, however many."""
        return filter(self.wanted.takes, self._backwards(None))

    def _some(self, events: Iterator[Event], limit: int) -> tuple[list[Event], int | None]:
        """Return one more than `limit` of those that are wanted; and where the look ended, if it ended early."""
        found: list[Event] = []
        for looked, event in enumerate(events):
            if looked == LOOKED_AT:
                return found, event.seq
            if self.wanted.takes(event):
                found.append(event)
            if len(found) > limit:
                break
        return found, None

    def _any_above(self, number: int) -> bool:
        found, short = self._some(self._forwards(number), 0)
        return bool(found) or short is not None

    def _backwards(self, before: int | None) -> Iterator[Event]:
        last = self.wanted.until + CLOCKS
        if last < inf:
            ends = self.first_since(last)
            before = ends if before is None else min(before, ends)
        while page := self._page(before=before, newest_first=True):
            for event in page:
                if event.at < self.wanted.since - CLOCKS:
                    return
                yield event
            before = page[-1].seq

    def _forwards(self, after: int) -> Iterator[Event]:
        while page := self._page(after=after):
            for event in page:
                if event.at >= self.wanted.until + CLOCKS:
                    return
                yield event
            after = page[-1].seq

    def first_since(self, time: float) -> int:
        """Return a number below which stand all events of before that time: found by halving, for times grow."""
        newest = self._page(limit=1, newest_first=True)
        low, high = 0, newest[0].seq + 1 if newest else 1
        while low + 1 < high:
            middle = (low + high) // 2
            found = self._page(before=middle + 1, limit=1, newest_first=True)
            if found and found[0].at >= time:
                high = found[0].seq
            else:
                low = middle
        return high

    def _page(
        self, *, after: int = 0, before: int | None = None, limit: int = _PAGE, newest_first: bool = False
    ) -> tuple[Event, ...]:
        return tuple(
            self.store.list_events(
                env=self.env,
                connection_id=self.wanted.connection_id or None,
                after=after,
                before=before,
                limit=limit,
                newest_first=newest_first,
            )
        )
