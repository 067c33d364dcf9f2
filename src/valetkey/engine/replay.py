"""Replaying the journal: answers that this host got, and of which the store may know nothing (R6).

An answer is committed where the row still holds the refresh token that it was bought with, whatever somebody did to
claim or state meanwhile.  Else the row has moved on, and the answer is dropped: revoked only where the connection was
disconnected, or signed in anew and a revocation ends this grant alone, for else it could end what the row holds.
"""

from __future__ import annotations

from typing import Any

from valetkey.engine.revoking import revoke_grant, superseded
from valetkey.engine.storing import grant_facts, swap_sealed
from valetkey.engine.world import World, event_about
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Expect, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.journals import JournalEntry

_log = get_logger("replay")


def replay(world: World, connection_id: str, *, spending: str = "") -> bool:
    """Bring what this host's journal keeps of a connection to the store; True: the row has changed.

    `spending` is the fingerprint of the refresh token that is about to be spent, or was just refused: an answer that
    was bought with it counts although the store has had it once, for a failover may have taken it back.

    Raises:
        StoreError: The store; what was not brought stays in the journal.
    """
    changed = False
    for entry in world.journal.entries(connection_id):
        if not entry.settled or entry.spent == spending:
            changed = _brought(world, entry) or changed
    return changed


def replay_all(world: World) -> int:
    """Bring all that nobody settled, as at the start of a process; returns how many rows have changed.

    Raises:
        StoreUnavailable: The store does not answer; what was not brought stays in the journal.
    """
    try:
        return sum(_replayed(world, connection_id) for connection_id in world.journal.unsettled())
    except StoreUnavailable as error:
        world.lookout.store_away()
        _log.info("the journal waits for the store: %s", error)
        raise


def _replayed(world: World, connection_id: str) -> bool:
    """Bring what is kept of one connection; its own trouble must not hold up the others."""
    try:
        return replay(world, connection_id)
    except StoreUnavailable:
        raise
    except ValetkeyError as error:
        _log.warning("the journal of %s is left as it is: %s", connection_id, error)
        return False


def _brought(world: World, entry: JournalEntry) -> bool:
    grant = Grant.from_json(entry.grant)
    while True:
        row = world.store.find(entry.connection_id)
        if row is None or not _fits(row, entry):
            _drop(world, row, entry, grant)
            return False
        credential = _declared(world, row)
        if credential is None:
            return False
        if (stored := _commit(world, credential, row, grant)) is not None:
            _log.warning("%s got a token from the journal that had not reached the store", row.key)
            world.journal.settle(entry)
            world.changed(stored)
            return True


def _declared(world: World, row: Record) -> OAuth2Credential | None:
    """Return the credential; None where nobody declares it any more: then its answers wait."""
    try:
        return world.credential(row.key.credential)
    except ConfigurationError:
        return None


def _fits(row: Record, entry: JournalEntry) -> bool:
    """Whether the row still holds the refresh token that the answer was bought with, and so not the answer itself."""
    return row.incarnation == entry.incarnation and row.refresh_fp == entry.spent and row.sealed is not None


def _commit(world: World, credential: OAuth2Credential, row: Record, grant: Grant) -> Record | None:
    new = grant_facts(row, grant, credential, **healed(world, row))
    told = event_about(world, "refreshed", new, rotated=True, replayed=True)
    return swap_sealed(world, new, grant, expect=Expect.of(row, spent=row.refresh_fp), event=told)


def _drop(world: World, row: Record | None, entry: JournalEntry, grant: Grant) -> None:
    """Settle an answer that the store has, or has no use for.

    What a disconnect or a newer sign-in left behind is revoked, the latter where that ends it alone.  What was
    forgotten, with its row, is erased.
    """
    if row is None:
        world.journal.erase(entry.connection_id)
        return
    if entry.settled:
        return
    if row.incarnation > entry.incarnation:
        credential = _declared(world, row)
        if credential is None:
            return
        if row.state == "disconnected" or superseded(credential, row, entry.incarnation, grant):
            try:
                revoke_grant(world, credential, grant, record=row, strict=True)
            except StoreUnavailable:
                raise
            except StoreError as error:  # whoever looks here wants a token, which is well
                _log.warning("a grant of %s that nobody holds waits in the journal: %s", row.key, error)
                return
    world.journal.settle(entry)


def healed(world: World, record: Record) -> dict[str, Any]:
    """Return the changes to a record that got a new grant: one version on, and nothing left of its old troubles."""
    now = world.clock.now()
    return {
        "version": record.version + 1,
        "state": "connected",
        "reason": "",
        "error": "",
        "error_text": "",
        "failures": 0,
        "doubt": 0,
        "next_try_at": None,
        "cooldown_until": None,
        "last_refresh_at": now,
        "connected_at": record.connected_at or now,
    }
