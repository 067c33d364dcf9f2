"""The way to a Redis server: a pool of connections, and the node of a cluster that has the store.

Nothing is ever sent twice by itself: the retries of redis-py are off.  What is repeated here was certainly not done:
a script that the server did not know, and a command that a node of a cluster sent elsewhere.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import RedisError as RedisFailure
from redis.retry import Retry

from valetkey.errors import clean
from valetkey.logs import get_logger
from valetkey.stores._redis_errors import BUSY, not_synced, translated
from valetkey.stores._redis_steps import Commit, Step
from valetkey.stores._redis_url import Place

_log = get_logger("stores.redis")

_CONNECTIONS: Final = 50
"""Further threads wait: a step takes a round trip, with a wait for the server's disk in the worst case."""
_HOPS: Final = 5
_MOVED: Final = re.compile(r"(?:MOVED )?\d+ (\S*):(\d+)")
_SYNC: Final = 0.6
"""The part of the timeout that a write waits for the server's disk; the rest is for the way."""
_TCP: Final[dict[str, Any]] = {"socket_keepalive": True}

Address = tuple[str, int]


class Link:
    """Connections to the server that has the store.

    Args:
        place: Where it is.
        timeout: Seconds for connecting, for an answer, and for waiting until a connection is free.
    """

    def __init__(self, place: Place, *, timeout: float) -> None:
        self.place = place
        self.timeout = timeout
        self.syncs: bool = False
        """Whether a write waits until it is in the server's append-only file, on disk."""
        self._seeds: list[Address] = [(place.host, place.port)]
        self._aim = self._seeds[0]
        self.after_fork()

    def after_fork(self) -> None:
        """Let go of what was inherited, without a word to the server: the parent goes on with it."""
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_CONNECTIONS)
        self._client: Any = None

    def close(self) -> None:
        """Close all connections that are idle; one in use is closed when it has done its work."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect(inuse_connections=False)

    # -- steps

    def run(self, step: Step, *, sync: bool = False) -> Any:
        """Run a step and return its answer; with `sync`, once it is on the server's disk where the server syncs.

        Raises:
            StoreUnavailable: The server does not answer, or not in time; a commit may have been done all the same.
            StoreError: It refuses.
        """
        sync = sync and self.syncs
        with translated(self.place.shown, writes=isinstance(step, Commit)):
            answer, synced = self._sent(step, sync=sync)
            if isinstance(answer, Exception):
                raise answer
        if sync:
            self._judge(synced)
        return answer

    def run_all(self, steps: Sequence[Commit], *, sync: bool = False) -> list[Any]:
        """Do what `run` does for many commits, in one round trip and with one wait for the server's disk.

        Raises:
            StoreUnavailable: The server does not answer, or not in time; some may have been done all the same.
            StoreError: It refuses one of them; the others may have been done.
        """
        if not steps:
            return []
        sync = sync and self.syncs
        with translated(self.place.shown, writes=True):
            commands = [("EVALSHA", step.script.digest, *_called_with(step)) for step in steps]
            answers = self._exchange([*commands, *self._wait(sync=sync)])
        if sync:
            self._judge(answers.pop())
        return [self._answered(step, answer, sync=sync) for step, answer in zip(steps, answers, strict=True)]

    def _answered(self, step: Step, answer: Any, *, sync: bool) -> Any:
        """Return the answer to a step; of one that was certainly not run, of a second try."""
        if isinstance(answer, NoScriptError) or self._redirected(answer):
            return self.run(step, sync=sync)
        with translated(self.place.shown, writes=True):
            if isinstance(answer, Exception):
                raise answer
        return answer

    def _sent(self, step: Step, *, sync: bool) -> tuple[Any, Any]:
        arguments = _called_with(step)
        head: tuple[str, str | bytes] = ("EVALSHA", step.script.digest)
        answer: Any = None
        synced: Any = None
        for _ in range(_HOPS):
            answer, *rest = self._exchange([(*head, *arguments), *self._wait(sync=sync)])
            synced = rest[0] if rest else None
            if isinstance(answer, NoScriptError):
                head = ("EVAL", step.script.text)
            elif not self._redirected(answer):
                break
        return answer, synced

    def _wait(self, *, sync: bool) -> list[tuple[Any, ...]]:
        return [("WAITAOF", 1, 0, int(self.timeout * _SYNC * 1000))] if sync else []

    def _judge(self, synced: Any) -> None:
        """Look at what the server says about its disk."""
        if isinstance(synced, ResponseError):
            self.syncs = False
            _log.warning("%s does not tell when a write is on its disk: %s", self.place.shown, clean(synced))
        elif not synced or not synced[0]:
            raise not_synced(self.place.shown, self.timeout * _SYNC)

    def ask(self, *command: str) -> Any:
        """Return the answer to one command.

        Raises:
            StoreUnavailable: The server does not answer.
            StoreError: It refuses.
        """
        with translated(self.place.shown):
            (answer,) = self._exchange([command])
            if isinstance(answer, Exception):
                raise answer
            return answer

    def _exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands over one connection and return the answers; an error of the server is an answer too."""
        with self._turn(), self._connected().pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            try:
                answers: list[Any] = pipeline.execute(raise_on_error=False)
            except RedisFailure:
                self._turn_away()
                raise
            return answers

    @contextmanager
    def _turn(self) -> Generator[None]:
        turns = self._turns
        if not turns.acquire(timeout=self.timeout):
            raise BUSY(self.place.shown)
        try:
            yield
        finally:
            turns.release()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                kind, options = self._options()
                pool = redis.ConnectionPool(connection_class=kind, **options)
                self._client = redis.Redis(connection_pool=pool)
                self._client.set_response_callback("CLUSTER SLOTS", _as_it_is)
            return self._client

    def _options(self) -> tuple[type[Any], dict[str, Any]]:
        options: dict[str, Any] = {
            "socket_timeout": self.timeout,
            "socket_connect_timeout": self.timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            **self.place.login(),
        }
        if self.place.path:
            return redis.UnixDomainSocketConnection, {**options, "path": self.place.path}
        host, port = self._aim
        kind = redis.Connection if self.place.tls is None else redis.SSLConnection
        return kind, {**options, **_TCP, "host": host, "port": port}

    def line(self) -> Any:
        """Return a connection outside of the pool, for whoever listens; it is connected when it is first used."""
        with self._lock:
            kind, options = self._options()
        return kind(**options)

    # -- clusters

    def learn_nodes(self) -> None:
        """Ask the cluster for its nodes, so that one that is lost is not the end."""
        answer = self.ask("CLUSTER SLOTS")
        nodes = [(self._host(node[0]), int(node[1])) for slots in answer for node in slots[2:]]
        self._seeds = list(dict.fromkeys([*self._seeds, *nodes]))

    def _host(self, told: Any) -> str:
        """Return the host of a node; a node that does not know its own address is where we asked."""
        host = told.decode() if isinstance(told, bytes) else str(told or "")
        return self._aim[0] if host in {"", "?"} else host

    def _redirected(self, answer: Any) -> bool:
        """Turn to the node that another one names (``MOVED``); False where it names none."""
        if not isinstance(answer, ResponseError) or self.place.path:
            return False
        found = _MOVED.fullmatch(str(answer))
        if found is None:
            return False
        self._turn_to((self._host(found[1]), int(found[2])))
        return True

    def _turn_away(self) -> None:
        """After a failure, ask another node of the cluster the next time."""
        if len(self._seeds) > 1:
            at = self._seeds.index(self._aim) if self._aim in self._seeds else -1
            self._turn_to(self._seeds[(at + 1) % len(self._seeds)])

    def _turn_to(self, address: Address) -> None:
        if address != self._aim:
            self._aim = address
            self.close()


def _called_with(step: Step) -> list[int | bytes]:
    return [len(step.keys), *step.keys, *step.arguments()]


def _as_it_is(answer: Any, **_: Any) -> Any:
    return answer
