"""From the first version of the store in Redis to the second, in which names lie in leaves (``_redis_leaves``).

Programs of the first version would write names where none is looked for.  So their way in is closed first: the store's
id, which they look at with each step, is put elsewhere.  Then the names are moved, some at a time, so that other work
is done in between.  Several may do it at once, and where one breaks off the next that opens the store goes on: none
reads before all are moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from valetkey.logs import get_logger
from valetkey.stores._redis_link import Link
from valetkey.stores._redis_names import Names
from valetkey.stores._redis_steps import Commit

_log = get_logger("stores.redis")

FIRST: Final = "1"
"""The schema of the first version: names were members of a sorted set, with the texts that a search looks at."""

_AT_ONCE: Final = 500
_SCANNED: Final = "1000"


def shut_out(link: Link, names: Names, store_id: str, schema: int) -> None:
    """Turn a store of the first version into one whose names are to be moved; one that is no longer is left alone."""
    step = Commit(names)
    step.check(FIRST, "HGET", names.meta, "schema")
    step.do("HSET", names.meta, "store", store_id, "schema", schema, "unpacked", 1)
    step.do("HDEL", names.meta, "id")
    link.run(step, sync=True)


def move_names(link: Link, names: Names) -> None:
    """Move all names that are not in leaves yet."""
    for every in set(_every(link, names)):
        _log.info("names of %s are put in order anew", names.env_of(every) or "no environment")
        left = 1
        while left:
            step = Commit(names)
            step.pack(names.leaves(names.env_of(every)), every, _AT_ONCE)
            _, left = link.run(step)
    step = Commit(names)
    step.do("HDEL", names.meta, "unpacked")
    link.run(step, sync=True)


def _every(link: Link, names: Names) -> Iterator[bytes]:
    """Yield the sorted sets of the first version."""
    cursor = "0"
    while True:
        answer: Any = link.ask("SCAN", cursor, "MATCH", names.every_packed(), "COUNT", _SCANNED)
        found, keys = answer
        yield from keys
        cursor = str(int(found))
        if cursor == "0":
            return
