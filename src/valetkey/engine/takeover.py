"""When a claim that another left behind may be taken over (R6, R10)."""

from __future__ import annotations

from typing import Final

from valetkey.engine.replay import replay
from valetkey.engine.windows import STILL
from valetkey.engine.world import World
from valetkey.model.connections import Record

HELD: Final = 120.0
"""Seconds for which a run-out claim is left to a process of this host that lives: it may be frozen, and wake up."""


def at_work(world: World, record: Record) -> bool:
    """Whether somebody may be spending the refresh token, or storing what it brought."""
    claim = record.claim
    return claim is not None and not claim.expired and world.fate(claim.holder) != "dead"


def may_take_over(world: World, record: Record) -> tuple[bool, bool]:
    """Tell whether the claim on `record` may be taken over, and whether its holder is known to be dead.

    A dead holder's at once.  Any other only when it has run out *and* is then seen unchanged for `STILL` seconds: not
    right after an outage of the store, and late where the lock of its process is still held.  What its holder wrote
    into the journal of this host, maybe as its last deed, is brought to the store first: then there is nothing to take.

    Raises:
        StoreError: The store.
    """
    claim = record.claim
    if claim is None:
        return True, False
    fate = world.fate(claim.holder)
    if fate == "dead":
        return not _left(world, record), True
    if not claim.expired:
        return False, False
    now = world.clock.monotonic()
    overdue = world.lookout.seen_for(claim, now) >= HELD
    if world.lookout.lately_away(now) or (fate == "alive" and not overdue):
        return False, False
    return not world.store.wait_for_change(record, STILL) and not _left(world, record), False


def _left(world: World, record: Record) -> bool:
    """Whether the holder left an answer that is in the row now.  Looked for when it can write no more."""
    return replay(world, record.id, spending=record.refresh_fp)
