"""Master keys that live in this process only: made here, or given by the program."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from valetkey.errors import ConfigurationError
from valetkey.model.ciphers import new_master_key
from valetkey.model.ports import MasterKey


class MemoryKeys:
    """Makes and keeps keys in memory.  They end with the process, so this is for a store that does so too."""

    def __init__(self) -> None:
        self.place = "memory:"
        self.can_create = True
        self._keys: tuple[MasterKey, ...] = ()
        self._lock = threading.Lock()

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys, the current one first."""
        return self._keys

    def create(self) -> MasterKey:
        """Make the first key; of two that try, both get the same."""
        with self._lock:
            if not self._keys:
                self._keys = (new_master_key(),)
            return self._keys[0]

    def add(self, key: MasterKey) -> None:
        """Put a new current key before the others."""
        with self._lock:
            self._keys = (key, *(k for k in self._keys if k.id != key.id))

    def retire(self, key_id: str) -> None:
        """Remove a key that opens nothing any more."""
        with self._lock:
            self._keys = tuple(k for k in self._keys if k.id != key_id)


class GivenKeys:
    """Holds the keys that the program brings, the current one first.  None is ever made here: it would be lost."""

    def __init__(self, *keys: MasterKey) -> None:
        self.place = "the key given by the program"
        self.can_create = False
        self._keys = keys

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys, the current one first."""
        return self._keys

    def create(self) -> MasterKey:
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        raise fixed_place(self.place)

    def add(self, key: MasterKey) -> None:
        """Refuse, unless it is there already (`ConfigurationError`, code ``place_read_only``)."""
        if key not in self._keys:
            raise fixed_place(self.place)

    def retire(self, key_id: str) -> None:
        """Refuse, unless it is gone already (`ConfigurationError`, code ``place_read_only``)."""
        if any(key.id == key_id for key in self._keys):
            raise fixed_place(self.place)


def fixed_place(place: str) -> ConfigurationError:
    """Return the error for a place where valetkey cannot change keys."""
    hint = (
        "valetkey key new > new.key; set VALETKEY_KEY_FILE to it and VALETKEY_KEY_FILE_OLD to a file with the old key, "
        "wherever the store is used; then: valetkey key rotate"
    )
    return ConfigurationError(f"keys cannot be changed in {place}", code="place_read_only", hint=hint)
