"""News of changes by others: one thread per process and store that listens on a connection of its own (LISTEN)."""

from __future__ import annotations

import json
import os
import secrets
import select
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from psycopg import sql

from valetkey import forks
from valetkey.clock import SystemClock
from valetkey.errors import ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey
from valetkey.stores._postgres_pool import Connection, Pool, leave_to_parent
from valetkey.stores._postgres_server import Server
from valetkey.stores._watchers import Tell, weakly

_log = get_logger("stores.postgres")

NOTIFY: Final = b"SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"
PAYLOAD_LIMIT: Final = 7999
"""Bytes that PostgreSQL carries with a notification."""

PING: Final = 2.0
"""Seconds of silence after which the server is asked for a sign of life."""
SILENCE: Final = 5.0
"""Seconds after which one who heard nothing does not count as listening."""
_ANSWER: Final = 3.0
"""Seconds that a sign of life may take."""
_PROBE: Final = 2.0
"""Seconds within which one hears oneself."""
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_LEAVE: Final = 10.0
"""Seconds that `close` waits for the thread."""

_clock: Final = SystemClock()


class _Deaf(Exception):
    """No notification comes through: a pooler is in between, or it is another database."""


class _Wake:
    """Wakes one thread from `select`.  It is closed when nobody knows it any more, so no descriptor is used after."""

    def __init__(self, ends: tuple[int, int]) -> None:
        self._reading, self._writing = ends

    def fileno(self) -> int:
        """Return what becomes readable."""
        return self._reading

    def ring(self) -> None:
        """Wake it, now or when it looks."""
        os.write(self._writing, b".")

    def rung(self, seconds: float) -> bool:
        """Wait for it."""
        return bool(select.select([self], [], [], seconds)[0])

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._reading)
        close(self._writing)


class News:
    """Tells those who watch of every change, as soon as it is known."""

    def __init__(self, server: Server, pool: Pool) -> None:
        self._server = server
        self._pool = pool
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], Tell | None]] = []
        self._joined = 0
        self._thread: _Thread | None = None
        self._wanted = False
        self._heard_at = float("-inf")
        forks.register(self)

    def watch(self, tell: Tell, *, lazily: bool = False) -> None:
        """Call `tell` from now on, at once where we listen already.  `lazily`: it is no reason to listen."""
        with self._lock:
            self._watchers.append(weakly(tell))
            self._joined += 1
            self._wanted = self._wanted or not lazily
            late = self._heard_at > float("-inf")
        if late:
            tell(None)

    def listens(self) -> bool:
        """Whether nothing is missed at present."""
        return _clock.monotonic() - self._heard_at < SILENCE

    def attend(self) -> None:
        """Begin to listen, if anybody watches and nobody listens yet; where that cannot be, at the next call."""
        if self._wanted and self._thread is None:
            with self._lock:
                if self._thread is None:
                    # Too many threads or descriptors, or the end of the interpreter: what called has succeeded.
                    with suppress(RuntimeError, OSError):
                        thread = _Thread(self)
                        thread.start()
                        self._thread = thread

    def close(self) -> None:
        """End the thread.  It begins anew when the store is used again."""
        with self._lock:
            thread, self._thread = self._thread, None
            self.unheard()
        if thread is not None:
            thread.end()

    # -- for the thread

    @property
    def url(self) -> str:
        """Where the store is, for people."""
        return self._server.place.url

    def store_id(self) -> str:
        """Return which store it is, as far as known."""
        return self._server.known_id

    def open(self) -> Connection:
        """Open the connection on which to listen.

        Raises:
            _Deaf: It leads to a pooler, which would swallow the news.
        """
        connection = self._server.connect(self._server.place.listen)
        connection.patience = _ANSWER
        try:
            self._listen(connection, channel_of(self._server.known_id))
        except BaseException:
            connection.close()
            raise
        return connection

    def _listen(self, connection: Connection, channel: str) -> None:
        pid = connection.execute(b"SELECT pg_backend_pid()").fetchall()[0][0]
        if pid != connection.pgconn.backend_pid:  # it would accept LISTEN, and tell nothing
            msg = "a pooler is in between"
            raise _Deaf(msg)
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self._probe(connection, channel)

    def _probe(self, connection: Connection, channel: str) -> None:
        """Send a notification where the store writes, and wait until it is heard here."""
        probe = f"?{secrets.token_hex(8)}"
        with self._pool.lend() as writer:
            writer.execute(NOTIFY, (channel, [probe]))
        for notification in connection.notifies(timeout=_PROBE):
            if notification.payload == probe:
                return
        msg = "what the store writes is not told there"
        raise _Deaf(msg)

    def hear(self, payload: str) -> None:
        """Tell of one notification."""
        self.heard()
        if not payload.startswith("?"):
            self.tell(key_of(payload))

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_at = _clock.monotonic()

    def begun(self) -> None:
        """Tell all that something may have been missed; from then on it counts as listening."""
        told = -1
        while told != self._joined:  # one who joins meanwhile is told too, before it counts
            told = self._joined
            self.tell(None)
            with self._lock:
                if told == self._joined:
                    self.heard()

    def unheard(self) -> None:
        """Note that nothing is heard any more."""
        self._heard_at = float("-inf")

    def tell(self, key: ConnectionKey | None) -> None:
        """Call all who watch and still live."""
        with self._lock:
            known = [(watcher, watcher()) for watcher in self._watchers]
            self._watchers = [watcher for watcher, tell in known if tell is not None]
        for _, tell in known:
            if tell is not None:
                try:
                    tell(key)
                except Exception:  # noqa: BLE001 - of others, who must not make this store deaf
                    _log.exception("whoever watches the store failed at the news of a change")

    # -- forking

    def before_fork(self) -> None:
        """Let nobody hold the lock over the fork."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; the child has no thread yet, and nothing of its parent's."""
        if not in_child:
            self._lock.release()
            return
        self._lock = threading.Lock()
        self.unheard()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.abandon()


class _Thread(threading.Thread):
    """Listens until it is told to end; where the link fails, it is made anew after a pause that grows."""

    def __init__(self, news: News) -> None:
        super().__init__(name="valetkey-postgres-news", daemon=True)
        self._news = news
        self._wake = _Wake(os.pipe())
        self._link: Connection | None = None
        self._told = False

    def end(self) -> None:
        """Have it end, and wait for that; not where the program ends: a server that is away would hold it up."""
        self._wake.ring()
        goes_on = threading.main_thread().is_alive()  # no more when what is left to do at the exit is done
        if goes_on and threading.current_thread() is not self:
            self.join(_LEAVE)

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent's thread."""
        if self._link is not None:
            leave_to_parent(self._link)

    def run(self) -> None:
        """Listen, again and again."""
        pause = _FIRST_PAUSE
        while not self._wake.rung(0):
            try:
                with self._linked() as link:
                    pause = _FIRST_PAUSE
                    self._attend(link)
            except (psycopg.Error, ValetkeyError, OSError, _Deaf) as error:
                self._explain(error)
            if self._wake.rung(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def _linked(self) -> Generator[Connection]:
        self._link = link = self._news.open()
        try:
            self._news.begun()
            self._told = False
            yield link
        finally:
            self._news.unheard()
            link.close()
            self._link = None

    def _attend(self, link: Connection) -> None:
        """Hear what comes, until the end, until the link fails, or until it is another store that lies there."""
        store = self._news.store_id()
        while self._news.store_id() == store:
            ready, _, _ = select.select([link.fileno(), self._wake.fileno()], [], [], PING)
            if self._wake.fileno() in ready:
                return
            if not ready:
                link.execute(b"SELECT 1")
                self._news.heard()
            for notification in link.notifies(timeout=0):
                self._news.hear(notification.payload)

    def _explain(self, error: Exception) -> None:
        """Say once why changes by others are seen some seconds later than they could be."""
        if isinstance(error, _Deaf) and not self._told:
            self._told = True
            _log.warning(
                "%s: changes by other processes are looked for every few seconds, for %s; name a direct listen_url",
                self._news.url,
                error,
            )


# -- the notification --------------------------------------------------------------------------------------------------


def channel_of(store_id: str) -> str:
    """Return the channel on which the changes of a store are told."""
    return f"valetkey_{store_id[:48]}"


def payload_of(key: ConnectionKey) -> str:
    """Return a key as it is told; empty, which stands for all, where it is longer than PostgreSQL carries."""
    text = json.dumps([key.env, key.credential, key.owner, key.account], separators=(",", ":"), ensure_ascii=False)
    return text if len(text.encode()) <= PAYLOAD_LIMIT else ""


def key_of(payload: str) -> ConnectionKey | None:
    """Return the key that `payload_of` wrote, None for anything else."""
    try:
        env, credential, owner, account = json.loads(payload)
    except (ValueError, TypeError):
        return None
    texts = all(isinstance(part, str) for part in (env, credential, account, owner or ""))
    return ConnectionKey(env, credential, owner, account) if texts else None
