"""Keeping what was bought: the last part of every way to connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from valetkey.engine.apps import app_accepted, client_changed
from valetkey.engine.exchange import read_identity
from valetkey.engine.id_tokens import NO_SIGN_IN, SignIn, person_of
from valetkey.engine.looking_up import chosen_before, looked_up
from valetkey.engine.patience import patiently
from valetkey.engine.revoking import revoke_grant
from valetkey.engine.storing import Stored, kept_of, put_grant
from valetkey.engine.turns import Buying
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, ConnectError, ProviderError, StoreError
from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.connections import Identity, Record
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.placing import names_later, placed
from valetkey.protocol.token_response import TokenSet

_log = get_logger("keeping")


def keep(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet,
    before: Record,
    buying: Buying,
    *,
    requested: tuple[str, ...],
    params: Mapping[str, str] = EMPTY,
    sign_in: SignIn = NO_SIGN_IN,
    fixed: Mapping[str, str] = EMPTY,
) -> Record:
    """Store what was bought over `before`, and return the record.  That ends the `buying`.

    `params` are what came with it; `fixed` are params that no answer can change.

    Raises:
        ConnectError: It was disconnected meanwhile (``connection_disconnected``), or its id token does not hold
            (``id_token_invalid``); the new grant is revoked.
        StoreUnavailable: The store did not come back; the grant is lost.
    """
    got = goods(world, credential, app, tokens, before, requested=requested, params=params, sign_in=sign_in)
    got = replace(got, params={**got.params, **fixed}) if fixed else got
    return settle(world, credential, got, before, buying)


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideGoods:
    """A second grant that came with the same sign-in (`engine.beside`).

    Attributes:
        credential: Of which credential.
        connection_id: The id of the row that is held for it.
        incarnation: The incarnation of that row when the grant was bought.
        goods: The grant and what belongs to it.
    """

    credential: str
    connection_id: str
    incarnation: int
    goods: Goods


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """A grant that was bought and is not stored yet.

    Attributes:
        grant: The grant.
        identity: Who connected, where the provider says it.
        requested: What was asked for.
        client_id: The app's client id.
        params: What the provider said about the connection.
        beside: A second grant of the same sign-in; None: there is none.
    """

    grant: Grant = field(repr=False)
    identity: Identity | None
    requested: tuple[str, ...]
    client_id: str
    params: Mapping[str, str]
    beside: BesideGoods | None = None


def goods(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet,
    before: Record,
    *,
    requested: tuple[str, ...],
    params: Mapping[str, str] = EMPTY,
    sign_in: SignIn = NO_SIGN_IN,
) -> Goods:
    """Make a grant of what was bought, and find out who connected.

    Raises:
        ConnectError: Its id token does not hold (``id_token_invalid``); the new grant is revoked.
        ProviderError: The same, where it could not be checked.
    """

    def made(of: TokenSet) -> Grant:
        learnt = before.learnt_lifetime
        grant = of.grant(
            now=world.clock.now(), credential=credential, requested=requested, previous=None, learnt_lifetime=learnt
        )
        return replace(grant, resources=credential.resources)

    grant = made(tokens)
    try:
        claims = person_of(world, credential, app, tokens, requested, sign_in)
    except (ConnectError, ProviderError):
        if credential.revocation_reach != "user":  # else it would end what the person has besides
            revoke_grant(world, credential, grant, record=before)
        raise
    if credential.long_lived_url:
        with late_imports:
            from valetkey.engine.long_lived import lengthened  # noqa: PLC0415 - few providers want it

        here = placed(credential, {**credential.params, **params, **_params_of(credential, tokens)})
        tokens = lengthened(world, here, before.key, app, tokens)  # the id token spoke of the first one
        grant = made(tokens)
    said = {**credential.params, **params, **_params_of(credential, tokens)}
    credential = placed(credential, said)
    return Goods(
        grant=grant,
        identity=read_identity(world, credential, before.key, grant, app=app, claims=claims),
        requested=requested,
        client_id=app.client_id,
        params=said,
    )


def settle(world: World, credential: OAuth2Credential, got: Goods, before: Record, buying: Buying) -> Record:
    """Store a grant over `before`, and the one beside it; see `keep`."""
    try:
        stored = _put(world, credential, got, before)
    except ConnectError:
        buying.end()  # else the revocation would wait for it
        give_back(world, credential, got, before)
        raise
    beside = None if got.beside is None else _put_beside(world, got.beside)
    buying.end()
    app_accepted(world, before.key.env, credential)
    if beside is not None:
        beside()
    return _finish(world, credential, got, stored)


def _put(world: World, credential: OAuth2Credential, got: Goods, before: Record) -> Stored:
    credential = placed(credential, got.params)

    def put() -> Stored:
        return put_grant(
            world,
            credential,
            before.key,
            got.grant,
            requested=got.requested,
            client_id=got.client_id,
            before=before,
            identity=got.identity,
            params=got.params,
        )

    return patiently(world, put)


def _put_beside(world: World, beside: BesideGoods) -> Callable[[], object] | None:
    """Store the second grant, at once after the first; returns what is left to do when the buying has ended.

    The first one is stored by then, so what goes wrong here is told and not raised.  Where its connection was ended or
    connected anew meanwhile, the grant is to be given back: a revocation would wait for the sign-in that brought it.
    """
    before: Record | None = None
    try:
        credential = world.credential(beside.credential)
        before = patiently(world, lambda: world.store.find(beside.connection_id))
        if before is not None and before.incarnation == beside.incarnation:
            stored = _put(world, credential, beside.goods, before)
            return lambda: _finish(world, credential, beside.goods, stored)
        _log.warning("the grant of %s that came with a sign-in was overtaken, and is given back", credential.name)
    except (ConfigurationError, StoreError) as error:
        _log.warning("the grant of %s that came with a sign-in was not stored: %s", beside.credential, error)
        return None
    except ConnectError as error:
        _log.warning("the grant of %s that came with a sign-in is given back: %s", beside.credential, error)
    unwanted, second = beside.goods, placed(world.credential(beside.credential), beside.goods.params)
    return lambda: revoke_grant(world, second, unwanted.grant, record=before)


def give_back(world: World, credential: OAuth2Credential, got: Goods, before: Record) -> tuple[str, ...]:
    """Revoke what was bought and is not kept, the grant beside it too; returns what of the first was revoked."""
    if got.beside is not None:
        second = world.credential(got.beside.credential)
        more = got.beside.goods
        row = replace(before, id=got.beside.connection_id, key=replace(before.key, credential=second.name))
        revoke_grant(world, placed(second, more.params), more.grant, record=row, identity=more.identity)
    return revoke_grant(world, placed(credential, got.params), got.grant, record=before, identity=got.identity)


def _finish(world: World, credential: OAuth2Credential, got: Goods, stored: Stored) -> Record:
    """Do what comes after a grant was stored: give its predecessor back, and look up what calls need."""
    credential = placed(credential, got.params)
    _retire(world, credential, got.client_id, stored)
    wanted = chosen_before(credential, stored.replaced, got.params)
    return looked_up(world, credential, stored.record, got.grant, wanted=wanted)


def _retire(world: World, credential: OAuth2Credential, client_id: str, stored: Stored) -> None:
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
    if client_changed(credential, old.client_id, old.issuer, old.token_origin, client_id):
        return
    with suppress(StoreError):
        grant = open_grant(world, old)
        if grant is not None:
            revoke_grant(world, credential, grant, record=old)


def _params_of(credential: OAuth2Credential, tokens: TokenSet) -> Mapping[str, str]:
    """Return what a token answer says about the connection: what the credential keeps, else all that is harmless."""
    if credential.kept_params:
        return kept_of(credential, tokens)
    later = names_later(credential)  # these come from where the declaration says
    return {name: value for name, value in tokens.extra.items() if name not in later}
