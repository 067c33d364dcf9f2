"""What all parts of the Redis store stand on: how it is opened, read and written, and what is heard of changes."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from valetkey import forks
from valetkey.clock import SystemClock
from valetkey.errors import StoreUnavailable, clean
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Record, Sealed
from valetkey.model.ports import Clock, KeyRetired
from valetkey.stores import _rules
from valetkey.stores._bell import Bell
from valetkey.stores._redis_ear import Ear, news
from valetkey.stores._redis_errors import CONTENDED, GONE, Conflict
from valetkey.stores._redis_link import Link
from valetkey.stores._redis_names import Names
from valetkey.stores._redis_server import demand_safe, look
from valetkey.stores._redis_steps import Commit, Step
from valetkey.stores._redis_upgrade import FIRST, move_names, shut_out
from valetkey.stores._redis_url import Place, place_of
from valetkey.stores._troubles import newer

_log = get_logger("stores.redis")

T = TypeVar("T")
SCHEMA: Final = 2
"""What is written where (`Names`) and how (``_redis_rows``); a number above it is of a later valetkey."""

_TRIES: Final = 200
_PAUSE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Look:
    """What a read found: the server's time and the answers to its commands."""

    now: float
    answers: Sequence[Any]


class RedisBase:
    """The server and the way to it.

    `_read` and `_commit` are all that is ever done there.  `_settled` is the loop of a write: read, decide in Python,
    commit if nothing that was read has changed, else once more.
    """

    local: bool = False

    def __init__(self, url: str | Place, *, clock: Clock | None = None, timeout: float = 5.0) -> None:
        place = url if isinstance(url, Place) else place_of(url)
        self.url: str = place.shown
        self._names = Names(place.name)
        self._link = Link(place, timeout=timeout)
        self._clock = clock or SystemClock()
        self._bell = Bell(self._clock)
        self._ear = Ear(self._link, self._names.channel, self._bell, self._whisper)
        self._opening = threading.Lock()
        self._id = ""
        forks.register(self)
        weakref.finalize(self, self._link.close)  # the ear ends by itself: it knows those who know the store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def store_id(self) -> str:
        """Return the id that the store got when it was made."""
        return self._opened()

    def now(self) -> float:
        """Return Unix seconds by the server's clock."""
        return self._read(Step(self._names)).now

    def close(self) -> None:
        """Close all connections and end the listening.  Both begin again when the store is used again."""
        self._id = ""
        self._ear.close()
        self._link.close()

    def change_mark(self) -> object:
        """Return a random value that each commit replaces by another."""
        step = Step(self._names)
        step.do("GET", self._names.mark)
        return self._read(step).answers[0]

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Call `tell`, from a thread of its own, with the key of each connection that changes; None: of all.

        A method of an object is called as long as the object lives.
        """
        self._ear.add(tell)

    def listens(self) -> bool:
        """Whether `watch` misses nothing at present."""
        return self._ear.listening

    # -- opening

    def _opened(self) -> str:
        """Return the store's id, once the server was looked at and the store is made."""
        known = self._id
        if known:
            self._ear.ensure()
            return known
        with self._opening:
            if not self._id:
                self._id = self._open()
        self._ear.ensure()
        return self._id

    def _open(self) -> str:
        server = look(self._link)
        if server.clustered:
            self._link.learn_nodes()
            self._link.run(Step(self._names))  # leads to the node that has the store
            server = look(self._link)
        demand_safe(server, self._link.place)
        self._link.syncs = server.syncs
        facts = self._facts()
        if not facts:
            self._make()
            facts = self._facts()
        if facts.get("schema") == FIRST and facts.get("id"):
            self._rehearse()
            shut_out(self._link, self._names, facts["id"], SCHEMA)
            facts = self._facts()
        store_id, schema = facts.get("store", ""), facts.get("schema", "0")
        if not schema.isdecimal() or int(schema) > SCHEMA or not store_id:
            raise newer(self.url, schema, SCHEMA)
        self._rehearse()
        if "unpacked" in facts:
            move_names(self._link, self._names)
        return store_id

    def _facts(self) -> dict[str, str]:
        """Return what is known of the store, nothing where there is none."""
        step, names = Step(self._names), ("store", "schema", "id", "unpacked")
        step.do("HMGET", self._names.meta, *names)
        found = zip(names, self._link.run(step)[2], strict=True)
        return {name: value.decode() for name, value in found if value is not None}

    def _make(self) -> None:
        """Give the store its id; of two that make it at once, both find the same."""
        step = Commit(self._names)
        step.check(0, "EXISTS", self._names.meta)
        step.do("HSET", self._names.meta, "store", secrets.token_hex(16), "schema", SCHEMA)
        self._link.run(step, sync=True)

    def _rehearse(self) -> None:
        """Run each command that writes, on keys that are gone again afterwards.

        A user of the server who may not run one of them would learn it in the middle of a write: a script that fails
        halfway is not undone.
        """
        step, scratch = Commit(self._names), b"%s:%s" % (self._names.nothing, secrets.token_hex(8).encode())
        for command, *values in _WRITES:
            step.do(command, scratch, *values)
            step.do("DEL", scratch)
        step.do("PUBLISH", b"", self._names.channel, "")
        try:
            self._link.run(step)
        except StoreUnavailable as error:  # full, or its disk is: what is stored can be read all the same
            _log.debug("%s cannot be written to now: %s", self.url, clean(error))

    # -- reading and writing

    def _moment(self, seconds: bytes, micros: bytes) -> float:
        """Return the server's answer to ``TIME`` as Unix seconds."""
        return int(seconds) + int(micros) / 1e6

    def _read(self, step: Step) -> Look:
        """Run a read, on the primary."""
        known = self._opened()
        (seconds, micros), store_id, *answers = self._link.run(step)
        if store_id is None or store_id.decode() != known:
            raise GONE(self.url)
        return Look(self._moment(seconds, micros), answers)

    def _begun(self) -> Commit:
        """Return a commit to this very store."""
        step = Commit(self._names)
        step.check(self._opened(), "HGET", self._names.meta, "store", why="store")
        # First of all: where memory is full or the disk is, it is refused before anything else is done.
        step.do("SET", self._names.mark, secrets.token_hex(8))
        return step

    def _commit(self, step: Commit, connection_id: str = "", *keys: ConnectionKey, sync: bool = True) -> Any:
        """Run a commit, telling all that listen of the connection; returns the answer to its last command.

        Raises:
            Conflict: A check failed: something has changed meanwhile.
            KeyRetired: A data key that something is sealed with is not there.
        """
        if keys:
            step.do("PUBLISH", b"", self._names.channel, news(connection_id, keys))
        failed, last = self._link.run(step, sync=sync)
        if failed:
            raise self._refusal(step.reason(failed))
        self._ear.changed(connection_id)
        return last

    def _commit_all(self, steps: Sequence[tuple[Commit, Record]]) -> set[str]:
        """Run commits that are sent together, each atomic for itself, and tell of their connections.

        Returns the ids of those in which something has changed meanwhile; all others are done.

        Raises:
            KeyRetired: A data key that something is sealed with is not there.
        """
        for step, record in steps:
            step.do("PUBLISH", b"", self._names.channel, news(record.id, (record.key,)))
        answers = self._link.run_all([step for step, _ in steps], sync=True)
        refused: dict[str, str] = {}
        for (step, record), (failed, _) in zip(steps, answers, strict=True):
            if failed:
                refused[record.id] = step.reason(failed)
            else:
                self._ear.changed(record.id)
        for reason in filter(None, refused.values()):
            raise self._refusal(reason)
        return set(refused)

    def _refusal(self, reason: str) -> Exception:
        if reason == "store":
            return GONE(self.url)
        return KeyRetired(f"the store has no data key {reason.removeprefix('key:')}") if reason else Conflict()

    def _settled(self, attempt: Callable[[], T]) -> T:
        """Return what an attempt to write comes to, beginning anew as long as others get ahead of it."""
        for _ in range(_TRIES):
            try:
                return attempt()
            except Conflict:
                self._clock.sleep(secrets.randbelow(1000) / 1000 * _PAUSE)
        raise CONTENDED(self.url)

    def _demand_key(self, step: Commit, sealed: Sealed | None, kind: str = "") -> None:
        """Let a commit happen only where the data key of `sealed` is there."""
        key_id = _rules.data_key_of(sealed, kind)
        if key_id:
            place = self._names.document(_rules.DATA_KEY, "", key_id)
            step.check(1, "EXISTS", place, why=f"key:{key_id}")

    def _whisper(self, channel: bytes) -> None:
        """Publish on a channel, on the way that writes take."""
        step = Commit(self._names)
        step.do("PUBLISH", b"", channel, "")
        self._link.run(step)

    # -- forks

    def before_fork(self) -> None:
        """Do nothing: the child uses nothing of what its parent has."""

    def after_fork(self, *, in_child: bool) -> None:
        """Let the child begin with connections, locks and a listener of its own."""
        if in_child:
            self._opening = threading.Lock()
            self._id = ""
            self._link.after_fork()
            self._ear.after_fork()


_WRITES: Final[tuple[tuple[Any, ...], ...]] = (
    ("HSET", "field", "value"),
    ("HDEL", "field"),
    ("SET", "value"),
    ("INCR",),
    ("ZADD", 0, "member"),
    ("ZREM", "member"),
    ("XADD", "MAXLEN", "~", 1, "1-0", "e", "event"),
)
