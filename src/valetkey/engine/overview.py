"""All connections at a glance: how many are in which state, and pages of them, the worst first.

The states that are told are not all stored: ``app_error`` stands with the app, and ``expires_soon`` depends on the
clock.  So the list is made of stages, one after the other, each of which a store finds by an index; and the counts are
those of the store, with what is held against apps put in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from valetkey.model.connections import Counts, Query, Record, State, StoredState, attention_at
from valetkey.model.ports import Store

WORST_FIRST: Final[tuple[State, ...]] = (
    "app_error",
    "needs_reauth",
    "refresh_failing",
    "expires_soon",
    "connected",
    "pending",
    "disconnected",
)
"""All states in the order of a list."""

ACTION: Final[tuple[State, ...]] = ("app_error", "needs_reauth")
"""The states in which a person must act."""

STOPPED: Final[tuple[State, ...]] = ("refresh_failing", "expires_soon", "connected")
"""The states that what is held against an app takes the place of."""

FOUND_MOST: Final = 500
"""How many matches of a search are put in order."""

Wanted = State | Literal["action"]


def summed(counts: Counts, sick: Mapping[str, str]) -> dict[tuple[str, State], int]:
    """Return counts with what is held against apps put in; `sick`: credential -> why its app cannot be used."""
    found: dict[tuple[str, State], int] = {}
    for (credential, state), n in counts.items():
        told: State = "app_error" if credential in sick and state in STOPPED else state
        found[credential, told] = found.get((credential, told), 0) + n
    return found


def by_state(found: Mapping[tuple[str, State], int]) -> dict[State, int]:
    """Return how many connections are in each state."""
    return {state: sum(n for (_, one), n in found.items() if one == state) for state in WORST_FIRST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page, the worst first.

    Attributes:
        items: The records.
        cursor: Where the next page begins; None: this is the last.
        before: Where the page before it ends; None: this is the first.
        cut: Whether a search found more than `FOUND_MOST`, and only those were put in order.
    """

    items: tuple[Record, ...]
    cursor: str | None = None
    before: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Stage:
    """One state, of one credential or of all: what the store is asked for, and what of it belongs here."""

    name: str
    query: Query
    lasting: float | None = None
    """Leave out what wants attention before this time: it stands in a stage of its own."""

    def takes(self, record: Record) -> bool:
        if self.lasting is None:
            return True
        moment = attention_at(record)
        return moment is None or moment >= self.lasting


@dataclass(frozen=True, kw_only=True)
class WorstFirst:
    """Lists connections, the worst first.

    Attributes:
        store: Where they are.
        query: Which ones; its `state` is not looked at.
        wanted: The state that they are told to be in; ``action``: those in which a person must act; None: all.
        sick: Credential -> why its app cannot be used.
        now: Unix seconds.
        names: The credentials that have connections; None: they are asked for where they are needed.
    """

    store: Store
    query: Query
    wanted: Wanted | None = None
    sick: Mapping[str, str] = field(default_factory=dict[str, str])
    now: float
    names: Collection[str] | None = None

    def page(self, cursor: str | None, limit: int, *, backwards: bool = False) -> Found:
        """Return one page: the one that begins at the cursor or, `backwards`, the one that ends there.

        Raises:
            ConfigurationError: The cursor is none of this list (``cursor_invalid``).
        """
        if self.query.search:
            return self._sorted(cursor, limit, backwards=backwards)
        if not cursor and (self.query.owner is not None or self.query.own):
            few = self._few(limit)
            if few is not None:
                return few
        return self._staged_back(cursor or "", limit) if backwards else self._staged(cursor, limit)

    def _few(self, limit: int) -> Found | None:
        """Return all that an owner has, None where a page does not hold it: most have few, in a state or two.

        So one question takes the place of one for each state, and of one for each app that is sick.
        """
        page = self.store.list(replace(self.query, state=None), limit=limit)
        if page.cursor is not None:
            return None
        items = filter(self._is_wanted, page.items)
        return Found(items=tuple(sorted(items, key=self._rank)))

    # -- page by page

    def _staged(self, cursor: str | None, limit: int) -> Found:
        name, _, place = (cursor or "").partition("~")
        items: list[Record] = []
        before: str | None = None
        for stage in self._from(name):
            at: str | None = place if stage.name == name and place else None
            while True:
                page = self.store.list(stage.query, cursor=at, limit=limit - len(items))
                items += filter(stage.takes, page.items)
                if cursor and before is None and items:
                    before = f"{stage.name}~{page.before or ''}"
                at = page.cursor
                if len(items) >= limit:
                    after = f"{stage.name}~{at}" if at else self._next(stage)
                    return Found(items=tuple(items), cursor=after, before=before)
                if at is None:
                    break
        return Found(items=tuple(items), before=before)

    def _staged_back(self, cursor: str, limit: int) -> Found:
        """Return the page that ends at a place: ``stage~cursor``; without a cursor, at the beginning of the stage."""
        name, _, place = cursor.partition("~")
        items: list[Record] = []
        after: str | None = None
        for stage in self._until(name):
            if stage.name == name and not place:
                continue
            at: str | None = place if stage.name == name else None
            while True:
                page = self.store.list(stage.query, cursor=at, limit=limit - len(items), backwards=True)
                items[:0] = filter(stage.takes, page.items)
                if after is None and items:
                    after = f"{stage.name}~{page.cursor}" if page.cursor else self._next(stage)
                at = page.before
                if len(items) >= limit:
                    before = f"{stage.name}~{at or ''}" if at or self._any_before(stage) else None
                    return Found(items=tuple(items), cursor=after, before=before)
                if at is None:
                    break
        return Found(items=tuple(items), cursor=after)

    def _until(self, name: str) -> list[_Stage]:
        """Return the stages back from that name; where it is none any more, from the next better state back."""
        stages = list(self._stages)
        rest = {stage.name for stage in self._from(name)}
        return [stage for stage in reversed(stages) if stage.name == name or stage.name not in rest]

    def _any_before(self, stage: _Stage) -> bool:
        """Whether there is anything before a stage."""
        return any(self.store.list(one.query, limit=1).items for one in self._until(stage.name)[1:])

    def _from(self, name: str) -> list[_Stage]:
        """Return the stages from that name on; where it is none any more, from the next worst state on."""
        stages = list(self._stages)
        names = [stage.name for stage in stages]
        if name in names:
            return stages[names.index(name) :]
        state = name.partition(".")[0]
        if state not in WORST_FIRST:
            return stages
        rank = WORST_FIRST.index(state)
        return [stage for stage in stages if WORST_FIRST.index(stage.name.partition(".")[0]) >= rank]

    def _next(self, stage: _Stage) -> str | None:
        """Return the cursor of what comes after a stage that is over, if anything does."""
        for later in self._from(stage.name)[1:]:
            page = self.store.list(later.query, limit=1)
            if page.items:
                return f"{later.name}~"
        return None

    @cached_property
    def _stages(self) -> tuple[_Stage, ...]:
        wanted = ACTION if self.wanted == "action" else WORST_FIRST if self.wanted is None else (self.wanted,)
        return tuple(stage for state in WORST_FIRST if state in wanted for stage in self._of(state))

    def _of(self, state: State) -> Iterator[_Stage]:
        if state == "app_error":
            for name in sorted(self.sick):
                yield from self._one(state, name, "connected")
                yield from self._one(state, name, "refresh_failing")
        elif state not in STOPPED or not self.sick:
            yield from self._one(state, None, "connected" if state == "expires_soon" else state)
        else:
            for name in self._healthy:
                yield from self._one(state, name, "connected" if state == "expires_soon" else state)

    @cached_property
    def _healthy(self) -> list[str]:
        """The credentials that have connections and nothing held against their app."""
        names = self.names
        if names is None:
            names = {name for name, _ in self.store.counts(env=self.query.env, now=self.now)}
        return sorted(set(names) - set(self.sick))

    def _one(self, state: State, credential: str | None, stored: State) -> Iterator[_Stage]:
        if credential is not None and self.query.credential not in {None, credential}:
            return
        query = replace(self.query, state=_stored(stored), credential=credential or self.query.credential)
        name = ".".join([state, stored, *([credential] if credential else [])])
        if state == "expires_soon":
            yield _Stage(name, replace(query, attention_by=self.now))
        else:
            yield _Stage(name, query, self.now if state == "connected" else None)

    # -- searches

    def _sorted(self, cursor: str | None, limit: int, *, backwards: bool) -> Found:
        """Put the first matches in order: no index holds the matches of a search by state."""
        page = self.store.list(replace(self.query, state=None), limit=FOUND_MOST)
        ranked = sorted(filter(self._is_wanted, page.items), key=lambda one: WORST_FIRST.index(self.state_of(one)))
        place = int(cursor) if cursor and cursor.isdecimal() else 0
        start = max(place - limit, 0) if backwards else place
        items = tuple(ranked[start : start + limit])
        more = str(start + limit) if len(ranked) > start + limit else None
        before = str(start) if start else None
        return Found(items=items, cursor=more, before=before, cut=page.cursor is not None)

    def _is_wanted(self, record: Record) -> bool:
        state = self.state_of(record)
        return self.wanted is None or state == self.wanted or (self.wanted == "action" and state in ACTION)

    def _rank(self, record: Record) -> tuple[int, str, bool]:
        """Return what puts records, each credential's together, in the order of the stages."""
        state = self.state_of(record)
        later = state == "app_error" and record.state != "connected"
        return WORST_FIRST.index(state), record.key.credential if state == "app_error" else "", later

    def state_of(self, record: Record) -> State:
        """Return the state that a record is listed under."""
        if record.key.credential in self.sick and record.state in STOPPED:
            return "app_error"
        moment = attention_at(record)
        return "expires_soon" if moment is not None and moment < self.now else record.state


def _stored(state: State) -> StoredState:
    """Return a state as a record holds it."""
    assert state not in {"app_error", "expires_soon"}  # noqa: S101 - those are never stored
    return state  # type: ignore[return-value]
