"""What operators and account holders did, written where everything that happens is written."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace

from valetkey.core import Core
from valetkey.engine.world import World
from valetkey.errors import StoreError
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Event

_log = get_logger("server")


def request_id() -> str:
    """Return a name for a request that went wrong: it stands on the page and in the audit log."""
    return "req_" + base64.b32encode(secrets.token_bytes(5)).decode().lower()


def world_of(core: Core, actor: str) -> World:
    """Return the engine's world, in which this person acts."""
    return replace(core.world, actor=actor)


def note(core: Core, kind: str, key: ConnectionKey, *, actor: str, detail: Mapping[str, object]) -> None:
    """Append an event.  A store that fails here does not stop what is told to the person."""
    event = Event(
        kind=kind,
        at=core.clock.now(),
        env=key.env,
        credential=key.credential,
        owner=key.owner,
        account=key.account,
        actor=actor,
        detail=detail,
    )
    try:
        core.store.append_event(event)
    except StoreError as error:
        _log.warning("the event %s about %s was not written: %s", kind, key, error)
