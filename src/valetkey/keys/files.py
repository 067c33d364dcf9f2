"""Master keys in a file that only its owner may read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shlex
import stat
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path

from valetkey.errors import ConfigurationError
from valetkey.keys.text import read_keys, write_keys
from valetkey.model.ciphers import new_master_key
from valetkey.model.ports import MasterKey

_LARGEST = 65536
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileWarning(UserWarning):
    """A key file that valetkey did not make may be read by others than its owner."""


class FileKeys:
    """Keeps master keys in a file, mode 0600, which is always complete: it is made aside and moved into place.

    A file that just holds one key in base64 or hex, as ``valetkey key new`` prints it, is understood too.

    Args:
        path: The file; it need not exist.
        can_create: Whether the first key may be made here by itself.
    """

    def __init__(self, path: str | os.PathLike[str], *, can_create: bool) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - without following links: the place as it was named
        self.place = f"file:{self.path}"
        self.can_create = can_create
        self._warned = False

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys of the file, the current one first; none where there is no file.

        Raises:
            ConfigurationError: The file cannot be read (``key_unreadable``) or holds no key (``key_invalid``).
        """
        try:
            text = self._read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unreadable(why=error.strerror or type(error).__name__) from error
        return read_keys(text, str(self.path))

    def create(self) -> MasterKey:
        """Make the first key; of two processes that try, both get the same.

        Raises:
            ConfigurationError: The file cannot be written (``key_unwritable``).
        """
        key = new_master_key()
        with self._writing():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _beside(self.path, write_keys([key])) as aside, contextlib.suppress(FileExistsError):
                os.link(aside, self.path)  # fails where the file exists, and then changes nothing
            _sync(self.path.parent)
        made = self.keys()
        if not made:
            raise self._unreadable(why="it is a link to nothing")
        return made[0]

    def add(self, key: MasterKey) -> None:
        """Put a new current key before the others.

        Raises:
            ConfigurationError: The file cannot be read or written.
        """
        with self._writing(), locked(self.path.parent):
            self._replace([key, *(k for k in self.keys() if k.id != key.id)])

    def retire(self, key_id: str) -> None:
        """Remove a key that opens nothing any more; the last one stays.

        Raises:
            ConfigurationError: The file cannot be read or written.
        """
        with self._writing(), locked(self.path.parent):
            left = [key for key in self.keys() if key.id != key_id]
            if left:
                self._replace(left)

    def _read(self) -> str:
        with self.path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_LARGEST)
        if mode & _OTHERS and not self._warned:
            self._warned = True
            msg = f"{self.path} may be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {self.path}"
            warnings.warn(msg, KeyFileWarning, stacklevel=4)
        return data.decode(errors="replace")  # no UnicodeDecodeError, which would carry the bytes along

    def _replace(self, keys: Sequence[MasterKey]) -> None:
        target = self.path.resolve()  # where the path is a link, the file behind it changes
        with _beside(target, write_keys(keys)) as aside:
            aside.replace(target)
        _sync(target.parent)

    def _unreadable(self, *, why: str) -> ConfigurationError:
        place = shlex.quote(str(self.path))
        hint = f"let this user read it: chmod 600 {place}, and chown where it belongs to another"
        if self.path.is_dir():
            aside = shlex.quote(f"{self.path}.old")
            hint = f"put the key file back, from a backup if need be, and the folder aside: mv {place} {aside}"
        return ConfigurationError(f"the key file {self.path} cannot be read: {why}", code="key_unreadable", hint=hint)

    @contextlib.contextmanager
    def _writing(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            hint = "make the folder writable, or set VALETKEY_KEY_FILE to a key elsewhere (valetkey key new)"
            msg = f"the key file {self.path} cannot be written: {error.strerror or error}"
            raise ConfigurationError(msg, code="key_unwritable", hint=hint) from error


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Generator[Path, None, None]:
    """Write a complete file beside `path`, on disk before anybody sees it, and remove what is left of it."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Let one process at a time change the keys in a folder; the lock is on the folder, so it leaves no file."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough where a fork holds a copy of the handle
        os.close(handle)


def _sync(folder: Path) -> None:
    """Bring the folder's new entry to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
