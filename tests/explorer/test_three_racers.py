"""Three racers and more: the quiet case in every order, others sampled by hypothesis, with anything going wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, cycle
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from stepped import acts, outcomes
from stepped.cases import BOTH_GET, FAULTS, MORE
from stepped.interleaving import Explored, follow
from stepped.plays import FRESH, Act, Case, one_play, played

Report = Callable[[Explored], Explored]

SAMPLES = 3000 if MORE else 80
THREE_GET = {name: acts.get() for name in "ABC"}
CASTS: dict[str, tuple[dict[str, Act], float]] = {
    "three get": (THREE_GET, BOTH_GET.age),
    "three heal": ({name: acts.heal() for name in "ABC"}, FRESH),
    "two get, one disconnects": ({"A": acts.get(), "B": acts.get(), "C": acts.disconnect}, BOTH_GET.age),
    "two get, one signs in": ({"A": acts.get(), "B": acts.get(), "C": acts.reconnect}, BOTH_GET.age),
    "each something else": ({"A": acts.get(), "B": acts.disconnect, "C": acts.reconnect}, BOTH_GET.age),
    "one by hand": ({"A": acts.refresh_now, "B": acts.heal(), "C": acts.reconnect}, FRESH),
    "four of them": ({"A": acts.get(), "B": acts.heal(), "C": acts.reconnect, "D": acts.disconnect}, BOTH_GET.age),
    "five of them": ({**THREE_GET, "D": acts.reconnect, "E": acts.rekey}, BOTH_GET.age),
}
QUIET = ["three get", "three heal", "two get, one disconnects", "two get, one signs in"]

picks = st.lists(st.integers(0, 11), max_size=120)


def choosing(picked: Sequence[int]) -> Callable[[int], int]:
    """Return what picks a move: as the list says, then in turns, so that every play comes to its end."""
    numbers = chain(picked, cycle(range(5)))
    return lambda count: next(numbers) % count


@pytest.mark.parametrize("name", QUIET if MORE else QUIET[:1])
def test_three_racers_keep_the_promises_in_every_order(name: str, report: Report) -> None:
    cast, age = CASTS[name]
    found = report(played(Case(cast, age=age, check=outcomes.one_refresh_for_all if cast is THREE_GET else _anything)))

    assert found.complete
    assert not found.broken, found.worded()


@pytest.mark.parametrize("on_reuse", ["revoke", "deny", "grace"] if MORE else ["revoke"])
@pytest.mark.parametrize("name", CASTS)
def test_three_racers_or_more_keep_the_promises_in_any_schedule_with_a_fault(name: str, on_reuse: Any) -> None:
    cast, age = CASTS[name]
    case = Case(cast, age=age, on_reuse=on_reuse)

    @settings(max_examples=SAMPLES, deadline=None)
    @given(picks, st.sampled_from(["", *FAULTS]), st.sampled_from(["grant", "token", "user"]), st.booleans())
    def sampled(picked: list[int], fault: str, reach: str, one_host: bool) -> None:
        faults = frozenset({fault} if fault else ())
        play = one_play(replace(case, faults=faults, reach=reach, one_host=one_host))
        _, words = follow(play, choosing(picked))
        for word in words:
            event(word)

    sampled()


def _anything(_: object) -> list[str]:
    return []
