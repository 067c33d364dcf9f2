"""The counts of the SQLite store, kept by triggers in the transaction of each write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from valetkey.model.connections import Counts, State, StoredState
from valetkey.model.troubles import Standings, Trouble
from valetkey.stores._rows import group_of, trouble_of
from valetkey.stores._rules import stored_owner
from valetkey.stores._sqlite_base import SQLiteBase
from valetkey.stores._where import ATTENTION, standings_statement

BY_STATE: Final = "SELECT credential, state, n FROM state_count WHERE env = ? AND n > 0"
SOON: Final = (
    "SELECT c.credential, count(*) FROM connection c INDEXED BY connection_attention WHERE c.env = ?"  # noqa: S608 - ours
    f" AND c.state = 'connected' AND {ATTENTION} IS NOT NULL AND {ATTENTION} < ? GROUP BY c.credential"
)

TROUBLES: Final = (
    "SELECT credential, reason, error, count(*), min(expires_at), min(next_try_at) FROM"
    " (SELECT credential, reason, error, expires_at, next_try_at FROM connection WHERE env = ? AND state = ?"
    " ORDER BY credential, owner, account LIMIT ?) s GROUP BY credential, reason, error"
)
"""Why connections are in a state: narrow, for a page that asks often."""


STANDINGS: Final = standings_statement("connection", "?")
OWNERS: Final = (
    "SELECT count(DISTINCT owner) FROM connection"
    " WHERE env = ? AND credential = ? AND owner <> ? AND sealed IS NOT NULL"
)


class SQLiteCounts(SQLiteBase):
    """The part of the store that counts connections."""

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state, as of the last commit."""
        with self._readers.lend() as handle:
            handle.db.execute("BEGIN")  # both readings see the same commit
            try:
                rows = handle.db.execute(BY_STATE, (env,)).fetchall()
                soon = handle.db.execute(SOON, (env, now)).fetchall()
            finally:
                handle.db.execute("ROLLBACK")
        found: dict[tuple[str, State], int] = {(name, cast("State", state)): n for name, state, n in rows}
        for name, n in soon:
            found[name, "connected"] = found.get((name, "connected"), 0) - n
            found[name, "expires_soon"] = n
        return {place: n for place, n in found.items() if n > 0}

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state: the first `limit` of them, summed."""
        return tuple(map(trouble_of, self._read(TROUBLES, (env, state, limit))))

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, in groups that are alike."""
        with self._readers.lend() as handle:
            handle.db.execute("BEGIN")  # both readings see the same commit
            try:
                rows = handle.db.execute(STANDINGS, (now, now, env, credential)).fetchall()
                ((owners,),) = handle.db.execute(OWNERS, (env, credential, stored_owner(None))).fetchall()
            finally:
                handle.db.execute("ROLLBACK")
        return Standings(groups=tuple(map(group_of, rows)), owners=owners)
