"""The plays that tests look at, and how far they look."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from stepped import acts, outcomes
from stepped.plays import FRESH, RESOURCES, Case
from stepped.small_server import HOUR

MORE: Final = os.environ.get("EXPLORE") == "more"
"""Look further than a test run has time for."""

STORE_FAULTS: Final = (
    "lost",  # the store does its work, and its answer is lost
    "hiccup",  # it does not answer once
    "outage",  # it does not answer for 45 seconds
)
SERVER_FAULTS: Final = (
    "not_sent",  # the request never leaves
    "request_lost",  # it never arrives
    "answer_lost",  # the server has worked, and its answer is lost
    "late",  # the connection breaks, and the server works on the request later
    "slow",  # the server waits for 40 seconds before it works
    "slow_answer",  # it works, and answers after 40 seconds
    "unavailable",  # it answers 503
)
FAULTS: Final = (
    "kill",  # the process dies
    "freeze",  # it stands still for longer than a claim lives
    *STORE_FAULTS,
    *SERVER_FAULTS,
)
_ONE: Final = frozenset({"A"})
"""Where both do the same it does not matter which of them is hit."""

BOTH_GET: Final = Case({"A": acts.get(), "B": acts.get()}, victims=_ONE, check=outcomes.served)
TWO_RESOURCES: Final = Case(
    {name: acts.get(resource=resource) for name, resource in zip("AB", RESOURCES, strict=True)},
    victims=_ONE,
    check=outcomes.served,
)
BY_ACCESS_TOKEN: Final = replace(BOTH_GET, by_access=True, age=0.95 * HOUR, check=outcomes.renewed_or_still_good)
"""It is due while it still lives: afterwards nothing renews it."""
BOTH_HEAL: Final = Case({"A": acts.heal(), "B": acts.heal()}, age=FRESH, victims=_ONE, check=outcomes.served)
GET_AND_DISCONNECT: Final = Case({"A": acts.get(), "B": acts.disconnect}, check=outcomes.disconnected)
GET_AND_RECONNECT: Final = Case({"A": acts.get(), "B": acts.reconnect}, check=outcomes.connected_anew)
GET_AND_RENAME: Final = Case({"A": acts.get(), "B": acts.rename})
REFRESH_AND_RECONNECT: Final = Case(
    {"A": acts.refresh_now, "B": acts.reconnect}, age=FRESH, check=outcomes.connected_anew
)
DISCONNECT_AND_RECONNECT: Final = Case({"A": acts.disconnect, "B": acts.reconnect}, check=outcomes.one_of_both)
ONE_HOST: Final = replace(BOTH_GET, one_host=True)
LONG_OUTAGE: Final = replace(ONE_HOST, outage=90.0, tries=30)
"""Longer than a flight tries to store its answer: it is over when the store comes back."""
ANOTHER_ACCOUNT: Final = Case({"A": acts.disconnect, "B": acts.connect_another}, reach="user", check=outcomes.all_live)
