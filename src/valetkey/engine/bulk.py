"""Doing the same to many connections, because a person asked for it: a job with an id, that outlives whoever began it.

What a job has done stands in a document, so every process can show it, and any can stop it.  At most so many
connections of one provider host are under way, and a host that does not answer is left alone for a while (`gates`).
What is done to each stands in `bulk_acts`.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from valetkey.engine.gates import Gate
from valetkey.engine.patience import patiently
from valetkey.engine.storing import token_origin
from valetkey.engine.tending import Host
from valetkey.engine.world import World
from valetkey.errors import (
    ConfigurationError,
    ProviderError,
    ReauthorizationRequired,
    StoreError,
    StoreUnavailable,
    ValetkeyError,
    clean,
)
from valetkey.logs import get_logger
from valetkey.model.connections import Document, Record

KIND: Final = "job"
STOP: Final = "job_stop"
KEPT: Final = 86_400.0
"""Seconds for which a job can be looked at."""
SAVED_EVERY: Final = 0.5
"""Seconds between two writes of what was done."""
STALE: Final = 60.0
"""Seconds without a word after which a job that was not finished counts as interrupted: its process is gone."""
PER_HOST: Final = 4
WIDTH: Final = 12
_GROUPS: Final = 20
_SAMPLES: Final = 5
_log = get_logger("bulk")

JobState = Literal["running", "stopped", "finished", "interrupted"]
JobKind = Literal["refresh", "links", "disconnect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one connection.

    Attributes:
        record: The connection.
        done: Whether it was done; else there was nothing to do, or `error` says why not.
        living: Whether something of it may live on at the provider.
        error: Why it was not done.
        host: What that told about the provider's host.
        wait: Seconds for which the host asks to be left alone.
    """

    record: Record
    done: bool = True
    living: bool = False
    error: ValetkeyError | None = None
    host: Host = "silent"
    wait: float = 0.0


Act = Callable[[Record], Result]
Fly = Callable[[Callable[[], Result]], "Future[Result]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Failures of one cause.

    Attributes:
        credential: Of which credential.
        error: The cause: a provider's error, a reason, or a code of ours.
        person: Whether a person must sign in again.
        n: How many.
        ids: The ids of a few of them.
    """

    credential: str
    error: str
    person: bool
    n: int = 0
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a job has done so far.

    Attributes:
        id: Its id.
        kind: What it does.
        what: To what, in words.
        by: Who began it.
        state: Whether it goes on.
        total: How many connections it is about.
        done: To how many it was done.
        failed: To how many it was not.
        skipped: With how many there was nothing to do, or others did it meanwhile.
        living: Of how many that are done something may live on at the provider.
        causes: The failures by cause.
        began_at: Unix seconds, by the store's clock: who looks at it may be on another host.
        seen_at: Unix seconds of its last word, by the store's clock.
    """

    id: str
    what: str
    by: str
    kind: JobKind = "refresh"
    state: JobState = "running"
    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    living: int = 0
    causes: tuple[Failed, ...] = ()
    began_at: float = 0.0
    seen_at: float = 0.0

    @property
    def over(self) -> int:
        """How many it is through with."""
        return self.done + self.failed + self.skipped

    def left(self, now: float) -> float | None:
        """Return about how many seconds it goes on; None where that cannot be told yet."""
        spent = now - self.began_at
        if self.state != "running" or not self.over or spent <= 0:
            return None
        return (self.total - self.over) * spent / self.over


def find_job(world: World, env: str, job_id: str) -> Job | None:
    """Return a job by its id."""
    found = world.store.get_document(KIND, job_id, env=env)
    return None if found is None else _job(job_id, found.body, world.store.now())


def stop_job(world: World, env: str, job_id: str) -> None:
    """Have a job begin with no further connection; those under way are finished."""
    ends = world.clock.now() + KEPT
    world.store.put_document(Document(kind=STOP, env=env, id=job_id, expires_at=ends))


@dataclass(slots=True, kw_only=True)
class Bulk:
    """One job at work.

    Attributes:
        world: Where.
        env: The environment.
        fly: Starts something in a flight.
        act: What is done to each connection.
        job: What was done so far.
        per_host: How many may be under way at one host.
        width: How many may be under way at all.
        last: Whether a connection waits until all others are through.
    """

    world: World
    env: str
    fly: Fly
    act: Act
    job: Job
    per_host: int = PER_HOST
    width: int = WIDTH
    last: Callable[[Record], bool] = lambda _: False
    _held: list[Record] = field(default_factory=list[Record])
    _waiting: dict[str, deque[Record]] = field(default_factory=dict[str, "deque[Record]"])
    _gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    _under_way: dict[Future[Result], tuple[str, int]] = field(default_factory=dict["Future[Result]", "tuple[str, int]"])
    _causes: dict[tuple[str, str], Failed] = field(default_factory=dict[tuple[str, str], Failed])
    _saved_at: float = 0.0

    @classmethod
    def begin(
        cls,
        world: World,
        env: str,
        fly: Fly,
        act: Act,
        *,
        kind: JobKind,
        what: str,
        by: str,
        last: Callable[[Record], bool] = lambda _: False,
    ) -> Bulk:
        """Make a job and its document."""
        now = world.store.now()
        job = Job(id=f"job_{secrets.token_hex(8)}", kind=kind, what=what, by=by, began_at=now, seen_at=now)
        made = cls(world=world, env=env, fly=fly, act=act, job=job, last=last)
        made._save()
        return made

    def run(self, records: Iterable[Record], *, over: Callable[[Job], None] = lambda _: None) -> Job:
        """Do it to all of these, until it is through or stopped; returns what came of it.

        `over` is called when nothing is under way any more, before the job says that it is over.
        """
        try:
            for record in records:
                self.job = replace(self.job, total=self.job.total + 1)
                if self.last(record):
                    self._held.append(record)
                else:
                    self._take(record)
            self._tell()
            while self._goes_on():
                self._start()
                self._land()
            patiently(self.world, lambda: over(self.job))
            stopped = bool(self._held) or any(self._waiting.values())
            self.job = replace(self.job, state="stopped" if stopped else "finished")
        except Exception as error:  # noqa: BLE001 - without a last word it would seem to go on
            _log.warning("the job %s ends early: %s", self.job.id, clean(error, 300))
            self.job = replace(self.job, state="interrupted")
        with suppress(StoreError):  # then it is seen to be interrupted by its silence
            patiently(self.world, self._save)
        return self.job

    def _take(self, record: Record) -> None:
        try:
            host = token_origin(self.world.credential(record.key.credential))
        except ConfigurationError:
            host = ""
        self._waiting.setdefault(host, deque()).append(record)
        self._gates.setdefault(host, Gate(self.per_host))

    def _goes_on(self) -> bool:
        if not any(self._waiting.values()):
            if self._under_way:
                return True
            held, self._held = self._held, []
            for record in held:  # the others are through
                self._take(record)
            if not any(self._waiting.values()):
                return False
        if not self._is_stopped():
            return True
        while self._under_way:
            self._land()
        return False

    def _is_stopped(self) -> bool:
        """Whether somebody had it stopped; a store that does not answer stops nothing."""
        try:
            return self.world.store.get_document(STOP, self.job.id, env=self.env) is not None
        except StoreUnavailable:
            return False

    def _start(self) -> None:
        """Start what the gates let in."""
        now = self.world.clock.monotonic()
        for host, records in self._waiting.items():
            gate = self._gates[host]
            while records and len(self._under_way) < self.width and gate.lets_in(now):
                record = records.popleft()
                future = self.fly(lambda record=record: self.act(record))  # type: ignore[misc]
                self._under_way[future] = (host, gate.enter())

    def _land(self) -> None:
        """Wait a moment for what is under way, and note what has landed."""
        if not self._under_way:
            time.sleep(0.05)  # all gates are shut for a while
        landed, _ = wait(self._under_way, timeout=0.25, return_when=FIRST_COMPLETED)
        for future in landed:
            host, ticket = self._under_way.pop(future)
            self._note(self._gates[host], ticket, future.result())
        if time.monotonic() - self._saved_at >= SAVED_EVERY:
            self._tell()

    def _note(self, gate: Gate, ticket: int, result: Result) -> None:
        gate.leave()
        if result.host == "well":
            gate.well(ticket)
        elif result.host != "silent":
            now = self.world.clock.monotonic()
            gate.unwell(ticket, now, busy=result.host == "busy", wait=result.wait)
        if result.error is None:
            done, living = self.job.done + result.done, self.job.living + result.living
            self.job = replace(self.job, done=done, living=living, skipped=self.job.skipped + (not result.done))
            return
        self.job = replace(self.job, failed=self.job.failed + 1)
        person = isinstance(result.error, ReauthorizationRequired)
        self._group(result.record, _cause(result.error), person=person)

    def _group(self, record: Record, error: str, *, person: bool) -> None:
        place = (record.key.credential, error)
        if place not in self._causes and len(self._causes) >= _GROUPS:
            place = (record.key.credential, "other")
        before = self._causes.get(place) or Failed(credential=place[0], error=place[1], person=person)
        ids = (*before.ids, record.id)[:_SAMPLES]
        self._causes[place] = replace(before, n=before.n + 1, ids=ids)

    def _tell(self) -> None:
        """Say how far it is.  Where the store does not take that now, the work goes on, and it is said later."""
        try:
            self._save()
        except StoreUnavailable as error:
            _log.info("how far the job %s is was not written down: %s", self.job.id, error)

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        causes = sorted(self._causes.values(), key=lambda cause: -cause.n)
        self.job = replace(self.job, causes=tuple(causes), seen_at=self.world.store.now())
        ends = self.job.seen_at + KEPT
        self.world.store.put_document(
            Document(kind=KIND, env=self.env, id=self.job.id, body=_body(self.job), expires_at=ends)
        )


def _cause(error: ValetkeyError) -> str:
    if isinstance(error, ReauthorizationRequired):
        return error.reason
    if isinstance(error, ProviderError):
        return clean(error.error or (f"http_{error.status}" if error.status else error.code), 100)
    return error.code


def _body(job: Job) -> dict[str, Any]:
    names = ("what", "by", "kind", "state", "total", "done", "failed", "skipped", "living", "began_at", "seen_at")
    causes = [
        {"credential": c.credential, "error": c.error, "person": c.person, "n": c.n, "ids": list(c.ids)}
        for c in job.causes
    ]
    return {**{name: getattr(job, name) for name in names}, "causes": causes}


def _job(job_id: str, body: Mapping[str, Any], now: float) -> Job:
    found: list[dict[str, Any]] = body["causes"]
    causes = tuple(replace(Failed(**cause), ids=tuple(cause["ids"])) for cause in found)
    job = Job(id=job_id, **{name: value for name, value in body.items() if name != "causes"}, causes=causes)
    lost = job.state == "running" and now - job.seen_at > STALE
    return replace(job, state="interrupted") if lost else job
