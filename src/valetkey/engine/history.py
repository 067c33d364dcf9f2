"""Events looked at from the newest back, and only those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from valetkey.model.connections import Event
from valetkey.model.ports import Store

_PAGE: Final = 500
LOOKED_AT: Final = 10_000
"""How many events are looked at for one page: where few match, the page says how far back it looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events.  A member that is empty does not filter."""

    connection_id: str = ""
    credential: str = ""
    owner: str = ""
    kind: str = ""
    actor: str = ""

    def takes(self, event: Event) -> bool:
        """Whether an event is one of them; that of the connection was asked of the store."""
        return (
            self.credential in {"", event.credential}
            and (not self.owner or self.owner == event.owner)
            and self.kind in {"", event.kind}
            and self.actor in {"", event.actor}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One page of events, the newest first.

    Attributes:
        items: The events.
        before: Where the next page begins; None: there are no older ones.
        short: Whether the look back ended although the page is not full and older events are there.
    """

    items: tuple[Event, ...]
    before: int | None = None
    short: bool = False


def look_back(store: Store, env: str, wanted: Wanted, *, before: int | None, limit: int) -> Seen:
    """Return a page of events below a number, the newest first."""
    found: list[Event] = []
    for looked, event in enumerate(_backwards(store, env, wanted, before)):
        if len(found) == limit:
            return Seen(items=tuple(found), before=found[-1].seq)
        if looked == LOOKED_AT:
            return Seen(items=tuple(found), before=event.seq + 1, short=True)
        if wanted.takes(event):
            found.append(event)
    return Seen(items=tuple(found))


def all_back(store: Store, env: str, wanted: Wanted) -> Iterator[Event]:
    """Yield all events that are asked for, the newest first, however many."""
    return filter(wanted.takes, _backwards(store, env, wanted, None))


def _backwards(store: Store, env: str, wanted: Wanted, before: int | None) -> Iterator[Event]:
    connection = wanted.connection_id or None
    while page := store.list_events(env=env, connection_id=connection, before=before, limit=_PAGE, newest_first=True):
        yield from page
        before = page[-1].seq
