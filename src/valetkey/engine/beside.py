"""Sign-ins that bring two grants: a provider's answer holds one token set of a bot and one of a person (Slack).

Each is the grant of a connection of its own, under a credential of its own, with a refresh token of its own: so what
holds for refreshes, claims and disconnects holds for both as it is.  They have in common the app, the sign-in, owner
and account.  Only such credentials come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from valetkey.engine.keeping import BesideGoods, Goods, goods
from valetkey.engine.storing import reserve, tell
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Query, Record
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.paging import each_record
from valetkey.model.placing import placed
from valetkey.protocol.answers import holds_token_apart
from valetkey.protocol.bodies import read_members
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.values import Request, Response

_log = get_logger("beside")
_SAME: Final = ("authorization_url", "token_url", "token_method", "client_auth", "pkce")
"""What has to be the same of both: one request is made for them, and its answer is one."""


def key_beside(key: ConnectionKey, credential: str) -> ConnectionKey:
    """Return the connection that is filled beside `key`."""
    return replace(key, credential=credential)


def second_credential(world: World, first: OAuth2Credential, app: AppCredentials) -> OAuth2Credential:
    """Return the credential beside `first`, which a sign-in with this app fills too.

    Raises:
        ConfigurationError: Nobody declared it (``credential_unknown``); it has no app (``app_missing``); one request
            and one answer cannot be for both (``beside_unfit``).
    """
    second = placed(world.credential(first.beside), EMPTY)
    differ = [name for name in _SAME if getattr(first, name) != getattr(second, name)]
    if differ:
        raise _unfit(first, f"has another {differ[0]}", f"declare both with the same {differ[0]}")
    if second.param_names.get("scope", "scope") == first.param_names.get("scope", "scope"):
        raise _unfit(first, "asks for its scopes by the same parameter", 'give it param_names={"scope": "..."}')
    if "scope" not in second.param_names or "access_token" not in second.answer_paths:
        raise _unfit(
            first, "has no place of its own for scopes and token", f"turn it round: beside={first.name!r} there"
        )
    bound = any(one.sender_constraint != "none" or "openid" in one.all_scopes for one in (first, second))
    if bound or second.beside or not second.signs_in:
        raise _unfit(first, "wants more than a token set", "without openid, sender_constraint and beside")
    if world.app(second).client_id != app.client_id:
        raise _unfit(first, "has another app", f"declare it with secret_id={first.secret_id!r}")
    return second


def asked_beside(second: OAuth2Credential) -> Mapping[str, str]:
    """Return the parameter of the authorization request by which the second grant is asked for."""
    return {second.param_names["scope"]: second.scope_separator.join(second.all_scopes)}


class Both:
    """Reads an answer for two credentials: what it says is read as the first one's, and the second set is kept."""

    __slots__ = ("_second", "tokens")

    def __init__(self, second: OAuth2Credential) -> None:
        self._second = second
        self.tokens: TokenSet | None = None

    def __call__(
        self, response: Response, *, credential: OAuth2Credential, now: float, request: Request | None = None
    ) -> TokenSet | Refusal:
        """Read an answer; see `parse_token_response`."""
        found = parse_token_response(response, credential=credential, now=now, request=request)
        members = read_members(response.body)
        if isinstance(found, TokenSet) and members is not None and holds_token_apart(members, self._second):
            second = parse_token_response(response, credential=self._second, now=now, request=request)
            self.tokens = second if isinstance(second, TokenSet) else None
        return found


def with_second(
    world: World,
    got: Goods,
    second: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet | None,
    before: Record,
    scopes: tuple[str, ...],
) -> Goods:
    """Return what was bought, with the second grant where the answer held one; the first is worth something without.

    `before` is the row that is held for it.
    """
    if tokens is None:
        _log.warning("the sign-in brought no grant for %s", before.key)
        tell(world, "beside_missing", before)
        return got
    more = goods(world, second, app, tokens, before, requested=scopes)
    beside = BesideGoods(credential=second.name, connection_id=before.id, incarnation=before.incarnation, goods=more)
    return replace(got, beside=beside)


def moved(world: World, got: Goods, key: ConnectionKey) -> Goods:
    """Return goods whose second grant goes beside another account than it was asked for."""
    if got.beside is None:
        return got
    name = got.beside.credential
    row = reserve(world, world.credential(name), key_beside(key, name))
    return replace(got, beside=replace(got.beside, connection_id=row.id, incarnation=row.incarnation))


def staying(world: World, credential: OAuth2Credential | None, key: ConnectionKey) -> tuple[str, ...]:
    """Return the connections that came with the same sign-ins as `key`, and hold a grant of their own."""
    if credential is None:
        return ()
    if credential.beside:
        names = [credential.beside]
    elif "access_token" in credential.answer_paths:
        names = [one.key.credential for one in each_record(world.store, Query(env=key.env, owner=key.owner))]
        names = [name for name in dict.fromkeys(names) if _brings(world, name, credential.name)]
    else:
        return ()
    rows = (world.store.load(key_beside(key, name)) for name in names)
    return tuple(str(row.key) for row in rows if row is not None and row.sealed is not None)


def _brings(world: World, name: str, second: str) -> bool:
    try:
        return world.credential(name).beside == second
    except ConfigurationError:
        return False


def _unfit(first: OAuth2Credential, why: str, hint: str) -> ConfigurationError:
    msg = f"credential {first.name!r}: {first.beside!r}, which is to be filled by the same sign-in, {why}"
    return ConfigurationError(msg, code="beside_unfit", hint=hint)
