"""Credentials of the profile ``mcp``: the resource itself says where people sign in for it (RFC 9728).

What it said, and what its last challenge asked for, is kept in the store: who signs in may be in another process than
who was challenged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from valetkey.engine.discovery import DOCUMENT_SECONDS, document_error, remembered, unreachable
from valetkey.engine.world import World
from valetkey.errors import ProviderError, ProviderProtocolError, ProviderUnavailable, StoreError, clean
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Document
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.bearer import Challenge
from valetkey.protocol.metadata import Metadata, MetadataFlaw, metadata_request
from valetkey.protocol.protected_resource import (
    ProtectedResource,
    challenged,
    parse_protected_resource,
    resource_documents,
)

_log = get_logger("resources")
KIND: Final = "resource"
OFFLINE: Final = "offline_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is known of a resource.

    Attributes:
        said: Its metadata; None: it was not read yet, or there is none.
        named: Where its last challenge said that its metadata is.
        wanted: The scopes that its last challenge named.
    """

    said: ProtectedResource | None = None
    named: str = ""
    wanted: tuple[str, ...] = ()


def behind(world: World, credential: OAuth2Credential, *, lenient: bool, anew: bool) -> OAuth2Credential:
    """Return a credential with the issuer that its resource names, and with the resource that tokens are for.

    `anew`: somebody signs in, so the resource is asked again; `lenient`: a connection lives, what was known will do.

    Raises:
        ProviderUnavailable: The resource could not be asked, and nothing is known.
        ProviderProtocolError: Its metadata is missing or not in order (``metadata_missing``, ``metadata_invalid``,
            ``resource_differs``), or names no server, or another than the declared one
            (``authorization_server_unknown``).
    """
    if credential.security_profile != "mcp":
        return credential
    known = resource_of(world, credential)
    said = known.said
    if anew or said is None:
        try:
            said = _fetched(world, credential, known)
        except ProviderError as error:
            if said is None or not (lenient or isinstance(error, ProviderUnavailable)):
                raise
            _log.warning("the metadata of the resource %s was not read again: %s", credential.api_base_url, error)
    return _filled(credential, said)


def peeked(world: World, credential: OAuth2Credential) -> OAuth2Credential:
    """Return a credential with what is known already of its resource; nothing is fetched."""
    said = resource_of(world, credential).said if credential.security_profile == "mcp" else None
    if said is None:
        return credential
    with suppress(ProviderProtocolError):
        return _filled(credential, said)
    return credential


def note_challenge(world: World, credential: OAuth2Credential, challenges: Sequence[Challenge]) -> Resource:
    """Keep what a challenge of the resource says: where its metadata is, and which scopes it wants."""
    named, wanted = challenged(challenges, url=credential.api_base_url)
    known = resource_of(world, credential)
    new = replace(known, named=named or known.named, wanted=wanted or known.wanted)
    if new != known:
        _keep(world, credential, new)
    return new


def moved(world: World, credential: OAuth2Credential, issuer: str) -> bool:
    """Ask the resource again, and tell whether people sign in for it at another server than `issuer` now."""
    try:
        return bool(issuer) and behind(world, credential, lenient=True, anew=True).issuer != issuer
    except ProviderError:
        return False


def asking(
    world: World, credential: OAuth2Credential, key: ConnectionKey, asked: tuple[str, ...]
) -> tuple[OAuth2Credential, tuple[str, ...]]:
    """Return what a sign-in for a resource asks for: a challenge's scopes first, else all that it knows, else none.

    To them come those that were asked for before, so that a step up takes nothing away, and ``offline_access`` where
    the server knows it; that wants the person's consent each time (OpenID Connect Core section 11).
    """
    if credential.security_profile != "mcp":
        return credential, asked
    known = resource_of(world, credential)
    chosen = known.wanted or (known.said.scopes if known.said else ())
    record = world.store.load(key)
    same = record is not None and record.issuer == credential.issuer and record.state != "pending"
    before = record.requested if record is not None and same else ()
    scopes = tuple(dict.fromkeys((*asked, *chosen, *before)))
    metadata = remembered(world, credential)
    if metadata is None or OFFLINE not in metadata.scopes:
        return credential, tuple(scope for scope in scopes if scope != OFFLINE or scope in asked)
    params = {"prompt": "consent", **credential.additional_params}
    return replace(credential, additional_params=params), tuple(dict.fromkeys((*scopes, OFFLINE)))


def ensure_pkce(credential: OAuth2Credential, metadata: Metadata) -> None:
    """Refuse a server that does not say that it checks PKCE: an MCP client must not go on.

    Raises:
        ProviderProtocolError: ``pkce_unsupported``.
    """
    if credential.security_profile != "mcp" or credential.grant == "client_credentials":
        return
    if "S256" not in metadata.challenge_methods:
        msg = f"{credential.name}: code_challenge_methods_supported in {metadata.document} does not name S256"
        hint = "ask the operator of the server: clients of MCP servers must not sign in where PKCE is not checked"
        raise ProviderProtocolError(msg, code="pkce_unsupported", hint=hint)


def _filled(credential: OAuth2Credential, said: ProtectedResource | None) -> OAuth2Credential:
    """Return the credential with what the resource says; without metadata it is called as it is declared."""
    resources = credential.resources or ((said.resource if said else credential.api_base_url),)
    servers = said.authorization_servers if said else ()
    if credential.issuer:
        if servers and credential.issuer not in servers:
            raise _unknown(credential, f"names {clean(servers[0], 200)!r}, and not {credential.issuer!r}")
        return replace(credential, resources=resources)
    if not servers:
        raise _unknown(credential, "names no authorization server")
    return replace(credential, issuer=servers[0], resources=resources)


def _unknown(credential: OAuth2Credential, what: str) -> ProviderProtocolError:
    msg = f"{credential.name}: the metadata of {credential.api_base_url} {what}"
    hint = f"ask the operator of the MCP server, then declare issuer= for {credential.name!r} as it says"
    return ProviderProtocolError(msg, code="authorization_server_unknown", hint=hint)


def _fetched(world: World, credential: OAuth2Credential, known: Resource) -> ProtectedResource | None:
    """Read the metadata and keep it; None: there is none, and the issuer is declared."""
    declared = credential.resources[0] if credential.resources else ""
    flaws: list[MetadataFlaw] = []
    for document, identifiers in resource_documents(credential.api_base_url, named=known.named, declared=declared):
        try:
            response = world.endpoint.send(
                metadata_request(document, name=credential.name),
                deadline=world.clock.monotonic() + DOCUMENT_SECONDS,
            )
        except (NotSent, InDoubt) as error:
            raise unreachable(credential.name, document, error) from error
        found = parse_protected_resource(response, identifiers=identifiers, document=document)
        if isinstance(found, ProtectedResource):
            _keep(world, credential, replace(known, said=found))
            return found
        flaws.append(found)
        if not found.absent:
            break
    if credential.issuer and all(flaw.absent for flaw in flaws):
        return None
    raise _useless(credential, flaws)


def _useless(credential: OAuth2Credential, flaws: Sequence[MetadataFlaw]) -> ProviderError:
    flaw = next((one for one in flaws if not one.absent or one.transient), flaws[0])
    if flaw.member == "resource":
        msg = f"{credential.name}: resource in {flaw.document} {flaw.what}, so nothing of it was used"
        hint = f"check api_base_url= of {credential.name!r}; if the other name is meant, declare it: resources=[...]"
        return ProviderProtocolError(msg, code="resource_differs", hint=hint)
    return document_error(credential.name, flaw, field="api_base_url")


# -- in the store ------------------------------------------------------------------------------------------------------


def _name(credential: OAuth2Credential) -> str:
    return hashlib.sha256(credential.api_base_url.encode()).hexdigest()


def resource_of(world: World, credential: OAuth2Credential) -> Resource:
    """Return what is kept of the resource of a credential."""
    try:
        document = world.store.get_document(KIND, _name(credential))
        body: Any = document.body if document is not None else {}
        said = ProtectedResource.from_body(body["said"]) if body.get("said") else None
        return Resource(said=said, named=str(body.get("named", "")), wanted=tuple(body.get("wanted", ())))
    except (StoreError, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.warning("what is kept of %s was passed over: %s", credential.api_base_url, type(error).__name__)
        return Resource()


def _keep(world: World, credential: OAuth2Credential, known: Resource) -> None:
    body = {"said": known.said and known.said.to_body(), "named": known.named, "wanted": list(known.wanted)}
    with suppress(StoreError):  # a copy: without it the next process asks for itself
        world.store.put_document(Document(kind=KIND, id=_name(credential), body=body))
