"""Two racers, every order of their steps, nothing going wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import pytest
from stepped import acts, outcomes
from stepped.cases import (
    ANOTHER_ACCOUNT,
    BOTH_GET,
    BOTH_HEAL,
    BY_ACCESS_TOKEN,
    DISCONNECT_AND_RECONNECT,
    GET_AND_DISCONNECT,
    GET_AND_RECONNECT,
    MORE,
    TWO_RESOURCES,
)
from stepped.interleaving import Broken, Explored
from stepped.plays import RESOURCES, Act, Case, Scene, played
from stepped.small_server import HOUR

Report = Callable[[Explored], Explored]


def keeps_its_promises(case: Case, report: Report) -> None:
    found = report(played(case))

    assert found.complete
    assert not found.broken, found.worded()


@pytest.mark.parametrize("on_reuse", ["revoke", "deny", "grace", "none"])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(BOTH_GET, id="both find it expired"),
        pytest.param(BOTH_HEAL, id="both heal a 401"),
        pytest.param(replace(BOTH_GET, acts={"A": acts.get(), "B": acts.heal()}), id="expired, and a 401"),
    ],
)
def test_two_racers_refresh_once_and_both_get_the_token(case: Case, on_reuse: Any, report: Report) -> None:
    keeps_its_promises(replace(case, on_reuse=on_reuse, check=outcomes.one_refresh_for_all), report)


@pytest.mark.parametrize("on_reuse", ["revoke", "deny", "grace", "none"])
def test_two_racers_who_ask_for_different_resources_spend_each_refresh_token_once(
    on_reuse: Any, report: Report
) -> None:
    keeps_its_promises(replace(TWO_RESOURCES, on_reuse=on_reuse, check=outcomes.one_refresh_each), report)


def test_two_racers_who_ask_for_the_same_resource_refresh_once(report: Report) -> None:
    same = {name: acts.get(resource=RESOURCES[0]) for name in "AB"}
    keeps_its_promises(replace(TWO_RESOURCES, acts=same, check=outcomes.one_refresh_for_all), report)


@pytest.mark.parametrize("on_reuse", ["revoke", "deny", "grace", "none"])
def test_two_racers_renew_once_where_the_access_token_itself_is_what_renews(on_reuse: Any, report: Report) -> None:
    keeps_its_promises(replace(BY_ACCESS_TOKEN, on_reuse=on_reuse, check=outcomes.one_refresh_ahead), report)


@pytest.mark.parametrize(
    ("acts_of_both", "check"),
    [
        pytest.param({"A": acts.get(), "B": acts.disconnect}, outcomes.disconnected, id="disconnected meanwhile"),
        pytest.param({"A": acts.get(), "B": acts.reconnect}, outcomes.connected_anew, id="signed in meanwhile"),
    ],
)
def test_a_renewal_by_the_access_token_does_not_undo_what_a_person_does(
    acts_of_both: dict[str, Act], check: Any, report: Report
) -> None:
    keeps_its_promises(replace(BY_ACCESS_TOKEN, acts=acts_of_both, check=check), report)


def test_two_racers_refresh_once_ahead_of_time(report: Report) -> None:
    ahead = {name: acts.get(ahead=True) for name in "AB"}
    keeps_its_promises(replace(BOTH_GET, acts=ahead, age=HOUR - 61.0, check=outcomes.one_refresh_ahead), report)


def test_two_racers_leave_a_young_token_alone_that_is_refused(report: Report) -> None:
    keeps_its_promises(replace(BOTH_HEAL, age=30.0, check=outcomes.nothing_sent), report)


def test_two_disconnects_leave_nothing_alive(report: Report) -> None:
    keeps_its_promises(replace(BOTH_GET, acts={"A": acts.disconnect, "B": acts.disconnect}, check=_gone), report)


def test_two_racers_ask_once_for_what_was_withdrawn_and_both_are_told(report: Report) -> None:
    keeps_its_promises(replace(BOTH_GET, withdrawn=True, check=outcomes.told_once), report)


@pytest.mark.parametrize("reach", ["token", "grant", "user"])
@pytest.mark.parametrize("spent_too", [False, True], ids=["spent is spent", "spent ends the grant"])
def test_a_refresh_never_brings_back_what_is_disconnected(reach: str, spent_too: bool, report: Report) -> None:
    keeps_its_promises(replace(GET_AND_DISCONNECT, reach=reach, spent_too=spent_too), report)


@pytest.mark.parametrize("reach", ["token", "grant", "user"])
@pytest.mark.parametrize("act", [acts.get(), acts.refresh_now], ids=["expired", "by hand"])
def test_a_refresh_never_ends_or_replaces_a_newer_sign_in(act: Act, reach: str, report: Report) -> None:
    keeps_its_promises(replace(GET_AND_RECONNECT, acts={"A": act, "B": acts.reconnect}, reach=reach), report)


@pytest.mark.parametrize("reach", ["token", "grant", "user"])
def test_a_disconnect_and_a_sign_in_leave_one_of_both(reach: str, report: Report) -> None:
    keeps_its_promises(replace(DISCONNECT_AND_RECONNECT, reach=reach), report)


def test_a_revocation_of_everything_never_ends_what_another_account_is_signing_in_for(report: Report) -> None:
    keeps_its_promises(ANOTHER_ACCOUNT, report)


def test_a_refresh_goes_on_when_the_connection_is_renamed_meanwhile(report: Report) -> None:
    keeps_its_promises(replace(BOTH_GET, acts={"A": acts.get(), "B": acts.rename}, check=_renamed), report)


def test_a_refresh_goes_on_when_side_facts_are_written_meanwhile(report: Report) -> None:
    keeps_its_promises(replace(BOTH_GET, acts={"A": acts.get(), "B": acts.note_tags}, check=_refreshed), report)


def test_side_facts_that_are_written_during_a_refresh_are_kept(report: Report) -> None:
    keeps_its_promises(replace(BOTH_GET, acts={"A": acts.get(), "B": acts.note_tags}, check=_noted), report)


ACTS: dict[str, Act] = {
    "get": acts.get(),
    "resource": acts.get(resource=RESOURCES[0]),
    "heal": acts.heal(),
    "by hand": acts.refresh_now,
    "disconnect": acts.disconnect,
    "reconnect": acts.reconnect,
    "rename": acts.rename,
    "tags": acts.note_tags,
    "rekey": acts.rekey,
}


PAIRS = [
    pytest.param(one, other, withdrawn, id=f"{one}-{other}-{'withdrawn' if withdrawn else 'alive'}")
    for one, other in combinations_with_replacement(ACTS, 2)
    for withdrawn in (False, True)
    if MORE or not (one == other == "resource" and withdrawn)  # each asks twice for what is dead: it takes a minute
]


@pytest.mark.parametrize(("one", "other", "withdrawn"), PAIRS)
def test_whatever_two_racers_do_the_promises_are_kept(one: str, other: str, withdrawn: bool, report: Report) -> None:
    keeps_its_promises(
        replace(BOTH_GET, acts={"A": ACTS[one], "B": ACTS[other]}, withdrawn=withdrawn, check=_any), report
    )


def _any(_: Scene) -> list[str]:
    return []


def _gone(scene: Scene) -> list[str]:
    row = scene.row()
    assert row is not None
    assert row.state == "disconnected"
    return []


def _renamed(scene: Scene) -> list[str]:
    row = scene.row()
    assert row is not None
    assert row.key.account == "work"
    return [] if outcomes.outcomes(scene)["A"] == "not connected" else _refreshed(scene)


def _noted(scene: Scene) -> list[str]:
    row = scene.row()
    assert row is not None
    if not row.tags:
        msg = "tags are lost"
        raise Broken(msg)
    return []


def _refreshed(scene: Scene) -> list[str]:
    assert outcomes.outcomes(scene)["A"] == outcomes.NEXT
    return []
