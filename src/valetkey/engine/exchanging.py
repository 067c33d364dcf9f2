"""Exchanging a connection's token for one that is for another service (RFC 8693): a connection of its own.

The new connection knows whose token it was got for.  When its own has ended, the subject's is brought up to date first,
before anything is claimed, and exchanged again.  What goes wrong with the exchange never says anything about the
subject's grant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from valetkey.engine.app_secrets import tried_in_order
from valetkey.engine.connect import incarnation_of, reserved, wanted_scopes
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import ask, name_of, refusal_error
from valetkey.engine.keeping import keep
from valetkey.engine.lifecycle import dead, load, obtain
from valetkey.engine.proving import new_dpop_key
from valetkey.engine.subjects import REFUSED_SUBJECT, Subjects, brought, token_of
from valetkey.engine.turns import Buying
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, ConnectError, ValetkeyError
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.exchanges import PARAM, Exchange
from valetkey.protocol.refusals import UNSUPPORTED_TOKEN_TYPE, Refusal
from valetkey.protocol.token_exchange import exchange_request, parse_exchange_response
from valetkey.protocol.token_response import TokenSet
from valetkey.values import Request, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Whose token is exchanged: a connection's, or one that was given."""

    key: ConnectionKey | None = None
    given: Secret | None = None

    @property
    def mark(self) -> str:
        """What tells this party from others."""
        return str(self.key) if self.key is not None else self.given.fingerprint() if self.given is not None else ""


def label_of(subject: Party, actor: Party, wish: Exchange, scopes: tuple[str, ...]) -> str:
    """Return the account label of what is exchanged: another for each subject, actor, audience, resource and scope."""
    parts = [
        subject.mark,
        actor.mark,
        *(wish.subject_type, wish.actor_type, wish.requested_type),
        *(sorted(wish.audience), sorted(wish.resource), sorted(scopes)),
    ]
    return "exchange-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def exchanged(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    wish: Exchange,
    *,
    subject: Party,
    actor: Party,
    scopes: tuple[str, ...],
) -> Record:
    """Return the connection that holds what is wanted, exchanging a token where it does not hold it yet.

    Raises:
        ConfigurationError: The credential's grant is another (``grant_mismatch``), or something is missing.
        ReauthorizationRequired: The subject's connection, or the actor's, has no token.
        ConnectError: The server refused: the target (``invalid_target``), or the tokens (``exchange_refused``).
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    if credential.grant != "token_exchange":
        msg = f"credential {credential.name!r} does not exchange tokens: its grant is {credential.grant}"
        raise ConfigurationError(msg, code="grant_mismatch", hint="declare it with grant='token_exchange'")
    found = load(world, key)
    if found is not None and found.sealed is not None and _serves(world, found):
        return found
    wish = replace(wish, subject=_id_of(world, subject), actor=_id_of(world, actor))
    credential = complete(world, credential)
    app, asked, bound = world.app(credential), wanted_scopes(credential, scopes), new_dpop_key(credential)
    held = _tokens(world, subject, actor, wish)

    def build(one: AppCredentials, tokens: Subjects) -> Request:
        request = exchange_request(credential, one, wish, subject=tokens.subject, actor=tokens.actor, scope=asked)
        return replace(request, dpop_key=bound)

    build(app, held)  # what does not fit is said before a row is held
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=incarnation_of(world, key))
        tokens = _bought(world, credential, key, app, lambda one: build(one, held))
        if isinstance(tokens, Refusal) and tokens.error in REFUSED_SUBJECT and held.mark:
            newer = _tokens(world, subject, actor, wish, refused=held.mark)
            tokens = _bought(world, credential, key, app, lambda one: build(one, newer))
        if isinstance(tokens, Refusal):
            raise exchange_error(credential, key, tokens)
        fixed = {PARAM: wish.as_param()}
        return keep(world, credential, app, tokens, before, buying, requested=asked, fixed=fixed)


def exchange_error(credential: OAuth2Credential, key: ConnectionKey, refusal: Refusal) -> ValetkeyError:
    """Return the error for a refused exchange."""
    said = ": ".join(part for part in (refusal.error, refusal.description or refusal.note) if part)
    if refusal.error in REFUSED_SUBJECT or refusal.error in {UNSUPPORTED_TOKEN_TYPE, "issued_token_type_missing"}:
        msg = f"{name_of(credential)} did not exchange the token ({said})"
        hint = "check whose token it is and of which type; sign in anew where it came from, if need be"
        return ConnectError(msg, code="exchange_refused", hint=hint)
    return refusal_error(credential, key, refusal)


def _serves(world: World, record: Record) -> bool:
    """Whether what is stored serves as it is, or renews itself."""
    now = world.clock.now()
    if record.state == "disconnected" or dead(record, now):
        return False
    return record.refreshable or record.expires_at is None or now < record.expires_at


def _bought(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    app: AppCredentials,
    build: Callable[[AppCredentials], Request],
) -> TokenSet | Refusal:
    def send(one: AppCredentials) -> TokenSet | Refusal:
        return ask(world, credential, build(one), parse=parse_exchange_response)

    return tried_in_order(world, key.env, credential, app, send)


def _tokens(world: World, subject: Party, actor: Party, wish: Exchange, *, refused: str = "") -> Subjects:
    """Return the tokens of both, brought up to date where they are a connection's."""
    if subject.key is not None:
        found = brought(world, subject.key, actor.key, wish, refused=refused)
    else:
        acting = token_of(obtain(world, actor.key), wish.actor_type) if actor.key is not None else None
        found = Subjects(subject=subject.given or Secret(""), actor=acting)
    return found if actor.given is None else replace(found, actor=actor.given)


def _id_of(world: World, party: Party) -> str:
    if party.key is None:
        return ""
    return obtain(world, party.key).record.id
