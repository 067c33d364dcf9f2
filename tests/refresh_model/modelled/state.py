"""What the model is about: one row in a store, one authorization server, and processes on hosts, all as plain values.

Time is counted in ticks.  A process that is not frozen acts at once; time passes only when nobody has anything to do.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

CLAIM_LIFE: Final = 4
"""Ticks that a claim lives unless renewed, at most."""
LISTEN: Final = 8
"""Ticks that an answer is listened for, and that a flight tries to store it."""
STILL: Final = 1
"""Ticks that a run-out claim must be seen unchanged before it is taken over."""
GRACE: Final = 4
"""Ticks in which a server with grace still takes a spent token."""
HORIZON: Final = 14
"""Ticks after which time stands still; a frozen holder on the same host is left alone for longer than that."""

OnReuse = Literal["revoke", "deny", "grace", "none"]
Act = Literal["", "disconnect", "reconnect"]
FIRST: Final = 1
"""The refresh token that the row holds in the beginning; those of one refresh have higher numbers."""
ANEW: Final = 100
"""The first refresh token of a new sign-in: from here on they are of another family."""


class Config(NamedTuple):
    """What is played.

    Attributes:
        hosts: Of each process, the host that it is on.  Those on one host share a journal and see who is dead.
        act: What a person does meanwhile, at any time.
        faults: What may go wrong, each once.
        without: Rules of the protocol that are left out, to see what they are good for.
    """

    hosts: tuple[int, ...] = (0, 1)
    on_reuse: OnReuse = "revoke"
    act: Act = ""
    faults: tuple[str, ...] = ()
    without: str = ""


class Holder(NamedTuple):
    """Who holds a claim: which process, in which of its lives, by which of its claims."""

    process: int
    life: int
    claim: int


class Row(NamedTuple):
    """The record.  `bought` numbers grants in the order of their making."""

    incarnation: int = 1
    version: int = 1
    token: int = FIRST
    bought: int = 1
    state: str = "connected"
    holder: Holder | None = None
    until: int = 0
    doubt: int = 0


class Family(NamedTuple):
    """The refresh tokens of one consent at the server; `ended`: empty while it lives, else ``reuse``, ``revoked``."""

    valid: frozenset[int]
    spent: frozenset[int] = frozenset()
    ended: str = ""
    rotated_at: int = -99


class Answer(NamedTuple):
    """New tokens, or a no where `token` is 0."""

    token: int
    bought: int = 0


class Request(NamedTuple):
    """A refresh under way.  `gone`: nobody listens any more; `answer`: the server has worked on it."""

    holder: Holder
    token: int
    sent_at: int
    slow: bool = False
    gone: bool = False
    answer: Answer | None = None


class Entry(NamedTuple):
    """A line in the journal of a host."""

    host: int
    incarnation: int
    spent: int
    answer: Answer
    settled: bool = False


class Process(NamedTuple):
    """One process, and where it stands (`at`)."""

    at: str = "look"
    life: int = 0
    claims: int = 0
    frozen: bool = False
    seen: Row | None = None
    since: int = 0
    tries: int = 0
    answer: Answer | None = None
    still_since: int = -1
    away_at: int = -99
    waits_since: int = 0


class State(NamedTuple):
    """A point in time.

    Attributes:
        up: Whether the store answers.
        broken: Promises that were broken on the way here.
        causes: What has happened that may cost a grant and that no client can help.
        froze: Processes that stood still once.
    """

    processes: tuple[Process, ...]
    budget: tuple[str, ...]
    todo: Act
    row: Row = Row()
    families: tuple[Family, ...] = (Family(frozenset({FIRST})),)
    flying: tuple[Request, ...] = ()
    journal: tuple[Entry, ...] = ()
    up: bool = True
    time: int = 0
    serial: int = 10
    broken: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    froze: frozenset[int] = frozenset()


class Move(NamedTuple):
    """What may happen next.  `urgent`: before time passes."""

    label: str
    state: State
    urgent: bool = True


def claim_life(config: Config) -> int:
    """Return the ticks that a claim lives: no more than half of the server's grace."""
    known = config.on_reuse == "grace" and config.without != "a claim within the grace"
    return GRACE // 2 if known else CLAIM_LIFE


def begin(config: Config) -> State:
    """Return the state in which a play begins: all want a token, and the one in the row has run out."""
    return State(processes=tuple(Process() for _ in config.hosts), budget=tuple(sorted(config.faults)), todo=config.act)


def family_of(token: int) -> int:
    """Return which family a token belongs to."""
    return int(token >= ANEW)


def lives(state: State, token: int) -> bool:
    """Whether a refresh token buys something."""
    family = state.families[family_of(token)]
    return not family.ended and token in family.valid


def with_process(state: State, number: int, **changes: object) -> State:
    """Return the state with a process changed."""
    processes = list(state.processes)
    processes[number] = processes[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(processes=tuple(processes))


def breaking(state: State, what: str) -> State:
    """Return the state with a promise noted as broken."""
    return state._replace(broken=state.broken | {what})


def because(state: State, cause: str) -> State:
    """Return the state with something noted that no client can help."""
    return state._replace(causes=state.causes | {cause})


def spending(state: State, fault: str) -> State | None:
    """Return the state with a fault used up; None where it may not happen (any more)."""
    if fault not in state.budget:
        return None
    left = list(state.budget)
    left.remove(fault)
    return state._replace(budget=tuple(left))


def dead(state: State, holder: Holder) -> bool:
    """Whether the process behind a claim has died, even if it has started again since."""
    process = state.processes[holder.process]
    return process.life != holder.life or process.at == "dead"
