"""The plays: one connection, one server, and racers who do to it what programs and people do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from stepped.interleaving import Broken, Explored, Interner, Move, Racer, explore, frozen
from stepped.label_sealer import LabelSealer
from stepped.promises import Promises, grant_of
from stepped.small_server import HOUR, Reuse, SmallServer
from stepped.stage import START, Flying, HostsJournal, Network, StageClock, fresh_store, world_of

from valetkey.engine.lookout import Lookout
from valetkey.engine.storing import put_grant
from valetkey.engine.windows import CLAIM_LIFE
from valetkey.engine.world import World
from valetkey.errors import StoreUnavailable
from valetkey.model.connections import ConnectionKey, Document, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.stores._rules import DATA_KEY
from valetkey.stores.memory import MemoryStore
from valetkey.values import Secret

KEY: Final = ConnectionKey("test", "notes")
EXPIRED: Final = HOUR + 1.0
FRESH: Final = 600.0
NEW_KEY: Final = "another"
"""The id of a data key that a rotation of keys seals with."""
PAST: Final = CLAIM_LIFE + 1.0
"""How long a process stays frozen at least: its claim has run out when it wakes."""

Act = Callable[["Part"], Any]
SERVER_FAULTS: Final = ("answer_lost", "request_lost", "late", "slow", "slow_answer", "unavailable")
RESOURCES: Final = ("https://a.example/", "https://b.example/")
"""What the grant is for (RFC 8707): its own token for both, others for one of them."""
CREDENTIAL: Final = OAuth2Credential(
    name="notes",
    token_secret_id="notes-token",
    authorization_url="https://as.example/authorize",
    token_url="https://as.example/token",
    revocation_url="https://as.example/revoke",
    resources=RESOURCES,
)

BY_ACCESS: Final = replace(
    CREDENTIAL, resources=(), refresh_request={"grant_type": "renew", "access_token": "{access_token}"}
)
"""A provider that renews an access token for whoever shows it while it lives."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is played.

    Attributes:
        acts: Racer -> what it does.
        age: How old the token is when the play begins, in seconds.
        withdrawn: Whether the person has taken the access back before.
        faults: The kinds of faults that may happen...
        budget: ...so many of them in one play...
        victims: ...to these racers; None: to any.
        clock_steps: Which readings of the clock are steps of their own where processes are frozen.
        one_host: Whether all are processes of one host, with a journal and lock files, and the store is elsewhere.
        outage: How long an outage of the store lasts, in seconds.
        tries: How often a racer calls again after a failure that passes.
        by_access: Whether the grant is renewed by its access token: there are no refresh tokens.
        reduced: Whether steps whose order does not matter are made at once.
        check: What else is looked at in the end; returns words for the tally, or raises `Broken`.
    """

    acts: dict[str, Act]
    age: float = EXPIRED
    on_reuse: Reuse = "revoke"
    reach: str = "grant"
    spent_too: bool = False
    withdrawn: bool = False
    retry_in_doubt: bool = True
    faults: frozenset[str] = frozenset()
    budget: int = 1
    victims: frozenset[str] | None = None
    clock_steps: frozenset[str] = frozenset({"clock.monotonic"})
    one_host: bool = False
    outage: float = 45.0
    tries: int = 12
    by_access: bool = False
    reduced: bool = True
    check: Callable[[Scene], Sequence[str]] = field(default=lambda _: ())

    def credential(self) -> OAuth2Credential:
        reach: Any = self.reach
        like = BY_ACCESS if self.by_access else CREDENTIAL
        return replace(like, revocation_reach=reach, retry_in_doubt=self.retry_in_doubt)

    def server(self) -> SmallServer:
        return SmallServer(self.on_reuse, self.reach, spent_too=self.spent_too, by_access=self.by_access)


@dataclass(slots=True)
class Part:
    """What an act has to hand.

    Attributes:
        nth: Which of its calls it is at.
    """

    racer: Racer
    scene: Scene
    world: World
    credential: OAuth2Credential
    nth: int = 0


class Scene:
    """One play; see `interleaving.Play`."""

    def __init__(self, case: Case, like: MemoryStore, interner: Interner) -> None:
        self.case = case
        self.faults = case.faults
        self.budget = case.budget if case.faults else 0
        self.clock_steps = case.clock_steps if "freeze" in case.faults else frozenset()
        self.clock = StageClock()
        self.clock.time = START + case.age
        self.store = fresh_store(self.clock, like)
        self.server = case.server()
        self.server.consent()
        if case.withdrawn:
            self.server.withdraw()
        self.network = Network(self, self.server)
        self.journal = HostsJournal() if case.one_host else None
        self.froze: set[str] = set()
        self.since: dict[str, int] = {}
        self.beating = False
        self.swap_lost = False
        self._down_until = 0.0
        self._frozen_row: tuple[Record | None, Hashable] = (None, None)
        self.promises = Promises(self)
        self.racers = {name: Racer(name, partial(self._play, act), interner) for name, act in case.acts.items()}

    def _play(self, act: Act, racer: Racer) -> Any:
        credential = self.case.credential()
        world = world_of(racer, self, credential)
        racer.memory = lambda: self._remembered(world.lookout)
        return act(Part(racer, self, world, credential))

    def _remembered(self, lookout: Lookout) -> Hashable:
        """Return what a process remembers that still counts: a new call knows it too."""
        row, now = self.row(), self.clock.monotonic()
        claim = None if row is None else row.claim
        since = None if claim is None else lookout._first.get((claim.holder, claim.until))
        return (lookout.away, lookout._back_at if lookout.lately_away(now) else None, since)

    # -- what the stage and the promises ask

    def row(self) -> Record | None:
        return next(iter(self.rows()), None)

    def rows(self) -> list[Record]:
        """Return the row that the play began with, and those of further accounts."""
        return list(self.store._records.values())

    def row_key(self) -> Hashable:
        row = self.row()
        if row is not self._frozen_row[0]:
            self._frozen_row = (row, self.row_key_of(row) if row else frozen(row))
        return self._frozen_row[1]

    @staticmethod
    def row_key_of(record: Record) -> Hashable:
        """Return the key of a row as it was read: that its claim has run out meanwhile is no change."""
        claim = record.claim
        return frozen(replace(record, claim=replace(claim, expired=False)) if claim else record)

    def note_flow(self, racer: Racer, flow_id: str) -> None:
        """Remember from which incarnation a sign-in starts: unless a disconnect has deleted it already."""
        flow = self.store._documents.get(("flow", "", flow_id))
        if flow is not None:
            self.since[racer.name] = flow.body["incarnation"]

    def lives(self, name: str) -> bool:
        return self.racers[name].status in {"running", "frozen"}

    def dead(self) -> bool:
        return any(racer.status == "dead" for racer in self.racers.values())

    def fault_struck(self) -> bool:
        return bool(self.faults) and self.budget < self.case.budget

    def said_may_live(self) -> bool:
        told = [getattr(racer.outcome, "may_live", ()) for racer in self.racers.values()]
        return any("refresh token lives" in sentence for sentences in told for sentence in sentences)

    def holds_newest(self) -> bool:
        """Whether the row holds the grant of the newest sign-in."""
        row = self.row()
        return row is not None and self.server.family(grant_of(row)[0]) is self.server.families[-1]

    def gave_up(self) -> bool:
        """Whether a sign-in ended because the store did not come back."""
        return any(racer.outcome == StoreUnavailable.default_code for racer in self.racers.values())

    def kept_for_later(self) -> bool:
        """Whether an outage kept somebody from revoking what nobody wants, and the host's journal has it, if any."""
        waits = self.journal is None or self.journal.state().waiting > 0
        return "outage" in self.faults and self.fault_struck() and waits

    def store_down(self) -> None:
        self._down_until = self.clock.time + self.case.outage

    def store_is_down(self) -> bool:
        return self.clock.time < self._down_until

    # -- moves

    def moves(self) -> list[Move]:
        running = [racer for racer in self.racers.values() if racer.status == "running"]
        for racer in running:
            if racer.point.quiet and self.case.reduced:
                return self._of(racer)
        moves = [move for racer in running for move in self._of(racer)]
        moves += [Move(racer.name, "beat") for racer in running if self._beats(racer)]
        moves += [move for flying in self._arriving() for move in self._of_flying(flying)]
        idle = not any(move.what in {"go", "beat", "deliver"} for move in moves)
        next_time = self._next_time(running) if idle else None
        if next_time is not None:
            moves.append(Move("clock", "tick"))
        return moves + self._wakings(anyhow=idle and next_time is None)

    def _of(self, racer: Racer) -> list[Move]:
        point = racer.point
        moves = [Move(racer.name, "go", point.label)] if point.ready() else []
        if not self.budget or (self.case.victims is not None and racer.name not in self.case.victims):
            return moves
        if moves:
            hit = [fault for fault in point.faults if fault in self.faults and not (point.quiet and fault == "outage")]
            moves += [Move(racer.name, fault, point.label) for fault in hit]
        return moves + [Move(racer.name, how, point.label) for how in ("kill", "freeze") if how in self.faults]

    def _of_flying(self, flying: Flying) -> list[Move]:
        name = str(flying.number)
        moves = [Move("server", "deliver", name)]
        if not self.budget or not flying.what.startswith("refresh ") or flying.hold or flying.gone:
            return moves
        if self.case.victims is not None and flying.sender not in self.case.victims:
            return moves
        return moves + [Move("server", fault, name) for fault in SERVER_FAULTS if fault in self.faults]

    def _beats(self, racer: Racer) -> bool:
        return racer.beat is not None and racer.beat[0] <= self.clock.time

    def _arriving(self) -> list[Flying]:
        return [flying for flying in self.network.under_way() if flying.hold <= self.clock.time]

    def _next_time(self, running: list[Racer]) -> float | None:
        times = [racer.point.until for racer in running if racer.point.until is not None]
        times += [racer.beat[0] for racer in running if racer.beat is not None]
        times += [flying.hold for flying in self.network.under_way()]
        times += [flying.back for flying in self.network.flying if flying.came is not None]
        return min((time for time in times if time > self.clock.time), default=None)

    def _wakings(self, *, anyhow: bool) -> list[Move]:
        frozen_ones = [racer for racer in self.racers.values() if racer.status == "frozen"]
        due = [r for r in frozen_ones if anyhow or self.clock.time >= (r.frozen_at or 0.0) + PAST]
        return [Move(racer.name, "wake") for racer in due]

    def make(self, move: Move) -> None:
        if move.who == "clock":
            running = [racer for racer in self.racers.values() if racer.status == "running"]
            self.clock.time = self._next_time(running) or self.clock.time
        elif move.who == "server":
            self._deliver(move)
        else:
            self._move(self.racers[move.who], move.what)
        self.promises.watch()

    def _deliver(self, move: Move) -> None:
        flying = next(flying for flying in self.network.flying if str(flying.number) == move.label)
        self.budget -= move.what != "deliver"
        self.network.deliver(flying, "go" if move.what == "deliver" else move.what)

    def _move(self, racer: Racer, what: str) -> None:
        if what == "beat":
            self._beat(racer)
        elif what == "wake":
            self._wake(racer)
        elif what == "go":
            racer.go()
            self._judge(racer)
        else:
            self.budget -= 1
            self._strike(racer, what)

    def _strike(self, racer: Racer, what: str) -> None:
        if what == "kill":
            racer.kill()
            self.promises.killed(racer)
            self.network.unheard(racer.name)
        elif what == "freeze":
            racer.status, racer.frozen_at = "frozen", self.clock.time
            self.froze.add(racer.name)
        else:
            racer.go(what)
            self._judge(racer)

    def _wake(self, racer: Racer) -> None:
        self.clock.time = max(self.clock.time, (racer.frozen_at or 0.0) + PAST)
        racer.status, racer.frozen_at = "running", None

    def _beat(self, racer: Racer) -> None:
        assert racer.beat is not None
        _, every, beat = racer.beat
        racer.beat = (self.clock.time + every, every, beat)
        self.beating = True
        try:
            beat()
        except Exception:  # noqa: BLE001, S110 - as the pulse of the flights: it is tried again
            pass
        finally:
            self.beating = False

    def _judge(self, racer: Racer) -> None:
        if racer.status != "done":
            return
        self.promises.idle(racer)
        if isinstance(racer.error, Broken):
            raise racer.error
        if racer.error is not None:
            msg = f"{racer.name} ends with {type(racer.error).__name__}: {racer.error}"
            raise Broken(msg) from racer.error

    # -- key and end

    def key(self) -> Hashable:
        racers = tuple(racer.key() for racer in self.racers.values())
        documents = tuple(map(frozen, self.store._documents.values()))
        happened = (
            self.budget,
            self.swap_lost,
            self._down_until if self.store_is_down() else 0.0,
            frozenset(self.froze),
        )
        others = tuple(map(frozen, self.rows()[1:]))
        journal = None if self.journal is None else self.journal.key()
        shared = (self.clock.time, self.row_key(), others, documents, journal, self.server.key(), self.network.key())
        return (shared, racers, happened, self.promises.key(), tuple(self.since.items()))

    def end(self) -> list[str]:
        stuck = [racer for racer in self.racers.values() if racer.status not in {"done", "dead"}]
        if stuck:
            msg = f"{stuck[0].name} is stuck before {stuck[0].point.label}"
            raise Broken(msg)
        return [*self.promises.end(), *self.case.check(self)]

    def close(self) -> None:
        for racer in self.racers.values():
            racer.close()


def played(case: Case, **how: Any) -> Explored:
    """Explore a case; `how` is for `explore`."""
    like, interner = _connected(case), Interner()
    return explore(lambda: Scene(case, like, interner), **how)


def one_play(case: Case) -> Scene:
    """Begin a single play of a case."""
    return Scene(case, _connected(case), Interner())


def _connected(case: Case) -> MemoryStore:
    """Return a store with a connection that holds the first grant of a server."""
    clock = StageClock()
    world = World(
        store=fresh_store(clock),
        sealer=LabelSealer(),
        endpoint=None,  # type: ignore[arg-type]
        clock=clock,
        credential=lambda _: CREDENTIAL,
        app=lambda _: AppCredentials(client_id="client", client_secret=Secret("secret")),
        nonce=lambda: "",
        pulse=None,  # type: ignore[arg-type]
    )
    refresh, access = case.server().consent()
    grant = Grant(
        access_token=Secret(access),
        refresh_token=Secret(refresh),
        expires_at=START + HOUR,
        refresh_expires_at=START + HOUR if case.by_access else None,
        obtained_at=START,
    )
    put_grant(world, case.credential(), KEY, grant, requested=(), client_id="client", before=None)
    store = world.store
    store.put_document(Document(kind=DATA_KEY, id=NEW_KEY))
    assert isinstance(store, MemoryStore)
    return store
