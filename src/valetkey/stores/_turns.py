"""Turns at the secrets of a service that can only get, set and delete: leases in a ledger on this host."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import Document
from valetkey.model.ports import Clock, Store
from valetkey.stores._queues import Queues

LIFE: Final = 10.0
"""Seconds after which a turn is over in any case: a process that died in it holds up nobody for longer."""
PATIENCE: Final = 2.0
"""Seconds that one waits who can do without a turn; who cannot waits this much longer than a turn lives."""
_NAP: Final = 0.005
_LEASE: Final = "lease"


class Turns:
    """Lets one thread of this host at a time do something with a secret."""

    def __init__(self, ledger: Store, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._queues = Queues()

    @contextmanager
    def at(self, secret_id: str, *, needed: bool = True) -> Generator[None]:
        """Run the block while nobody else of this host is between two steps with that secret.

        Raises:
            StoreUnavailable: The turn does not come, and it is `needed` (``store_locked``).
        """
        patience = LIFE + PATIENCE if needed else PATIENCE
        with self._queues.wait(secret_id, patience):
            lease = self._take(secret_id, patience)
            if lease is None and needed:
                msg = f"Another process of this host is writing the secret {secret_id!r} and does not finish."
                raise StoreUnavailable(msg, code="store_locked", hint="Try again in a few seconds.")
            try:
                yield
            finally:
                if lease is not None:
                    self._end(lease)

    def _take(self, secret_id: str, patience: float) -> Document | None:
        give_up = self._clock.monotonic() + patience
        holder = {"holder": secrets.token_hex(16)}
        while True:
            until = self._ledger.now() + LIFE
            lease = Document(kind=_LEASE, id=f"secret:{secret_id}", body=holder, expires_at=until)
            stored = self._ledger.put_document(lease, expect=self._free_version(lease))
            if stored is not None or self._clock.monotonic() > give_up:
                return stored
            self._clock.sleep(_NAP)

    def _free_version(self, lease: Document) -> int:
        """Return the version at which the lease is free: 0, or that of one which ends later than any turn does.

        Then the wall clock was set back, and whoever held it may be long gone.
        """
        there = self._ledger.get_document(_LEASE, lease.id)
        if there is None or (there.expires_at or 0.0) <= (lease.expires_at or 0.0):
            return 0
        return there.version

    def _end(self, lease: Document) -> None:
        # Over, but not deleted, so that its version goes on counting.  Where the ledger fails, it ends by itself.
        with suppress(StoreError):
            self._ledger.put_document(replace(lease, expires_at=0.0), expect=lease.version)
