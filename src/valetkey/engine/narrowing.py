"""Tokens for one resource each, out of one grant (RFC 8707 section 2.2).

The refresh token that buys them may rotate with each of them, and then the new one is that of the whole grant.  So they
lie in the sealed grant beside its own access token, and are bought under the very same claim.  In the clear part of a
record nothing tells of them; who needs one opens the grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from valetkey.engine.trouble import connect_command
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, DecryptionFailed, ProviderError
from valetkey.model.connections import Record, ResourceTokenStatus, altered
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import EMPTY_TOKENS, Grant, ResourceToken

if TYPE_CHECKING:
    from valetkey.protocol.token_response import Refusal, TokenSet

_HARMLESS: Final = frozenset({"request", "denied", "unclear"})
"""The kinds of refusal that speak of the request, so of the resource: they say nothing about the grant."""


class GrantInQuestion(Exception):
    """The provider refused the grant itself when a token for one resource was asked for.

    Some say so of a resource that they do not know.  Whether the grant is dead is told by a refresh without it.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


def facts_of(world: World, record: Record, resource: str) -> Record | None:
    """Return the record with the times, scopes and fingerprint of the token for `resource`; None: it holds none.

    It is for looking, never for writing.  Empty `resource`: the grant's own token, so the record as it is.

    Raises:
        DecryptionFailed: The grant cannot be opened.
    """
    if not resource:
        return record
    grant = open_grant(world, record)
    return None if grant is None or resource not in grant.resource_tokens else told_of(record, grant, resource)


def told_of(record: Record, grant: Grant, resource: str) -> Record:
    """Return the record as it would be if the token for `resource` were the grant's own."""
    if not resource:
        return record
    token = grant.resource_tokens[resource]
    return altered(
        record,
        expires_at=token.expires_at,
        obtained_at=token.obtained_at or None,
        granted=token.scope,
        access_fp=token.access_token.fingerprint(),
    )


def narrowed(credential: OAuth2Credential, resource: str) -> OAuth2Credential:
    """Return the credential as it asks for `resource` alone."""
    return replace(credential, resources=(resource,)) if resource else credential


def in_hand(grant: Grant, resource: str) -> Grant:
    """Return the grant with the token for `resource` in the place of its own."""
    if not resource:
        return grant
    token = grant.resource_tokens[resource]
    return replace(
        grant,
        access_token=token.access_token,
        token_type=token.token_type,
        expires_at=token.expires_at,
        scope=token.scope,
        obtained_at=token.obtained_at,
    )


def bought(
    answer: TokenSet,
    before: Grant | None,
    credential: OAuth2Credential,
    record: Record,
    *,
    resource: str,
    now: float,
) -> Grant:
    """Return the grant that an answer to a refresh makes: its own token anew, or the one for `resource`.

    Whatever it is that was bought, tokens of other resources stay while they live.
    """
    new = answer.grant(
        now=now,
        credential=credential,
        requested=record.requested or credential.all_scopes,
        previous=before,
        learnt_lifetime=record.learnt_lifetime,
    )
    kept = EMPTY_TOKENS if before is None else before.resource_tokens
    if not resource:
        return replace(new, resources=before.resources if before else (), resource_tokens=_living(kept, now))
    token = ResourceToken(
        access_token=new.access_token,
        token_type=new.token_type,
        expires_at=new.expires_at,
        scope=new.scope,
        obtained_at=now,
    )
    tokens = _living({**kept, resource: token}, now)
    if before is None:  # nobody has asked for its own token yet: it counts as one that has ended
        return replace(new, expires_at=now, resource_tokens=tokens)
    return replace(
        before,
        refresh_token=new.refresh_token,
        refresh_expires_at=new.refresh_expires_at,
        id_token=new.id_token,
        resource_tokens=tokens,
    )


def _living(tokens: Mapping[str, ResourceToken], now: float) -> dict[str, ResourceToken]:
    """Return those that have not ended."""
    return {name: token for name, token in tokens.items() if token.expires_at is None or now < token.expires_at}


def tokens_of(world: World, credential: OAuth2Credential, record: Record | None) -> tuple[ResourceTokenStatus, ...]:
    """Return what is told of the tokens of resources that a record's grant holds, those left away that have ended.

    A grant that cannot be opened tells nothing: that it cannot shows where it is used.
    """
    if record is None or record.sealed is None or not credential.resources:
        return ()
    with suppress(DecryptionFailed):
        grant = open_grant(world, record)
        return tuple(
            ResourceTokenStatus(
                resource=name,
                fingerprint=token.access_token.fingerprint(),
                expires_at=token.expires_at,
                granted=token.scope,
            )
            for name, token in sorted(_living(grant.resource_tokens if grant else {}, world.clock.now()).items())
        )
    return ()


def speaks_of_resource(credential: OAuth2Credential, refusal: Refusal) -> bool:
    """Whether the refusal of a token for one resource leaves all the rest of the grant as it is."""
    return refusal.kind in _HARMLESS or (refusal.kind == "grant" and not credential.signs_in)


def refused_resource(credential: OAuth2Credential, resource: str, refusal: Refusal) -> ProviderError:
    """Say that the provider gives no token for that resource, and that nothing else has changed."""
    name = credential.display_name or credential.name
    said = ": ".join(part for part in (refusal.error, refusal.description) if part) or f"HTTP {refusal.status}"
    return ProviderError(
        f"{name} gives no token for the resource {resource} ({said}); the grant and its other tokens are as they were",
        error=refusal.error,
        description=refusal.description,
        status=refusal.status,
        retry_after=refusal.retry_after,
        code="resource_refused",
        hint=f"check how it is spelled in resources= of {credential.name!r}; nothing else has to be done",
    )


def ensure_signed_in_for(record: Record, grant: Grant | None, credential: OAuth2Credential, resource: str) -> None:
    """Check that the sign-in asked for that resource, where it is known for which ones it did.

    Else the server would refuse it (RFC 8707 section 2.2); and there are some that spend the refresh token first, so
    that the refusal ends the grant.

    Raises:
        ConfigurationError: It did not (``resource_not_signed_in``); nothing is sent.
    """
    if not credential.signs_in or grant is None or not grant.resources or resource in grant.resources:
        return
    raise ConfigurationError(
        f"{record.key} was connected before {resource} was declared, so its grant is not for that resource",
        code="resource_not_signed_in",
        hint=f"connect it again: {connect_command(record.key)}; until then the rest works as before",
    )


def resource_unrenewable(credential: OAuth2Credential, record: Record, resource: str) -> ConfigurationError:
    """Say that nothing can buy a token for that resource, while the grant's own may still work."""
    name = credential.display_name or credential.name
    return ConfigurationError(
        f"{record.key} has no token for {resource}: a refresh token buys those, and {name} gave none",
        code="resource_not_refreshable",
        hint=f"ask for a refresh token when signing in (offline_access, say), and connect {record.key} again",
    )
