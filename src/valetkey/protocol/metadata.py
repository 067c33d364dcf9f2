"""What an authorization server says of itself: RFC 8414, and OpenID Connect Discovery 1.0.

A document is used as a whole or not at all: its issuer is the one that was asked for, byte for byte, and every member
that we go by has the type that the RFC says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit

from valetkey.errors import clean
from valetkey.model.credentials import EMPTY, ClientAuth, OAuth2Credential
from valetkey.model.fapi2 import is_fapi2
from valetkey.protocol.bodies import Members, as_list, flaw, read_members
from valetkey.protocol.certificates import uses_certificate
from valetkey.protocol.outside import outside_flaw
from valetkey.protocol.urls import require_https, shown
from valetkey.values import Request, Response

MAX_DOCUMENT: Final = 256 * 1024
"""Bytes: the largest documents in use are a tenth of that."""
OK: Final = 200
_MAX_WORDS: Final = 1000
_MAX_WORD: Final = 300
_MAX_URL: Final = 2000
_OAUTH: Final = "oauth-authorization-server"
_OPENID: Final = "openid-configuration"

URL_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "authorization_url": "authorization_endpoint",
        "token_url": "token_endpoint",
        "device_authorization_url": "device_authorization_endpoint",
        "backchannel_authentication_url": "backchannel_authentication_endpoint",
        "revocation_url": "revocation_endpoint",
        "introspection_url": "introspection_endpoint",
        "userinfo_url": "userinfo_endpoint",
        "jwks_url": "jwks_uri",
        "pushed_authorization_url": "pushed_authorization_request_endpoint",
        "registration_url": "registration_endpoint",
    }
)
"""Field of a credential -> member of the document (RFC 8414 section 2, RFC 8628 section 4, Discovery section 3)."""
_LIST_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_auths": "token_endpoint_auth_methods_supported",
        "grants": "grant_types_supported",
        "challenge_methods": "code_challenge_methods_supported",
        "id_token_algs": "id_token_signing_alg_values_supported",
        "scopes": "scopes_supported",
        "dpop_algs": "dpop_signing_alg_values_supported",
        "answer_algs": "authorization_signing_alg_values_supported",
        "userinfo_algs": "userinfo_signing_alg_values_supported",
    }
)
_TRUTHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "iss_advertised": "authorization_response_iss_parameter_supported",
        "require_par": "require_pushed_authorization_requests",
        "client_documents": "client_id_metadata_document_supported",
        "binds_to_certificates": "tls_client_certificate_bound_access_tokens",
    }
)
_NO_LOSS: Final = frozenset({"registration_url", "client_documents"})
"""What a server may stop to offer: an app that is there needs neither."""
_NEWER: Final = frozenset({"dpop_algs", "answer_algs", "userinfo_algs"})
"""Lists that documents in stores lack where an earlier version of ours has read them."""
_ALIASES: Final = "mtls_endpoint_aliases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a server says of itself.  A URL that it does not name is empty.

    Attributes:
        issuer: Its issuer identifier.
        document: Where this was read.
        client_auths: How clients may prove themselves at the token endpoint; absent means ``client_secret_basic``.
        grants: The grant types; absent means code and implicit.
        challenge_methods: PKCE methods; absent means none.
        id_token_algs: The signature algorithms of id tokens.
        scopes: Scopes that it knows; it need not name all.
        iss_advertised: Whether every authorization answer carries ``iss`` (RFC 9207 section 3).
        require_par: Whether authorization requests must be pushed (RFC 9126 section 5).
        client_documents: Whether a client id may be the URL of a document (Client ID Metadata Documents section 5).
        aliases: URLs by the names of these fields, for requests that carry a certificate (RFC 8705 section 5).
        binds_to_certificates: Whether tokens are bound to certificates (RFC 8705 section 3.3).
        dpop_algs: What DPoP proofs may be signed with (RFC 9449 section 5.1); absent: none named.
        answer_algs: What signed authorization answers may be signed with (JARM section 4); absent: none named.
        userinfo_algs: The same of signed userinfo (Discovery section 3).
    """

    issuer: str
    document: str
    authorization_url: str = ""
    token_url: str = ""
    device_authorization_url: str = ""
    backchannel_authentication_url: str = ""
    revocation_url: str = ""
    introspection_url: str = ""
    userinfo_url: str = ""
    jwks_url: str = ""
    pushed_authorization_url: str = ""
    registration_url: str = ""
    client_auths: tuple[str, ...] = ("client_secret_basic",)
    grants: tuple[str, ...] = ("authorization_code", "implicit")
    challenge_methods: tuple[str, ...] = ()
    id_token_algs: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    iss_advertised: bool = False
    require_par: bool = False
    client_documents: bool = False
    aliases: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    binds_to_certificates: bool = False
    dpop_algs: tuple[str, ...] = ()
    answer_algs: tuple[str, ...] = ()
    userinfo_algs: tuple[str, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """Return it as JSON values."""
        flat = {one.name: getattr(self, one.name) for one in fields(self)}
        return flat | {name: list(flat[name]) for name in _LIST_MEMBERS} | {"aliases": dict(self.aliases)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Metadata:
        """Read what `to_body` wrote, perhaps in another version.

        Raises:
            KeyError: A member is missing.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in body.items() if name in known}
        for name in _LIST_MEMBERS:
            values[name] = tuple(values.get(name, ()) if name in _NEWER else values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFlaw:
    """Why a document is of no use.

    Attributes:
        document: Its URL.
        what: What is wrong, to be read after the document's name.
        member: Which member is wrong, where it is one.
        absent: Whether there is no such document: then it may be at another place.
        transient: Whether it may well be there in a moment.
        elsewhere: Where it redirects to, which is not followed; not known to be anything but a text.
    """

    document: str
    what: str
    member: str = ""
    absent: bool = False
    transient: bool = False
    elsewhere: str = ""


def metadata_documents(issuer: str, *, openid: bool) -> tuple[str, ...]:
    """Return where the metadata of `issuer` may be, in the order to look.

    The well-known part stands between host and path (RFC 8414 section 3.1), for OpenID Connect also behind the path
    (Discovery section 4; RFC 8414 section 5).  With `openid` its documents go first: only they must name keys and
    userinfo.
    """
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.removesuffix("/")
    oauth = f"{root}/.well-known/{_OAUTH}{path}"
    inserted, appended = f"{root}/.well-known/{_OPENID}{path}", f"{root}{path}/.well-known/{_OPENID}"
    found = (inserted, appended, oauth) if openid else (oauth, inserted, appended)
    return tuple(dict.fromkeys(found))


def issuer_of(url: str) -> str:
    """Return the issuer that a person means by `url`: itself, or what its well-known part stands for."""
    whole = url if "://" in url else f"https://{url}"
    for name in (_OAUTH, _OPENID):
        head, found, tail = whole.partition(f"/.well-known/{name}")
        if found:
            return head + tail.rstrip("/")
    return whole


def metadata_request(document: str, *, name: str) -> Request:
    """Return the request for a document (RFC 8414 section 3.1); `name` is the credential whose issuer it is.

    Raises:
        ConfigurationError: See `urls.require_https`.
    """
    require_https(document, what="issuer", name=name)
    return Request(method="GET", url=document, headers={"Accept": "application/json"})


def parse_metadata(response: Response, *, issuer: str, document: str) -> Metadata | MetadataFlaw:
    """Read a document.  Never raises; nothing of a document that is not in order is used (RFC 8414 section 3.3)."""
    members = document_members(response, document)
    if isinstance(members, MetadataFlaw):
        return members
    said = members.get("issuer")
    if said != issuer:
        theirs = f"is {clean(said, 200)!r}, and not {issuer!r}" if isinstance(said, str) else "is missing"
        return MetadataFlaw(document=document, member="issuer", what=f"{theirs}, byte for byte")
    try:
        return Metadata(issuer=issuer, document=document, aliases=_aliases(members, issuer), **_values(members, issuer))
    except BadMember as bad:
        return MetadataFlaw(document=document, member=bad.member, what=bad.what)


def document_members(response: Response, document: str) -> Members | MetadataFlaw:
    """Return the members of a JSON document that was fetched, or why there are none."""

    def flawed(what: str, *, absent: bool = False, transient: bool = False) -> MetadataFlaw:
        return MetadataFlaw(document=document, what=what, absent=absent, transient=transient)

    status = response.status
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110 section 15.4
        there = _location(response, document)
        to = f" to {there}" if there else ""
        what = f"redirects{to} (HTTP {status}), which is not followed"
        return MetadataFlaw(document=document, what=what, absent=True, elsewhere=there or "another place")
    if status != OK:
        busy = status >= 500 or status in {408, 425, 429}  # noqa: PLR2004 - RFC 9110 section 15.6
        return flawed(f"answers HTTP {status}", absent=True, transient=busy)
    if len(response.body) > MAX_DOCUMENT:
        return flawed(f"is longer than {MAX_DOCUMENT // 1024} KiB")
    members = read_members(response.body) if response.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else None
    return flawed(f"is {flaw(response.body)}", absent=True) if members is None else members


def _location(response: Response, document: str) -> str:
    """Return where an answer redirects to, for a message; empty where it does not say."""
    try:
        return shown(urljoin(document, response.headers.get("location", ""))) if "location" in response.headers else ""
    except ValueError:
        return ""


class BadMember(Exception):
    """A member of a document is not what it has to be."""

    def __init__(self, member: str, what: str) -> None:
        super().__init__(member)
        self.member = member
        self.what = what


def _values(members: Members, issuer: str) -> dict[str, Any]:
    read: list[tuple[Mapping[str, str], Callable[[Members, str, str], object]]] = [
        (URL_MEMBERS, url_member),
        (_LIST_MEMBERS, word_members),
        (_TRUTHS, _truth),
    ]
    return {
        field: reader(members, member, issuer)
        for table, reader in read
        for field, member in table.items()
        if members.get(member) is not None
    }


def _aliases(members: Members, issuer: str) -> Mapping[str, str]:
    """Return where requests with a certificate go instead, by field."""
    named = members.get(_ALIASES)
    if named is None:
        return EMPTY
    if not isinstance(named, dict):
        raise BadMember(_ALIASES, "is no object")
    inside = cast("Members", named)
    found = ((name, member) for name, member in URL_MEMBERS.items() if inside.get(member) is not None)
    return {name: url_member(inside, member, issuer) for name, member in found}


def url_member(members: Members, member: str, issuer: str) -> str:
    """Return a member that is a URL which a document of `issuer` may lead to; else raise `BadMember`."""
    url = members[member]
    if not isinstance(url, str) or len(url) > _MAX_URL:
        raise BadMember(member, "is no URL")
    if problem := outside_flaw(url, named_by=issuer):
        raise BadMember(member, problem)
    return url


def word_members(members: Members, member: str, _: str) -> tuple[str, ...]:
    """Return a member that is a list of words; else raise `BadMember`."""
    value = members[member]
    if not isinstance(value, list):
        raise BadMember(member, "is no list")
    words = as_list(cast("object", value))[:_MAX_WORDS]
    return tuple(word for word in words if isinstance(word, str) and len(word) <= _MAX_WORD and word.isprintable())


def _truth(members: Members, member: str, _: str) -> bool:
    value = members[member]
    if not isinstance(value, bool):
        raise BadMember(member, "is neither true nor false")
    return value


# -- what follows from it ------------------------------------------------------------------------------------------


def shrunk(before: Metadata, now: Metadata) -> tuple[str, ...]:
    """Return the fields that `before` had and `now` has not: endpoints, keys, and what protects a sign-in."""
    watched = [field for field in (*URL_MEMBERS, *_TRUTHS) if field not in _NO_LOSS]
    gone = [field for field in watched if getattr(before, field) and not getattr(now, field)]
    if "S256" in before.challenge_methods and "S256" not in now.challenge_methods:
        gone.append("challenge_methods")
    return tuple(gone)


def member_of(field: str) -> str:
    """Return what a field of `Metadata` is called in the document."""
    return {**URL_MEMBERS, **_LIST_MEMBERS, **_TRUTHS}[field]


def filled(credential: OAuth2Credential, metadata: Metadata) -> OAuth2Credential:
    """Return the credential with the server's URLs where it declares none, and with what else the server says."""
    aliases = metadata.aliases if uses_certificate(credential) else EMPTY
    urls: dict[str, Any] = {
        name: getattr(credential, name) or aliases.get(name, "") or getattr(metadata, name) for name in URL_MEMBERS
    }
    if not credential.signs_in or credential.security_profile == "mcp":
        urls["userinfo_url"] = credential.userinfo_url  # there is nobody to be asked about, or with another token only
    return replace(
        credential,
        **urls,
        iss_advertised=credential.iss_advertised or metadata.iss_advertised or is_fapi2(credential),
        require_par=credential.require_par or metadata.require_par or is_fapi2(credential),
        client_auth=_client_auth(credential.client_auth, metadata.client_auths),
    )


_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post"})


def _client_auth(wanted: ClientAuth, offered: tuple[str, ...]) -> ClientAuth:
    """Return how the app proves itself: as declared, unless the server takes a secret in another way only."""
    if wanted not in _BY_SECRET or wanted in offered:
        return wanted
    if "client_secret_post" in offered:
        return "client_secret_post"
    return "client_secret_basic" if "client_secret_basic" in offered else wanted
