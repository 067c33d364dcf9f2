"""Putting a fresh grant into the store: a new connection, or a new incarnation of an old one (rule R14)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from valetkey.engine.discovery import peek
from valetkey.engine.windows import due_at, sign_in_by, sign_in_due
from valetkey.engine.world import World, emit, grant_label
from valetkey.errors import ConnectError, StoreError, StoreUnavailable
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Event, Expect, Identity, Record, Sealed, altered
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.exchanges import renews
from valetkey.model.grants import Grant
from valetkey.model.placing import placed
from valetkey.model.sealing import write_sealed
from valetkey.model.secret_names import token_secret_id
from valetkey.protocol.authorization_details import NAME as DETAILS
from valetkey.protocol.token_response import TokenSet
from valetkey.protocol.urls import origin

_log = get_logger("storing")
_STORE_SECONDS: Final = 5.0
_STORE_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Stored:
    """What `put_grant` did: the record as it is now, and the one whose place it took."""

    record: Record
    replaced: Record


def put_grant(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    grant: Grant,
    *,
    requested: tuple[str, ...],
    client_id: str,
    before: Record | None,
    identity: Identity | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    event: str = "connected",
) -> Stored:
    """Store a grant that was just got, as a new incarnation of its connection; `event` tells of it.

    `before` is the record as it was when getting the grant began, None where there was none.  Where it was refreshed
    or reconnected meanwhile, the new grant takes its place all the same.  `params` and `tags` None keep those that
    are.  A claim that is held on the record ends: what its holder brings is of the old incarnation.

    Raises:
        ConnectError: It was disconnected meanwhile (``connection_disconnected``); the grant is not stored.
        StoreUnavailable: The store does not answer; the grant is not stored.
    """
    current = before or reserve(world, credential, key)
    credential = placed(credential, current.params if params is None else params)
    grant = renewable(credential, grant)
    credential = peek(world, credential)  # for the origin of its token endpoint
    while True:
        _refuse_disconnected(current, before)
        blank = _connected(world, credential, current)
        if params is not None:
            blank = replace(blank, params=params)
        facts = grant_facts(blank, grant, credential)
        new = replace(
            facts,
            requested=requested,
            client_id=client_id,
            identity=identity,
            tags=facts.tags if tags is None else tags,
        )
        stored = _put(world, new, grant, expect=Expect.of(current))
        if stored is not None:
            break
        current = _reload(world, current)
    world.changed(stored)
    tell(world, event, stored, granted=list(stored.granted), reconnected=current.sealed is not None)
    return Stored(stored, current)


def renewable(credential: OAuth2Credential, grant: Grant) -> Grant:
    """Return a grant that comes from elsewhere with what renews it, where that is its access token itself."""
    if not credential.renews_by_access_token or grant.refresh_token is not None:
        return grant
    return replace(grant, refresh_token=grant.access_token, refresh_expires_at=grant.expires_at)


def _put(world: World, new: Record, grant: Grant, *, expect: Expect) -> Record | None:
    """Swap a new incarnation in; None when the row had moved on.

    Where the store's answer is lost, look whether it was stored: doing it again would put the grant over the one that
    it may have been refreshed to since.
    """
    try:
        return swap_sealed(world, new, grant, expect=expect)
    except StoreUnavailable:
        row = look_again(world, new)
        if row is None or (row.incarnation, row.connected_at) != (new.incarnation, new.connected_at):
            raise
        return row


def look_again(world: World, record: Record) -> Record | None:
    """Read a row by id once the store answers again: a write whose answer was lost may have taken effect.

    Raises:
        StoreUnavailable: It stays away.
    """
    give_up = world.clock.monotonic() + _STORE_SECONDS
    while True:
        try:
            return world.store.find(record.id)
        except StoreUnavailable:
            if world.clock.monotonic() >= give_up:
                raise
            world.clock.sleep(_STORE_PAUSE)


def reserve(world: World, credential: OAuth2Credential, key: ConnectionKey) -> Record:
    """Return the record under `key`, created as ``pending`` where there was none.

    A connect makes it before the code is spent, so that a disconnect meanwhile has a row to mark.
    """
    now = world.clock.now()
    blank = Record(
        id=new_connection_id(),
        key=key,
        secret_id=token_secret_id(credential.token_secret_id, key.owner, key.account),
        created_at=now,
    )
    return world.store.load(key) or world.store.create(blank)


def grant_facts(record: Record, grant: Grant, credential: OAuth2Credential, **changes: Any) -> Record:
    """Return `record` with everything that a new grant says in clear (times, scopes, fingerprints), and `changes`."""
    refreshable = grant.refresh_token is not None or credential.by_itself or renews(record.params)
    told = altered(
        record,
        expires_at=grant.expires_at,
        refresh_expires_at=grant.refresh_expires_at,
        obtained_at=grant.obtained_at or None,
        granted=grant.scope,
        refreshable=refreshable,
        access_fp=grant.access_token.fingerprint(),
        refresh_fp=grant.refresh_token.fingerprint() if grant.refresh_token else "",
        params=_with_details(record.params, grant),
        **changes,
    )
    end = sign_in_by(told, credential)
    if end is not None:
        told = altered(told, refresh_expires_at=min(end, told.refresh_expires_at or end))
    return altered(told, sign_in_due_at=sign_in_due(told, credential), due_at=due_at(told, credential))


def _with_details(params: Mapping[str, str], grant: Grant) -> Mapping[str, str]:
    """Return the params with what exactly was granted, where the provider says that (RFC 9396 section 7)."""
    said = grant.authorization_details
    return params if not said or params.get(DETAILS) == said else {**params, DETAILS: said}


def kept_of(credential: OAuth2Credential, tokens: TokenSet) -> Mapping[str, str]:
    """Return what the credential keeps of a token answer as the connection's params."""
    return {name: tokens.extra[path] for name, path in credential.kept_params.items() if path in tokens.extra}


def note_details(world: World, record: Record, grant: Grant, kept: Mapping[str, str] = EMPTY) -> Mapping[str, str]:
    """Write down what exactly a refresh granted, and what is `kept` of its answer, where that is something else.

    Params are side facts of a row; they are returned.
    """
    params = _with_details(record.params, grant)
    if any(params.get(name) != value for name, value in kept.items()):
        params = {**params, **kept}
    if params is not record.params:
        with suppress(StoreError):
            world.store.note(record.id, incarnation=record.incarnation, changes={"params": params})
    return params


def swap_sealed(
    world: World, new: Record, grant: Grant, *, expect: Expect, event: Event | None = None
) -> Record | None:
    """Seal `grant` for `new` and swap it in, together with the event that tells so; None when the row had moved on.

    A data key that was retired between sealing and writing costs one more sealing.

    Raises:
        StoreError: The sealer keeps using a data key which the store no longer has.
    """

    def swap(sealed: Sealed) -> Record | None:
        return world.store.swap(altered(new, sealed=sealed), expect=expect, event=event)

    label = grant_label(new.key, new.id, new.incarnation, new.version)
    return write_sealed(world.sealer, grant.to_json(), label, swap)


def tell(world: World, kind: str, record: Record, **detail: Any) -> None:
    """Append an event about something that is done already: the store's trouble with it is logged, not raised."""
    try:
        emit(world, kind, record, **detail)
    except StoreError as error:
        _log.warning("event %s of %s was not written: %s", kind, record.id, error)


def new_connection_id() -> str:
    """Return ``con_`` and 20 random characters: 100 bits."""
    return "con_" + base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]


def token_origin(credential: OAuth2Credential) -> str:
    """Return the origin of the token endpoint: what a grant is bound to beside client and issuer (R12).

    Empty where only an issuer is declared and its metadata was not asked for: then the grant is bound to that; and
    where each connection has another, until `placed` says which.
    """
    url = placed(credential, EMPTY).token_url
    return origin(url) if url and "{" not in url else ""


def _connected(world: World, credential: OAuth2Credential, current: Record) -> Record:
    """Return the next incarnation of `current`, connected and with nothing left of its old troubles."""
    return replace(
        current,
        incarnation=current.incarnation + 1,
        version=current.version + 1,
        claim=None,
        doubt=0,
        state="connected",
        reason="",
        error="",
        error_text="",
        failures=0,
        next_try_at=None,
        cooldown_until=None,
        issuer=credential.issuer,
        token_origin=token_origin(credential),
        secret_id=token_secret_id(credential.token_secret_id, current.key.owner, current.key.account),
        connected_at=world.clock.now(),
        last_refresh_at=None,
    )


def _reload(world: World, record: Record) -> Record:
    """Read the row again, by id, for it may have been renamed."""
    current = world.store.find(record.id)
    if current is None:
        raise disconnected_meanwhile(record.key)
    return current


def _refuse_disconnected(current: Record, before: Record | None) -> None:
    """Refuse where `current` was disconnected after `before` was read."""
    if current.state != "disconnected":
        return
    if before is None or (current.id, current.incarnation) != (before.id, before.incarnation):
        raise disconnected_meanwhile(current.key)


def disconnected_meanwhile(key: ConnectionKey) -> ConnectError:
    """Return the error for a sign-in that a disconnect overtook."""
    msg = f"{key} was disconnected while it was being connected; the new access was dropped"
    return ConnectError(msg, code="connection_disconnected", hint="start again if it is meant to be connected")
