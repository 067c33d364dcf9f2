"""What all parts of the SQLite store stand on: its file, its connections, its clock."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from valetkey.clock import SystemClock
from valetkey.model.connections import Sealed
from valetkey.model.ports import Clock, KeyRetired
from valetkey.stores import _rules
from valetkey.stores._bell import Bell
from valetkey.stores._sqlite_file import DatabaseFile
from valetkey.stores._sqlite_pool import Pool
from valetkey.stores._sqlite_writer import Writer

T = TypeVar("T")
_READERS: Final = 4
"""Reads take microseconds: more threads than this wait for each other a little, and hold no further handles."""


class SQLiteBase:
    """The file and the ways into it: some connections that read, one that writes, one that only watches."""

    local: bool = True

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock | None = None, busy_timeout: float = 5.0) -> None:
        self.path: Path = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - keeps symlinks
        self.url: str = f"sqlite://{quote(os.fsencode(self.path))}"
        self._clock = clock or SystemClock()
        self._file = DatabaseFile(self.path, clock=self._clock, busy_timeout=busy_timeout)
        self._readers = Pool(self._file, limit=_READERS)
        self._writer = Pool(self._file, limit=1)
        self._watcher = Pool(self._file, limit=1)
        self._bell = Bell(self._clock)
        self._writes = Writer(self._writer, self._bell.ring)
        self._known_id: tuple[object, str] = (None, "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def store_id(self) -> str:
        """Return the id that the store got when it was made."""
        file, known = self._known_id
        now = self._file.identity()
        if known and file == now:
            return known
        found = str(self._read("SELECT id FROM store")[0][0])
        self._known_id = (self._file.identity(), found)
        return found

    def now(self) -> float:
        """Return Unix seconds by the clock of this host."""
        return self._clock.now()

    def close(self) -> None:
        """Close all connections.  They are opened again when the store is used again."""
        for pool in (self._readers, self._writer, self._watcher):
            pool.close()

    def change_mark(self) -> object:
        """Return SQLite's `data_version`, as seen by a connection that never writes, and which connection it is."""
        with self._watcher.lend() as handle:
            return handle.serial, handle.db.execute("PRAGMA data_version").fetchall()[0][0]

    # -- for the parts

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows: a cursor that is not read to its end would keep its snapshot open."""
        with self._readers.lend() as handle:
            return handle.db.execute(statement, values).fetchall()

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it in a durable transaction, nobody else writing meanwhile, and return what it returned; see `Writer`."""
        return self._writes.write(work)

    def _demand_key(self, db: sqlite3.Connection, sealed: Sealed | None, kind: str = "") -> None:
        """Raise KeyRetired where `sealed` names a data key that is not there."""
        key_id = _rules.data_key_of(sealed, kind)
        statement = "SELECT 1 FROM document WHERE kind = ? AND env = '' AND id = ?"
        if key_id and not db.execute(statement, (_rules.DATA_KEY, key_id)).fetchall():
            msg = f"the store has no data key {key_id}"
            raise KeyRetired(msg)
