"""What the values of the library look like as members of ``--json`` objects.  Times are Unix seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from valetkey.model.connections import Event, Identity, Status


def of_status(status: Status) -> dict[str, Any]:
    """Return a status."""
    connection = status.connection
    return {
        "id": connection.id or None,
        "credential": connection.credential,
        "owner": connection.owner,
        "account": connection.account,
        "env": connection.env,
        "state": status.state,
        "reason": status.reason,
        "hint": status.hint,
        "identity": of_identity(status.identity),
        "expires_at": status.expires_at,
        "refresh_expires_at": status.refresh_expires_at,
        "refreshable": status.refreshable,
        "granted": list(status.granted),
        "requested": list(status.requested),
        "missing": list(status.missing),
        "params": dict(status.params),
        "choices": {name: [asdict(one) for one in several] for name, several in status.choices.items()},
        "last_refresh_at": status.last_refresh_at,
        "last_used_at": status.last_used_at,
        "next_try_at": status.next_try_at,
        "resource_tokens": [asdict(one) for one in status.resource_tokens],
    }


def of_identity(identity: Identity | None) -> dict[str, str] | None:
    """Return who it is at the provider."""
    if identity is None:
        return None
    return {
        "subject": identity.subject,
        "email": identity.email,
        "name": identity.name,
        "login": identity.login,
        "title": identity.title,
    }


def of_event(event: Event) -> dict[str, Any]:
    """Return an event."""
    return {
        "seq": event.seq,
        "at": event.at,
        "kind": event.kind,
        "connection_id": event.connection_id,
        "credential": event.credential,
        "owner": event.owner,
        "account": event.account,
        "actor": event.actor,
        "detail": dict(event.detail),
    }
