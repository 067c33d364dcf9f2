"""Disconnecting: first here, for good, then at the provider, as far as it goes, and a true word about it (R14)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.beside import staying
from valetkey.engine.calls import drop_calls
from valetkey.engine.deciding import drop_held
from valetkey.engine.flows import delete_flows
from valetkey.engine.leaving import in_order
from valetkey.engine.links import drop_links
from valetkey.engine.replay import replay
from valetkey.engine.revoking import Revocation, revoke
from valetkey.engine.storing import look_again, tell
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Expect, Query, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.paging import each_record

__all__ = ["Disconnected", "disconnect", "forget"]

_log = get_logger("disconnect")
_NOTHING: Final = "There was nothing to disconnect."


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """What a disconnect did.

    Attributes:
        record: The record as it is now, without a grant; None where there was none.
        revoked: What the provider confirmed as revoked: ``refresh_token``, ``access_token``.
        may_live: Sentences about what may still live, and for how long.
        told: One sentence for people.
        discreet: The same without naming any other connection, for those who do not see all of them.
    """

    record: Record | None
    revoked: tuple[str, ...] = ()
    may_live: tuple[str, ...] = ()
    told: str = _NOTHING
    discreet: str = _NOTHING


def disconnect(world: World, credential: OAuth2Credential, key: ConnectionKey) -> Disconnected:
    """End a connection: its grant is erased here at once, then revoked at the provider within its reach.

    What the provider answers never brings the connection back.  A sign-in under way cannot finish afterwards.

    Raises:
        StoreUnavailable: The store does not answer; nothing was changed, unless it failed in the middle of the write
            and stayed away.
    """
    return _disconnect(world, credential, key)


def forget(world: World, owner: str, env: str) -> list[Disconnected]:
    """Disconnect all connections of an owner, erase their rows, and take its names out of the events.

    Raises:
        ConfigurationError: `owner` is empty: the program's own connections are nobody's to forget.
        StoreUnavailable: The store does not answer; what was done before stays done, and it can be called again.
    """
    if not owner:
        msg = "forget() needs an owner"
        raise ConfigurationError(msg, code="owner_required", hint="pass the id of the user or tenant to forget")
    delete_flows(world, lambda key: key.env == env and key.owner == owner)
    records = in_order(world, each_record(world.store, Query(env=env, owner=owner)))
    done = [_forget_one(world, record) for record in records]
    delete_flows(world, lambda key: key.env == env and key.owner == owner)
    drop_held(world, lambda key: key.env == env and key.owner == owner)
    drop_links(world, lambda key: key.env == env and key.owner == owner)
    ApiKeys(world.store, world.clock, env).drop_owner(owner, by=world.actor)
    world.store.forget_events(env=env, owner=owner)
    return done


def _forget_one(world: World, record: Record) -> Disconnected:
    try:
        credential: OAuth2Credential | None = world.credential(record.key.credential)
    except ConfigurationError:
        credential = None
    done = _disconnect(world, credential, record.key)
    while (current := world.store.find(record.id)) is not None:
        if current.state != "disconnected":
            done = _disconnect(world, credential, current.key)
        elif world.store.delete(current):
            break
    world.journal.erase(record.id)
    drop_calls(world.store, record.key.env, record.id)
    return replace(done, record=None)


def _disconnect(world: World, credential: OAuth2Credential | None, key: ConnectionKey) -> Disconnected:
    """Disconnect; without a declared credential nothing can be revoked."""
    ended = _tombstone(world, key)
    if ended is None:
        delete_flows(world, lambda other: other == key)
        return Disconnected(record=world.store.load(key))
    old, now = ended
    world.changed(now)
    tell(world, "disconnected", now)
    _drop_flows(world, key)
    _collect(world, now)
    result = revoke(world, credential, old)
    tell(world, "revoked" if result.complete else "revocation_incomplete", now, revoked=list(result.revoked))
    return _told(now, result, staying(world, credential, key))


def _collect(world: World, record: Record) -> None:
    """Revoke the answers of refreshes that this host's journal kept for the store, which will not take them now."""
    try:
        replay(world, record.id)
    except StoreError as error:
        _log.warning("the journal of %s waits for the store: %s", record.key, error)


def _drop_flows(world: World, key: ConnectionKey) -> None:
    """Delete the sign-ins under way.  The row's new incarnation stops them anyway, and the revocation must go on."""
    try:
        delete_flows(world, lambda other: other == key)
        drop_held(world, lambda other: other == key)
    except StoreError as error:
        _log.warning("the sign-ins of %s that were under way were not deleted: %s", key, error)


def _tombstone(world: World, key: ConnectionKey) -> tuple[Record, Record] | None:
    """Mark the row as disconnected, whoever holds its claim; returns it as it was and as it is.  None: no grant."""
    while True:
        record = world.store.load(key)
        if record is None or record.state == "disconnected":
            return None
        if record.state == "pending" and record.sealed is None:
            # A sign-in under way holds it.  It was never connected, so nothing is left to show.
            if world.store.delete(record):
                return None
        elif (stored := _buried(world, record)) is not None:
            return record, stored


def _buried(world: World, record: Record) -> Record | None:
    """Swap the tombstone in; None when the row had moved on.

    Where the store's answer is lost, look whether it is there: `record` is then the last trace of what to revoke.
    """
    dead = _dead(record)
    try:
        return world.store.swap(dead, expect=Expect.of(record))
    except StoreUnavailable:
        current = look_again(world, record)
        if current is None or (current.state, current.incarnation) != (dead.state, dead.incarnation):
            raise
        return current


def _dead(record: Record) -> Record:
    return replace(
        record,
        incarnation=record.incarnation + 1,
        version=record.version + 1,
        claim=None,
        doubt=0,
        state="disconnected",
        reason="",
        error="",
        error_text="",
        failures=0,
        next_try_at=None,
        cooldown_until=None,
        due_at=None,
        expires_at=None,
        refresh_expires_at=None,
        sign_in_due_at=None,
        obtained_at=None,
        granted=(),
        refreshable=False,
        access_fp="",
        refresh_fp="",
        sealed=None,
    )


def _told(record: Record, result: Revocation, beside: tuple[str, ...]) -> Disconnected:
    stays = f"{', '.join(beside)} came with the same sign-in, and stays connected." if beside else ""
    return Disconnected(
        record=record,
        revoked=result.revoked,
        may_live=result.may_live,
        told=" ".join(filter(None, ("Disconnected.", result.sentence, stays))),
        discreet=f"Disconnected. {result.discreet}".strip(),
    )
