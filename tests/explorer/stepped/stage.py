"""What stands between racers and the outside: store, network and clock, each call a step of the play."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from stepped.interleaving import Racer, frozen
from stepped.label_sealer import LabelSealer
from stepped.small_server import SmallServer

from valetkey.engine.world import NO_JOURNAL, World
from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.journals import JournalEntry, JournalState
from valetkey.model.ports import Fate, InDoubt, NotSent
from valetkey.stores.memory import MemoryStore
from valetkey.values import Request, Response, Secret

if TYPE_CHECKING:
    from stepped.plays import Scene

START: Final = 1_800_000_000.0
SLOW: Final = 40.0
"""Seconds that a slow server takes: longer than a claim lives."""

READS: Final = frozenset({"load", "find", "list", "get_document", "list_documents", "list_events", "sealed_with"})
WRITES: Final = frozenset(
    {"create", "claim", "renew", "swap", "note", "rekey", "rename", "delete", "put_document", "take_document"}
    | {"delete_document", "append_event"}
)
QUIET: Final = frozenset({"append_event"})
"""Nobody reads events, so it does not matter when they are written."""
NO_ROW: Final = frozenset({"list_documents", "get_document", "put_document", "delete_document", "append_event"})


class HostsJournal:
    """The journal of the one host that all racers of a play are on, where the store is elsewhere."""

    def __init__(self) -> None:
        self.kept: dict[str, JournalEntry] = {}
        self._numbers = count(1)

    def key(self) -> Hashable:
        return tuple(map(frozen, self.kept.values()))

    def write(self, entry: JournalEntry) -> JournalEntry:
        kept = replace(entry, place=str(next(self._numbers)))
        self.kept[kept.place] = kept
        return kept

    def settle(self, entry: JournalEntry) -> None:
        if entry.place in self.kept:
            self.kept[entry.place] = replace(entry, settled=True)

    def leave(self, entry: JournalEntry) -> None:
        """Leave it: no process of a play lives on by itself."""

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:
        return [entry for entry in self.kept.values() if entry.connection_id == connection_id]

    def unsettled(self) -> Sequence[str]:
        return list(dict.fromkeys(entry.connection_id for entry in self.kept.values() if not entry.settled))

    def state(self) -> JournalState:
        return JournalState(waiting=sum(not entry.settled for entry in self.kept.values()))

    def erase(self, connection_id: str) -> None:
        self.kept = {place: entry for place, entry in self.kept.items() if entry.connection_id != connection_id}


class RacersJournal:
    """The journal as a racer sees it: each look and each write is a step."""

    def __init__(self, racer: Racer, scene: Scene, journal: HostsJournal) -> None:
        self._racer = racer
        self._scene = scene
        self._journal = journal

    def write(self, entry: JournalEntry) -> JournalEntry:
        kept: JournalEntry = self._step("write", lambda: self._journal.write(entry))
        self._scene.promises.written_down(self._racer)
        return kept

    def settle(self, entry: JournalEntry) -> None:
        self._step("settle", lambda: self._journal.settle(entry))

    def leave(self, entry: JournalEntry) -> None:
        self._journal.leave(entry)

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:
        found: Sequence[JournalEntry] = self._step("entries", lambda: self._journal.entries(connection_id))
        return found

    def unsettled(self) -> Sequence[str]:
        found: Sequence[str] = self._step("unsettled", self._journal.unsettled)
        return found

    def state(self) -> JournalState:
        return self._journal.state()

    def erase(self, connection_id: str) -> None:
        self._step("erase", lambda: self._journal.erase(connection_id))

    def _step(self, name: str, do: Callable[[], Any]) -> Any:
        return self._racer.step(f"journal.{name}", lambda _: do())


class StageClock:
    """Time, which passes only when the play says so."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - START + 1000.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)  # who sleeps has to go through the clock of a racer

    def boot_id(self) -> str:
        return "boot"


class RacersClock:
    """The clock as a racer sees it.  Reading it is quiet: time stands still while anybody can move."""

    def __init__(self, racer: Racer, scene: Scene) -> None:
        self._racer = racer
        self._scene = scene
        self._clock = scene.clock

    def now(self) -> float:
        return self._read("clock.now", self._clock.now)

    def monotonic(self) -> float:
        return self._read("clock.monotonic", self._clock.monotonic)

    def _read(self, label: str, read: Callable[[], float]) -> float:
        """Stop only where it matters: between reading the clock and acting on it a process may be frozen."""
        if label not in self._scene.clock_steps:
            return read()
        time: float = self._racer.step(label, lambda _: read(), quiet=True)
        return time

    def sleep(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        self._racer.step("clock.sleep", lambda _: None, ready=lambda: self._clock.now() >= until, until=until)

    def boot_id(self) -> str:
        return self._clock.boot_id()


class RacersStore:
    """The store as a racer sees it: each call is a step, and may fail before or after it has taken effect."""

    url = "memory:"
    local = True

    def __init__(self, racer: Racer, scene: Scene) -> None:
        self._racer = racer
        self._scene = scene
        self._store = scene.store

    def __getattr__(self, name: str) -> Any:
        if name not in READS and name not in WRITES:
            raise AttributeError(name)
        real = getattr(self._store, name)
        label = f"store.{name}"
        faults = ("lost", "hiccup", "outage") if name in WRITES else ("hiccup", "outage")

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._scene.beating:  # another thread of the racer's process: its call is a move of its own
                self._trouble("go")
                return real(*args, **kwargs)

            def do(how: str) -> Any:
                self._trouble(how)
                result = real(*args, **kwargs)
                self._scene.promises.called(self._racer, name, args, kwargs, result)
                if how == "lost":
                    self._scene.swap_lost |= name == "swap"
                    msg = "the store did its work, and its answer was lost"
                    raise StoreUnavailable(msg)
                return None if name == "append_event" else result

            return self._racer.step(label, do, quiet=name in QUIET, faults=faults, observed=self._observed)

        setattr(self, name, call)
        return call

    def _observed(self, result: Any) -> Hashable:
        """Tell results apart; that of reading or writing the one row quickly, by the row itself."""
        row = self._scene.row()
        if isinstance(result, Record) and row is not None and result.id == row.id:
            return (self._scene.row_key(), result.claim is not None and result.claim.expired)
        return frozen(result)

    def _trouble(self, how: str) -> None:
        if how == "outage":
            self._scene.store_down()
        if how == "hiccup" or self._scene.store_is_down():
            msg = "the store does not answer"
            raise StoreUnavailable(msg)

    def now(self) -> float:
        return self._scene.clock.now()

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        until = self._scene.clock.now() + timeout
        unchanged = self._scene.row_key_of(record)

        def changed() -> bool:
            return self._scene.row_key() != unchanged or self._scene.store_is_down()

        def do(how: str) -> bool:
            self._trouble(how)
            return changed()

        def ready() -> bool:
            return changed() or self._scene.clock.now() >= until

        result: bool = self._racer.step(
            "store.wait_for_change", do, ready=ready, until=until, faults=("hiccup", "outage")
        )
        return result


@dataclass(slots=True)
class Flying:
    """A request under way.

    Attributes:
        sender: The racer that sent it.
        hold: Until when it is held up on its way there.
        came: The answer.
        back: When the answer is there.
        gone: Whether the sender's connection broke: no answer will come.
        unheard: Whether nobody listens any more.
        arrived: Whether the server has seen it.
    """

    number: int
    sender: str
    what: str
    request: Request
    hold: float = 0.0
    came: Response | None = None
    back: float = 0.0
    gone: bool = False
    unheard: bool = False
    arrived: bool = False

    def key(self) -> Hashable:
        happened = (self.gone, self.unheard, self.arrived)
        return (self.sender, self.what, self.hold, self.back, frozen(self.came), *happened)


class Network:
    """Requests under way: they leave, the server works on them at some time, the answer comes back."""

    def __init__(self, scene: Scene, server: SmallServer) -> None:
        self._scene = scene
        self.server = server
        self.flying: list[Flying] = []
        self.count = 0

    def key(self) -> Hashable:
        return tuple(flying.key() for flying in self.flying)

    def put(self, racer: Racer, request: Request) -> Flying:
        self.count += 1
        flying = Flying(self.count, racer.name, token_of(request), request)
        self.flying.append(flying)
        return flying

    def under_way(self) -> list[Flying]:
        """Return those that the server has not seen yet."""
        return [flying for flying in self.flying if not flying.arrived]

    def deliver(self, flying: Flying, how: str) -> None:
        """Let the request arrive, or let happen to it what `how` says."""
        now = self._scene.clock.now()
        if how == "slow":
            flying.hold = now + SLOW
            return
        if how in {"late", "request_lost"}:
            flying.gone = True
            flying.arrived = how == "request_lost"
            self._scene.promises.late |= how == "late"
            return
        flying.arrived = True
        flying.came = Response(status=503) if how == "unavailable" else self.server.answer(flying.request)
        flying.back = now + SLOW if how == "slow_answer" else now
        flying.gone = flying.gone or how == "answer_lost"
        self._scene.promises.answered(flying)
        if flying.unheard:
            self.flying.remove(flying)

    def unheard(self, racer: str) -> None:
        """Forget what a racer sent: it listens no more.  What the server has not seen yet still gets there."""
        for flying in self.flying:
            if flying.sender == racer:
                flying.gone = flying.unheard = True
        self.flying = [flying for flying in self.flying if not (flying.unheard and flying.arrived)]


class RacersEndpoint:
    """The way to the server as a racer sees it: a request leaves, and later its answer is there."""

    def __init__(self, racer: Racer, scene: Scene) -> None:
        self._racer = racer
        self._scene = scene

    def send(self, request: Request, *, deadline: float) -> Response:
        what = token_of(request)
        flying = self._leave(request, what, deadline)
        until = self._scene.clock.now() + deadline - self._scene.clock.monotonic()
        clock = self._scene.clock

        def ready() -> bool:
            there = flying.came is not None and clock.now() >= flying.back
            return there or flying.gone or clock.now() >= until

        def do(_: str) -> Response:
            there = flying.came if clock.now() >= flying.back and not flying.gone else None
            self._scene.network.unheard(self._racer.name)
            if there is None:
                msg = "no answer came"
                raise InDoubt(msg)
            return there

        answer: Response = self._racer.step(f"answer to {what}", do, ready=ready, until=until)
        return answer

    def _leave(self, request: Request, what: str, deadline: float) -> Flying:
        left: list[Flying] = []

        def do(how: str) -> None:
            if how == "not_sent" or self._scene.clock.monotonic() >= deadline:
                msg = "no route to host"
                raise NotSent(msg)
            self._scene.promises.leaves(self._racer, what)
            left.append(self._scene.network.put(self._racer, request))

        self._racer.step(f"send {what}", do, faults=("not_sent",))
        return left[0]


def token_of(request: Request) -> str:
    """Return what a request is about: ``refresh r1``, ``revoke a1``, ``code``."""
    form = dict(pair.split("=", 1) for pair in request.body.decode().split("&"))
    if request.url.endswith("/revoke"):
        return f"revoke {form['token']}"
    spent = form.get("refresh_token") or form.get("access_token")
    return f"refresh {spent}" if spent else "code"


def world_of(racer: Racer, scene: Scene, credential: OAuth2Credential) -> World:
    """Return the outside as that racer sees it."""

    def nonce() -> str:
        racer.nonces += 1
        return f"{racer.name}{racer.nonces}"

    def app(_: OAuth2Credential) -> AppCredentials:
        racer.step("app", lambda _: None, quiet=True)
        return AppCredentials(client_id="client", client_secret=Secret("secret"))

    @contextmanager
    def pulse(seconds: float, beat: Callable[[], object]) -> Generator[None]:
        racer.beat = (scene.clock.now() + seconds, seconds, beat)
        try:
            yield
        finally:
            racer.beat = None

    def fate(holder: str) -> Fate:
        """Tell from the lock file of its process: a frozen one holds it still.  One's own is no news."""
        if scene.journal is None or holder[0] == racer.name:
            return "unknown"
        found: Fate = racer.step("fate", lambda _: "alive" if scene.lives(holder[0]) else "dead")
        return found

    return World(
        store=RacersStore(racer, scene),  # type: ignore[arg-type]
        sealer=LabelSealer(),
        endpoint=RacersEndpoint(racer, scene),
        clock=RacersClock(racer, scene),
        credential=lambda _: credential,
        app=app,
        nonce=nonce,
        pulse=pulse,
        fate=fate,
        journal=NO_JOURNAL if scene.journal is None else RacersJournal(racer, scene, scene.journal),
    )


def fresh_store(clock: StageClock, like: MemoryStore | None = None) -> MemoryStore:
    """Return a store, with what another one holds."""
    store = MemoryStore(clock=clock)
    if like is not None:
        store._records = dict(like._records)
        store._ids = dict(like._ids)
        store._documents = dict(like._documents)
    return store
