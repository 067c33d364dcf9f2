"""What kind of server it is, and whether grants may be entrusted to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from valetkey.errors import StoreError, StoreUnavailable, clean
from valetkey.logs import get_logger
from valetkey.stores._redis_errors import REPLICA
from valetkey.stores._redis_link import Link
from valetkey.stores._redis_url import Place

_log = get_logger("stores.redis")

_KEEPS: Final = "noeviction"


@dataclass(frozen=True, slots=True)
class Server:
    """The facts that matter.

    Attributes:
        role: ``master``, or what else.
        clustered: Whether it is a node of a cluster.
        appends: Whether it writes an append-only file.
        syncs: Whether it brings that file to disk by itself.
        snapshots: Whether it saves snapshots; None where that cannot be seen.
        evicts: The policy by which it evicts keys, empty where it does not.
    """

    role: str
    clustered: bool
    appends: bool
    syncs: bool
    snapshots: bool | None
    evicts: str


def look(link: Link) -> Server:
    """Ask the server about itself.

    Raises:
        StoreUnavailable: It does not answer.
    """
    told: Mapping[str, Any] = link.ask("INFO")
    policy = str(told.get("maxmemory_policy", _KEEPS))
    appends = bool(told.get("aof_enabled"))
    return Server(
        role=str(told.get("role", "master")),
        clustered=bool(told.get("cluster_enabled")),
        appends=appends,
        syncs=appends and _setting(link, "appendfsync") != "no",
        snapshots=None if appends else _snapshots(link),
        evicts=policy if int(told.get("maxmemory", 0)) > 0 and policy != _KEEPS else "",
    )


def _snapshots(link: Link) -> bool | None:
    saves = _setting(link, "save")
    return None if saves is None else bool(saves)


def _setting(link: Link, name: str) -> str | None:
    """Return a setting of the server; None where it is not to be seen, as managed servers have it."""
    try:
        told: Mapping[str, Any] = link.ask("CONFIG GET", name)
    except StoreUnavailable:
        raise
    except StoreError as error:
        _log.debug("%s does not show its setting %s: %s", link.place.shown, name, clean(error))
        return None
    return str(told.get(name, ""))


def demand_safe(server: Server, place: Place) -> None:
    """Refuse a server on which grants would be lost in the ordinary course of things.

    Raises:
        StoreUnavailable: It is a replica (``store_read_only``).
        StoreError: It evicts keys (``store_evicts``), or keeps nothing on disk (``store_volatile``).
    """
    if server.role != "master":
        raise REPLICA(place.shown)
    if server.evicts and not place.allow_eviction:
        raise StoreError(
            f"The store {place.shown} would lose grants: when its memory is full, the server evicts keys"
            f" (maxmemory-policy {server.evicts}).",
            code="store_evicts",
            hint="Set maxmemory-policy noeviction, or use a server of its own; if losing grants is all right, add"
            " allow_eviction=1 to the URL.",
        )
    if server.appends and not server.syncs:
        _log.warning("%s leaves it to the system when data reach the disk (appendfsync no)", place.shown)
    if server.appends or place.allow_volatile:
        return
    if not server.snapshots:
        how = "writes nothing to disk" if server.snapshots is False else "does not show whether it writes to disk"
        raise StoreError(
            f"The store {place.shown} would lose all grants when the server restarts: it {how}.",
            code="store_volatile",
            hint="Turn on the append-only file (appendonly yes); if losing grants is all right, or another way keeps"
            " them, add allow_volatile=1 to the URL.",
        )
    _log.warning(
        "%s saves snapshots only: what was written since the last one is lost when the server stops hard;"
        " turn on the append-only file (appendonly yes)",
        place.shown,
    )
