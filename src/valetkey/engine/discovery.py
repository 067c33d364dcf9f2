"""Credentials that name an issuer instead of URLs: its metadata is read when it is first needed, and kept.

A document is kept in memory and in the store, so that a process that lives for a moment need not fetch it.  Who
connects wants it in order; a connection that lives goes on with what was known, for a week, whatever became of it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from valetkey.engine.servers import fresh_for, once
from valetkey.engine.world import World
from valetkey.errors import ProviderError, ProviderProtocolError, ProviderUnavailable, StoreError, clean
from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.connections import Document
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.fapi2 import is_fapi2
from valetkey.model.ports import Clock, InDoubt, NotSent, TokenEndpoint
from valetkey.protocol.fapi2 import ensure_fapi2
from valetkey.protocol.metadata import (
    Metadata,
    MetadataFlaw,
    filled,
    member_of,
    metadata_documents,
    metadata_request,
    parse_metadata,
    shrunk,
)

_log = get_logger("discovery")
KIND: Final = "metadata"
DOCUMENT_SECONDS: Final = 10.0
"""How long one document is waited for."""
ALL_SECONDS: Final = 20.0
"""How long all places together are."""
KEPT: Final = 7 * 86400.0
"""Seconds for which a document that is not fresh any more is gone by where there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a server.

    Attributes:
        metadata: Its document as it was last read.
        before: An earlier one that named more; None: it did not shrink.
        fetched_at: When it was read, in Unix seconds.
        fresh_for: Seconds that it is good for.
    """

    metadata: Metadata
    before: Metadata | None = None
    fetched_at: float
    fresh_for: float


def complete(
    world: World,
    credential: OAuth2Credential,
    *,
    lenient: bool = False,
    need: tuple[str, ...] = ("token_url",),
    anew: bool = False,
) -> OAuth2Credential:
    """Return the credential with the URLs that its issuer's metadata names where it declares none.

    `lenient`: for a connection that lives; what the server no longer says, or says wrongly now, is taken from what it
    said before.  `need` are the fields without which nothing can be done.  `anew`: a person signs in, so that an MCP
    server is asked again where that is done.

    Raises:
        ProviderUnavailable: The metadata could not be fetched, and none is known.
        ProviderProtocolError: It is missing or not in order (``metadata_missing``, ``metadata_invalid``,
            ``issuer_differs``), names less than before (``metadata_shrunk``), or less than the credential's security
            profile asks for (``profile_unmet``).
    """
    if not credential.discovers:
        return credential
    if credential.security_profile == "mcp":
        credential = _of_profile(world, credential, lenient=lenient, anew=anew)
    known = server_of(world, credential, lenient=lenient)
    whole = filled(credential, known.metadata)
    if is_fapi2(credential) and not lenient:
        ensure_fapi2(credential, known.metadata)
    if known.before is not None:
        whole = _checked(credential, known, whole, lenient=lenient)
    for field in need:
        if not getattr(whole, field):
            raise _incomplete(credential, known.metadata, field)
    return whole


def _of_profile(world: World, credential: OAuth2Credential, *, lenient: bool, anew: bool) -> OAuth2Credential:
    """Return the credential with what its resource says, once its server is one that the profile allows."""
    with late_imports:
        from valetkey.engine.resources import behind, ensure_pkce  # noqa: PLC0415 - only for MCP servers

    whole = behind(world, credential, lenient=lenient, anew=anew)
    if anew:
        ensure_pkce(whole, server_of(world, whole).metadata)
    return whole


def peek(world: World, credential: OAuth2Credential) -> OAuth2Credential:
    """Return the credential with what is known already of its server; nothing is fetched."""
    if not credential.discovers:
        return credential
    if credential.security_profile == "mcp":
        with late_imports:
            from valetkey.engine.resources import peeked  # noqa: PLC0415 - only for MCP servers

        credential = peeked(world, credential)
    known = world.servers.shelf(_name(credential)).value or _stored(world, credential)
    return credential if known is None else filled(filled(credential, known.metadata), known.before or known.metadata)


def remembered(world: World, credential: OAuth2Credential) -> Metadata | None:
    """Return the metadata that this process has in memory, however old; None where it has none."""
    known: Known | None = world.servers.shelf(_name(credential)).value
    return None if known is None else known.metadata


def server_of(
    world: World, credential: OAuth2Credential, *, lenient: bool = False, within: float = ALL_SECONDS
) -> Known:
    """Return what is known of the server of a credential with an issuer; fetch it where that is too old.

    `within` are the seconds that a fetch may take.

    Raises:
        ProviderError: As `complete`.
    """
    shelf = world.servers.shelf(_name(credential))

    def is_known() -> bool:
        if shelf.is_fresh(world.clock.now()):
            return True
        stored = _stored(world, credential)
        if stored is not None:
            shelf.value, shelf.fetched_at, shelf.fresh_for = stored, stored.fetched_at, stored.fresh_for
        return shelf.is_fresh(world.clock.now())

    def fetch() -> None:
        known = learn(world, credential, within=within)
        shelf.put(known, at=known.fetched_at, fresh_for=known.fresh_for)

    try:
        once(shelf, world.clock.now, fetch, known=is_known)
    except ProviderError as error:
        old: Known | None = shelf.value
        may = lenient or isinstance(error, ProviderUnavailable)
        if old is None or not may or world.clock.now() - old.fetched_at > KEPT:
            raise
        _log.warning("the metadata of %s is %d s old: %s", credential.issuer, world.clock.now() - old.fetched_at, error)
    found: Known = shelf.value
    return found


def learn(world: World, credential: OAuth2Credential, *, accept: bool = False, within: float = ALL_SECONDS) -> Known:
    """Fetch the metadata and keep it; `accept`: also where it says less than before.

    Raises:
        ProviderError: As `complete`.
    """
    openid = asks_openid(credential)
    found, life = fetch_metadata(
        world.endpoint, world.clock, issuer=credential.issuer, openid=openid, name=credential.name, within=within
    )
    old = None if accept else _stored(world, credential)
    last_whole = old and (old.before or old.metadata)
    before = last_whole if last_whole and shrunk(last_whole, found) else None
    known = Known(metadata=found, before=before, fetched_at=world.clock.now(), fresh_for=life)
    with suppress(StoreError):  # a copy: without it the next process fetches for itself
        world.store.put_document(_document(credential, known))
    return known


def fetch_metadata(
    endpoint: TokenEndpoint, clock: Clock, *, issuer: str, openid: bool, name: str, within: float = ALL_SECONDS
) -> tuple[Metadata, float]:
    """Fetch the metadata of an issuer from where it may be; returns it, and for how many seconds it is good.

    Raises:
        ConfigurationError: The issuer is no https URL.
        ProviderUnavailable: The server could not be asked.
        ProviderProtocolError: There is none, or none in order.
    """
    give_up_at = clock.monotonic() + within
    flaws: list[MetadataFlaw] = []
    for document in metadata_documents(issuer, openid=openid):
        request = metadata_request(document, name=name)
        deadline = min(clock.monotonic() + DOCUMENT_SECONDS, give_up_at)
        try:
            response = endpoint.send(request, deadline=deadline)
        except NotSent as error:
            raise unreachable(name, document, error) from error
        except InDoubt as error:
            flaws.append(MetadataFlaw(document=document, what=clean(error, 200), absent=True, transient=True))
            continue
        found = parse_metadata(response, issuer=issuer, document=document)
        if isinstance(found, Metadata):
            return found, fresh_for(response.headers)
        flaws.append(found)
    raise document_error(name, _telling(flaws))


def asks_openid(credential: OAuth2Credential) -> bool:
    """Whether a credential asks who signed in, by OpenID Connect."""
    return "openid" in credential.all_scopes


def _telling(flaws: list[MetadataFlaw]) -> MetadataFlaw:
    """Return the flaw that says most: a document that is wrong, else that may come back, is elsewhere, or the first."""
    wrong = (flaw for flaw in flaws if not flaw.absent)
    busy = (flaw for flaw in flaws if flaw.transient)
    moved = (flaw for flaw in flaws if flaw.elsewhere)
    return next(wrong, None) or next(busy, None) or next(moved, None) or flaws[0]


# -- errors --------------------------------------------------------------------------------------------------------


def unreachable(name: str, document: str, error: Exception) -> ProviderUnavailable:
    """Return the error for a document whose server was not reached."""
    msg = f"{name}: {document} could not be fetched: {clean(error, 200)}"
    return ProviderUnavailable(msg, error="unreachable", hint="nothing to do: it is fetched again when next needed")


_WAYS_OUT: Final = {
    "issuer": (
        "if the server has moved, declare issuer= of {name} as the document there spells it; else declare the URLs",
        "check issuer= of {name} with: valetkey providers discover URL; or declare the URLs themselves",
    ),
    "jwks_url": (
        "if the keys have moved for good, declare jwks_url= for {name}",
        "ask the operator of the server for its keys; if they are elsewhere, declare jwks_url= for {name}",
    ),
    "api_base_url": (
        "if the MCP server has moved, declare api_base_url= of {name} as it is called there",
        "check api_base_url= of {name}; if people sign in for it at a server that you know, declare issuer= too",
    ),
}
"""What to do where a document is elsewhere, and where it is of no use, by the field that led to it."""


def document_error(name: str, flaw: MetadataFlaw, *, field: str = "issuer") -> ProviderError:
    """Return the error for a document that is of no use: it names member, document and fix.

    `field` is the member of the declaration that led there.
    """
    if flaw.transient:
        msg = f"{name}: {flaw.document} {flaw.what}"
        return ProviderUnavailable(msg, error="metadata", hint="nothing to do: it is fetched again when next needed")
    if flaw.member == "issuer":
        msg = f"{name}: issuer in {flaw.document} {flaw.what}, so nothing of it was used"
        hint = f"declare issuer= for {name!r} as the server spells it, or ask its operator which of the two is right"
        return ProviderProtocolError(msg, code="issuer_differs", hint=hint)
    if flaw.member:
        msg = f"{name}: {flaw.member} in {flaw.document} {flaw.what}, so nothing of it was used"
        hint = f"ask the operator of the server to mend {flaw.member}; or declare the URLs of {name!r} themselves"
        return ProviderProtocolError(msg, code="metadata_invalid", hint=hint)
    msg = f"{name}: {flaw.document} {flaw.what}"
    moved, usual = _WAYS_OUT.get(field, _WAYS_OUT["issuer"])
    hint = (moved if flaw.elsewhere else usual).format(name=repr(name))
    return ProviderProtocolError(msg, code="metadata_missing" if flaw.absent else "metadata_invalid", hint=hint)


def _incomplete(credential: OAuth2Credential, metadata: Metadata, field: str) -> ProviderProtocolError:
    msg = f"{credential.name}: {member_of(field)} is missing in {metadata.document}"
    hint = f"declare {field}= for {credential.name!r}"
    return ProviderProtocolError(msg, code="metadata_invalid", hint=hint)


def _checked(credential: OAuth2Credential, known: Known, whole: OAuth2Credential, *, lenient: bool) -> OAuth2Credential:
    """Return what to go by where the metadata shrank: what was known where `lenient`, else an error if it matters."""
    assert known.before is not None  # noqa: S101 - the caller looked
    if lenient:
        return filled(whole, known.before)
    declared = ("challenge_methods",) if not credential.pkce else ()
    lost = [field for field in shrunk(known.before, known.metadata) if field not in declared]
    gone = [field for field in lost if not getattr(credential, field, False)]
    if not gone:
        return whole
    members = ", ".join(map(member_of, gone))
    raise ProviderProtocolError(
        f"{credential.name}: {known.metadata.document} no longer names {members}, as it did before",
        code="metadata_shrunk",
        hint="ask the operator of the server; if it is meant to do without now: "
        f"valetkey providers discover {credential.issuer} --accept",
    )


# -- in the store --------------------------------------------------------------------------------------------------


def _name(credential: OAuth2Credential) -> str:
    form = "openid" if asks_openid(credential) else "oauth"
    return hashlib.sha256(f"{form} {credential.issuer}".encode()).hexdigest()


def _document(credential: OAuth2Credential, known: Known) -> Document:
    body = {
        "metadata": known.metadata.to_body(),
        "before": known.before and known.before.to_body(),
        "fetched_at": known.fetched_at,
        "fresh_for": known.fresh_for,
    }
    return Document(kind=KIND, id=_name(credential), body=body)


def _stored(world: World, credential: OAuth2Credential) -> Known | None:
    """Return what any process has stored; None where that is nothing, not readable, or of another issuer."""
    try:
        document = world.store.get_document(KIND, _name(credential))
        body: Any = document.body if document is not None else None
        if body is None or body["metadata"]["issuer"] != credential.issuer:
            return None
        before = Metadata.from_body(body["before"]) if body["before"] else None
        return Known(
            metadata=Metadata.from_body(body["metadata"]),
            before=before,
            fetched_at=float(body["fetched_at"]),
            fresh_for=float(body["fresh_for"]),
        )
    except (StoreError, KeyError, TypeError, ValueError, AttributeError) as error:
        _log.warning("the stored metadata of %s was passed over: %s", credential.issuer, type(error).__name__)
        return None
