"""What SQLite and the file system complain of, as errors with a code and a next step."""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores import _troubles
from valetkey.stores._troubles import delete_statement

_PRIMARY: Final = 0xFF
"""SQLite's extended result codes carry the primary one in the low byte."""

_NO_ROOM: Final = 64 * 1024
"""With fewer free bytes than this, a failed write is taken for a full disk."""

BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn errors of SQLite in the block into those of valetkey."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, path) from error


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 where the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY


def store_error(error: sqlite3.Error, path: Path) -> ValetkeyError:
    """Return the error to raise for one of SQLite's."""
    make = _BY_CODE.get(primary_code(error))
    return make(path) if make else _other(error, path)


def file_error(error: OSError, path: Path) -> ValetkeyError:
    """Return the error to raise where the file or its folder cannot be made."""
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return read_only(path)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return full(path)
    if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.EINVAL}:
        return no_place(path, os.strerror(error.errno))
    reason = clean(error.strerror or error)
    return StoreUnavailable(
        f"The store {path} cannot be made: {reason}.", hint=f"Look at: ls -ld {_quoted(path.parent)}"
    )


def read_only(path: Path) -> StoreUnavailable:
    """Return the error for a file or folder that may not be written."""
    hint = f"Give this user write access to {path.parent}, or set VALETKEY_HOME to a folder that it may write."
    if path.exists() and os.access(path.parent, os.W_OK):  # what SQLite keeps beside the file has the file's mode
        hint = f"Give this user write access to the file and to those beside it: chmod u+rw {_quoted(path)}*"
    return StoreUnavailable(
        f"The store {path} cannot be written: this user may not write the file or its folder. Nothing was changed.",
        code="store_read_only",
        hint=hint,
    )


def full(path: Path) -> StoreUnavailable:
    """Return the error for a disk without room."""
    return StoreUnavailable(
        f"The store {path} cannot be written: its disk is full, or a quota is used up. What was stored is kept.",
        code="store_full",
        hint=f"Make room, then try again: df -h {_quoted(path.parent)}",
    )


def locked(path: Path) -> StoreUnavailable:
    """Return the error for a store that somebody else has locked for too long."""
    return StoreUnavailable(
        f"The store {path} is locked by another program, which did not let go in time. Nothing was changed.",
        code="store_locked",
        hint=f"Try again; if it stays so, find the program with: fuser {_quoted(path)}",
    )


def corrupt(path: Path) -> StoreError:
    """Return the error for a file that is no database, or a damaged one."""
    return StoreError(
        f"The store {path} is damaged, or is no SQLite database. It is kept as it is.",
        code="store_corrupt",
        hint=f"Restore it from a backup; or start with an empty one: mv {_quoted(path)} {_quoted(path)}.damaged",
    )


def foreign(path: Path) -> StoreError:
    """Return the error for a database of another program."""
    return StoreError(
        f"{path} is the database of another program, not a store of valetkey. It was not touched.",
        code="store_foreign",
        hint="Pass the path of a file that does not exist yet, or of a store.",
    )


def no_place(
    path: Path, reason: str, *, hint: str = "Pass the path of a file, such as ./valetkey.db"
) -> ConfigurationError:
    """Return the error for a path at which no file can be."""
    return ConfigurationError(f"There can be no store at {path}: {clean(reason)}.", code="store_path", hint=hint)


def row_corrupt(path: Path, what: str, reason: str, table: str, **key: str) -> StoreError:
    """Return the error for one damaged row, which `key` names in `table`; all others can still be read."""
    remove = f"sqlite3 {_quoted(path)} {shlex.quote(delete_statement(table, key))}"
    return _troubles.row_corrupt(path, what, reason, remove=remove, kind=key.get("kind", ""))


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _unopened(path: Path) -> ValetkeyError:
    if path.is_dir():
        moved = f"mv {_quoted(path)} {_quoted(path)}.old"
        return no_place(path, "it is a folder", hint=f"Pass the path of a file; or move the folder away: {moved}")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        return read_only(path)
    return StoreUnavailable(
        f"The store {path} cannot be opened.", hint="Look for too many open files: ulimit -n; then try again."
    )


def _failed_io(path: Path) -> StoreUnavailable:
    # A write that fails for want of room is not always called so: over a quota it is an I/O error like others.
    try:
        room = os.statvfs(path.parent)
    except OSError:
        room = None
    if room is not None and room.f_bavail * room.f_frsize < _NO_ROOM:
        return full(path)
    return StoreUnavailable(
        f"Reading or writing the store {path} failed: the disk reports an error. What was stored is kept.",
        code="store_io",
        hint="Look at the system's log (dmesg) for disk errors, and at quotas; then try again.",
    )


def _other(error: sqlite3.Error, path: Path) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    return StoreError(f"The store {path} failed: {name}: {clean(error)}.", hint="Look at: valetkey doctor")


_BY_CODE: Final[dict[int, Callable[[Path], ValetkeyError]]] = {
    sqlite3.SQLITE_BUSY: locked,
    sqlite3.SQLITE_LOCKED: locked,
    sqlite3.SQLITE_FULL: full,
    sqlite3.SQLITE_READONLY: read_only,
    sqlite3.SQLITE_PERM: read_only,
    sqlite3.SQLITE_AUTH: read_only,
    sqlite3.SQLITE_CANTOPEN: _unopened,
    sqlite3.SQLITE_CORRUPT: corrupt,
    sqlite3.SQLITE_NOTADB: corrupt,
    sqlite3.SQLITE_IOERR: _failed_io,
}
