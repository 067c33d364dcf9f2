"""Master keys in the OS keyring, by choice: ``Valet(key="keyring")``."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import Final

from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.keys.files import locked
from valetkey.keys.text import read_keys, write_keys
from valetkey.model.ciphers import new_master_key
from valetkey.model.ports import MasterKey

_ENTRY: Final = "master-keys"


class KeyringKeys:
    """Keeps master keys in one entry of the OS keyring.  Every trouble is code ``keyring_unavailable``.

    A keyring cannot compare and swap: processes of one host take turns by a lock on valetkey's data folder.

    Args:
        service_name: The service under which the entry stands.
    """

    def __init__(self, service_name: str = "valetkey") -> None:
        self.can_create = True
        self.place = f"keyring:{service_name}"
        from valetkey.secret_services.os_keyring import OsKeyring  # noqa: PLC0415 - by choice only

        self._entries = OsKeyring(service_name)

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys, the current one first; none where there is no entry.

        Raises:
            ConfigurationError: There is no keyring, it is locked (``keyring_unavailable``), or the entry holds no key.
        """
        with _as_configuration():
            text = self._entries.get(_ENTRY)
        return () if text is None else read_keys(text, self.place)

    def create(self) -> MasterKey:
        """Make the first key; of two processes that try, both get the same."""
        with _taking_turns():
            found = self.keys() or self._write([new_master_key()])
        return found[0]

    def add(self, key: MasterKey) -> None:
        """Put a new current key before the others."""
        with _taking_turns():
            self._write([key, *(k for k in self.keys() if k.id != key.id)])

    def retire(self, key_id: str) -> None:
        """Remove a key that opens nothing any more; the last one stays."""
        with _taking_turns():
            left = [key for key in self.keys() if key.id != key_id]
            if left:
                self._write(left)

    def _write(self, keys: Sequence[MasterKey]) -> Sequence[MasterKey]:
        with _as_configuration():
            self._entries.set(_ENTRY, write_keys(keys))
        return keys


@contextlib.contextmanager
def _as_configuration() -> Generator[None, None, None]:
    try:
        yield
    except StoreUnavailable as error:
        raise ConfigurationError(str(error), code=error.code, hint=error.hint) from error


@contextlib.contextmanager
def _taking_turns() -> Generator[None, None, None]:
    from platformdirs import user_data_path  # noqa: PLC0415 - only when keys change

    try:
        folder = user_data_path("valetkey", appauthor=False)
    except RuntimeError as error:  # this user has no home folder
        raise _nowhere(str(error)) from error
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder):
            yield
    except OSError as error:
        raise _nowhere(error.strerror or str(error)) from error


def _nowhere(why: str) -> ConfigurationError:
    msg = f"valetkey's data folder cannot be used to take turns at the keyring: {why}"
    return ConfigurationError(msg, code="keyring_unavailable", hint="set HOME or XDG_DATA_HOME")
