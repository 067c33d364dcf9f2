"""Who holds a claim, and whether its process still lives: a lock file per process (R10).

The kernel drops a lock when its process ends, however it ends, so a lock that can be had is proof that its holder is
dead.  The proof is only as good as the file: it must be the very one that the holder locked (device and inode), under
the same boot, and on a file system of this host.

Of the two kinds of locks these are POSIX record locks: a forked child does not inherit them.  Their trap is that they
vanish when their process closes *any* descriptor of the file, so a process never opens a file of its own again,
under whichever path it may have come by it.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from valetkey.logs import get_logger
from valetkey.model.ports import Clock, Fate

_log = get_logger("holders")
LITTER: Final = 86400.0
"""Seconds after which the file of a dead process is removed by another that makes its own."""
_ENDING: Final = ".lock"
_NAME: Final = re.compile(r"[0-9a-f]+\.([0-9a-f]{16})\.([^.]+)\.([0-9a-f]+)\.([0-9a-f]+)")
_MOUNTS: Final = "/proc/self/mountinfo"
_LOCAL: Final = frozenset(
    {
        *("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2"),
        *("overlay", "ramfs", "reiserfs", "tmpfs", "ubifs", "xfs", "zfs"),
    }
)
"""File systems that one host alone uses, with inodes that stay.  A list of the others would never be whole."""


def _record_locks() -> Any:
    """Return the module for them; None on Windows, which has other locks: there a dead holder is waited out."""
    try:
        import fcntl as found  # noqa: PLC0415
    except ImportError:
        return None
    return found


fcntl: Final[Any] = _record_locks()
_held: Final[dict[str, tuple[str, int]]] = {}
"""The lock files of this process by name, with path and descriptor."""
_own: Final[set[str]] = set()
"""The names of all that it ever had: none of them may be opened again."""


class FileHolders:
    """Names the claims of this process, and tells the fate of others on this host.

    A name is 128 random bits in hex, and how others find the process: ``.<file>.<boot>.<device>.<inode>``.  The file
    is made when the first claim is named.  Where it cannot be made, names lack the second part, and such claims are
    waited out.

    Args:
        folder: Where lock files are: a folder that all processes on this store and host share.  None: there is none.
        clock: Tells the boot, and the age of files.
    """

    def __init__(self, folder: Path | None, *, clock: Clock) -> None:
        self.folder: Path | None = folder
        self._clock = clock
        self.reset()
        _everywhere.add(self)

    def reset(self) -> None:
        """Start without a file, as in a forked child: the lock is the parent's."""
        self._lock = threading.Lock()
        self._suffix: str | None = None

    def name(self) -> str:
        """Return a new name for the holder of a claim."""
        if self._suffix is None:
            with self._lock:
                if self._suffix is None:
                    self._suffix = self._make()
        return f"{os.urandom(16).hex()}{self._suffix}"

    def fate(self, holder: str) -> Fate:
        """Tell whether the process behind a claim lives.

        What this very process holds is ``unknown``: it knows its own flights, and a claim that one of them left
        behind runs out as any other.
        """
        found = _NAME.fullmatch(holder)
        if fcntl is None or self.folder is None or found is None or found[2] != self._boot():
            return "unknown"
        with suppress(OSError):
            return _look(self.folder / f"{found[1]}{_ENDING}", (int(found[3], 16), int(found[4], 16)))
        return "unknown"

    def obstacle(self) -> str:
        """Return why there can be no lock files here, in a few words; empty where there can."""
        if self.folder is None:
            return "the store has no folder on this host"
        if fcntl is None:
            return "this system has no such locks"
        if not on_this_host(self.folder):
            return f"{self.folder} is on no file system that is known to be this host's alone"
        there = next((place for place in (self.folder, *self.folder.parents) if place.exists()), None)
        return "" if there is not None and os.access(there, os.W_OK | os.X_OK) else f"{self.folder} cannot be written"

    def close(self) -> None:
        """Remove the file: no claim is held any more.  The next name makes another."""
        with self._lock:
            suffix, self._suffix = self._suffix, None
        if suffix:
            _remove(f"{suffix.split('.')[1]}{_ENDING}")

    def _boot(self) -> str:
        return self._clock.boot_id().replace(".", "")

    def _make(self) -> str:
        """Make and lock this process's file, and return the second part of its names."""
        if fcntl is None or self.folder is None or not on_this_host(self.folder):
            return ""
        path = self.folder / f"{os.urandom(8).hex()}{_ENDING}"
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            self._clear_away(self.folder)
            found = _locked(path)
        except OSError as error:
            _log.info("no lock file could be made, so dead holders of claims are waited out: %s", error)
            _remove(path.name)
            return ""
        weakref.finalize(self, _remove, path.name)
        return f".{path.stem}.{self._boot()}.{found.st_dev:x}.{found.st_ino:x}"

    def _clear_away(self, folder: Path) -> None:
        """Remove the files of processes that died long ago: nobody waits for their claims any more."""
        for path in folder.glob(f"*{_ENDING}"):
            with suppress(OSError):
                if self._clock.now() - path.stat().st_mtime > LITTER and _look(path, None) == "dead":
                    path.unlink()


def _locked(path: Path) -> os.stat_result:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    _held[path.name] = str(path), descriptor
    _own.add(path.name)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return os.fstat(descriptor)


def _look(path: Path, known: tuple[int, int] | None) -> Fate:
    """Try the lock of another process's file.  Who looks never makes one: what is not there proves nothing.

    It is tried as a shared one, so that two who look at once are not taken for the holder.
    """
    if path.name in _own:
        return "unknown"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if known is not None and (found.st_dev, found.st_ino) != known:
            return "unknown"
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return "alive"
        return "dead"
    finally:
        os.close(descriptor)  # and with it the lock


def _remove(name: str) -> None:
    """Remove a file of this process; a forked child has none of its parent's (`_after_fork`)."""
    if (found := _held.pop(name, None)) is not None:
        path, descriptor = found
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - runs at the end of the interpreter, too
        os.close(descriptor)


def on_this_host(folder: Path) -> bool:
    """Tell whether a folder, or the nearest one above it, is on a file system that only this host uses.

    False where that cannot be told, as on systems without ``/proc``.
    """
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123 - the kernel's
            return file_system(os.path.realpath(folder), mounts) in _LOCAL
    except OSError:
        return False


def file_system(path: str, mounts: Iterable[str]) -> str:
    """Return the type of the file system that holds an absolute path, by the lines of proc_pid_mountinfo(5).

    Of mounts above one another the last one counts.  Devices are not compared: those of btrfs are not what stat()
    tells.  Empty where no line fits.
    """
    best, kind = -1, ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split()
        if len(fields) <= _POINT or not types:
            continue
        point = PurePosixPath(_unescaped(fields[_POINT]))
        if PurePosixPath(path).is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), types[0]
    return kind


_POINT: Final = 4
"""Which field of a line is the mount point."""


def _unescaped(text: str) -> str:
    """Return a mount point as it is: space, tab, newline and backslash stand there in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


_everywhere: Final[weakref.WeakSet[FileHolders]] = weakref.WeakSet()


def _after_fork() -> None:
    for _, descriptor in _held.values():
        with suppress(OSError):
            os.close(descriptor)  # inherited copies: a record lock belongs to the process that took it
    _held.clear()
    _own.clear()
    for holders in list(_everywhere):
        holders.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
