"""Gates: how many go through, and when one is asked whether all is well again."""

from __future__ import annotations

import pytest

from valetkey.engine.gates import FIRST_PAUSE, LONGEST_PAUSE, Gate


def enter(gate: Gate, now: float = 0.0) -> list[int]:
    """Let in as many as it lets in."""
    tickets = []
    while gate.lets_in(now):
        tickets.append(gate.enter())
    return tickets


def fail(gate: Gate, now: float, *, busy: bool = False, wait: float = 0.0) -> bool:
    """Go through and fail."""
    ticket = gate.enter()
    gate.leave()
    return gate.unwell(ticket, now, busy=busy, wait=wait)


def test_so_many_go_through_at_once() -> None:
    gate = Gate(3)

    assert len(enter(gate)) == 3
    gate.leave()
    assert len(enter(gate)) == 1


def test_one_failure_says_nothing_and_the_second_shuts_it() -> None:
    gate = Gate(3)

    assert not fail(gate, 0.0)
    assert gate.lets_in(0.0)
    assert fail(gate, 0.0)
    assert not gate.lets_in(FIRST_PAUSE / 2)


def test_a_success_in_between_forgives_a_failure() -> None:
    gate = Gate(3)
    fail(gate, 0.0)
    gate.well(gate.enter())
    gate.leave()

    assert not fail(gate, 0.0)


def test_a_host_that_asks_for_patience_is_believed_at_once_and_for_as_long_as_it_says() -> None:
    gate = Gate(3)

    assert fail(gate, 0.0, busy=True, wait=120.0)
    assert not gate.lets_in(119.9)
    assert gate.lets_in(120.0)


def test_after_a_pause_one_looks_and_then_all_go() -> None:
    gate = Gate(4)
    fail(gate, 0.0)
    fail(gate, 0.0)

    (ticket,) = enter(gate, LONGEST_PAUSE)
    assert gate.well(ticket), "it was shut"
    assert len(enter(gate, LONGEST_PAUSE)) == 3


def test_pauses_grow_to_half_a_minute() -> None:
    gate = Gate(1)
    now, pauses = 0.0, []
    for _ in range(12):
        fail(gate, now)
        pauses.append(max(gate.opens_at - now, 0.0))
        now = max(now, gate.opens_at)

    assert pauses[0] == 0
    assert FIRST_PAUSE <= pauses[1] <= 2 * FIRST_PAUSE
    assert all(LONGEST_PAUSE / 2 <= pause <= LONGEST_PAUSE for pause in pauses[5:])


@pytest.mark.parametrize("well", [True, False])
def test_what_was_under_way_when_it_shut_neither_opens_it_nor_makes_it_worse(well: bool) -> None:
    gate = Gate(4)
    late, *others = enter(gate)
    for ticket in others:
        gate.unwell(ticket, 0.0, busy=True)
    gate.under_way = 0
    opens_at, failures = gate.opens_at, gate.failures

    assert not (gate.well(late) if well else gate.unwell(late, 0.0, busy=True))
    assert (gate.opens_at, gate.failures) == (opens_at, failures) == (opens_at, 1)
    gate.unwell(late, 0.0, busy=True, wait=300.0)
    assert gate.opens_at == 300.0, "but what it was told counts"


def test_a_rate_limit_halves_what_goes_through_and_successes_bring_it_back() -> None:
    gate = Gate(8)
    fail(gate, 0.0, busy=True)
    (ticket,) = enter(gate, 60.0)
    gate.leave()
    gate.well(ticket)

    tickets = enter(gate, 60.0)
    assert len(tickets) == 4
    for ticket in tickets * 8:
        gate.well(ticket)
    gate.under_way = 0
    assert len(enter(gate, 60.0)) == 8
