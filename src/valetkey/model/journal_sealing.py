"""Sealing the journal: by the master key itself, for a data key may be retired while an entry waits for its store."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from valetkey.errors import DecryptionFailed
from valetkey.model.ciphers import Box, Broken, frame, raw_key
from valetkey.model.connections import Sealed
from valetkey.model.ports import KeyProvider, Label, MasterKey


class MasterSealer:
    """Seals with a key made from the current master key; opens with any that the provider still has.

    Implements `Sealer`, for one store.

    Args:
        store_id: The id of the store.
        keys: Where its master keys are.
        establish: Makes the first key where the store has none yet, and where one may be made: on a host that only
            reads tokens from a secret service, nothing else may have been sealed so far.
    """

    def __init__(self, store_id: str, keys: KeyProvider, establish: Callable[[], object]) -> None:
        self._store_id = store_id
        self._keys = keys
        self._establish = establish

    def seal(self, plain: bytes, label: Label) -> Sealed:
        """Seal with the current master key.

        Raises:
            ConfigurationError: The keys cannot be read, or there is none and none may be made.
            DecryptionFailed: The key that the store needs is not there (``key_missing``).
        """
        if not self._keys.keys():
            self._establish()
        for key in self._keys.keys():  # noqa: SIM118 - not a mapping
            return Sealed(_box(key).seal(plain, self._bound_to(label)), key.id)
        raise _missing(label, "a master key")

    def open(self, sealed: Sealed, label: Label) -> bytes:
        """Open what `seal` made.

        Raises:
            ConfigurationError: The keys cannot be read.
            DecryptionFailed: The key is gone (``key_missing``), or the bytes were changed (``sealed_broken``).
        """
        for key in self._keys.keys():  # noqa: SIM118 - not a mapping
            if key.id == sealed.key_id:
                return self._opened(key, sealed, label)
        raise _missing(label, f"the master key {sealed.key_id}")

    def _opened(self, key: MasterKey, sealed: Sealed, label: Label) -> bytes:
        try:
            return _box(key).open(sealed.blob, self._bound_to(label))
        except Broken:
            msg = f"the journal's entry of {label.id} was changed, or moved here from another place"
            raise DecryptionFailed(msg, code="sealed_broken", hint="remove that file") from None

    def _bound_to(self, label: Label) -> bytes:
        parts = (self._store_id, label.env, label.id, label.purpose, label.incarnation, label.version)
        return frame("valetkey:journal", *parts)


def _box(key: MasterKey) -> Box:
    return Box(hmac.digest(raw_key(key), b"valetkey:journal-key:1", "sha256"))


def _missing(label: Label, what: str) -> DecryptionFailed:
    msg = f"{what}, with which the journal's entry of {label.id} is sealed, is not there"
    return DecryptionFailed(msg, code="key_missing", hint="put the key back: see valetkey key status")
