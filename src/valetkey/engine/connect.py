"""Connecting an account: the authorization code flow (RFC 6749 section 4.1), and an app's own token (section 4.4).

`start_authorization` makes the address that a person's browser opens, `finish_authorization` takes the answer.  What
is between them is a flow in the store, bound to the browser that began by a secret of its own: the binding.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from valetkey.engine.apps import app_for, client_changed
from valetkey.engine.beside import Both, asked_beside, key_beside, second_credential, with_second
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import buy, name_of
from valetkey.engine.flows import Beside, Flow, put_flow, take_flow
from valetkey.engine.front import way_back, way_out
from valetkey.engine.id_tokens import SignIn, ready
from valetkey.engine.keeping import Goods, goods, keep, settle
from valetkey.engine.own_tokens import own_request
from valetkey.engine.places import given_params, said_by_callback
from valetkey.engine.proving import new_dpop_key, thumbprint
from valetkey.engine.registering import ready_client
from valetkey.engine.resources import asking
from valetkey.engine.storing import disconnected_meanwhile, reserve, token_origin
from valetkey.engine.trouble import app_command, connect_command, exchange_hint
from valetkey.engine.turns import Buying
from valetkey.engine.world import World
from valetkey.errors import (
    ConfigurationError,
    ConnectError,
    StateMismatch,
    WrongUser,
)
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.placing import placed, signed_in_with
from valetkey.protocol.authentication_request import NOTHING_SPECIAL, AuthenticationRequest
from valetkey.protocol.authorization import (
    authorization_params,
    challenge,
    check_issuer,
    claimed_state,
    denied,
    new_verifier,
    parse_callback,
    translated,
)
from valetkey.protocol.token_request import code_request
from valetkey.protocol.urls import origin
from valetkey.values import Request, Secret

_CHECKED: Final = ("max_age", "acr_values")
"""What an id token has to show where it was asked for (OpenID Connect Core section 3.1.3.7)."""


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
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    redirect_uri: str,
    only: bool = False,
    errand: Mapping[str, str] = EMPTY,
    wants: AuthenticationRequest = NOTHING_SPECIAL,
) -> AuthorizationStart:
    """Begin a sign-in for `key`.

    `scopes` are asked for beside the credential's own; with `only`, instead of these.  `errand` is kept with the flow
    for whoever finishes it.  `wants` says how the person is to be asked.

    Raises:
        ConfigurationError: The declaration or the app does not allow for it.
        StoreUnavailable: The flow could not be stored.
    """
    if not credential.signs_in:
        msg = f"credential {credential.name!r} is an app's own: nobody signs in for it"
        use = f"just use it: valetkey token {credential.name}"
        hint = exchange_hint(credential) if credential.grant == "token_exchange" else use
        raise ConfigurationError(msg, code="consent_not_needed", hint=hint)
    given, credential = given_params(credential), placed(credential, EMPTY)
    need = ("token_url", "authorization_url")
    credential, app = ready_client(world, key.env, credential, redirect_uri=redirect_uri, need=need)
    credential, asked = asking(world, credential, key, _asked(credential, scopes, only=only))
    verifier = new_verifier(secrets.token_bytes(32)) if credential.pkce else None
    nonce = secrets.token_urlsafe(32) if "openid" in asked else ""
    key_pair = new_dpop_key(credential)
    state, binding = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(32))
    second = second_credential(world, credential, app) if credential.beside else None
    params = authorization_params(
        credential,
        app,
        redirect_uri=redirect_uri,
        state=state,
        challenge=challenge(verifier, credential.pkce_encoding) if verifier else None,
        scopes=asked,
        nonce=nonce or None,
        dpop_jkt=thumbprint(key_pair),
        wants=wants,
    )
    params = params if second is None else {**params, **asked_beside(second)}
    url = way_out(world, credential, key, params, dpop_key=key_pair)
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
        dpop_key=key_pair,
        errand=errand,
        asked={name: value for name, value in wants.params().items() if name in _CHECKED and value},
        params=given,
        beside=None if second is None else _to_bring(world, key, second),
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
    answer = take_answer(world, callback_url, binding=binding, owner=owner)
    credential, key = answer.credential, answer.flow.key
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=answer.flow.incarnation)
        return settle(world, credential, bought(world, answer, before), before, buying)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of a provider that was checked, and whose flow is used up.

    Attributes:
        flow: What it answers.
        credential: Of which integration.
        app: The app, which is the one that the sign-in began with.
        build: Makes the request that redeems its code, of the app with one of its secrets; it is sent once.
        params: What it says about the connection.
        sign_in: What its id token answers to.
    """

    flow: Flow
    credential: OAuth2Credential
    app: AppCredentials
    build: Callable[[AppCredentials], Request] = field(repr=False)
    params: Mapping[str, str]
    sign_in: SignIn


def take_answer(
    world: World, callback_url: str, *, binding: Secret | str | None, owner: str | Unset | None = UNSET
) -> Answer:
    """Check a provider's answer and use up its flow.  Raises as `finish_authorization`, which redeems the code too."""
    came = parse_callback(callback_url)
    flow = take_flow(world, claimed_state(came.state, came.signed.reveal() if came.signed else ""), binding)
    declared = signed_in_with(world.credential(flow.key.credential), flow.params)
    credential = complete(world, placed(declared, EMPTY), lenient=True)
    _check_answer(flow, callback_url, owner)
    app = _same_app(world, credential, flow)
    params = translated(way_back(world, credential, app, came), credential)
    check_issuer(params, credential=credential)
    if params.error:
        again, add = connect_command(flow.key), app_command(credential.name, flow.key.env)
        raise denied(params, credential=credential, again=again, add=add)
    kept = said_by_callback(world, flow.key.env, declared, app, callback_url, params)
    credential = complete(world, placed(declared, kept), lenient=True) if kept else credential
    if params.code is None:
        msg = f"the answer of {name_of(credential)} holds neither a code nor an error"
        raise ConnectError(msg, code="callback_malformed", hint="start again")
    code, uri, verifier = params.code, flow.redirect_uri, flow.verifier

    def build(one: AppCredentials) -> Request:
        request = code_request(credential, one, code=code, redirect_uri=uri, verifier=verifier)
        return replace(request, dpop_key=flow.dpop_key)

    build(app)  # what does not fit is said before anything is sent
    ready(world, credential, flow.scopes)  # before the code is spent: without keys its answer would be of no use
    sign_in = SignIn(nonce=flow.nonce, code=params.code, asked=flow.asked)
    return Answer(flow=flow, credential=credential, app=app, build=build, params={**kept}, sign_in=sign_in)


def bought(world: World, answer: Answer, before: Record) -> Goods:
    """Redeem the code of an answer, and return all that it buys; `before` is the row that is held for the grant.

    Raises:
        ConnectError: As `exchange.buy` and `keeping.goods`; or what comes beside it was disconnected meanwhile.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    credential, app, flow = answer.credential, answer.app, answer.flow
    asked, came, sign_in = flow.scopes, answer.params, answer.sign_in
    if flow.beside is None:
        tokens = buy(world, credential, flow.key, app, answer.build)
        return goods(world, credential, app, tokens, before, requested=asked, params=came, sign_in=sign_in)
    second = placed(world.credential(flow.beside.credential), EMPTY)
    key = key_beside(flow.key, second.name)
    row = reserved(world, second, key, since=flow.beside.incarnation)
    both = Both(second)
    tokens = buy(world, credential, flow.key, app, answer.build, both)
    got = goods(world, credential, app, tokens, before, requested=asked, params=came, sign_in=sign_in)
    return with_second(world, got, second, app, both.tokens, row, flow.beside.scopes)


def _to_bring(world: World, key: ConnectionKey, second: OAuth2Credential) -> Beside:
    since = incarnation_of(world, key_beside(key, second.name))
    return Beside(credential=second.name, scopes=second.all_scopes, incarnation=since)


def connect_app(world: World, credential: OAuth2Credential, key: ConnectionKey, *, scopes: tuple[str, ...]) -> Record:
    """Get an app's own token, for which nobody signs in, and store it.

    Raises:
        ConfigurationError: It is got in another way (``exchange_needed``), or something is missing for it.
        ConnectError: As `exchange.buy` does.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    credential, app = ready_client(world, key.env, placed(credential, EMPTY))
    asked, key_pair = wanted_scopes(credential, scopes), new_dpop_key(credential)

    def build(one: AppCredentials) -> Request:
        return replace(own_request(world, credential, one, key, scope=asked), dpop_key=key_pair)

    build(app)  # what does not fit is said before a row is held
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=incarnation_of(world, key))
        tokens = buy(world, credential, key, app, build)
        return keep(world, credential, app, tokens, before, buying, requested=asked)


def wanted_scopes(credential: OAuth2Credential, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes to ask for: the credential's and the given ones, each once."""
    return tuple(dict.fromkeys((*credential.all_scopes, *scopes)))


def _asked(credential: OAuth2Credential, scopes: tuple[str, ...], *, only: bool) -> tuple[str, ...]:
    if not only:
        return wanted_scopes(credential, scopes)
    return tuple(dict.fromkeys((*scopes, *credential.forced_scopes)))


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
    app = app_for(world, flow.key.env, credential, flow.client_id)
    if difference := client_changed(credential, flow.client_id, flow.issuer, flow.token_origin, app.client_id):
        msg = f"credential {credential.name!r} has {difference} since the sign-in began; its answer was not used"
        raise ConnectError(msg, code="client_changed", hint="start again")
    return app
