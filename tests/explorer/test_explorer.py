"""The explorer itself: it finds what is broken on purpose, and what it does not look at it need not look at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from stepped import acts, outcomes, plays, stage
from stepped.cases import (
    ANOTHER_ACCOUNT,
    BOTH_GET,
    BOTH_HEAL,
    DISCONNECT_AND_RECONNECT,
    GET_AND_DISCONNECT,
    GET_AND_RECONNECT,
    LONG_OUTAGE,
    ONE_HOST,
)
from stepped.interleaving import Explored, follow
from stepped.plays import Case, one_play, played

from valetkey.engine import apps, renewal, replay, revoking, spending, storing, takeover, turns, verdicts
from valetkey.engine.spending import Claimed
from valetkey.model.connections import Expect, Record
from valetkey.stores import _rules

Patch = pytest.MonkeyPatch
Report = Callable[[Explored], Explored]

TWO_SENT = "a refresh token is sent while another live holder may be sending it"
SPENT_SENT = "a refresh token is sent of which the row holds the successor"
LOST = "the grant is lost"
OURS = "our own revocation ended the grant that the row holds"
ALIEN = "the grant of another sign-in gets into an incarnation"
DEAD_ROW = "notes//another holds a dead grant"


# -- engines that are broken on purpose


def without_claim(patch: Patch) -> None:
    """Refresh first, and compare and swap afterwards."""

    def claim(self: Any, record: Record) -> Claimed:
        return Claimed(record, "nobody", self.world.clock.monotonic())

    patch.setattr(renewal._Attempt, "_claim", claim)


def claim_whatever_the_version(patch: Patch) -> None:
    patch.setattr(_rules, "_same_grant", lambda *_: True)


def claim_over_a_live_claim(patch: Patch) -> None:
    patch.setattr(_rules, "_free", lambda *_: True)


def claim_that_is_not_renewed(patch: Patch) -> None:
    world_of = stage.world_of
    patch.setattr(plays, "world_of", lambda *args: replace(world_of(*args), pulse=lambda *_: nullcontext()))


def commit_without_expectation(patch: Patch) -> None:
    """Write over whatever is there."""
    swap_sealed = storing.swap_sealed

    def swap(world: Any, new: Record, grant: Any, **how: Any) -> Any:
        return swap_sealed(world, new, grant, **{**how, "expect": Expect.of(world.store.find(new.id) or new)})

    patch.setattr(spending, "swap_sealed", swap)


def commit_for_the_holder_only(patch: Patch) -> None:
    """Let no successor heal what somebody marked meanwhile."""
    patch.setattr(_rules, "as_expected", _only_the_holders)


def _only_the_holders(row: Record | None, expect: Expect) -> bool:
    if row is None or (row.incarnation, row.version) != (expect.incarnation, expect.version):
        return False
    return expect.holder is None or (row.claim is not None and row.claim.holder == expect.holder)


def commit_once(patch: Patch) -> None:
    """Drop the answer when the store does not take it at once."""
    patch.setattr(spending, "_patiently", lambda _, step: step())


def close_the_breaker_first(patch: Patch) -> None:
    """Do something else with the store while the only successor is in memory."""
    commit = spending._commit

    def first(world: Any, credential: Any, claimed: Claimed, *rest: Any, **how: Any) -> Any:
        apps.app_state(world, claimed.record.key.env, credential)
        return commit(world, credential, claimed, *rest, **how)

    patch.setattr(spending, "_commit", first)


def mark_without_reading_again(patch: Patch) -> None:
    """Take the provider's no for the last word, whatever the row holds by now."""

    def mark(world: Any, credential: Any, record: Record, *_: Any) -> None:
        row = world.store.find(record.id)
        error = verdicts.mark_dead(world, row, credential, reason="revoked")
        if error is not None:
            raise error

    patch.setattr(verdicts, "_refused_grant", mark)


def revoke_what_was_overtaken(patch: Patch) -> None:
    """Revoke an answer that the row does not want, whoever it belongs to."""

    def revoke(world: Any, credential: Any, *rest: Any, **_: Any) -> None:
        revoking.revoke_grant(world, credential, rest[1])

    patch.setattr(spending, "_not_wanted", revoke)


def drop_what_was_disconnected(patch: Patch) -> None:
    patch.setattr(spending, "revoke_grant", lambda *_, **__: ())


def put_whatever_was_disconnected(patch: Patch) -> None:
    patch.setattr(storing, "_refuse_disconnected", lambda *_: None)


def buy_without_a_note(patch: Patch) -> None:
    """Sign in as if nobody could be revoking."""
    patch.setattr(turns.Buying, "_begin", lambda _: None)


def revoke_without_waiting(patch: Patch) -> None:
    """Look at the rows while a grant may be on its way to one."""
    wait = turns._wait
    patch.setattr(turns, "_wait", lambda *args, **how: [] if args[-1] == "buying" else wait(*args, **how))


def revoke_whoever_signs_in(patch: Patch) -> None:
    """Lose patience with a sign-in, and end what it brings."""
    patch.setattr(revoking, "siblings", lambda *_: iter(()))


def write_nothing_down(patch: Patch) -> None:
    """Keep no journal."""
    patch.setattr(spending, "_noted", lambda *_: None)


def take_over_without_a_last_look(patch: Patch) -> None:
    """Look into the journal while its writer still lives, and not again once it is dead."""
    patch.setattr(takeover, "_left", lambda *_: False)


def take_over_from_the_living(patch: Patch) -> None:
    """Take every holder for dead."""
    patch.setattr(renewal, "may_take_over", lambda *_: (True, True))


def replay_whatever_the_row_holds(patch: Patch) -> None:
    """Bring back what the journal holds, newer or not."""
    fits = replay._fits

    def fit(row: Record, entry: Any) -> bool:
        return fits(row, replace(entry, incarnation=row.incarnation, spent=row.refresh_fp))

    patch.setattr(replay, "_fits", fit)


def wait_for_ever(patch: Patch) -> None:
    def wait(self: Any, record: Record) -> None:
        self.world.store.wait_for_change(record, 0.0)

    patch.setattr(renewal._Attempt, "_wait", wait)


HICCUP, FROZEN, SLOW = frozenset({"hiccup"}), frozenset({"freeze"}), frozenset({"slow"})
KILL, OUTAGE = frozenset({"kill"}), frozenset({"outage"})
LEFT_BEHIND = replace(
    ONE_HOST, acts={"A": acts.get(), "B": acts.reconnect, "C": acts.get()}, faults=KILL, check=lambda _: []
)
BOTH_USER = replace(DISCONNECT_AND_RECONNECT, reach="user")
GET_DENY_FROZEN = replace(BOTH_GET, on_reuse="deny", faults=FROZEN)


@pytest.mark.parametrize(
    ("breaking", "case", "broken"),
    [
        pytest.param(without_claim, BOTH_GET, LOST, id="no claim"),
        pytest.param(claim_over_a_live_claim, BOTH_GET, TWO_SENT, id="a claim that excludes nobody"),
        pytest.param(
            claim_whatever_the_version,
            replace(BOTH_GET, check=outcomes.one_refresh_for_all),
            "the server was asked 2 times",
            id="a claim without version",
        ),
        pytest.param(claim_that_is_not_renewed, replace(BOTH_GET, faults=SLOW), TWO_SENT, id="a claim not renewed"),
        pytest.param(
            commit_without_expectation,
            GET_AND_DISCONNECT,
            "a connection comes back after it was disconnected",
            id="a commit without expectation",
        ),
        pytest.param(commit_for_the_holder_only, GET_DENY_FROZEN, LOST, id="no successor heals"),
        pytest.param(commit_once, replace(BOTH_GET, faults=HICCUP), LOST, id="one try to commit"),
        pytest.param(close_the_breaker_first, replace(BOTH_GET, faults=HICCUP), LOST, id="a commit that comes second"),
        pytest.param(
            mark_without_reading_again,
            GET_DENY_FROZEN,
            "a healthy grant is marked needs_reauth",
            id="marked without reading again",
        ),
        pytest.param(
            revoke_what_was_overtaken,
            replace(BOTH_GET, faults=frozenset({"lost"})),
            OURS,
            id="revoked, whoever holds it",
        ),
        pytest.param(
            drop_what_was_disconnected,
            GET_AND_DISCONNECT,
            "disconnected, and a grant lives on at the server",
            id="not revoked",
        ),
        pytest.param(
            put_whatever_was_disconnected,
            DISCONNECT_AND_RECONNECT,
            "a connection comes back after it was disconnected",
            id="put over a disconnect",
        ),
        pytest.param(buy_without_a_note, BOTH_USER, OURS, id="a sign-in without a note"),
        pytest.param(revoke_without_waiting, ANOTHER_ACCOUNT, DEAD_ROW, id="a revocation that does not wait"),
        pytest.param(revoke_whoever_signs_in, ANOTHER_ACCOUNT, DEAD_ROW, id="a revocation that does not look"),
        pytest.param(write_nothing_down, replace(LONG_OUTAGE, faults=OUTAGE), LOST, id="no journal"),
        pytest.param(take_over_without_a_last_look, replace(ONE_HOST, faults=KILL), LOST, id="no last look"),
        pytest.param(take_over_from_the_living, ONE_HOST, TWO_SENT, id="all others are dead"),
        pytest.param(replay_whatever_the_row_holds, LEFT_BEHIND, ALIEN, id="a replay without a look at the row"),
        pytest.param(wait_for_ever, BOTH_GET, "a racer does not come to an end", id="endless"),
    ],
)
def test_a_broken_engine_is_found(
    breaking: Callable[[Patch], None], case: Case, broken: str, monkeypatch: Patch, report: Report
) -> None:
    breaking(monkeypatch)

    found = report(played(case, first_only=True))

    assert list(found.broken) == [broken], found.worded()
    assert found.broken[broken]


def test_claiming_is_what_keeps_two_racers_apart(monkeypatch: Patch, report: Report) -> None:
    """Compare-and-swap alone, after the refresh, is not enough: the claim here is taken, and excludes nobody."""
    claim_over_a_live_claim(monkeypatch)

    found = report(played(BOTH_GET))

    assert found.complete
    assert set(found.broken) == {TWO_SENT, SPENT_SENT}
    assert sum(found.tally[f"BROKEN: {what}"] for what in found.broken) > found.schedules / 2


# -- what is looked at once stands for all that is the same

SMALL = [
    pytest.param(Case({"A": acts.get(), "B": acts.note_tags}, faults=frozenset({"kill", "lost"})), id="writes"),
    pytest.param(Case({"A": acts.get(), "B": acts.rename}, faults=frozenset({"answer_lost"})), id="a rename"),
    pytest.param(Case({"A": acts.disconnect, "B": acts.rename}, faults=frozenset({"hiccup"})), id="a disconnect"),
    pytest.param(Case({"A": acts.get()}, faults=frozenset({"freeze", "kill"}), budget=2), id="one alone"),
]


@pytest.mark.parametrize("case", SMALL)
def test_points_that_are_the_same_need_looking_at_once(case: Case, report: Report) -> None:
    case = replace(case, check=outcomes.how_it_ended)
    merged, single = report(played(case)), report(played(case, merge=False))

    assert (merged.schedules, merged.tally) == (single.schedules, single.tally)
    assert single.schedules == single.runs > merged.runs


@pytest.mark.parametrize("case", [*SMALL, pytest.param(BOTH_GET, id="both get"), pytest.param(BOTH_HEAL, id="heal")])
def test_steps_that_commute_need_no_order(case: Case) -> None:
    case = replace(case, check=outcomes.how_it_ended)
    reduced, whole = played(case), played(replace(case, reduced=False))

    assert set(reduced.tally) == set(whole.tally)
    assert reduced.schedules < whole.schedules


def test_a_schedule_comes_out_the_same_each_time() -> None:
    case = replace(GET_AND_RECONNECT, faults=frozenset({"kill", "freeze", "lost"}), check=outcomes.how_it_ended)

    assert len({str(follow(one_play(case), one_after_another())) for _ in range(3)}) == 1


def one_after_another() -> Callable[[int], int]:
    numbers = count(3)
    return lambda size: next(numbers) % size
