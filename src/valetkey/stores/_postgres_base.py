"""What all parts of the Postgres store stand on: reading from the primary, and writing in durable transactions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg

from valetkey.clock import SystemClock
from valetkey.model.connections import ConnectionKey, Sealed
from valetkey.model.ports import Clock, KeyRetired
from valetkey.stores import _postgres_errors as trouble
from valetkey.stores import _rules
from valetkey.stores._postgres_news import NOTIFY, News, channel_of, payload_of
from valetkey.stores._postgres_pool import Connection, Pool
from valetkey.stores._postgres_server import BEGIN, Server
from valetkey.stores._postgres_url import parse
from valetkey.stores._postgres_waiting import Waiting
from valetkey.stores._troubles import answer_lost

T = TypeVar("T")

POOL_SIZE: Final = 8
LOCK_SECONDS: Final = 5
_PREPARE: Final = (
    BEGIN
    + f"""; SET LOCAL lock_timeout = '{LOCK_SECONDS}s';
    SET LOCAL idle_in_transaction_session_timeout = '{2 * LOCK_SECONDS}s';
    SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', true) END""".encode()
)
"""How each transaction begins.  All of it ends with the transaction, so that a pooler may hand the session on.

A process that is stopped within a transaction loses it after a while, for it may hold what others wait for.
"""
_KEY_THERE: Final = "SELECT 1 FROM {S}.document WHERE kind = %s AND env = '' AND id = %s FOR KEY SHARE"


class Writing:
    """One transaction: runs statements, and remembers which connections changed."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self.changed: list[ConnectionKey] = []

    def rows(self, template: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows."""
        return self._connection.execute(self._server.sql(template), values).fetchall()

    def run(self, template: str, values: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run a statement that returns none; return how many rows it changed."""
        return self._connection.execute(self._server.sql(template), values).rowcount

    def demand_key(self, sealed: Sealed | None, kind: str = "") -> None:
        """Raise KeyRetired where `sealed` names a data key that is not there, and keep it there until the commit."""
        key_id = _rules.data_key_of(sealed, kind)
        if key_id and not self.rows(_KEY_THERE, (_rules.DATA_KEY, key_id)):
            msg = f"the store has no data key {key_id}"
            raise KeyRetired(msg)

    def tell(self) -> None:
        """Have those who listen told of the connections that changed; the server does it when this is committed."""
        payloads = [payload_of(key) for key in dict.fromkeys(self.changed)]
        if payloads:
            self._connection.execute(NOTIFY, (channel_of(self._server.known_id), payloads))


class PostgresBase:
    """The database and the ways into it."""

    local: bool = False

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        schema: str | None = None,
        listen_url: str | None = None,
        pool_size: int = POOL_SIZE,
    ) -> None:
        self._place = place = parse(url, schema=schema, listen_url=listen_url)
        self.url: str = self._place.url
        self._server = Server(self._place)
        self._pool = Pool(self._server.open, limit=pool_size, busy=lambda: trouble.BUSY(place))
        self._news = News(self._server, self._pool)
        self._waiting = Waiting(clock or SystemClock(), listens=self._news.listens)
        self._news.watch(self._waiting.stir, lazily=True)
        weakref.finalize(self, _close, self._news, self._pool)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def store_id(self) -> str:
        """Return the id that the store got when it was made."""
        if not self._server.known_id:
            self._read("SELECT 1")  # each new connection reads it
        return self._server.known_id

    def now(self) -> float:
        """Return Unix seconds by the server's clock."""
        return float(self._read("SELECT {S}.unix_now() WHERE {S}.on_primary()")[0][0])

    def close(self) -> None:
        """Close all connections.  They are opened again when the store is used again."""
        _close(self._news, self._pool)
        self._server.trigrams = None

    def change_mark(self) -> object:
        """Return a value that never comes again: PostgreSQL cannot tell cheaply whether anything was committed."""
        return object()

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Call `tell` with the key of each connection that changes, None where news may have been missed.

        A method of an object is called as long as the object lives.  One thread listens for all who watch, from the
        next use of the store on.
        """
        self._news.watch(tell)

    def listens(self) -> bool:
        """Whether `watch` misses nothing at present: the server was heard within the last seconds."""
        return self._news.listens()

    # -- for the parts

    def _read(self, template: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one statement; where its connection was lost, of a second try on a new one."""
        with trouble.translated(self._place):
            try:
                return self._read_once(template, values)
            except psycopg.Error as error:
                if not trouble.worth_another_try(error):
                    raise
            return self._read_once(template, values)

    def _read_once(self, template: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._pool.lend() as connection:
            rows = connection.execute(self._server.sql(template), values).fetchall()
        self._news.attend()
        return rows

    def _write(self, work: Callable[[Writing], T]) -> T:
        """Run `work` in one durable transaction, and return what it returns.

        It is run a second time where the connection was lost before the server was asked to commit: then nothing was
        written.  Not after that: nobody knows.

        Raises:
            StoreUnavailable: The answer to the commit was lost (``store_answer_lost``), or nothing was written.
        """
        with trouble.translated(self._place):
            try:
                return self._write_once(work)
            except psycopg.Error as error:
                if not trouble.worth_another_try(error):
                    raise
            return self._write_once(work)

    def _write_once(self, work: Callable[[Writing], T]) -> T:
        with self._pool.lend() as connection:
            connection.execute(_PREPARE)
            writing = Writing(self._server, connection)
            try:
                result = work(writing)
                writing.tell()
            except Exception:
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
            self._commit(connection)
        self._news.attend()
        for key in writing.changed:
            self._waiting.stir(key)
        return result

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute(b"COMMIT")
        except psycopg.Error as error:
            if not trouble.lost(error):
                raise
            connection.close()
            raise answer_lost(self._place.url) from error


def _close(news: News, pool: Pool) -> None:
    news.close()
    pool.close()
