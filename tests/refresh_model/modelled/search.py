"""Going through all states of a play, and what is said of each end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from modelled.state import Config, State, begin, lives
from modelled.surroundings import moves

OURS = "our own revocation ended the grant that the row holds"
DEAD = "a healthy grant is marked needs_reauth"
LOST = "the grant is lost"
LIVES_ON = "disconnected, and a grant lives on at the server"
STUCK = "nothing ever ends"
WORDS = {
    "unheard": "lost: the only successor went to nobody",
    "overtaken": "lost: a frozen holder and its successor both sent",
    "elsewhere": "lost: the successor waited in the journal of another host",
    "late": "lost: the server worked on a request whose sender was gone",
}
UNREVOKED = "disconnected: a token that went to nobody lives on"


@dataclass(slots=True)
class Found:
    """What a search came to.

    Attributes:
        states: How many there are.
        broken: Broken promise -> the moves that lead to it.
        costs: What it may cost although every rule is kept -> the moves that lead to it.
        complete: Whether all states were looked at.
    """

    states: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)
    costs: dict[str, list[str]] = field(default_factory=dict)
    complete: bool = True

    def worded(self) -> str:
        """Return the broken promises, each with the shortest way there."""
        return "\n".join("\n  ".join([what, *way]) for what, way in self.broken.items())


def search(config: Config, *, most: int = 2_000_000, first_only: bool = False) -> Found:
    """Go through all states, the nearest first; stop after so many, or at the first broken promise."""
    start = begin(config)
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue, found, ended = deque([start]), Found(), 0
    while queue:
        state = queue.popleft()
        nexts = moves(config, state)
        ended += _is_end(state)
        _note(found, state, came)
        if (first_only and found.broken) or len(came) > most:
            found.complete = False
            break
        for move in nexts:
            if move.state not in came:
                came[move.state] = state, move.label
                queue.append(move.state)
    if found.complete and not ended:
        found.broken[STUCK] = []
    found.states = len(came)
    return found


def _is_end(state: State) -> bool:
    under_way = any(request.answer is None for request in state.flying)
    return not under_way and not state.todo and all(process.at == "done" for process in state.processes)


def _note(found: Found, state: State, came: dict[State, tuple[State, str] | None]) -> None:
    broken, costs = (_verdict(state)) if _is_end(state) else (set(state.broken), set())
    for what in broken | set(state.broken):
        if what not in found.broken:
            found.broken[what] = _way(state, came)
    for what in costs:
        if what not in found.costs:
            found.costs[what] = _way(state, came)


def _verdict(state: State) -> tuple[set[str], set[str]]:
    """Return what is broken at an end, and what it cost that no client can help."""
    row = state.row
    if row.state == "disconnected":
        if not any(family.valid and not family.ended for family in state.families):
            return set(), set()
        return (set(), {UNREVOKED}) if "unheard" in state.causes else ({LIVES_ON}, set())
    if lives(state, row.token):
        return ({DEAD} if row.state == "needs_reauth" else set()), set()
    if state.families[row.token >= _anew(state)].ended == "revoked":
        return {OURS}, set()
    cause = next((cause for cause in WORDS if cause in state.causes), "")
    return (set(), {WORDS[cause]}) if cause else ({LOST}, set())


def _anew(state: State) -> int:
    return 100 if len(state.families) > 1 else 1 << 30


def _way(state: State, came: dict[State, tuple[State, str] | None]) -> list[str]:
    way: list[str] = []
    step = came[state]
    while step is not None:
        before, label = step
        way.append(f"{before.time}: {label}")
        step = came[before]
    return way[::-1]
