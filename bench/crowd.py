"""Many connections, as a program with many users has them, and how they get into each store.

They are not put there one by one: a file and a database take rows by the thousand, in the columns that the store has,
and Redis the commands that the store would send, without its scripts.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final

from valetkey.engine.world import grant_label
from valetkey.model.connections import ConnectionKey, Identity, Record
from valetkey.model.grants import Grant
from valetkey.model.ports import Sealer
from valetkey.stores import _rules
from valetkey.stores._redis_names import member, searched
from valetkey.stores._redis_rows import row_fields
from valetkey.stores._redis_steps import Commit
from valetkey.stores._rows import WRITTEN, record_values
from valetkey.stores.postgres import PostgresStore
from valetkey.stores.redis import RedisStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.values import Secret

ENV: Final = "default"
CREDENTIALS: Final = tuple(f"provider-{n:02}" for n in range(40))
"""Each has fewer connections than the one before it."""
STATES: Final = {"connected": 92, "needs_reauth": 4, "pending": 2, "refresh_failing": 1, "disconnected": 1}
"""How many of a hundred connections are in which state."""
ACCOUNTS: Final = 3
"""How many connections each owner has."""
DUE: Final = 0.01
"""The part of the connections that are due."""
HOUR: Final = 3600.0
_BATCH: Final = 1000


class Crowd:
    """So many connections; the same in every run.

    Args:
        count: How many.
        origin: Where their token endpoint is.
    """

    def __init__(self, count: int, origin: str) -> None:
        chance = random.Random(1)  # noqa: S311 - no secret
        weights = [1 / (place + 1) for place in range(len(CREDENTIALS))]
        self._count = count
        self._origin = origin
        self._now = time.time()
        self._names = chance.choices(CREDENTIALS, weights, k=count)
        self._states: Sequence[Any] = chance.choices(list(STATES), list(STATES.values()), k=count)
        self._chances = [chance.random() for _ in range(count)]

    def key(self, number: int) -> ConnectionKey:
        """Return the key of a connection, by its number."""
        owners = self._count // ACCOUNTS + 1
        return ConnectionKey(
            ENV, self._names[number], f"user-{number * 7919 % owners:06}", f"account-{number // owners}"
        )

    def connected(self) -> list[int]:
        """Return the numbers of those that are connected."""
        return [number for number, state in enumerate(self._states) if state == "connected"]

    @staticmethod
    def access_token(number: int) -> str:
        """Return the access token of a connection, in clear."""
        return f"AT-{number:06}-{'x' * 160}"

    def records(self, sealer: Sealer) -> Iterator[Record]:
        """Yield them all."""
        for number in range(self._count):
            record = self._bare(number)
            yield record if record.state in {"pending", "disconnected"} else self._granted(number, record, sealer)

    def _bare(self, number: int) -> Record:
        key = self.key(number)
        return Record(
            id=f"con_{number:022}",
            key=key,
            version=1,
            state=self._states[number],
            requested=("read", "write"),
            granted=("read", "write") if number % 20 else ("read",),
            identity=Identity(
                subject=f"{number:012}",
                email=f"person-{number:06}@example.org",
                name=f"Person {number:06}",
                login=key.owner or "",
            ),
            tags={"plan": "team"},
            client_id="cid",
            token_origin=self._origin,
            secret_id=f"{key.credential}-token/{key.owner}/{key.account}",
            created_at=self._now - 1e6,
        )

    def _granted(self, number: int, record: Record, sealer: Sealer) -> Record:
        chance = self._chances[number]
        expires_at = self._now + HOUR * (3 + chance)
        grant = Grant(
            access_token=Secret(self.access_token(number)),
            refresh_token=Secret(f"RT-{number:06}-{'y' * 160}"),
            expires_at=expires_at,
            scope=record.granted,
            obtained_at=self._now - 600,
        )
        label = grant_label(record.key, record.id, record.incarnation, record.version)
        due_at = self._now - 60 * chance if chance < DUE else expires_at - 600
        return replace(
            record,
            sealed=sealer.seal(grant.to_json(), label),
            refreshable=True,
            access_fp=f"{number:012x}",
            refresh_fp=f"{number + 1:012x}",
            expires_at=expires_at,
            obtained_at=grant.obtained_at,
            connected_at=self._now - 1e6,
            last_refresh_at=grant.obtained_at,
            due_at=due_at if record.state != "needs_reauth" else None,
        )


# -- into the stores ---------------------------------------------------------------------------------------------------


def into_sqlite(store: SQLiteStore, records: Iterable[Record]) -> None:
    """Insert rows through a connection of the store; its triggers do the rest."""
    marks = ", ".join(f":{name}" for name in WRITTEN)
    insert = f"INSERT INTO connection ({', '.join(WRITTEN)}) VALUES ({marks})"  # noqa: S608 - names of ours
    store._write(lambda db: db.executemany(insert, map(record_values, records)))


def into_postgres(store: PostgresStore, records: Iterable[Record]) -> None:
    """Copy rows, then let the server learn what is in them, as it does by itself in a while."""
    import psycopg

    columns = ", ".join(WRITTEN)
    scopes: list[tuple[str, ...]] = []
    with psycopg.connect(store._place.conninfo.reveal(), autocommit=True) as link:
        sql = store._server.sql
        with link.cursor() as cursor, cursor.copy(sql(f"COPY {{S}}.connection ({columns}) FROM STDIN")) as copy:
            for record in records:
                values = record_values(record)
                copy.write_row([values[name] for name in WRITTEN])
                place = (record.key.env, *_rules.sort_key(record.key), record.id)
                scopes += [(scope, *place) for scope in _rules.missing(record)]
        names = "scope, env, credential, owner, account, connection_id"
        with link.cursor() as cursor, cursor.copy(sql(f"COPY {{S}}.missing_scope ({names}) FROM STDIN")) as copy:
            for row in scopes:
                copy.write_row(row)
        for table in ("connection", "missing_scope", "search_text"):
            link.execute(sql(f"ANALYZE {{S}}.{table}"))


def into_redis(store: RedisStore, records: Iterable[Record]) -> None:
    """Send hashes, pointers and members of sorted sets, and enter the names in order at the end."""
    import redis

    rest, names = iter(records), list[tuple[bytes, bytes]]()
    with redis.Redis(host=store._link.place.host, port=store._link.place.port) as client:
        while some := list(islice(rest, _BATCH)):
            with client.pipeline(transaction=False) as pipeline:
                _send(store, some, pipeline)
            names += [(member(record), searched(record)) for record in some]
    names.sort()
    for at in range(0, len(names), _BATCH):
        step = Commit(store._names)
        step.enter(store._names.leaves(ENV), *chain.from_iterable(names[at : at + _BATCH]))
        store._link.run(step)


def _send(store: RedisStore, records: Sequence[Record], pipeline: Any) -> None:
    places: dict[bytes, list[Any]] = {}
    for record in records:
        fields = ["rev", secrets.token_hex(8), *row_fields(record)]
        pipeline.execute_command("HSET", store._names.row(record.id), *fields)
        pipeline.execute_command("SET", store._names.pointer(record.key), record.id)
        for (index, name), score in store._indexed(record).items():
            places.setdefault(index, []).extend((score, name))
    for index, members in places.items():
        pipeline.execute_command("ZADD", index, *members)
    pipeline.execute()


FILL: Final[Mapping[type, Callable[[Any, Iterable[Record]], None]]] = {
    SQLiteStore: into_sqlite,
    PostgresStore: into_postgres,
    RedisStore: into_redis,
}
