"""In which order connections leave where many do: what acts, and what tells beforehand, go by the same.

A revocation with the reach of a user is not sent while another connection of that user lives, so those with that reach
leave last.  The other way round nobody would withdraw what they hold: those that live on would stand in their way, and
be withdrawn by themselves alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Record


def leaves_last(world: World, record: Record) -> bool:
    """Whether a connection's revocation ends everything of its user, so that it waits for all others."""
    try:
        return world.credential(record.key.credential).revocation_reach == "user"
    except ConfigurationError:
        return False


def in_order(world: World, records: Iterable[Record]) -> list[Record]:
    """Return connections in the order in which they leave."""
    return sorted(records, key=lambda record: leaves_last(world, record))
