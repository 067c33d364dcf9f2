"""What a job does to each of its connections: refresh it, make a connect link for it, disconnect it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from valetkey.engine.bulk import KEPT, Act, Job, Result
from valetkey.engine.disconnect import disconnect
from valetkey.engine.lifecycle import Want
from valetkey.engine.tending import tend
from valetkey.engine.world import World
from valetkey.errors import ValetkeyError
from valetkey.model.connections import ConnectionKey, Document, Record, Sealed
from valetkey.model.links import NewLink
from valetkey.model.sealing import document_label, write_sealed

LINKS: Final = "job_links"
"""The kind of the documents that keep the addresses which a job made, sealed, until they are fetched once."""


def refreshing(world: World) -> Act:
    """Return what refreshes a connection now."""

    def refresh(record: Record) -> Result:
        if record.sealed is None or not record.refreshable:
            return Result(record=record, done=False)
        outcome = tend(world, record, Want(refused=record.access_fp, manual=True))
        done = outcome.kind in {"refreshed", "kept_alive"}
        return Result(record=outcome.record, done=done, error=outcome.error, host=outcome.host, wait=outcome.wait)

    return refresh


def disconnecting(world: World) -> Act:
    """Return what disconnects a connection, and has the provider withdraw what it can within its reach."""

    def end(record: Record) -> Result:
        try:
            done = disconnect(world, world.credential(record.key.credential), record.key)
        except ValetkeyError as error:
            return Result(record=record, error=error)
        ended = record.sealed is not None
        return Result(record=record, done=ended, living=ended and bool(done.may_live))

    return end


@dataclass(slots=True)
class Linking:
    """Makes connect links, and keeps what leads to them for one who fetches it once.

    Of a link the store has a hash alone; so their tokens are sealed together, and erased when they are taken.

    Attributes:
        world: Where.
        env: The environment.
        make: Makes the link of a key.
    """

    world: World
    env: str
    make: Callable[[ConnectionKey], NewLink]
    _made: dict[str, str] = field(default_factory=dict[str, str])

    def act(self, record: Record) -> Result:
        """Make the link of a connection.  An app that is its own user needs none."""
        try:
            if self.world.credential(record.key.credential).grant != "authorization_code":
                return Result(record=record, done=False)
            self._made[record.id] = self.make(record.key).token.reveal()
        except ValetkeyError as error:
            return Result(record=record, error=error)
        return Result(record=record)

    def keep(self, job: Job) -> None:
        """Seal the tokens of the links that were made: without names, for owners may be forgotten meanwhile."""
        if not self._made:
            return
        ends = self.world.clock.now() + KEPT
        document = Document(kind=LINKS, env=self.env, id=job.id, expires_at=ends)

        def put(sealed: Sealed) -> Document | None:
            return self.world.store.put_document(replace(document, sealed=sealed))

        write_sealed(self.world.sealer, json.dumps(self._made).encode(), document_label(document), put)


def has_links(world: World, env: str, job_id: str) -> bool:
    """Whether a job has links that nobody fetched."""
    return world.store.get_document(LINKS, job_id, env=env) is not None


def take_links(world: World, env: str, job_id: str) -> Iterator[tuple[Record, str]]:
    """Yield connections that a job made links for, each with its token, and never again.

    Raises:
        DecryptionFailed: They cannot be opened any more.
        StoreError: The store is not well.
    """
    document = world.store.take_document(LINKS, job_id, env=env)
    if document is None or document.sealed is None:
        return
    made: dict[str, str] = json.loads(world.sealer.open(document.sealed, document_label(document)))
    for connection_id, token in made.items():
        record = world.store.find(connection_id)
        if record is not None:
            yield record, token
