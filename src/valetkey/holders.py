"""Who holds a claim, and whether its process still lives: a lock file per process (R10).

The kernel drops a lock when its process ends, however it ends, so a lock that can be had is proof that its holder is
dead.  The proof is only as good as the file: it must be the very one that the holder locked (device and inode), under
the same boot, and on a file system of this host.

Of the two kinds of locks these are POSIX record locks: a forked child does not inherit them.  Their trap is that they
vanish when their process closes *any* descriptor of the file, so a process never opens a file of its own again.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from valetkey.logs import get_logger
from valetkey.model.ports import Clock, Fate

_log = get_logger("holders")
LITTER: Final = 86400.0
"""Seconds after which the file of a dead process is removed by another that makes its own."""
_ENDING: Final = ".lock"
_PARTS: Final = 4
_MOUNTS: Final = "/proc/self/mountinfo"
_REMOTE: Final = ("nfs", "cifs", "smb", "afs", "ceph", "9p", "fuse", "glusterfs", "lustre", "gfs", "ocfs", "virtiofs")


def _record_locks() -> Any:
    """Return the module for them; None on Windows, which has other locks: there a dead holder is waited out."""
    try:
        import fcntl as found  # noqa: PLC0415
    except ImportError:
        return None
    return found


fcntl: Final[Any] = _record_locks()
_own: Final[dict[str, int]] = {}
"""The lock files of this process, and their descriptors: they must not be opened again."""


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
        self._folder = folder
        self._clock = clock
        self.reset()
        _everywhere.add(self)

    def reset(self) -> None:
        """Start without a file, as in a forked child: the lock is the parent's."""
        self._lock = threading.Lock()
        self._place: str | None = None

    def name(self) -> str:
        """Return a new name for the holder of a claim."""
        if self._place is None:
            with self._lock:
                if self._place is None:
                    self._place = self._make()
        return f"{os.urandom(16).hex()}{self._place}"

    def fate(self, holder: str) -> Fate:
        """Tell whether the process behind a claim lives.

        What this very process holds is ``unknown``: it knows its own flights, and a claim that one of them left
        behind runs out as any other.
        """
        parts = holder.split(".")[1:]
        if fcntl is None or self._folder is None or len(parts) != _PARTS or parts[1] != self._boot():
            return "unknown"
        with suppress(OSError, ValueError):
            return _look(self._folder / f"{parts[0]}{_ENDING}", (int(parts[2], 16), int(parts[3], 16)))
        return "unknown"

    def close(self) -> None:
        """Remove the file: no claim is held any more.  The next name makes another."""
        with self._lock:
            place, self._place = self._place, None
        if place and self._folder is not None:
            _remove(str(self._folder / f"{place.split('.')[1]}{_ENDING}"), os.getpid())

    def _boot(self) -> str:
        return self._clock.boot_id().replace(".", "")

    def _make(self) -> str:
        """Make and lock this process's file, and return the second part of its names."""
        if fcntl is None or self._folder is None or not on_this_host(self._folder):
            return ""
        path = self._folder / f"{os.urandom(8).hex()}{_ENDING}"
        try:
            self._folder.mkdir(0o700, parents=True, exist_ok=True)
            self._clear_away(self._folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _own[str(path)] = descriptor
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            _log.info("no lock file could be made, so dead holders of claims are waited out: %s", error)
            return ""
        weakref.finalize(self, _remove, str(path), os.getpid())
        found = os.fstat(descriptor)
        return f".{path.stem}.{self._boot()}.{found.st_dev:x}.{found.st_ino:x}"

    def _clear_away(self, folder: Path) -> None:
        """Remove the files of processes that died long ago: nobody waits for their claims any more."""
        for path in folder.glob(f"*{_ENDING}"):
            with suppress(OSError):
                if self._clock.now() - path.stat().st_mtime > LITTER and _look(path, None) == "dead":
                    path.unlink()


def _look(path: Path, known: tuple[int, int] | None) -> Fate:
    """Try the lock of another process's file.  Who looks never makes one: what is not there proves nothing."""
    if str(path) in _own:
        return "unknown"
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if known is not None and (found.st_dev, found.st_ino) != known:
            return "unknown"
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return "alive"
        return "dead"
    finally:
        os.close(descriptor)  # and with it the lock


def _remove(path: str, process: int) -> None:
    if os.getpid() == process and (descriptor := _own.pop(path, None)) is not None:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - runs at the end of the interpreter, too
        os.close(descriptor)


def on_this_host(folder: Path) -> bool:
    """Tell whether a folder, or the nearest one above it, is on a file system that only this host uses.

    False where that cannot be told.
    """
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        device = there.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with open(_MOUNTS, encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123 - a stream of the kernel's
            kinds = [line.partition(" - ")[2].split()[0] for line in mounts if line.split()[2] == wanted]
    except (OSError, StopIteration, IndexError):
        return False
    return bool(kinds) and not any(kind.startswith(_REMOTE) for kind in kinds)


_everywhere: Final[weakref.WeakSet[FileHolders]] = weakref.WeakSet()


def _after_fork() -> None:
    for descriptor in _own.values():
        os.close(descriptor)  # inherited copies: a record lock belongs to the process that took it
    _own.clear()
    for holders in list(_everywhere):
        holders.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
