"""An explorer of interleavings: it runs blocking functions as greenlets, one outside call a step, in every order.

A **play** is one run: racers (greenlets), the clock, and whatever else moves by itself.  At each point it offers its
possible **moves**; making one leads to the next point.  `explore` goes through all of them depth first, and comes back
to a point by running the play again from the start.

Two points are the same, and what follows them is looked at once, when everything shared is the same and each racer has
seen the same results of its calls in the same order: a racer is a function that does nothing but compute between its
calls, so what it will do next depends on nothing else.  That this loses nothing is tested, not only argued.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter
from typing import Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

LONGEST = 600
"""Moves after which a play counts as endless."""
ENDLESS = "a racer does not come to an end"


class Broken(Exception):
    """A promise was broken at this point of the play."""


@dataclass(frozen=True, slots=True)
class Move:
    """What may happen next: `who` does `what`; `label` says on what, for people."""

    who: str
    what: str
    label: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.who, self.what, self.label) if part)


class Play(Protocol):
    """One run from the start; see the module."""

    def moves(self) -> Sequence[Move]:
        """Return what may happen next, always in the same order; nothing at the end."""
        ...

    def make(self, move: Move) -> None:
        """Let it happen.  Raises `Broken`."""
        ...

    def key(self) -> Hashable:
        """Return what all that follows depends on."""
        ...

    def end(self) -> Sequence[str]:
        """Look at what came of it and return words for the tally.  Raises `Broken`."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


# -- racers ------------------------------------------------------------------------------------------------------------


class Interner:
    """Gives equal values the same number: histories are compared by it, exactly and cheaply."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        return self._numbers.setdefault(value, len(self._numbers) + 1)


@dataclass(slots=True)
class Point:
    """Where a racer stands: before a call to the outside.

    Attributes:
        label: Which call.
        ready: Whether it can be made; until then the racer waits.
        until: When waiting ends by itself, on the play's clock; None: never.
        quiet: The call commutes with whatever others do, so the order needs no looking at.
        faults: What may go wrong with it.
    """

    label: str
    ready: Callable[[], bool]
    until: float | None = None
    quiet: bool = False
    faults: tuple[str, ...] = ()


class Racer:
    """A blocking function that stops before each call to the outside, until it is told how the call goes."""

    def __init__(self, name: str, act: Callable[[Racer], Any], interner: Interner) -> None:
        self.name = name
        self.status = "running"
        self.point = Point("start", lambda: True)
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.seen = 0
        self.nonces = 0
        self.frozen_at: float | None = None
        self.memory: Callable[[], Hashable] = lambda: None
        self.beat: tuple[float, float, Callable[[], object]] | None = None
        self._act = act
        self._interner = interner
        self._greenlet = greenlet(self._run, getcurrent())
        self._greenlet.racer = self
        self._closed = False
        self._greenlet.switch()

    def _run(self) -> None:
        try:
            self.step("start", lambda _: None, quiet=True)
            self.outcome = self._act(self)
        except GreenletExit:
            return
        except Exception as error:  # noqa: BLE001 - how it ended is what is looked at
            self.error = error
        self.status = "done"

    def step(
        self,
        label: str,
        do: Callable[[str], Any],
        *,
        ready: Callable[[], bool] = lambda: True,
        until: float | None = None,
        quiet: bool = False,
        faults: tuple[str, ...] = (),
        observed: Callable[[Any], Hashable] | None = None,
    ) -> Any:
        """Stop before a call to the outside; `do` makes it, and is told ``go`` or the name of a fault.

        `observed` makes of its result what tells two results apart.
        """
        if self._closed:
            raise GreenletExit
        self.point = Point(label, ready, until, quiet, faults)
        how = self._greenlet.parent.switch()  # type: ignore[union-attr]
        try:
            result = do(how)
        except Exception as error:
            self._saw(label, (type(error).__name__, str(error)))
            raise
        self._saw(label, (observed or frozen)(result))
        return result

    def _saw(self, label: str, what: Hashable) -> None:
        self.seen = self._interner.number((self.seen, label, what))

    def forget(self, *but: Hashable) -> None:
        """Say that nothing of what it has seen matters any more, but for what is named."""
        self.seen = self._interner.number((self.nonces, *but))

    def go(self, how: str = "go") -> None:
        """Let the call be made that the racer stands before, and run it to the next one."""
        self._greenlet.switch(how)

    def kill(self) -> None:
        """End it where it stands, as ``kill -9`` does: nothing of it runs any more."""
        self.status = "dead"
        self.beat = None

    def close(self) -> None:
        self._closed = True
        if not self._greenlet.dead:
            self._greenlet.throw(GreenletExit)

    def key(self) -> Hashable:
        if self.status == "dead":
            return "dead"
        beat = None if self.beat is None else self.beat[0]
        if self.status == "done":
            return ("done", type(self.error).__name__, frozen(self.outcome))
        return (self.status, self.seen, self.memory(), self.point.until, self.frozen_at, beat)


_PLAIN = (str, int, float, bytes, type(None))
_GETTERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def running() -> Racer | None:
    """Return the racer that runs now."""
    racer: Racer | None = getattr(getcurrent(), "racer", None)
    return racer


def frozen(value: Any) -> Hashable:
    """Return something hashable that is equal for equal values."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (tuple, list)):
        return tuple(map(frozen, value))
    if isinstance(value, Mapping):
        return tuple(sorted((name, frozen(item)) for name, item in value.items()))
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        getter = _GETTERS.get(kind) or _GETTERS.setdefault(kind, attrgetter(*(item.name for item in fields(kind))))
        return (kind, *(item if isinstance(item, _PLAIN) else frozen(item) for item in getter(value)))
    return repr(value)


# -- going through all orders ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Explored:
    """What an exploration came to.

    Attributes:
        schedules: How many different orders there are, all of them looked at.
        states: How many different points.
        runs: How often a play was run from the start.
        tally: Word -> in how many of the schedules it was said at the end; broken promises are said too.
        broken: Broken promise -> the first schedule that breaks it.
        complete: Whether nothing was left out.
    """

    schedules: int = 0
    states: int = 0
    runs: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)
    complete: bool = True

    def told(self) -> str:
        words = "".join(f"; {count:,} {word}" for word, count in sorted(self.tally.items()))
        cut = "" if self.complete else " (cut short)"
        return f"{self.schedules:,} schedules over {self.states:,} states in {self.runs:,} runs{cut}{words}"

    def worded(self) -> str:
        """Return the broken promises, each with the first schedule that breaks it."""
        return "\n".join("\n  ".join([what, *schedule]) for what, schedule in self.broken.items())


@dataclass(slots=True)
class _Fork:
    """A point with several moves: those before `at` have been looked at."""

    key: Hashable
    moves: Sequence[Move]
    at: int = 0
    ends: Counter[str] = field(default_factory=Counter)


def explore(
    begin: Callable[[], Play], *, merge: bool = True, first_only: bool = False, most_states: int | None = None
) -> Explored:
    """Look at every order of moves.

    `merge` False: look at each single schedule by itself.  `first_only`: stop at the first broken promise.
    `most_states`: stop after so many points.
    """
    return _Explorer(begin, merge=merge, first_only=first_only, most_states=most_states).explore()


_SCHEDULES = ""
"""The word under which the tally counts schedules themselves."""


class _Explorer:
    def __init__(self, begin: Callable[[], Play], *, merge: bool, first_only: bool, most_states: int | None) -> None:
        self.begin = begin
        self.merge = merge
        self.first_only = first_only
        self.most_states = most_states
        self.found = Explored()
        self.known: dict[Hashable, Counter[str]] = {}
        self.path: list[_Fork] = []

    def explore(self) -> Explored:
        total: Counter[str] | None = None
        while total is None:
            ends = self._down()
            total = self._back(ends)
            if total is None and self._enough():
                self.found.complete = False
                total = self._abandoned()
        self.found.schedules = total.pop(_SCHEDULES, 0)
        self.found.tally = total
        return self.found

    def _enough(self) -> bool:
        if self.first_only and self.found.broken:
            return True
        return self.most_states is not None and self.found.states >= self.most_states

    def _abandoned(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for fork in self.path:
            total.update(fork.ends)
        return total

    def _down(self) -> Counter[str]:
        """Run the play along the path, then on to its end or to a point that is known; returns what it came to."""
        play = self.begin()
        self.found.runs += 1
        try:
            for fork in self.path:
                play.make(fork.moves[fork.at])
            return self._on(play)
        except Broken as broken:
            return self._break(str(broken))
        finally:
            play.close()

    def _on(self, play: Play) -> Counter[str]:
        while True:
            key = play.key() if self.merge else None
            if self.merge and key in self.known:
                return self.known[key]
            moves = play.moves()
            if not moves:
                ends = Counter([_SCHEDULES, *play.end()])
                self.found.states += 1
                self.known[key] = ends
                return ends
            if len(self.path) >= LONGEST:
                raise Broken(ENDLESS)
            self.found.states += 1
            self.path.append(_Fork(key, moves))
            play.make(moves[0])

    def _break(self, what: str) -> Counter[str]:
        self.found.broken.setdefault(what, [str(fork.moves[fork.at]) for fork in self.path])
        return Counter([_SCHEDULES, f"BROKEN: {what}"])

    def _back(self, ends: Counter[str]) -> Counter[str] | None:
        """Go back to the last point with a move left; the total when there is none."""
        while self.path:
            fork = self.path[-1]
            fork.ends.update(ends)
            fork.at += 1
            if fork.at < len(fork.moves):
                return None
            self.path.pop()
            ends = fork.ends
            if self.merge:
                self.known[fork.key] = ends
        return ends


def follow(play: Play, choose: Callable[[int], int]) -> tuple[list[str], Sequence[str]]:
    """Run a play once; `choose` picks one of so many moves.  Returns the schedule and the words at its end."""
    schedule: list[str] = []
    try:
        for _ in range(4 * LONGEST):  # a choice by lot can take turns where the search would see that nothing changes
            moves = play.moves()
            if not moves:
                return schedule, play.end()
            move = moves[choose(len(moves)) if len(moves) > 1 else 0]
            schedule.append(str(move))
            play.make(move)
    except Broken as broken:
        raise Broken("\n  ".join([str(broken), *schedule])) from None
    finally:
        play.close()
    raise Broken("\n  ".join([ENDLESS, *schedule]))
