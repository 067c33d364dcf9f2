"""The file of a SQLite store: made private, opened, checked, and brought to the current schema."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Final
from urllib.parse import quote

from valetkey.logs import get_logger
from valetkey.model.ports import Clock
from valetkey.stores import _sqlite_schema as schema
from valetkey.stores import _sqlite_search
from valetkey.stores._sqlite_errors import BUSY, file_error, foreign, primary_code, translated
from valetkey.stores._troubles import newer

_log = get_logger("stores.sqlite")

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077
_PAUSE: Final = 0.01
_WAL: Final = "wal"

_making = threading.Lock()
"""Held from making a file to closing it again: closing any descriptor of a file drops all POSIX locks that the process
holds on it, those of a SQLite connection too."""


class DatabaseFile:
    """The file, and how it is opened."""

    def __init__(self, path: Path, *, clock: Clock, busy_timeout: float) -> None:
        self.path = path
        self._text = os.fspath(path)
        self.busy_timeout = busy_timeout
        self._clock = clock
        self._warned = False

    def identity(self) -> tuple[int, int] | None:
        """Return what tells this file from another that was put in its place, None where there is none."""
        try:
            found = os.stat(self._text)  # noqa: PTH116 - done before each use of a connection: a Path's own costs as much
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def open(self) -> sqlite3.Connection:
        """Open a connection to the store, which is made where there was none.

        Raises:
            StoreUnavailable: The file cannot be made, opened or written now.
            StoreError: It is of a newer schema, of another program, or damaged.
            ConfigurationError: There can be no file at this path.
        """
        try:
            self._make_private()
        except OSError as error:
            raise file_error(error, self.path) from error
        with translated(self.path):
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _make_private(self) -> None:
        with _making:
            if not self.path.exists():
                make_folder(self.path.parent)
                _make_file(self.path)
                return
        found = self.path.stat().st_mode
        mode = stat.S_IMODE(found)
        if mode & _OTHERS and stat.S_ISREG(found) and not self._warned:
            self._warned = True
            _log.warning("%s can be read or written by others (mode %o): chmod 600 %s", self.path, mode, self.path)

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: SQLite must never make the file itself, for it would do so with the mode that the umask leaves.
        return sqlite3.connect(
            f"file:{quote(os.fsencode(self.path))}?mode=rw",
            uri=True,
            timeout=self.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = self._version(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is erased does not linger in free pages
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync() alone leaves the data in the drive's cache
        if _pragma(connection, "journal_mode") != _WAL:  # new, or restored from a copy that was made without it
            self._use_wal(connection)
        if version < len(schema.MIGRATIONS):
            self._migrate(connection)
        _sqlite_search.prepare(connection)

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the schema version, refusing what this code must not touch."""
        version = int(_pragma(connection, "user_version"))
        owner = int(_pragma(connection, "application_id"))
        if owner != schema.APPLICATION_ID and (version or owner or _has_tables(connection)):
            # Another process may just have made it: its version, mark and tables come in one commit.
            if int(_pragma(connection, "application_id")) != schema.APPLICATION_ID:
                raise foreign(self.path)
            version = int(_pragma(connection, "user_version"))
        if version > len(schema.MIGRATIONS):
            raise newer(self.path, version, len(schema.MIGRATIONS))
        return version

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Turn on write-ahead logging, which the file remembers.

        SQLite does not always wait here while another process opens the file, so the waiting is done by hand.
        """
        give_up = self._clock.monotonic() + self.busy_timeout
        while True:
            try:
                mode = _pragma(connection, "journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if primary_code(error) not in BUSY or self._clock.monotonic() > give_up:
                    raise
                self._clock.sleep(_PAUSE)
                continue
            if mode != _WAL and not self._warned:
                self._warned = True
                _log.warning("%s lies on a file system without shared memory: slower, and for one host only", self.path)
            return

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Run the steps that are missing, in one transaction: of two processes one finds the work done."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)
            for step in schema.MIGRATIONS[version:]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, for this user only, whatever the umask; what is there stays as it is."""
    if folder.exists():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(_FOLDER_MODE)
    except FileExistsError:
        return
    folder.chmod(_FOLDER_MODE)


def _make_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)


def _pragma(connection: sqlite3.Connection, text: str) -> str:
    return str(connection.execute(f"PRAGMA {text}").fetchall()[0][0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())
