"""Master keys from the environment, for servers, containers and shared stores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from valetkey.keys.files import FileKeys
from valetkey.keys.memory import fixed_place
from valetkey.keys.text import read_keys
from valetkey.model.ports import MasterKey

KEY: Final = "VALETKEY_KEY"
KEY_FILE: Final = "VALETKEY_KEY_FILE"
KEY_FILE_OLD: Final = "VALETKEY_KEY_FILE_OLD"


class EnvKeys:
    """Reads ``VALETKEY_KEY`` (base64 or hex), then the files ``VALETKEY_KEY_FILE`` and ``VALETKEY_KEY_FILE_OLD``.

    In this order: the first is the current one.  Empty variables count as unset; the files are read anew each time.
    No key is ever made here, for an environment that came up without its key must not get another one.

    Args:
        environ: The environment; by default that of the process.
        may_write: Whether a rotation may add its key to the file ``VALETKEY_KEY_FILE``: where one host has the store.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, *, may_write: bool = False) -> None:
        self.can_create = False
        self._environ = os.environ if environ is None else environ
        self._may_write = may_write
        self._files: dict[str, FileKeys] = {}
        self.place = self._place()

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys, the current one first; none where no variable is set or the files are not there.

        Raises:
            ConfigurationError: A file cannot be read (``key_unreadable``), or something is no key (``key_invalid``).
        """
        found: dict[str, MasterKey] = {}
        for keys in self._sources():
            found |= {key.id: key for key in keys if key.id not in found}
        return tuple(found.values())

    def create(self) -> MasterKey:
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        raise fixed_place(self.place)

    def add(self, key: MasterKey) -> None:
        """Put a new current key before the others, in the file, where that is allowed.

        Raises:
            ConfigurationError: It is not (``place_read_only``), or the file cannot be written.
        """
        self._writable().add(key)

    def retire(self, key_id: str) -> None:
        """Remove a key from the file, where that is allowed.

        Raises:
            ConfigurationError: It is not (``place_read_only``), or the file cannot be written.
        """
        self._writable().retire(key_id)

    def _place(self) -> str:
        if self._environ.get(KEY):
            return f"the variable {KEY}"
        path = self._environ.get(KEY_FILE)
        return f"{self._file(path).place} ({KEY_FILE})" if path else f"{KEY} or {KEY_FILE} (neither is set)"

    def _sources(self) -> Sequence[Sequence[MasterKey]]:
        direct = self._environ.get(KEY)
        paths = (self._environ.get(KEY_FILE), self._environ.get(KEY_FILE_OLD))
        first = [read_keys(direct, f"the variable {KEY}")] if direct else []
        return [*first, *(self._file(path).keys() for path in paths if path)]

    def _file(self, path: str) -> FileKeys:
        return self._files.setdefault(path, FileKeys(path, can_create=False))

    def _writable(self) -> FileKeys:
        path = self._environ.get(KEY_FILE)
        if not self._may_write or not path or self._environ.get(KEY):
            raise fixed_place(self.place)
        return self._file(path)
