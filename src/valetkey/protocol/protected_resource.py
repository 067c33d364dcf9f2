"""What a protected resource says of itself (RFC 9728): where people sign in for it, and which scopes there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from valetkey.errors import clean
from valetkey.protocol.bearer import Challenge
from valetkey.protocol.metadata import BadMember, MetadataFlaw, document_members, word_members
from valetkey.protocol.outside import outside_flaw
from valetkey.values import Response

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {"authorization_servers": "authorization_servers", "scopes": "scopes_supported"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """What a resource says of itself.

    Attributes:
        resource: Its identifier, which tokens are for (RFC 8707).
        document: Where this was read.
        authorization_servers: The issuers where people sign in for it.
        scopes: The scopes that it knows.
    """

    resource: str
    document: str
    authorization_servers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "authorization_servers": list(self.authorization_servers), "scopes": list(self.scopes)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ProtectedResource:
        """Read what `to_body` wrote.

        Raises:
            KeyError: A member is missing.
        """
        lists = {name: tuple(body[name]) for name in _LISTS}
        return cls(resource=body["resource"], document=body["document"], **lists)


def resource_documents(url: str, *, named: str, declared: str = "") -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return where the metadata of the resource at `url` may be, in the order to look, each with its identifiers.

    A document that a challenge `named` is for the very URL that was called (section 3.3); at a well-known address it
    is for the identifier that the address was made from (section 3.1), which is that URL or its origin.  `declared` is
    an identifier that the program knows to be the right one, and then the only one.
    """
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    path = parts.path if parts.path != "/" else ""
    query = f"?{parts.query}" if parts.query else ""
    whole, host = (url,) if path or query else (root, f"{root}/"), (root, f"{root}/")
    if named:
        return ((named, (declared,) if declared else whole),)
    own, above = f"{root}{WELL_KNOWN}{path}{query}", f"{root}{WELL_KNOWN}"
    found = {own: whole, above: host} if own != above else {own: whole}
    return tuple((document, (declared,) if declared else identifiers) for document, identifiers in found.items())


def parse_protected_resource(
    response: Response, *, identifiers: Sequence[str], document: str
) -> ProtectedResource | MetadataFlaw:
    """Read a document.  Never raises; nothing of one that is about another resource is used (section 3.3)."""
    members = document_members(response, document)
    if isinstance(members, MetadataFlaw):
        return members
    said = members.get("resource")
    if said not in identifiers:
        theirs = f"is {clean(said, 200)!r}, and not {identifiers[0]!r}" if isinstance(said, str) else "is missing"
        return MetadataFlaw(document=document, member="resource", what=theirs)
    try:
        lists = {
            field: word_members(members, member, "")
            for field, member in _LISTS.items()
            if members.get(member) is not None
        }
    except BadMember as bad:
        return MetadataFlaw(document=document, member=bad.member, what=bad.what)
    for issuer in lists.get("authorization_servers", ()):
        if problem := outside_flaw(issuer, named_by=document):
            return MetadataFlaw(document=document, member="authorization_servers", what=f"names one that {problem}")
    return ProtectedResource(resource=str(said), document=document, **lists)


def challenged(challenges: Sequence[Challenge], *, url: str) -> tuple[str, tuple[str, ...]]:
    """Return what challenges say of a resource at `url`: where its metadata is (section 5.1), and the scopes it wants.

    An address that leads where the resource itself is not counts as none.
    """
    named = next((one.params["resource_metadata"] for one in challenges if one.params.get("resource_metadata")), "")
    scopes = next((one.params["scope"] for one in challenges if one.params.get("scope")), "")
    usable = bool(named) and not outside_flaw(named, named_by=url)
    return named if usable else "", tuple(scopes.split()[:100])
