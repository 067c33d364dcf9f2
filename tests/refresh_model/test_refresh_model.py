"""Which rule keeps which promise, in all states of two and three processes, and what it may cost all the same.

``EXPLORE=more`` looks at every kind of server, two faults at once, and three processes with every fault.
"""

from __future__ import annotations

import os
from itertools import combinations, product
from typing import Final

import pytest
from modelled import client, search
from modelled.state import Act, Config, OnReuse

MORE: Final = os.environ.get("EXPLORE") == "more"
NOBODY, OVERTAKEN, ELSEWHERE, LATE = (search.WORDS[cause] for cause in ("unheard", "overtaken", "elsewhere", "late"))
LEFT: Final = search.UNREVOKED
COSTS: Final[dict[str, set[str]]] = {
    "crash": {NOBODY, LATE, ELSEWHERE, LEFT},
    "freeze": {OVERTAKEN},
    "slow server": {NOBODY, LATE, LEFT},
    "slow claim": set(),
    "lost answer": {NOBODY, LEFT},
    "lost request": set(),
    "late request": {NOBODY, LATE, LEFT},
    "outage": set(),
    "lost commit": set(),
}
"""What each fault may cost, by the reason why no client can help it (docs/architecture.md)."""
APART, TOGETHER = (0, 1), (0, 0)
TWO: Final = [pytest.param(APART, id="two hosts"), pytest.param(TOGETHER, id="one host")]
THREE: Final = [
    pytest.param((0, 1, 2), id="three hosts"),
    pytest.param((0, 0, 1), id="two on one host"),
    pytest.param((0, 0, 0), id="three on one host"),
]
SERVERS: Final[list[OnReuse]] = ["revoke", "deny", "grace", "none"]
ACTS: Final[list[Act]] = ["", "disconnect", "reconnect"]


def keeps_the_promises(config: Config) -> search.Found:
    """Look at all states; what it costs must be among what its faults may cost."""
    found = search.search(config)
    assert found.complete
    assert not found.broken, found.worded()
    may = set().union(*(COSTS[fault] for fault in config.faults))
    assert set(found.costs) <= may, "\n".join("\n  ".join([what, *way]) for what, way in found.costs.items())
    return found


@pytest.mark.parametrize("hosts", TWO)
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("on_reuse", SERVERS if MORE else SERVERS[:1])
def test_two_processes_keep_the_promises_with_any_fault(hosts: tuple[int, ...], act: Act, on_reuse: OnReuse) -> None:
    for faults in [(), *((fault,) for fault in COSTS)]:
        keeps_the_promises(Config(hosts, on_reuse, act, faults))


@pytest.mark.parametrize("hosts", THREE)
@pytest.mark.parametrize("fault", COSTS if MORE else ["crash", "freeze", "lost answer"])
def test_three_processes_keep_the_promises(hosts: tuple[int, ...], fault: str) -> None:
    keeps_the_promises(Config(hosts, faults=(fault,)))


@pytest.mark.parametrize("hosts", TWO)
@pytest.mark.parametrize("faults", [*combinations(COSTS, 2)] if MORE else [("freeze", "lost answer")])
def test_two_faults_cost_no_more_than_each_of_them(hosts: tuple[int, ...], faults: tuple[str, ...]) -> None:
    keeps_the_promises(Config(hosts, faults=faults))


@pytest.mark.parametrize(("hosts", "fault"), [*product([APART, TOGETHER], ["crash", "lost answer"])])
def test_a_server_with_grace_gives_a_second_successor_and_nothing_is_lost(hosts: tuple[int, ...], fault: str) -> None:
    assert not keeps_the_promises(Config(hosts, "grace", "", (fault,))).costs


@pytest.mark.parametrize("fault", COSTS)
def test_where_nothing_rotates_nothing_is_lost(fault: str) -> None:
    assert not keeps_the_promises(Config(APART, "none", "", (fault,))).costs


@pytest.mark.parametrize(
    ("rule", "config", "breaks"),
    [
        pytest.param("the claim", Config(), client.TWO_SEND, id="R3 claim"),
        pytest.param(
            "counting from before the claim", Config(faults=("slow claim",)), client.TWO_SEND, id="R4 age from before"
        ),
        pytest.param("the age of a claim", Config(faults=("slow claim",)), client.TWO_SEND, id="R4 age looked at"),
        pytest.param("renewing the claim", Config(faults=("slow server",)), client.TWO_SEND, id="R4 renewal"),
        pytest.param("listening", Config(faults=("slow server",)), search.LOST, id="R4 listening"),
        pytest.param("the journal", Config(TOGETHER, faults=("crash",)), search.LOST, id="R6 journal"),
        pytest.param("a last look", Config(TOGETHER, faults=("crash",)), search.LOST, id="R6 before a take-over"),
        pytest.param(
            "bringing it later", Config(faults=("outage",)), ELSEWHERE, id="R6 brought when the store is back"
        ),
        pytest.param(
            "fitting the journal",
            Config(TOGETHER, act="reconnect", faults=("crash",)),
            client.ALIEN,
            id="R6 the journal fits",
        ),
        pytest.param(
            "compare-and-swap", Config(on_reuse="grace", faults=("freeze",)), client.OLDER, id="R6 compare and swap"
        ),
        pytest.param("healing", Config(on_reuse="deny", faults=("freeze",)), search.LOST, id="R6 a successor heals"),
        pytest.param(
            "leaving alone what was overtaken",
            Config(on_reuse="grace", faults=("freeze",)),
            search.OURS,
            id="R6 never revoke ours",
        ),
        pytest.param(
            "reading again", Config(act="reconnect", faults=("lost answer",)), search.DEAD, id="R7 reading again"
        ),
        pytest.param(
            "a claim within the grace", Config(on_reuse="grace", faults=("crash",)), NOBODY, id="claim and grace"
        ),
    ],
)
def test_without_a_rule_a_promise_is_broken(rule: str, config: Config, breaks: str) -> None:
    found, without = search.search(config), search.search(config._replace(without=rule))

    assert breaks in {**without.broken, **without.costs}
    assert breaks not in {**found.broken, **found.costs}
