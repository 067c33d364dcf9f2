"""The worker: it refreshes what is due although nobody asks, and keeps alive what would die of disuse.

Any number of workers may share a store.  What one of them knows of hosts, apps and odd rows is in its memory alone:
between them the claims decide, and each begins at another place of what is due.
"""

from __future__ import annotations

import queue
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from valetkey.engine.deciding import sweep
from valetkey.engine.gates import Gate
from valetkey.engine.status import sign_in_soon
from valetkey.engine.storing import token_origin
from valetkey.engine.tending import Outcome, tend
from valetkey.engine.workplan import Happening, Means, Plan, WorkerSummary
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, DecryptionFailed, StoreError, StoreUnavailable, ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Record

BATCH: Final = 200
"""How many due connections are read at first; more where those cannot be refreshed now."""
AGAIN: Final = (3.0, 6.0)
"""Seconds, from and to, before a connection that others are at is looked at again."""
ASK_APP: Final = 15.0
"""Seconds before it is looked again whether an app is accepted: its secret may have been replaced."""
MENDED: Final = 60.0
"""Seconds before it is looked again whether somebody has mended a problem."""
PATIENCE: Final = 10.0
"""Seconds in all for which `once` waits for hosts that ask for patience."""
FINISH: Final = 75.0
"""Seconds for which the refreshes under way are waited for at the end; an answer is listened for for 60 s."""
SWEEP_EVERY: Final = 60.0
"""Seconds between two looks for grants about which nobody decided in time."""
SLICE: Final = 0.5
"""Seconds of real time between two looks whether to stop, while refreshes are under way."""
LEAST_PAUSE: Final = 1.0
"""Seconds between two looks for work, at least, unless something has changed."""
SHORTEST_NAP: Final = 0.01
STORE_PAUSE: Final = 15.0
"""Seconds between two tries to reach a store that does not answer, at most."""
_STORE: Final = ""
"""Stands for the store where problems are named by credential or connection."""
_NEVER: Final = float("inf")
_NOT_YET: Final = -_NEVER
_log = get_logger("worker")


@dataclass(frozen=True, slots=True)
class _Doors:
    """The gates of a credential: its app's and its host's, which is None while nobody knows the host."""

    app: Gate
    host: Gate | None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class _Started:
    """A connection under way, and what its gates gave it to bring along."""

    record: Record
    doors: _Doors
    app_ticket: int
    host_ticket: int


@dataclass(slots=True)
class _Found:
    """What a look brought: what may be refreshed now, what its gates keep out, when to look at the rest again.

    Attributes:
        waiting: How many due connections cannot be refreshed now.
    """

    ready: list[Record] = field(default_factory=list[Record])
    shut_out: list[Record] = field(default_factory=list[Record])
    again: float = _NEVER
    waiting: int = 0


def work(world: World, env: str, plan: Plan, means: Means) -> WorkerSummary:
    """Refresh what is due in an environment until told to stop, or `once`; what is under way then is finished.

    Raises:
        StoreError: The store cannot be read: at the first look, or in a run that works `once`.
    """
    worker = _Worker(world, env, plan, means)
    worker.run()
    return worker.summary


class _Worker:
    """One worker.  All of it but `tend` runs in one thread."""

    def __init__(self, world: World, env: str, plan: Plan, means: Means) -> None:
        self.world = world
        self.env = env
        self.plan = plan
        self.means = means
        self.summary = WorkerSummary()
        self.until = world.clock.now() if plan.once else _NEVER
        self.patience = PATIENCE
        self.apps: dict[str, Gate] = {}
        self.hosts: dict[str, Gate] = {}
        self.doors: dict[str, _Doors] = {}
        self.queue: list[Record] = []
        self.under_way: dict[str, _Started] = {}
        self.landed: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self.parked: dict[str, float] = {}
        self.told: dict[str, str] = {}
        self.wake: float | None = None
        self.more = False
        self.limit = BATCH
        self.store_trouble = 0
        self.half_down = False
        self.sweep_at = _NOT_YET

    def run(self) -> None:
        """Work until the end."""
        while not self.means.stopped():
            if self.wake is None or self._now() >= self.wake or (self.more and not self.queue):
                self._look()
            self._start()
            if self.under_way:
                self._land()
            elif not self._rest():
                self._look()  # what is left?
                break
        for _ in range(int(FINISH / SLICE)):
            if self.under_way:
                self._land()

    def _now(self) -> float:
        return self.world.clock.monotonic()

    def _rest(self) -> bool:
        """Wait for the next thing to do; False: `once` has nothing more to do, or does not wait that long."""
        pause = min(self._opens_at(record) for record in self.queue) if self.queue else _NEVER
        pause = min(pause, self.wake or 0.0) - self._now()
        if self.plan.once:
            self.patience -= max(pause, 0.0)
            if self.patience < 0:
                return False
        if pause > 0:
            self.means.nap(max(pause, SHORTEST_NAP))
        return True

    def _soon(self, moment: float) -> None:
        """Look again at that moment at the latest; `once` looks no further than its beginning."""
        if self.wake is not None and not self.plan.once:
            self.wake = min(self.wake, moment)

    def _look_again(self) -> None:
        """Throw away what was planned: something has changed."""
        self.queue, self.more, self.wake = [], False, self._now()

    # -- looking for work

    def _look(self) -> None:
        """Read what is due, and work out when to look again."""
        try:
            self._sweep()
            self._read()
        except StoreError as error:  # whatever it says: it could be read once, and others may mend it
            if self.plan.once or self.wake is None:
                raise
            self._store_down(error)
            return
        if not self.half_down:
            self._store_up()

    def _sweep(self) -> None:
        """Give back grants about which nobody decided in time: no console may be there to do it."""
        if self.plan.once and self.sweep_at == _NOT_YET:
            sweep(self.world, self.env)
        elif self._now() >= self.sweep_at:
            self.means.launch(self._swept)  # telling providers takes a while
        else:
            return
        self.sweep_at = _NEVER if self.plan.once else self._now() + SWEEP_EVERY

    def _swept(self) -> None:
        try:
            sweep(self.world, self.env)
        except StoreError as error:
            _log.warning("grants that wait for an answer were not looked through: %s", error)

    def _store_up(self) -> None:
        self.store_trouble, self.half_down = 0, False
        self._mended(_STORE)

    def _store_down(self, error: ValetkeyError | None) -> None:
        self.store_trouble += 1
        self._problem(_STORE, error)
        self._look_again()
        self.wake = self._now() + min(2.0 ** min(self.store_trouble, 8), STORE_PAUSE)

    def _read(self) -> None:
        began = self._now()
        while True:
            now = self.world.clock.now()
            until = min(self.until, now + self.plan.look_every)
            page = self.world.store.due(env=self.env, until=until, limit=self.limit)
            self._open_doors(page)
            found = self._sifted(page, now)
            full = len(page) == self.limit
            enough = len(found.ready) >= self.plan.concurrency or (full and (page[-1].due_at or 0.0) > now)
            if enough or not full:
                break
            self.limit *= 4  # these cannot be refreshed now; others may stand behind them
        self.limit = max(self.limit // 4, BATCH) if enough else self.limit
        self.parked = {name: moment for name, moment in self.parked.items() if moment > began}
        self.summary = replace(self.summary, waiting=found.waiting)
        random.shuffle(found.ready)  # several workers begin at different places
        self.queue, self.more = [*found.ready[:BATCH], *found.shut_out[:BATCH]], full and bool(found.ready)
        idle = _NEVER if self.plan.once else began + self.plan.look_every
        took = self._now() - began
        self.wake = max(min(found.again, idle), self._now() + max(10.0 * took, LEAST_PAUSE))

    def _open_doors(self, page: Sequence[Record]) -> None:
        """Know the gates of all credentials that the page names."""
        self.doors = {}
        for name in {record.key.credential for record in page}:
            app = self.apps.setdefault(name, Gate(self.plan.concurrency))
            self.doors[name] = _Doors(app, None)
            try:
                origin = token_origin(self.world.credential(name))
            except StoreUnavailable:
                raise
            except (ConfigurationError, StoreError) as error:
                self._problem(name, error)
                app.shut(self._now(), MENDED)
                continue
            self.doors[name] = _Doors(app, self.hosts.setdefault(origin, Gate(self.plan.per_host)), origin)

    def _sifted(self, page: Sequence[Record], now: float) -> _Found:
        """Sort a page by what may be done with it, as far as this worker knows."""
        found, mono = _Found(), self._now()
        for record in page:
            if record.id in self.under_way:
                continue
            ahead = (record.due_at or 0.0) - now
            parked, opens_at = self._parked(record), self._opens_at(record)
            if ahead > 0 or parked > mono:
                found.again = min(found.again, max(mono + ahead, parked, opens_at))
                found.waiting += ahead <= 0 and record.id in self.told
            elif opens_at > mono:
                found.shut_out.append(record)
                found.waiting += 1
            else:
                found.ready.append(record)
        return found

    def _opens_at(self, record: Record) -> float:
        """Return from when on the gates of a connection are open."""
        doors = self.doors[record.key.credential]
        return doors.app.opens_at if doors.host is None else max(doors.app.opens_at, doors.host.opens_at)

    def _parked(self, record: Record) -> float:
        """Return until when a connection is left alone."""
        if record.error == "row_corrupt" and record.id not in self.parked:
            self._problem(record.id, _damaged(record), record)
            return self._park(record.id, MENDED)
        return self.parked.get(record.id, 0.0)

    def _park(self, connection_id: str, seconds: float) -> float:
        """Leave a connection alone for a while; `once`: for good."""
        moment = _NEVER if self.plan.once else self._now() + seconds
        self.parked[connection_id] = moment
        return moment

    # -- doing it

    def _start(self) -> None:
        """Start what the gates let in."""
        mono = self._now()
        self.queue = [record for record in self.queue if not self._started(record, mono)]

    def _started(self, record: Record, mono: float) -> bool:
        doors = self.doors[record.key.credential]
        if len(self.under_way) >= self.plan.concurrency or doors.host is None:
            return False
        if not (doors.app.lets_in(mono) and doors.host.lets_in(mono)):
            return False
        self.under_way[record.id] = _Started(record, doors, doors.app.enter(), doors.host.enter())
        self.means.launch(lambda: self._fly(record))
        return True

    def _fly(self, record: Record) -> None:
        """Run in a thread of its own."""
        outcome = Outcome(kind="skipped", record=record)
        try:
            outcome = tend(self.world, record)
        finally:
            self.landed.put((record.id, outcome))

    def _land(self) -> None:
        """Wait for refreshes under way, a moment at most, and settle those that have ended."""
        try:
            self._settle(*self.landed.get(timeout=SLICE))
            while True:
                self._settle(*self.landed.get_nowait())
        except queue.Empty:
            return

    def _settle(self, connection_id: str, outcome: Outcome) -> None:
        started = self.under_way.pop(connection_id)
        started.doors.app.leave()
        self.summary = replace(self.summary, requests=self.summary.requests + outcome.sent)
        self._judge_host(started, outcome)
        self._judge_app(started, outcome)
        self._judge_row(connection_id, outcome)

    def _judge_host(self, started: _Started, outcome: Outcome) -> None:
        host, origin = started.doors.host, started.doors.origin
        assert host is not None  # noqa: S101 - for the type checker: nothing is started without it
        host.leave()
        if outcome.host == "well":
            if host.well(started.host_ticket):
                self._tell("resumed", origin)
                self._look_again()
        elif outcome.host != "silent":
            busy = outcome.host == "busy"
            if host.unwell(started.host_ticket, self._now(), busy=busy, wait=outcome.wait):
                self._tell("waiting", origin, error=outcome.error)

    def _judge_app(self, started: _Started, outcome: Outcome) -> None:
        name, app = started.record.key.credential, started.doors.app
        if outcome.kind in {"refreshed", "kept_alive", "needs_reauth"}:
            if app.well(started.app_ticket):
                self._look_again()
            self._mended(name)
        elif outcome.kind == "app" or outcome.whole:
            pause = MENDED if outcome.whole else min(getattr(outcome.error, "retry_after", None) or ASK_APP, ASK_APP)
            app.shut(self._now(), pause)
            self._problem(name, outcome.error)

    def _judge_row(self, connection_id: str, outcome: Outcome) -> None:
        kind, record = outcome.kind, outcome.record
        if kind == "store":
            self.half_down = True  # it was read a moment ago: what ends this is a refresh that is stored
            self._store_down(outcome.error)
        if kind in ("refreshed", "kept_alive", "failed", "needs_reauth"):
            self._store_up()
            self._count(kind)
            self._tell(kind, str(record.key), record, outcome.error)
            if record.due_at is not None:
                self._soon(self._now() + record.due_at - self.world.clock.now())
        if kind in {"refreshed", "kept_alive"}:
            self._mended(connection_id)
        elif kind == "problem" and not outcome.whole:
            self._problem(connection_id, outcome.error, record)
            self._soon(self._park(connection_id, MENDED))
        elif kind not in {"app", "problem", "store"}:
            self._soon(self._park(connection_id, random.uniform(*AGAIN)))  # noqa: S311 - spreads several workers
        if kind == "skipped":
            self._count("skipped")

    # -- telling

    def _count(self, name: Literal["refreshed", "kept_alive", "failed", "needs_reauth", "skipped", "problems"]) -> None:
        self.summary = replace(self.summary, **{name: getattr(self.summary, name) + 1})

    def _problem(self, place: str, error: ValetkeyError | None, record: Record | None = None) -> None:
        """Tell a problem of a connection (by id), a credential or the store, once."""
        code = error.code if error is not None else ""
        if self.told.get(place) != code:
            self.told[place] = code
            self._count("problems")
            self._tell("problem", (place or "store") if record is None else str(record.key), record, error)

    def _mended(self, place: str) -> None:
        if self.told.pop(place, None) is not None:
            self._tell("resumed", place or "store")

    def _tell(
        self,
        kind: Literal["refreshed", "kept_alive", "failed", "needs_reauth", "problem", "waiting", "resumed"],
        subject: str,
        record: Record | None = None,
        error: ValetkeyError | None = None,
    ) -> None:
        connection = None if record is None else record.connection
        at = self.world.clock.now()
        by = None if record is None else sign_in_soon(self.world, record)
        self.means.tell(Happening(kind=kind, at=at, subject=subject, connection=connection, error=error, sign_in_by=by))


def _damaged(record: Record) -> ValetkeyError:
    return DecryptionFailed(
        f"the row of {record.key} in the store is damaged: {record.error_text}",
        code="row_corrupt",
        hint="see: valetkey doctor",
    )
