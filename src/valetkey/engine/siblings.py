"""Which connections a revocation would end besides, where it ends everything of a user (R14)."""

from __future__ import annotations

from collections.abc import Iterator

from valetkey.engine.world import World
from valetkey.model.connections import Identity, Query, Record
from valetkey.model.paging import each_record


def siblings(world: World, record: Record, identity: Identity | None) -> Iterator[Record]:
    """Yield the live connections that a revocation with the reach of a user would end too, some of them twice.

    They may be of another credential, for one app at one provider can be declared as several.  Where who it is at the
    provider is not known of both, the same owner counts as the same user.
    """
    for other in _candidates(world, record, identity):
        if other.sealed is None or other.state == "disconnected" or not _same_provider(record, other):
            continue
        if record.client_id and other.client_id and record.client_id != other.client_id:
            continue
        if _same_user(record, identity, other):
            yield other


def _candidates(world: World, record: Record, identity: Identity | None) -> Iterator[Record]:
    """Yield the connections of the same owner, and those that name the same person."""
    key = record.key
    yield from each_record(world.store, Query(env=key.env, owner=key.owner, own=key.owner is None))
    if identity and identity.subject:
        yield from each_record(world.store, Query(env=key.env, search=identity.subject))


def _same_provider(record: Record, other: Record) -> bool:
    """Whether the grants of both come from one token endpoint's origin, or are of one credential."""
    if record.key.credential == other.key.credential:
        return True
    return bool(record.token_origin) and record.token_origin == other.token_origin


def _same_user(record: Record, identity: Identity | None, other: Record) -> bool:
    mine = identity.subject if identity else ""
    theirs = other.identity.subject if other.identity else ""
    return mine == theirs if mine and theirs else record.key.owner == other.key.owner
