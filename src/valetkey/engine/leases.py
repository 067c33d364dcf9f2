"""Leases: of all processes that share a store, one at a time does a thing, and one that died is not waited for."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Final, Self

from valetkey.engine.world import World
from valetkey.errors import StoreError
from valetkey.model.connections import ConnectionKey, Document
from valetkey.model.secret_names import token_secret_id

KIND: Final = "lease"
LEASE_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 10.0


class Lease:
    """The right to do one thing for one connection: to have the browser open for it, say.

    Use it in a ``with`` block; `take` may be called again.

    It ends by itself 30 s after its holder last said that it lives, which it does every 10 s.
    """

    def __init__(self, world: World, key: ConnectionKey, *, purpose: str = "connect") -> None:
        self._world = world
        self._id = token_secret_id(f"{purpose}/{key.credential}", key.owner, key.account)
        self._env = key.env
        self._held: Document | None = None
        self._pulse: AbstractContextManager[object] | None = None

    def take(self) -> bool:
        """Take the lease if nobody has it; True if it is ours."""
        if self._held is not None:
            return True
        there = self._world.store.get_document(KIND, self._id, env=self._env)
        if there is not None and not self._left_over(there):
            return False
        self._held = self._world.store.put_document(self._document(), expect=there.version if there else 0)
        if self._held is None:
            return False
        self._pulse = self._world.pulse(RENEW_SECONDS, self._renew)
        self._pulse.__enter__()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back.  A store that does not answer is left to let it run out."""
        if self._pulse is not None:
            self._pulse.__exit__(kind, error, trace)
            self._pulse = None
        held, self._held = self._held, None
        if held is not None:
            with suppress(StoreError):
                self._give_back(held)

    def _give_back(self, held: Document) -> None:
        there = self._world.store.get_document(KIND, self._id, env=self._env)
        if there is not None and there.body == held.body:
            self._world.store.delete_document(KIND, self._id, env=self._env)

    def _renew(self) -> None:
        held = self._held
        if held is not None:
            renewed = self._world.store.put_document(self._document(dict(held.body)), expect=held.version)
            self._held = renewed or held

    def _left_over(self, lease: Document) -> bool:
        """Whether it ends further ahead than a lease can: its holder took it before the clock was set back."""
        return (lease.expires_at or 0.0) - self._world.store.now() > 2 * LEASE_SECONDS

    def _document(self, body: dict[str, object] | None = None) -> Document:
        return Document(
            kind=KIND,
            id=self._id,
            env=self._env,
            body=body or {"holder": self._world.nonce()},
            expires_at=self._world.store.now() + LEASE_SECONDS,
        )
