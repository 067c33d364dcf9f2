"""What is told about a connection, from its record, its app's state and the clock."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final, cast

from valetkey.engine.lifecycle import dead
from valetkey.engine.narrowing import tokens_of
from valetkey.engine.trouble import app_command, connect_command, look_up_command, refresh_command, retry_hint
from valetkey.engine.windows import sign_in_by, sign_in_due
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError
from valetkey.model.choices import choices_of, plain
from valetkey.model.connections import Connection, ConnectionKey, Record, State, Status, StoredState, attention_at
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.placing import names_later, unplaced
from valetkey.model.troubles import Group

DAMAGED: Final = "row_corrupt"
"""The error of a record of which the store could read only a part."""
_DAMAGED_HINT: Final = "its row in the store is damaged; what can be done about it is told by: {}"


def status_of(
    key: ConnectionKey, record: Record | None, credential: OAuth2Credential, *, now: float, app_error: str = ""
) -> Status:
    """Return the status of a connection; `app_error` is why its app cannot be used, empty when it can."""
    if record is None:
        blank = Connection("", key.credential, key.owner, key.account, key.env)
        return Status(connection=blank, state="pending", hint=_hint("pending", key), requested=credential.all_scopes)
    damaged = record.error == DAMAGED
    state: State = "needs_reauth" if damaged else _state(record, credential, now=now, app_error=app_error)
    return Status(
        connection=record.connection,
        state=state,
        reason=app_error if state == "app_error" else _reason(record) if state != "expires_soon" else "",
        hint=_DAMAGED_HINT.format(refresh_command(key)) if damaged else _hint(state, key),
        expires_at=record.expires_at,
        refresh_expires_at=record.refresh_expires_at,
        granted=record.granted,
        requested=record.requested or credential.all_scopes,
        missing=missing_scopes(record),
        identity=record.identity,
        params=record.params,
        last_refresh_at=record.last_refresh_at,
        last_used_at=record.last_used_at,
        next_try_at=record.next_try_at,
        refreshable=record.refreshable,
    )


def whole_status(
    world: World, key: ConnectionKey, record: Record | None, credential: OAuth2Credential, *, app_error: str = ""
) -> Status:
    """Return what `status_of` does, and what only the opened grant tells: its tokens for one resource each."""
    status = status_of(key, record, credential, now=world.clock.now(), app_error=app_error)
    status = _with_places(status, record, credential)
    tokens = tokens_of(world, credential, record)
    return replace(status, resource_tokens=tokens) if tokens else status


def _with_places(status: Status, record: Record | None, credential: OAuth2Credential) -> Status:
    """Return the status with what there is to choose from, and what a connection that works does not know of itself."""
    if record is None or not names_later(credential):
        return status
    choices = choices_of(record.params)
    if choices:
        status = replace(status, choices=choices, params=plain(record.params))
    left = unplaced(credential, record.params) if status.state == "connected" else ()
    if not left:
        return status
    again = look_up_command(record.key, choices) if credential.look_ups else connect_command(record.key)
    return replace(status, hint=f"not known yet: {', '.join(left)}; run: {again}")


def missing_scopes(record: Record) -> tuple[str, ...]:
    """Return what was asked for and not given; nothing while nothing is connected."""
    if record.sealed is None or not record.granted:
        return ()
    return tuple(scope for scope in record.requested if scope not in record.granted)


def told_group(group: Group, *, app_error: str = "") -> tuple[State, str]:
    """Return the state and the reason that are told of connections which are alike, as `status_of` tells them."""
    if group.reason == DAMAGED:
        return "needs_reauth", DAMAGED
    over = group.state == "needs_reauth" and (group.reason != "no_refresh_token" or group.alive != "ends")
    stored = cast("StoredState", group.state)
    state: State
    if stored in {"pending", "disconnected"} or over:
        state = stored
    elif app_error:
        return "app_error", app_error
    elif stored == "refresh_failing":
        state = stored
    else:
        state = "expires_soon" if group.soon else "connected"
    return state, (group.reason or group.error) if state != "expires_soon" else ""


def _reason(record: Record) -> str:
    if record.error == DAMAGED:
        return DAMAGED
    return record.reason or (record.error if record.failures else "")


def _state(record: Record, credential: OAuth2Credential, *, now: float, app_error: str) -> State:
    if record.state in {"pending", "disconnected"} or dead(record, now):
        return record.state
    if app_error:
        return "app_error"
    if record.state == "refresh_failing":
        return "refresh_failing"
    return "expires_soon" if _ends_soon(record, credential, now) else "connected"


def _ends_soon(record: Record, credential: OAuth2Credential, now: float) -> bool:
    """Whether it cannot renew itself and ends within a week, or its refresh token itself ends soon."""
    moments = (attention_at(replace(record, state="connected")), sign_in_due(record, credential))
    return any(moment is not None and moment < now for moment in moments)


def sign_in_soon(world: World, record: Record) -> float | None:
    """Return by when a person must sign in again, where that is soon; None: not soon, or not known."""
    with suppress(ConfigurationError, StoreError):
        credential = world.credential(record.key.credential)
        due = sign_in_due(record, credential)
        return sign_in_by(record, credential) if due is not None and due < world.clock.now() else None
    return None


def _hint(state: State, key: ConnectionKey) -> str:
    if state in {"pending", "needs_reauth", "disconnected", "expires_soon"}:
        return f"run: {connect_command(key)}"
    if state == "refresh_failing":
        return retry_hint(key)
    if state == "app_error":
        return f"check the app's client id and secret, then run: {app_command(key.credential, key.env)}"
    return ""
