"""Sealing what the store keeps: one data key per store, wrapped by a master key that is kept elsewhere."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from valetkey.errors import DecryptionFailed, StoreError, ValetkeyError
from valetkey.model.ciphers import Box, Broken, frame
from valetkey.model.connections import Document, Sealed
from valetkey.model.data_keys import Ring, establish, load_ring, read_note
from valetkey.model.ports import Clock, KeyProvider, KeyRetired, Label, Sealer, Store

LOOK_AGAIN: Final = 5.0
"""Seconds after which an opener looks whether another process has rotated the keys."""
_ESTABLISH_TRIES: Final = 3

T = TypeVar("T")


def document_label(document: Document) -> Label:
    """Return what the sealed part of a document is bound to.  Whoever seals a document uses this."""
    return Label(document.kind, document.env, document.id)


class Vault:
    """Seals and opens for one store.  Implements `Sealer`; safe for threads and in a forked child.

    Nothing is read, made or imported before the first use.  The first sealing in a new store makes its data key and,
    where the key provider may, the master key; opening never makes anything.  Once the keys are at hand, sealing does
    no I/O, and opening reads one small document every `LOOK_AGAIN` seconds.

    A sealed text is bound to the store's id and to all parts of its `Label`: it opens nowhere else.
    """

    def __init__(self, store: Store, keys: KeyProvider, *, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.clock = clock
        self._ring: Ring | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._process = os.getpid()
        self.looked: Callable[[], object] = lambda: None
        """Called each time when it was seen whether the keys were rotated: by a process that is at work."""

    def seal(self, plain: bytes, label: Label) -> Sealed:
        """Seal with the current data key.

        Raises:
            ConfigurationError: The key cannot be read, or there is none and none may be made (``key_missing``).
            DecryptionFailed: The store has a data key that the master key at hand does not open (``key_missing``,
                ``key_wrong``).
        """
        ring, key_id, box = self._current()
        return Sealed(box.seal(plain, _bound_to(ring.store_id, label)), key_id)

    def open(self, sealed: Sealed, label: Label) -> bytes:
        """Open what `seal` made for the same label in the same store.

        Raises:
            ConfigurationError: The place of the key cannot be read (``key_unreadable``, ``key_invalid``).
            DecryptionFailed: The master key is not there (``key_missing``), it is another one (``key_wrong``), or the
                bytes were changed, or moved here from elsewhere (``sealed_broken``).
        """
        self._look_again()
        ring, box = self._box(sealed.key_id)
        try:
            return box.open(sealed.blob, _bound_to(ring.store_id, label))
        except Broken:
            msg = f"what is stored of {label.purpose} {label.id!r} was changed, or moved here from another place"
            hint = "restore the store from a backup, or enter or connect it again"
            raise DecryptionFailed(msg, code="sealed_broken", hint=hint) from None

    def refresh(self) -> None:
        """Read the keys anew: a write was answered with `KeyRetired`."""
        with self._loading():
            self._load()

    def fingerprint(self, text: str) -> str:
        """Return 12 hex digits by which to see that two secrets of this store are the same.

        They tell nothing without the store's key, and change when the data key is rotated.
        """
        return self._current()[2].fingerprint(text)

    def _current(self) -> tuple[Ring, str, Box]:
        """Return the ring, the id of the data key that seals, and its box; make the first data key where none is."""
        for _ in range(_ESTABLISH_TRIES):
            ring = self._ring
            if ring is not None and ring.note is not None:
                key_id = ring.note.data_key
                ring, box = self._box(key_id)
                return ring, key_id, box
            with self._loading():
                if self._ring is ring:  # nobody else has done it while we waited
                    establish(self._store, self._keys)
                    self._load()
        msg = "the store does not keep the note about its keys"
        raise StoreError(msg, code="store", hint="valetkey doctor")

    def _box(self, key_id: str) -> tuple[Ring, Box]:
        seen = self._ring
        box = seen.boxes.get(key_id) if seen is not None else None
        if seen is not None and box is not None:
            return seen, box
        with self._loading():
            ring = self._ring
            if ring is None or ring is seen:  # nobody else has read them while we waited
                ring = self._load()
        if key_id not in ring.boxes:
            raise ring.why_not(key_id)
        return ring, ring.boxes[key_id]

    def _look_again(self) -> None:
        """See at times whether another process rotated the keys, so that the next sealing uses the new one.

        It is done when opening, which is next to a read of the store anyway: sealing an answer that cost a refresh
        token must never wait for a store that is down.
        """
        ring, now = self._ring, self.clock.monotonic()
        if ring is None or now - self._looked_at < LOOK_AGAIN:
            return
        self._looked_at = now
        self.looked()
        with contextlib.suppress(ValetkeyError):  # the keys at hand go on working
            note = read_note(self._store)
            if note != ring.note:
                self.refresh()

    def _load(self) -> Ring:
        self._looked_at = self.clock.monotonic()
        ring = load_ring(self._store, self._keys)
        self._ring = ring = ring if self._ring is None else ring.keeping(self._ring)
        return ring

    def _loading(self) -> threading.Lock:
        """Return the lock under which keys are read; one that was inherited by a fork may be held by nobody here."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
        return self._lock


class PlainSealer:
    """Seals nothing: for a store whose secret service protects the values itself.  Implements `Sealer`.

    What it makes has no data key, so a `Vault` does not take it for something sealed.
    """

    def __init__(self) -> None:
        self._box: Box | None = None

    def seal(self, plain: bytes, label: Label) -> Sealed:  # noqa: ARG002 - a `Sealer` is told
        """Return the plain bytes."""
        return Sealed(plain, "")

    def open(self, sealed: Sealed, label: Label) -> bytes:
        """Return the bytes.

        Raises:
            DecryptionFailed: They were sealed by a `Vault`.
        """
        if sealed.key_id:
            msg = f"{label.purpose} {label.id!r} is sealed with data key {sealed.key_id}, and there is no key here"
            raise DecryptionFailed(msg, code="key_missing", hint="use the store and the key it was sealed with")
        return sealed.blob

    def refresh(self) -> None:
        """Do nothing: there are no keys."""

    def fingerprint(self, text: str) -> str:
        """Return 12 hex digits by which to see that two secrets are the same, within this process only."""
        if self._box is None:
            self._box = Box(os.urandom(32))
        return self._box.fingerprint(text)


class ServiceSealer:
    """Seals for a plain secret service: it guards the grants itself, all else lies in the ledger and is sealed."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._plain = PlainSealer()

    def seal(self, plain: bytes, label: Label) -> Sealed:
        """Leave a grant as it is; seal anything else."""
        return self._plain.seal(plain, label) if label.purpose == "grant" else self._vault.seal(plain, label)

    def open(self, sealed: Sealed, label: Label) -> bytes:
        """Open what `seal` made.

        Raises:
            DecryptionFailed: As `Vault.open` does; or what should be sealed is not.
        """
        return self._plain.open(sealed, label) if label.purpose == "grant" else self._vault.open(sealed, label)

    def refresh(self) -> None:
        """Look for the current data key again."""
        self._vault.refresh()

    def fingerprint(self, text: str) -> str:
        """Return 12 hex digits that show whether two secrets of this store are the same."""
        return self._vault.fingerprint(text)


def write_sealed(sealer: Sealer, plain: bytes, label: Label, write: Callable[[Sealed], T]) -> T:
    """Seal and hand to `write`, once more where the data key was retired in between.

    Raises:
        StoreError: It was retired twice in a row (``key_retired``); nothing was written.
    """
    for _ in range(2):
        try:
            return write(sealer.seal(plain, label))
        except KeyRetired:
            refresh = getattr(sealer, "refresh", None)
            if callable(refresh):
                refresh()
    msg = "the data key in use was retired by another process, twice in a row"
    raise StoreError(msg, code="key_retired", hint="try again; nothing was stored")


def _bound_to(store_id: str, label: Label) -> bytes:
    """Return the AAD: every part behind its length, so that none can be shifted into its neighbour."""
    return frame("valetkey:sealed", store_id, label.env, label.id, label.purpose, label.incarnation, label.version)
