"""Connecting an account: the authorization code flow (RFC 6749 section 4.1), and an app's own token (section 4.4).

`start_authorization` makes the address that a person's browser opens, `finish_authorization` takes the answer.  What
is between them is a flow in the store, bound to the browser that began by a secret of its own: the binding.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from valetkey.engine.apps import app_accepted, client_changed
from valetkey.engine.exchange import buy, name_of, read_identity
from valetkey.engine.flows import Flow, put_flow, take_flow
from valetkey.engine.revoking import revoke_grant
from valetkey.engine.storing import Stored, disconnected_meanwhile, put_grant, reserve, token_origin
from valetkey.engine.trouble import app_command, connect_command
from valetkey.engine.turns import Buying
from valetkey.engine.world import World, open_grant
from valetkey.errors import (
    ConfigurationError,
    ConnectError,
    StateMismatch,
    StoreError,
    StoreUnavailable,
    WrongUser,
)
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.authorization import (
    CallbackParams,
    authorization_url,
    challenge,
    check_issuer,
    denied,
    new_verifier,
    parse_callback,
)
from valetkey.protocol.texts import looks_like_token, names_a_secret
from valetkey.protocol.token_request import client_credentials_request, code_request
from valetkey.protocol.token_response import TokenSet
from valetkey.protocol.urls import origin
from valetkey.values import Secret

_STORE_SECONDS: Final = 10.0
"""How long a store that does not answer is tried: the code is spent, and the grant exists nowhere else."""
_NOISE: Final = frozenset(
    {"scope", "scopes", "authuser", "hd", "prompt", "user", "ui_locales", "hmac", "host", "timestamp", "expires_in"}
)
"""Parameters of callbacks that say nothing about the connection."""


class Unset(Enum):
    """Stands for "not given" where None has a meaning of its own."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationStart:
    """The beginning of a sign-in.

    Attributes:
        url: What the person's browser opens.
        binding: What that browser must bring back, as a cookie (HttpOnly, Secure, SameSite=Lax).
        expires_at: Unix seconds until which the answer is taken.
        flow_id: The id of the stored flow.
    """

    url: str = field(repr=False)
    binding: Secret
    expires_at: float
    flow_id: str


def start_authorization(
    world: World, credential: OAuth2Credential, key: ConnectionKey, *, scopes: tuple[str, ...], redirect_uri: str
) -> AuthorizationStart:
    """Begin a sign-in for `key`.  `scopes` are asked for beside the credential's own.

    Raises:
        ConfigurationError: The declaration or the app does not allow for it.
        StoreUnavailable: The flow could not be stored.
    """
    if credential.grant != "authorization_code":
        msg = f"credential {credential.name!r} is an app's own: nobody signs in for it"
        raise ConfigurationError(msg, code="consent_not_needed", hint=f"just use it: valetkey token {credential.name}")
    app = world.app(credential)
    asked = wanted_scopes(credential, scopes)
    verifier = new_verifier(secrets.token_bytes(32)) if credential.pkce else None
    nonce = secrets.token_urlsafe(32) if "openid" in asked else ""
    state, binding = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(32))
    url = authorization_url(
        credential,
        app,
        redirect_uri=redirect_uri,
        state=state,
        challenge=challenge(verifier) if verifier else None,
        scopes=asked,
        nonce=nonce or None,
    )
    flow = Flow(
        key=key,
        scopes=asked,
        redirect_uri=redirect_uri,
        issuer=credential.issuer,
        token_origin=token_origin(credential),
        client_id=app.client_id,
        incarnation=incarnation_of(world, key),
        verifier=verifier,
        nonce=nonce,
    )
    stored = put_flow(world, flow, state=state, binding=binding)
    return AuthorizationStart(url=url, binding=binding, expires_at=stored.expires_at or 0.0, flow_id=stored.id)


def finish_authorization(
    world: World, callback_url: str, *, binding: Secret | str | None, owner: str | Unset | None = UNSET
) -> Record:
    """Take the provider's answer: check it, redeem its code once, and store what it buys.

    `callback_url` is the whole address that the browser was sent to; `binding` is what the browser kept since
    `start_authorization`, None where it brought nothing; `owner`, where given, is who is signed in to the application
    now.

    Raises:
        StateMismatch: Unknown, used or expired state; another browser (``binding_mismatch``); another address
            (``callback_mismatch``).
        WrongUser: `owner` is not who started.
        IssuerMismatch: Another server answered.
        AuthorizationDenied: Access was not given.
        ConnectError: Anything else that ends a sign-in; see `exchange.buy` and `storing.put_grant`.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    params = parse_callback(callback_url)
    flow = take_flow(world, params.state, binding)
    credential = world.credential(flow.key.credential)
    _check_answer(flow, callback_url, owner)
    check_issuer(params, credential=credential)
    app = _same_app(world, credential, flow)
    if params.error:
        again, add = connect_command(flow.key), app_command(credential.name, flow.key.env)
        raise denied(params, credential=credential, again=again, add=add)
    if params.code is None:
        msg = f"the answer of {name_of(credential)} holds neither a code nor an error"
        raise ConnectError(msg, code="callback_malformed", hint="start again")
    request = code_request(credential, app, code=params.code, redirect_uri=flow.redirect_uri, verifier=flow.verifier)
    with Buying(world, credential, flow.key) as buying:
        before = reserved(world, credential, flow.key, since=flow.incarnation)
        tokens = buy(world, credential, flow.key, request)
        return keep(world, credential, app, tokens, before, buying, requested=flow.scopes, params=_kept(params))


def connect_app(world: World, credential: OAuth2Credential, key: ConnectionKey, *, scopes: tuple[str, ...]) -> Record:
    """Get an app's own token with the client credentials grant, and store it.

    Raises:
        ConnectError: As `exchange.buy` does.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    app = world.app(credential)
    asked = wanted_scopes(credential, scopes)
    request = client_credentials_request(credential, app, scope=asked)
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=incarnation_of(world, key))
        tokens = buy(world, credential, key, request)
        return keep(world, credential, app, tokens, before, buying, requested=asked)


def wanted_scopes(credential: OAuth2Credential, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes to ask for: the credential's and the given ones, each once."""
    return tuple(dict.fromkeys((*credential.all_scopes, *scopes)))


def incarnation_of(world: World, key: ConnectionKey) -> int:
    """Return the incarnation that a sign-in which begins now starts from; 0 where nothing was connected yet."""
    record = world.store.load(key)
    return 0 if record is None or record.state == "pending" else record.incarnation


def reserved(world: World, credential: OAuth2Credential, key: ConnectionKey, *, since: int) -> Record:
    """Hold a row for a grant that is about to be got.

    A disconnect meanwhile marks or removes that row, and so what comes after it is not stored (R14).  A row that gets
    no grant stays ``pending``: another sign-in of the same account may be relying on it at this moment.  `since` is the
    incarnation that the sign-in started from.

    Raises:
        ConnectError: It was disconnected since (``connection_disconnected``).
    """
    found = world.store.load(key)
    if found is None and since:
        raise disconnected_meanwhile(key)
    before = found or reserve(world, credential, key)
    if before.state == "disconnected" and before.incarnation != since:
        raise disconnected_meanwhile(key)
    return before


def keep(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet,
    before: Record,
    buying: Buying,
    *,
    requested: tuple[str, ...],
    params: Mapping[str, str] | None = None,
) -> Record:
    """Store what was bought over `before`, and return the record.  That ends the `buying`.

    Raises:
        ConnectError: It was disconnected meanwhile (``connection_disconnected``); the new grant is revoked.
        StoreUnavailable: The store did not come back; the grant is lost.
    """
    grant = tokens.grant(
        now=world.clock.now(),
        credential=credential,
        requested=requested,
        previous=None,
        learnt_lifetime=before.learnt_lifetime,
    )
    identity = read_identity(world, credential, before.key, grant)

    def put() -> Stored:
        return put_grant(
            world,
            credential,
            before.key,
            grant,
            requested=requested,
            client_id=app.client_id,
            before=before,
            identity=identity,
            params={**credential.params, **(params or {}), **_params_of(credential, tokens)},
        )

    try:
        stored = _patiently(world, put)
    except ConnectError:
        buying.end()  # else the revocation would wait for it
        revoke_grant(world, credential, grant, record=before, identity=identity)
        raise
    buying.end()
    app_accepted(world, before.key.env, credential)
    _retire(world, credential, app, stored)
    return stored.record


def _patiently(world: World, put: Callable[[], Stored]) -> Stored:
    give_up = world.clock.monotonic() + _STORE_SECONDS
    while True:
        try:
            return put()
        except StoreUnavailable:
            if world.clock.monotonic() >= give_up:
                raise
            world.clock.sleep(0.5)


def _retire(world: World, credential: OAuth2Credential, app: AppCredentials, stored: Stored) -> None:
    """Revoke the grant that a reconnect replaced, where that cannot hurt the new one.

    Only where a revocation ends one token and nothing else.  With the reach of a user it would end the new grant too;
    and with that of a "grant" nobody knows whether two consents of one user to one client are two grants or one:
    several servers keep a single grant for the pair and hang all tokens on it.  There the old tokens are left to
    their end.
    """
    old, new = stored.replaced, stored.record
    if credential.revocation_reach != "token" or old.sealed is None:
        return
    if old.access_fp == new.access_fp or (old.refresh_fp and old.refresh_fp == new.refresh_fp):
        return
    if client_changed(credential, old.client_id, old.issuer, old.token_origin, app.client_id):
        return
    with suppress(StoreError):
        grant = open_grant(world, old)
        if grant is not None:
            revoke_grant(world, credential, grant, record=old)


def _check_answer(flow: Flow, callback_url: str, owner: str | Unset | None) -> None:
    """Check that the answer came to the address given (RFC 8252 section 8.10), for the one who started."""
    if _address(callback_url) != _address(flow.redirect_uri):
        msg = f"the answer came to another address than {flow.redirect_uri}"
        hint = "pass the whole address as the browser sees it (behind a proxy: the public one), and start again"
        raise StateMismatch(msg, code="callback_mismatch", hint=hint)
    if not isinstance(owner, Unset) and owner != flow.key.owner:
        msg = "the sign-in was started by somebody else than who finished it"
        raise WrongUser(msg, hint="sign in to the application as the one who started, and start again")


def _address(url: str) -> tuple[str, str]:
    """Return what has to be equal of two redirect URIs: scheme, host, port and path, but not the query."""
    try:
        return origin(url), urlsplit(url).path or "/"
    except ConfigurationError:  # a scheme of the application's own, say
        return "", url.partition("?")[0].partition("#")[0]


def _same_app(world: World, credential: OAuth2Credential, flow: Flow) -> AppCredentials:
    """Return the app, which must be the one that the sign-in began with (a code is bound to its client)."""
    app = world.app(credential)
    if difference := client_changed(credential, flow.client_id, flow.issuer, flow.token_origin, app.client_id):
        msg = f"credential {credential.name!r} has {difference} since the sign-in began; its answer was not used"
        raise ConnectError(msg, code="client_changed", hint="start again")
    return app


def _kept(params: CallbackParams) -> dict[str, str]:
    """Return what a callback says about the connection (``realmId``, ``shop``), without noise and secrets.

    A callback comes by way of the browser: whoever sits there can add to it.  So nothing in it may say where tokens go;
    an ``instance_url`` counts only in the answer of the token endpoint.
    """
    return {
        name: value
        for name, value in params.extra.items()
        if name not in _NOISE
        and not names_a_secret(name)
        and not looks_like_token(value)
        and not _is_place(name, value)
    }


def _is_place(name: str, value: str) -> bool:
    return "://" in value or value.startswith("//") or re.search(r"(?i)ur[il]$|host|domain|origin", name) is not None


def _params_of(credential: OAuth2Credential, tokens: TokenSet) -> dict[str, str]:
    """Return what a token answer says about the connection: what the credential keeps, else all that is harmless."""
    if not credential.kept_params:
        return dict(tokens.extra)
    return {name: tokens.extra[path] for name, path in credential.kept_params.items() if path in tokens.extra}
