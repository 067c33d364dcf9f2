"""Two racers, every order of their steps, and one thing going wrong at every place where it can.

What it may cost stands beside each case, and nothing else may be lost: where the only successor of a refresh token went
to a process that died, or was on its way when the line broke, no client can have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from stepped.cases import (
    ANOTHER_ACCOUNT,
    BOTH_GET,
    BOTH_HEAL,
    BY_ACCESS_TOKEN,
    DISCONNECT_AND_RECONNECT,
    GET_AND_DISCONNECT,
    GET_AND_RECONNECT,
    GET_AND_RENAME,
    LONG_OUTAGE,
    MORE,
    ONE_HOST,
    REFRESH_AND_RECONNECT,
    STORE_FAULTS,
    TWO_RESOURCES,
)
from stepped.interleaving import Explored
from stepped.plays import Case, played
from stepped.promises import OVERTAKEN

Report = Callable[[Explored], Explored]

NOBODY = "lost the grant: its only successor went to nobody"
BOTH_SENT = "lost the grant: a frozen holder and its successor both sent"
LATE = "lost the grant: the server worked on a request after its connection had closed"
KILLED = "disconnected, and a killed process left a grant alive at the server"
SUCCESSOR = "disconnected, and a successor that went to nobody lives at the server"
EARLIER = "left the grant of an earlier sign-in to its end, as nobody knows whether it is another"
UNKNOWN = "disconnected, and as the store's answer was lost nobody knew of the grant before the last"
LEFT = "disconnected, and said that a token may live on"
AWAY = "disconnected, and the store was away when what a refresh brought was to be revoked"
UNSTORED = "disconnected, and a sign-in could not store its grant, which lives at the server"

GET_DENY, GET_GRACE, GET_NONE = (replace(BOTH_GET, on_reuse=mode) for mode in ("deny", "grace", "none"))
BY_ACCESS_NONE = replace(BY_ACCESS_TOKEN, on_reuse="none")
GET_USER = replace(GET_AND_DISCONNECT, reach="user")
RECONNECT_TOKEN = replace(GET_AND_RECONNECT, reach="token")
BOTH_TOKEN = replace(DISCONNECT_AND_RECONNECT, reach="token")
BOTH_USER = replace(DISCONNECT_AND_RECONNECT, reach="user")
QUIETLY: set[str] = set()

LOOKED_AT: list[tuple[str, Case, str, set[str]]] = [
    *(("both get", BOTH_GET, fault, QUIETLY) for fault in ("not_sent", "request_lost", "unavailable", *STORE_FAULTS)),
    *(("both get", BOTH_GET, fault, QUIETLY) for fault in ("slow", "slow_answer")),
    ("both get", BOTH_GET, "kill", {NOBODY}),
    ("both get", BOTH_GET, "answer_lost", {NOBODY}),
    ("both get", BOTH_GET, "freeze", {OVERTAKEN, BOTH_SENT}),
    ("both get, deny", GET_DENY, "kill", {NOBODY}),
    *(("both get, grace", GET_GRACE, fault, QUIETLY) for fault in ("kill", "answer_lost")),
    *(("both get, none", GET_NONE, fault, QUIETLY) for fault in ("kill", "answer_lost")),
    ("both renew by the access token", BY_ACCESS_TOKEN, "kill", {NOBODY}),
    *(("both renew by the access token", BY_ACCESS_TOKEN, fault, QUIETLY) for fault in STORE_FAULTS),
    *(("both renew by the access token, none", BY_ACCESS_NONE, fault, QUIETLY) for fault in ("kill", "answer_lost")),
    ("two resources", TWO_RESOURCES, "kill", {NOBODY}),
    ("both heal", BOTH_HEAL, "kill", {NOBODY}),
    *(("both heal", BOTH_HEAL, fault, QUIETLY) for fault in STORE_FAULTS),
    ("get and disconnect", GET_AND_DISCONNECT, "kill", {KILLED}),
    ("get and disconnect", GET_AND_DISCONNECT, "answer_lost", {SUCCESSOR}),
    *(("get and disconnect", GET_AND_DISCONNECT, fault, QUIETLY) for fault in ("freeze", *STORE_FAULTS)),
    *(("get and disconnect, user", GET_USER, fault, QUIETLY) for fault in ("lost", "hiccup")),
    ("get and disconnect, user", GET_USER, "outage", {AWAY, LEFT}),
    *(("get and reconnect", GET_AND_RECONNECT, fault, QUIETLY) for fault in ("kill", "freeze", *STORE_FAULTS)),
    ("get and reconnect, token", RECONNECT_TOKEN, "lost", QUIETLY),
    ("get and rename", GET_AND_RENAME, "answer_lost", {NOBODY}),
    ("refresh by hand and reconnect", REFRESH_AND_RECONNECT, "lost", QUIETLY),
    ("disconnect and reconnect", DISCONNECT_AND_RECONNECT, "kill", {KILLED, EARLIER}),
    ("disconnect and reconnect", DISCONNECT_AND_RECONNECT, "lost", {UNKNOWN, EARLIER}),
    ("disconnect and reconnect", DISCONNECT_AND_RECONNECT, "hiccup", {EARLIER}),
    ("disconnect and reconnect", DISCONNECT_AND_RECONNECT, "outage", {UNSTORED, EARLIER}),
    ("disconnect and reconnect, token", BOTH_TOKEN, "lost", {UNKNOWN}),
    *(("both get, one host", ONE_HOST, fault, QUIETLY) for fault in ("lost", "hiccup")),
    ("both get, one host", ONE_HOST, "kill", {NOBODY, LATE}),
    ("both get, one host, deny", replace(ONE_HOST, on_reuse="deny"), "kill", {NOBODY}),
    ("both get, one host, a long outage", LONG_OUTAGE, "outage", QUIETLY),
    ("get and disconnect, one host", replace(GET_AND_DISCONNECT, one_host=True), "kill", {KILLED}),
    ("get and reconnect, one host", replace(GET_AND_RECONNECT, one_host=True), "kill", QUIETLY),
    ("disconnect and reconnect, user", BOTH_USER, "kill", {KILLED}),
    ("disconnect, and another account", ANOTHER_ACCOUNT, "kill", {KILLED, LEFT}),
    ("disconnect, and another account", ANOTHER_ACCOUNT, "lost", {LEFT}),
]
ALL_CLOCKS = frozenset({"clock.now", "clock.monotonic"})
FURTHER: list[tuple[str, Case, str, set[str]]] = [
    ("both get, deny", GET_DENY, "freeze", {OVERTAKEN}),
    ("both get, one host", ONE_HOST, "outage", QUIETLY),
    ("disconnect and reconnect, user", BOTH_USER, "hiccup", {LEFT}),
    ("both get", BOTH_GET, "late", {NOBODY, LATE}),
    ("both get, deny", GET_DENY, "late", {NOBODY}),
    ("both get, deny", GET_DENY, "answer_lost", {NOBODY}),
    ("both get, grace", GET_GRACE, "freeze", {OVERTAKEN}),
    ("both get, not twice in doubt", replace(BOTH_GET, retry_in_doubt=False), "answer_lost", {NOBODY}),
    ("both get, frozen at all clocks", replace(BOTH_GET, clock_steps=ALL_CLOCKS), "freeze", {OVERTAKEN, BOTH_SENT}),
    ("both get, short", replace(BOTH_GET, outage=5.0), "outage", QUIETLY),
    ("both heal", BOTH_HEAL, "freeze", {OVERTAKEN, BOTH_SENT}),
    *(("both heal", BOTH_HEAL, fault, QUIETLY) for fault in ("not_sent", "request_lost", "unavailable", "slow")),
    ("get and disconnect", GET_AND_DISCONNECT, "late", {SUCCESSOR}),
    *(("get and disconnect", GET_AND_DISCONNECT, fault, QUIETLY) for fault in ("request_lost", "slow", "not_sent")),
    *(("get and reconnect", GET_AND_RECONNECT, fault, QUIETLY) for fault in ("answer_lost", "late", "slow")),
    *(("refresh by hand and reconnect", REFRESH_AND_RECONNECT, fault, QUIETLY) for fault in ("hiccup", "outage")),
    ("get and reconnect, token", RECONNECT_TOKEN, "outage", QUIETLY),
    ("disconnect and reconnect", DISCONNECT_AND_RECONNECT, "freeze", {EARLIER}),
    ("disconnect and reconnect, token", BOTH_TOKEN, "hiccup", QUIETLY),
    ("both heal, one host", replace(BOTH_HEAL, one_host=True), "kill", {NOBODY, LATE}),
    *(("get and disconnect, one host", replace(GET_AND_DISCONNECT, one_host=True), f, QUIETLY) for f in STORE_FAULTS),
    *(("get and reconnect, one host", replace(GET_AND_RECONNECT, one_host=True), f, QUIETLY) for f in STORE_FAULTS),
    ("disconnect and reconnect, user", BOTH_USER, "freeze", {LEFT}),
    ("disconnect and reconnect, user", BOTH_USER, "lost", {LEFT}),
    ("disconnect and reconnect, user", BOTH_USER, "outage", {UNSTORED, LEFT}),
    ("disconnect, and another account", ANOTHER_ACCOUNT, "freeze", {LEFT}),
    ("disconnect, and another account", ANOTHER_ACCOUNT, "hiccup", {LEFT}),
    ("disconnect, and another account", ANOTHER_ACCOUNT, "outage", {UNSTORED, LEFT}),
]


@pytest.mark.parametrize(
    ("case", "fault", "costs"),
    [
        pytest.param(case, fault, costs, id=f"{name}, {fault}")
        for name, case, fault, costs in [*LOOKED_AT, *(FURTHER if MORE else [])]
    ],
)
def test_one_fault_breaks_no_promise_and_costs_what_it_must(
    case: Case, fault: str, costs: set[str], report: Report
) -> None:
    found = report(played(replace(case, faults=frozenset({fault}))))

    assert found.complete
    assert not found.broken, found.worded()
    assert set(found.tally) == costs
