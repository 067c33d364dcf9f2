"""The list of connections: counts, causes, filters, search, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast, get_args
from urllib.parse import quote, urlencode

from starlette.responses import Response

from valetkey.core import Core
from valetkey.engine.history import newest
from valetkey.engine.overview import ACTION, FOUND_MOST, Wanted, WorstFirst, by_state, summed
from valetkey.engine.status import status_of
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Query, Record, State, StoredState
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.troubles import Trouble
from valetkey.server.asking import Ask, get
from valetkey.server.notices import told
from valetkey.server.pages.start import show as begin
from valetkey.server.views.causes import Cause, causes, summary
from valetkey.server.views.connections import Row, row, strip
from valetkey.server.words import OWN, STATES

PAGE: Final = 50
LOOKED_AT: Final = 300
"""How many of those that are not well are looked at to find out why."""
HERE: Final = "/console/connections"
Declared = Mapping[str, OAuth2Credential]
FILTERS: Final = ("q", "state", "credential", "owner")


class Filters:
    """What the address asks for.  Every state of the list has one."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.chosen = {name: value.strip() for name in FILTERS if (value := given.get(name, "")).strip()}
        if self.chosen.get("state") not in {"action", *get_args(State)}:
            self.chosen.pop("state", None)

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, "")

    def __bool__(self) -> bool:
        return bool(self.chosen)

    @property
    def wanted(self) -> Wanted | None:
        """The state, if one was chosen."""
        return cast("Wanted", self.chosen["state"]) if "state" in self.chosen else None

    def query(self, env: str) -> Query:
        """Return what the store is asked for."""
        owner = self.chosen.get("owner")
        own = owner == OWN
        return Query(
            env=env,
            credential=self.chosen.get("credential"),
            owner=None if own else owner,
            own=own,
            search=self.chosen.get("q"),
        )

    def address(self, **more: str) -> str:
        """Return the query of an address with these filters, some of them changed; an empty one is left out."""
        return urlencode({name: value for name, value in {**self.chosen, **more}.items() if value})


def declared_in(core: Core) -> Declared:
    """Return the credentials by name."""
    return {credential.name: credential for credential in core.credentials()}


def rows_of(ask: Ask, records: tuple[Record, ...], sick: Mapping[str, str], declared: Declared) -> list[Row]:
    """Return the rows of records."""
    now = ask.server.core.clock.now()
    rows: list[Row] = []
    for record in records:
        name = record.key.credential
        credential = declared.get(name)
        known = credential or OAuth2Credential(name=name)
        status = status_of(record.key, record, known, now=now, app_error=sick.get(name, ""))
        rows.append(row(status, record, credential, now))
    return rows


def show(ask: Ask) -> Response:
    """Show a page of connections, the worst first."""
    core = ask.server.core
    filters = Filters(ask.request.query_params)
    if filters["q"].startswith("con_") and core.store.find(filters["q"]):
        return ask.go(f"{HERE}/{quote(filters['q'], safe='')}")
    heard = newest(core.store, core.env)
    declared = declared_in(core)
    sick, now = core.app_errors(declared.values()), core.clock.now()
    totals = summed(core.store.counts(env=core.env, now=now), sick)
    if not totals and not filters:
        return begin(ask)
    query, names = filters.query(core.env), {name for name, _ in totals}
    lists = WorstFirst(store=core.store, query=query, wanted=filters.wanted, sick=sick, now=now, names=names)
    after, before = (ask.request.query_params.get(name, "") for name in ("after", "before"))
    try:
        found = lists.page(before or after or None, PAGE, backwards=bool(before))
    except ConfigurationError:  # the cursor of an old address
        return ask.go(f"{HERE}?{filters.address()}")
    if before and found.before is None:  # it may hold few, for others came before them meanwhile: show the whole first
        return ask.go(f"{HERE}?{filters.address()}")
    states = by_state(totals)
    behind = causes_of(ask, totals, sick, declared) if not filters else ()
    return ask.page(
        "connections.html",
        rows=rows_of(ask, found.items, sick, declared),
        filters=filters,
        told=told(ask),
        strip=strip(states),
        states=[("action", "Needs action (all)"), *((state, STATES[state].title) for state in STATES)],
        credentials=sorted(names),
        total=sum(totals.values()),
        apps=len(names),
        matching=_matching(filters, totals),
        causes=behind,
        causes_sum=summary(behind, in_trouble(states)),
        now=now,
        heard=heard,
        own=OWN,
        later=bool(after or before),
        before=found.before,
        next=found.cursor,
        cut=FOUND_MOST if found.cut else 0,
        begun=not core.store.searches_anywhere(),
        short=core.store.searches_anywhere() and not core.store.searches_anywhere(filters["q"]),
    )


def _matching(filters: Filters, totals: Mapping[tuple[str, State], int]) -> int | None:
    """Return how many connections match, where the counts can tell: not for a search, nor for an owner."""
    if filters["q"] or filters["owner"]:
        return None
    states = ACTION if filters.wanted == "action" else (filters.wanted,) if filters.wanted else tuple(STATES)
    name = filters["credential"]
    return sum(n for (one, state), n in totals.items() if state in states and name in {"", one})


def in_trouble(states: Mapping[State, int]) -> int:
    """Return how many connections are not well."""
    return sum(states[state] for state in (*ACTION, "refresh_failing"))


def causes_of(
    ask: Ask, totals: Mapping[tuple[str, State], int], sick: Mapping[str, str], declared: Declared
) -> tuple[Cause, ...]:
    """Return what is behind it."""
    core = ask.server.core

    def why(state: StoredState) -> Sequence[Trouble]:
        there = any(told == state for _, told in totals)
        return core.store.troubles(env=core.env, state=state, limit=LOOKED_AT) if there else ()

    return causes(totals, why("needs_reauth"), why("refresh_failing"), sick, declared, core.clock.now())


ROUTES: Final = [get(HERE, show)]
