"""Id tokens: who signed in is checked before a grant counts, and once more where a refresh brings a new one.

Keys are fetched before anything is spent.  Between the answer to a refresh and its commit nothing is fetched: the only
successor of a refresh token does not wait for a key server.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from valetkey.engine.discovery import ALL_SECONDS, KEPT, document_error, remembered, server_of, unreachable
from valetkey.engine.servers import Shelf, fresh_for, once
from valetkey.engine.storing import tell
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, ConnectError, ProviderError, ProviderProtocolError, StoreError
from valetkey.forks import late_imports
from valetkey.model.connections import Identity, Record
from valetkey.model.credentials import ASYMMETRIC, EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.fapi2 import allowed_algs
from valetkey.model.grants import Grant
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.bodies import Members
from valetkey.protocol.id_token import Expected, claims_of, for_us, identity_of, moved, parse_id_token
from valetkey.protocol.introspection import Introspection, read_signed_introspection
from valetkey.protocol.keys import PublicKey, keys_request, parse_keys
from valetkey.protocol.metadata import Metadata, MetadataFlaw
from valetkey.protocol.signatures import TokenFlaw, Unverified, verified
from valetkey.protocol.token_response import TokenSet
from valetkey.values import Secret

KEYS_SECONDS: Final = 10.0
BEFORE_REFRESH_SECONDS: Final = 3.0
"""How long a refresh waits for keys that it may do without."""
COOL_DOWN: Final = 60.0
"""Seconds between two fetches that tokens with unknown keys bring about (OpenID Connect Core section 10.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What an id token answers to: the nonce that was sent, the code that was redeemed, and what was asked for."""

    nonce: str = field(default="", repr=False)
    code: Secret | None = None
    asked: Mapping[str, str] = field(default_factory=lambda: EMPTY)


NO_SIGN_IN: Final = SignIn()
_OF_KEYS: Final = frozenset({"key", "signature"})
"""What other keys may put right."""


def checks(credential: OAuth2Credential, scopes: tuple[str, ...]) -> bool:
    """Whether id tokens are looked at: who signed in was asked, and who may say so is known."""
    return bool(credential.issuer) and "openid" in scopes and credential.signs_in


# -- keys ----------------------------------------------------------------------------------------------------------


def ready(world: World, credential: OAuth2Credential, scopes: tuple[str, ...], *, within: float = KEYS_SECONDS) -> None:
    """Have the keys at hand with which an id token will be checked.

    Raises:
        ProviderError: They could not be fetched.
    """
    if checks(credential, scopes):
        _keys(world, credential, within=within)


def ready_if_possible(world: World, credential: OAuth2Credential, scopes: tuple[str, ...]) -> None:
    """Do what `ready` does, for a refresh: which goes on without them."""
    with suppress(ProviderError, ConfigurationError):
        ready(world, credential, scopes, within=BEFORE_REFRESH_SECONDS)


def _keys(
    world: World, credential: OAuth2Credential, *, within: float = KEYS_SECONDS, anew: bool = False
) -> tuple[PublicKey, ...]:
    """Return the keys of the server of a credential; `anew`: fetch them again, unless that was done just now."""
    if _by_secret(credential):
        return ()
    url = _keys_url(credential, _metadata(world, credential, within=within))
    shelf = _shelf(world, url)
    now = world.clock.now()
    if anew:
        _outdate(shelf, now)
    try:
        once(shelf, world.clock.now, lambda: _fetch_keys(world, credential, url, shelf, within))
    except ProviderError:
        if shelf.value is None or now - shelf.fetched_at > KEPT:
            raise
    found: tuple[PublicKey, ...] = shelf.value
    return found


def _by_secret(credential: OAuth2Credential) -> bool:
    """Whether only the client secret can be the key."""
    return bool(credential.id_token_algs) and not set(credential.id_token_algs) & set(ASYMMETRIC)


def _metadata(world: World, credential: OAuth2Credential, *, within: float = ALL_SECONDS) -> Metadata | None:
    """Return what the server says of itself, where that is needed to check its id tokens."""
    if credential.jwks_url and not credential.discovers:
        return remembered(world, credential)  # of one that was completed; of one declared by hand there is none
    return server_of(world, credential, lenient=True, within=within).metadata


def _keys_url(credential: OAuth2Credential, metadata: Metadata | None) -> str:
    url = credential.jwks_url or (metadata.jwks_url if metadata else "")
    if url or metadata is None:
        return url
    msg = f"{credential.name}: jwks_uri is missing in {metadata.document}, so its id tokens cannot be checked"
    hint = f"declare jwks_url= for {credential.name!r}, or leave the scope openid away"
    raise ProviderProtocolError(msg, code="metadata_invalid", hint=hint)


def _algs(credential: OAuth2Credential, metadata: Metadata | None) -> tuple[str, ...]:
    """Return the algorithms that may sign: those declared, else the asymmetric ones that the server names."""
    if credential.id_token_algs:
        return credential.id_token_algs
    named = metadata.id_token_algs if metadata else ()
    may = allowed_algs(credential) or ASYMMETRIC
    return tuple(alg for alg in may if alg in named) if named else may


def _algs_of(credential: OAuth2Credential, metadata: Metadata | None, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the algorithms that may sign something other than id tokens: of what the server has `named` for it.

    Where it names none they are those of id tokens.  The client secret is the key only where that is declared.
    """
    if not named:
        return _algs(credential, metadata)
    may = (*(allowed_algs(credential) or ASYMMETRIC), *(alg for alg in credential.id_token_algs if alg[:2] == "HS"))
    return tuple(alg for alg in may if alg in named)


def _shelf(world: World, url: str) -> Shelf:
    return world.servers.shelf(f"keys {url}")


def _outdate(shelf: Shelf, now: float) -> None:
    """Have the keys fetched anew before they are used again, for they may have been rotated; at most once a minute."""
    if not 0 <= now - shelf.forced_at < COOL_DOWN:
        shelf.forced_at, shelf.fresh_for = now, 0.0


def _fetch_keys(world: World, credential: OAuth2Credential, url: str, shelf: Shelf, within: float) -> None:
    request = keys_request(url, name=credential.name)
    try:
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + within)
    except (NotSent, InDoubt) as error:
        raise unreachable(credential.name, url, error) from error
    keys = parse_keys(response, url=url)
    if isinstance(keys, MetadataFlaw):
        raise document_error(credential.name, keys, field="jwks_url")
    shelf.put(keys, at=world.clock.now(), fresh_for=fresh_for(response.headers))


# -- connecting ----------------------------------------------------------------------------------------------------


def person_of(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet,
    scopes: tuple[str, ...],
    sign_in: SignIn,
) -> Members | None:
    """Return the claims of the id token that came with a new grant; None where none is asked for.

    Raises:
        ConnectError: It is missing, or does not hold in every respect (``id_token_invalid``).
        ProviderError: It could not be checked.
    """
    if not checks(credential, scopes):
        return None
    if tokens.id_token is None:
        if tokens.scope is not None and "openid" not in tokens.scope:
            return None  # the person, or the server, did not give that scope
        raise _invalid(credential, TokenFlaw("missing", "is missing, although it was asked for"))
    algs = _algs(credential, _metadata(world, credential))
    expected = _expected(
        credential, app, tokens, algs, sign_in, asked={**credential.additional_params, **sign_in.asked}
    )
    found = parse_id_token(tokens.id_token, keys=_keys(world, credential), expected=expected, now=world.clock.now())
    if isinstance(found, TokenFlaw) and found.fault in _OF_KEYS:
        keys = _keys(world, credential, anew=True)
        found = parse_id_token(tokens.id_token, keys=keys, expected=expected, now=world.clock.now())
    if isinstance(found, TokenFlaw):
        raise _invalid(credential, found)
    return found


def _expected(
    credential: OAuth2Credential,
    app: AppCredentials,
    tokens: TokenSet,
    algs: tuple[str, ...],
    sign_in: SignIn,
    *,
    asked: Mapping[str, str] = EMPTY,
) -> Expected:
    return Expected(
        issuer=credential.issuer,
        client_id=app.client_id,
        algs=algs,
        audiences=credential.id_token_audiences,
        nonce=sign_in.nonce,
        access_token=tokens.access_token,
        code=sign_in.code,
        secret=app.client_secret,
        max_age=_age(asked.get("max_age", "")),
        acr_values=asked.get("acr_values", "").split(),
    )


def _age(text: str) -> float | None:
    """Return how old a sign-in may be, in seconds; 0 wants one that is made for this answer (Core section 3.1.2.1)."""
    return float(text) if text.isascii() and text.isdecimal() else None


_HINTS: Final[dict[str, str]] = {
    "exp": "check this machine's clock, and start again",
    "iat": "check this machine's clock, and start again",
    "alg": "declare id_token_algs= if the provider signs in another way on purpose, and start again",
    "aud": "check the app's client id; if another audience is to be trusted, declare id_token_audiences=",
    "missing": "leave the scope openid away if this provider is no OpenID provider",
}


def _invalid(credential: OAuth2Credential, flaw: TokenFlaw) -> ConnectError:
    name = credential.display_name or credential.name
    msg = f"the id token of {name} {flaw.what}, so it was not believed and nothing was stored"
    return ConnectError(msg, code="id_token_invalid", hint=_HINTS.get(flaw.fault, "do not go on; start again"))


def claims_of_userinfo(
    world: World, credential: OAuth2Credential, app: AppCredentials, token: str
) -> Members | TokenFlaw:
    """Return the claims of a signed userinfo answer, checked by whom it is and for whom (Core section 5.3.2)."""
    metadata = _metadata(world, credential)
    algs = _algs_of(credential, metadata, metadata.userinfo_algs if metadata else ())

    def looked_at(*, anew: bool) -> Unverified | TokenFlaw:
        keys = _keys(world, credential, anew=anew)
        return verified(Secret(token), keys=keys, algs=algs, secret=app.client_secret)

    parts = looked_at(anew=False)
    if isinstance(parts, TokenFlaw) and parts.fault in _OF_KEYS:
        parts = looked_at(anew=True)
    if isinstance(parts, TokenFlaw):
        return parts
    return for_us(parts.claims, issuer=credential.issuer, client_id=app.client_id) or parts.claims


def signed_introspection(
    world: World, credential: OAuth2Credential, app: AppCredentials, answer: Secret
) -> Introspection | TokenFlaw:
    """Return what a signed answer says of a token, once it holds (RFC 9701 section 5); keys are fetched once more."""
    algs = allowed_algs(credential) or ASYMMETRIC

    def looked_at(*, anew: bool) -> Introspection | TokenFlaw:
        parts = verified(answer, keys=_keys(world, credential, anew=anew), algs=algs)
        if isinstance(parts, TokenFlaw):
            return parts
        return read_signed_introspection(parts, issuer=credential.issuer, client_id=app.client_id)

    found = looked_at(anew=False)
    return looked_at(anew=True) if isinstance(found, TokenFlaw) and found.fault in _OF_KEYS else found


def signed_answer(
    world: World, credential: OAuth2Credential, app: AppCredentials, answer: Secret
) -> dict[str, str] | TokenFlaw:
    """Return what a signed authorization answer says, once it holds (JARM section 2.4)."""
    with late_imports:
        from valetkey.protocol.jarm import SignedAnswer, parse_signed_answer  # noqa: PLC0415 - only for some

    metadata = _metadata(world, credential)
    algs = _algs_of(credential, metadata, metadata.answer_algs if metadata else ())
    expected = SignedAnswer(issuer=credential.issuer, client_id=app.client_id, algs=algs)

    def looked_at(*, anew: bool) -> dict[str, str] | TokenFlaw:
        keys, now = _keys(world, credential, anew=anew), world.clock.now()
        return parse_signed_answer(answer, keys=keys, expected=expected, secret=app.client_secret, now=now)

    found = looked_at(anew=False)
    return looked_at(anew=True) if isinstance(found, TokenFlaw) and found.fault in _OF_KEYS else found


# -- refreshing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What the id token of a refresh came to.

    Attributes:
        tokens: The answer, to be stored: an id token that was not believed is not in it.
        flaw: Why it was not; None: it was.
        estranged: Whether it speaks of another sign-in, and so nothing of the answer may be used.
        identity: Who it is now; None: not known.
    """

    tokens: TokenSet
    flaw: TokenFlaw | None = None
    estranged: bool = False
    identity: Identity | None = None


def renewed(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    record: Record,
    before: Grant | None,
    tokens: TokenSet,
) -> Renewed | None:
    """Look at the id token that a refresh brought (Core section 12.2), with what is at hand: nothing is fetched.

    None: there is nothing to look at.  A token of somebody else ends the grant.  One that cannot be believed for
    another reason is left out, and the rest of the answer counts: it came by TLS from the token endpoint, and its
    refresh token may be the only one there is.
    """
    if tokens.id_token is None or not checks(credential, record.requested or credential.all_scopes):
        return None
    old = claims_of(before.id_token) if before is not None else None
    flaw = moved(old, tokens.id_token) if old is not None else None
    if flaw is not None:
        return Renewed(tokens=tokens, flaw=flaw, estranged=True)
    found = _looked_at(world, credential, app, tokens)
    if isinstance(found, TokenFlaw):
        return Renewed(tokens=replace(tokens, id_token=None), flaw=found)
    return Renewed(tokens=tokens, identity=identity_of(found))


def _looked_at(
    world: World, credential: OAuth2Credential, app: AppCredentials, tokens: TokenSet
) -> Members | TokenFlaw:
    assert tokens.id_token is not None  # noqa: S101 - the caller looked
    metadata = remembered(world, credential)
    url = credential.jwks_url or (metadata.jwks_url if metadata else "")
    keys: tuple[PublicKey, ...] | None = () if _by_secret(credential) else _shelf(world, url).value
    if keys is None:
        return TokenFlaw("key", "could not be checked, for the keys of its server are not at hand")
    expected = _expected(credential, app, tokens, _algs(credential, metadata), NO_SIGN_IN)
    found = parse_id_token(tokens.id_token, keys=keys, expected=expected, now=world.clock.now())
    if isinstance(found, TokenFlaw) and found.fault in _OF_KEYS:
        _outdate(_shelf(world, url), world.clock.now())
    return found


def note_renewed(world: World, credential: OAuth2Credential, found: Renewed, record: Record) -> None:
    """Write down what the id token of a refresh came to, after the refresh is stored."""
    if found.flaw is not None:
        tell(world, "id_token_refused", record, fault=found.flaw.fault, said=found.flaw.what)
        return
    known, now = record.identity, found.identity
    if now is None or credential.userinfo_url or known == now or (known and known.subject != now.subject):
        return
    with suppress(StoreError):
        world.store.note(record.id, incarnation=record.incarnation, changes={"identity": now})
