"""The tokens that are exchanged for others (RFC 8693): brought up to date, and refused ones remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.engine.lifecycle import Held, Want, obtain
from valetkey.engine.windows import YOUNG
from valetkey.engine.world import World
from valetkey.errors import NotConnected
from valetkey.model.connections import Connection, ConnectionKey, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.exchanges import Exchange
from valetkey.protocol.token_exchange import exchange_request
from valetkey.values import Request, Secret

REFUSED_SUBJECT: Final = frozenset({"invalid_request", "invalid_grant", "invalid_token"})
"""What servers say of a subject token that they do not take: the first as RFC 8693 section 2.2.2 has it."""


class SubjectRefused(Exception):
    """The server did not take the subject token with that fingerprint; the claim was given back."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__("the subject token was refused")
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """The tokens that are exchanged: that of whom it is about, and that of who acts.

    `mark` is the fingerprint of the subject's access token where another may be got if this one is refused.
    """

    subject: Secret
    actor: Secret | None = None
    mark: str = ""


def subjects_of(world: World, record: Record, refused: str = "") -> Subjects:
    """Return the tokens that a connection's token is exchanged for, brought up to date.

    `refused` is the fingerprint of the subject's access token that came with one that the server did not take: then it
    is renewed first, and not a second time.

    Raises:
        NotConnected: The subject's connection, or the actor's, is gone.
        ValetkeyError: As `obtain` does.
    """
    wish = Exchange.of(record.params) or Exchange()
    actor = _key_of(world, wish.actor) if wish.actor else None
    return brought(world, _key_of(world, wish.subject), actor, wish, refused=refused)


def brought(
    world: World, subject: ConnectionKey, actor: ConnectionKey | None, wish: Exchange, *, refused: str = ""
) -> Subjects:
    """Return the tokens of these connections; raises as `subjects_of` does."""
    held = obtain(world, subject, Want(refused=refused))
    acting = token_of(obtain(world, actor), wish.actor_type) if actor is not None else None
    once = not refused and _may_renew(world, held.record)
    return Subjects(subject=token_of(held, wish.subject_type), actor=acting, mark=held.record.access_fp if once else "")


def _may_renew(world: World, record: Record) -> bool:
    """Whether it makes sense to renew a token that was refused: it can be, and it is not a moment old.

    The refusal says nothing certain about it (RFC 8693 section 2.2.2), so it costs nobody a connection.
    """
    credential = world.credential(record.key.credential)
    young = abs(world.clock.now() - (record.obtained_at or 0.0)) < YOUNG
    return (record.refreshable or credential.by_itself) and not young


def token_of(held: Held, kind: str) -> Secret:
    """Return the token of that type: the id token where that is meant and there is one, else the access token."""
    id_token = held.grant.id_token
    return id_token if id_token is not None and kind.endswith(":id_token") else held.grant.access_token


def exchange_again(credential: OAuth2Credential, app: AppCredentials, record: Record, subjects: Subjects) -> Request:
    """Return the request that exchanges the tokens for what the connection was made for."""
    wish = Exchange.of(record.params) or Exchange()
    scope = record.requested or credential.all_scopes
    return exchange_request(credential, app, wish, subject=subjects.subject, actor=subjects.actor, scope=scope)


def _key_of(world: World, connection_id: str) -> ConnectionKey:
    record = world.store.find(connection_id) if connection_id else None
    if record is None:
        msg = "the connection whose token was exchanged is gone"
        gone = Connection(connection_id, "")
        raise NotConnected(msg, connection=gone, reason="never_connected", hint="exchange another one's token")
    return record.key
