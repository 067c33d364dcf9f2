"""An app that registers itself (RFC 7591), and manages what it registered (RFC 7592)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

from valetkey.errors import clean
from valetkey.model.credentials import EMPTY, ClientAuth, OAuth2Credential
from valetkey.model.fapi2 import allowed_algs
from valetkey.model.json_tables import plain_json
from valetkey.protocol.assertion_grants import JWT_GRANT, SAML_GRANT
from valetkey.protocol.bodies import Members, as_list, flaw, read_members, seconds
from valetkey.protocol.ciba import CIBA_GRANT
from valetkey.protocol.device import DEVICE_GRANT
from valetkey.protocol.metadata import MAX_DOCUMENT, Metadata
from valetkey.protocol.outside import outside_flaw
from valetkey.protocol.refusals import refused
from valetkey.protocol.texts import provider_text
from valetkey.protocol.token_exchange import EXCHANGE_GRANT
from valetkey.protocol.urls import is_loopback, require_https, shown
from valetkey.values import Request, Response, Secret

_OK: Final = frozenset({200, 201})
"""RFC 7591 section 3.2.1 says 201; some say 200."""
_NO_CONTENT: Final = 204
_GONE: Final = 401
_FORBIDDEN: Final = frozenset({403, 405})
_BUSY: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_CLIENT_ID: Final = re.compile(r"[\x20-\x7e]{1,2048}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_SECRET: Final = re.compile(r"[\x20-\x7e]{1,16384}")
_SIMPLE: Final = cast(
    "tuple[ClientAuth, ...]", ("none", "client_secret_post", "client_secret_basic", "private_key_jwt")
)
_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
_NOT_SENT_BACK: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
"""What an update must not hold (RFC 7592 section 2.2)."""
_KEPT_APART: Final = frozenset({*_NOT_SENT_BACK, "client_id", "client_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """An app as the server has it.

    Attributes:
        client_id: Its client id.
        client_secret: Its secret; None: it has none.
        secret_ends_at: Unix seconds at which the secret ends; None: it does not.
        client_auth: How it proves itself at the token endpoint.
        management_url: Where it is managed; empty: it cannot be.
        token: What is presented there (the registration access token); None: it cannot be.
        metadata: All else that the server returned, as JSON values: it may differ from what was asked for.
    """

    client_id: str
    client_secret: Secret | None = None
    secret_ends_at: float | None = None
    client_auth: str = ""
    management_url: str = ""
    token: Secret | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """The redirect URIs that are registered."""
        return tuple(uri for uri in as_list(self.metadata.get("redirect_uris")) if isinstance(uri, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRefused:
    """Why there is no registration.

    Attributes:
        kind: ``gone``: the server does not know the app any more, or not this token (401).  ``forbidden``: it does not
            allow for it.  ``transient``: it may well do so in a moment.  ``invalid``: what was asked for is not right,
            or the answer is of no use.
        error: The error code of RFC 7591 section 3.2.2.
        what: In words.
        status: The HTTP status.
    """

    kind: Literal["gone", "forbidden", "transient", "invalid"]
    error: str = ""
    what: str = ""
    status: int = 0


# -- what is asked for -------------------------------------------------------------------------------------------------


def client_metadata(
    credential: OAuth2Credential,
    *,
    redirect_uris: Sequence[str],
    method: ClientAuth,
    jwk: Mapping[str, Any] | None = None,
    server: Metadata | None = None,
) -> dict[str, Any]:
    """Return what an app says of itself (RFC 7591 section 2).

    A redirect URI on the local machine makes it a native one: other servers than those that ask for it do not mind.
    `jwk` is the public half of its key; `server` is what the server says of itself, where that is known.
    """
    native = any(_on_this_machine(uri) for uri in redirect_uris)
    asked: dict[str, Any] = {
        "client_name": "valetkey",
        **_signed(credential, method, jwk, server),
        **plain_json(credential.client_metadata),
        "redirect_uris": list(redirect_uris),
        "grant_types": _grant_types(credential, redirect_uris),
        "response_types": ["code"] if redirect_uris else [],
        "token_endpoint_auth_method": method,
        "application_type": "native" if native else "web",
        "scope": " ".join(credential.all_scopes),
        "jwks": _key_set(credential, jwk),
        "dpop_bound_access_tokens": credential.sender_constraint == "dpop" or None,
        "tls_client_certificate_bound_access_tokens": credential.sender_constraint == "mtls" or None,
        "require_pushed_authorization_requests": (credential.require_par and bool(redirect_uris)) or None,
    }
    return {name: value for name, value in asked.items() if value not in ("", None)}


def _key_set(credential: OAuth2Credential, jwk: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the app's public keys: the one that we sign with, and those that the declaration names beside it."""
    declared = plain_json(credential.client_metadata.get("jwks", EMPTY)).get("keys", [])
    keys = [*([dict(jwk)] if jwk else []), *declared]
    return {"keys": keys} if keys else None


def _signed(
    credential: OAuth2Credential, method: ClientAuth, jwk: Mapping[str, Any] | None, server: Metadata | None
) -> dict[str, str]:
    """Return which algorithms sign what: only those that the declaration, or its profile, does not leave open.

    Without a word a server signs with RS256 (OpenID Connect Registration section 2), which FAPI 2.0 does not take.
    """
    alg = str((jwk or {}).get("alg", ""))
    may = credential.id_token_algs or allowed_algs(credential)

    def one_of(named: Sequence[str]) -> str:
        return next((alg for alg in may if not named or alg in named), "")

    return {
        "token_endpoint_auth_signing_alg": alg if method == "private_key_jwt" else "",
        "request_object_signing_alg": alg if credential.request_object else "",
        "id_token_signed_response_alg": one_of(server.id_token_algs if server else ()) if _openid(credential) else "",
        "authorization_signed_response_alg": one_of(server.answer_algs if server else ())
        if credential.response_mode == "jwt"
        else "",
    }


def _openid(credential: OAuth2Credential) -> bool:
    return "openid" in credential.all_scopes and credential.signs_in


def _grant_types(credential: OAuth2Credential, redirect_uris: Sequence[str]) -> list[str]:
    if not credential.signs_in:
        return [_GRANTS[credential.grant]]
    code = ["authorization_code"] if redirect_uris else []
    device = [DEVICE_GRANT] if credential.device_authorization_url else []
    asked_elsewhere = [CIBA_GRANT] if _DELIVERY in credential.client_metadata else []
    return [*code, *device, *asked_elsewhere, "refresh_token"]


_GRANTS: Final[Mapping[str, str]] = {
    "client_credentials": "client_credentials",
    "jwt_bearer": JWT_GRANT,
    "saml2_bearer": SAML_GRANT,
    "token_exchange": EXCHANGE_GRANT,
}
_DELIVERY: Final = "backchannel_token_delivery_mode"
"""What an app that has people asked elsewhere registers (CIBA section 4); of its values we speak ``poll``."""


def method_to_register(credential: OAuth2Credential, offered: Sequence[str]) -> ClientAuth:
    """Return how an app is to prove itself: as declared where the server takes that, else as simply as it lets us."""
    declared: ClientAuth = credential.client_auth
    if not offered or offered.count(declared):
        return declared
    for method in _SIMPLE:
        if offered.count(method):
            return method
    return declared


def registration_request(credential: OAuth2Credential, metadata: Mapping[str, Any]) -> Request:
    """Return the request that registers an app (RFC 7591 section 3.1).

    Raises:
        ConfigurationError: ``url_missing``, ``url_invalid`` or ``url_insecure``.
    """
    require_https(credential.registration_url, what="registration_url", name=credential.name)
    return _request("POST", credential.registration_url, dict(metadata))


def management_request(method: Literal["GET", "PUT", "DELETE"], known: Registration, *, name: str) -> Request:
    """Return the request that reads, replaces or deletes a registration (RFC 7592 section 2).

    A ``PUT`` holds all that was returned last, without what must not be sent back: what is omitted is deleted there.

    Raises:
        ConfigurationError: The registration has no address or no token (``url_missing``), or that is not https.
    """
    require_https(known.management_url if known.token else "", what="registration_client_uri", name=name)
    request = _request(method, known.management_url, update_body(known) if method == "PUT" else None)
    bearer = f"Bearer {known.token.reveal()}" if known.token else ""
    return replace(request, headers={**request.headers, "Authorization": bearer})


def update_body(known: Registration) -> dict[str, Any]:
    """Return what a ``PUT`` says (RFC 7592 section 2.2): client id, secret and all metadata as last returned."""
    body: dict[str, Any] = {**known.metadata, "client_id": known.client_id}
    if known.client_secret:
        body["client_secret"] = known.client_secret.reveal()
    return {name: value for name, value in body.items() if name not in _NOT_SENT_BACK}


def _request(method: str, url: str, body: Mapping[str, Any] | None) -> Request:
    headers = {"Accept": "application/json"}
    if body is None:
        return Request(method=method, url=url, headers=headers)
    headers["Content-Type"] = "application/json"
    return Request(method=method, url=url, headers=headers, body=json.dumps(body).encode())


# -- what comes back ---------------------------------------------------------------------------------------------------


def parse_registration(
    response: Response,
    *,
    asked: Mapping[str, Any],
    server: str,
    known: Registration | None = None,
    hosts: Sequence[str] = (),
) -> Registration | RegistrationRefused:
    """Read an answer with a registration (RFC 7591 section 3.2, RFC 7592 section 3).  Never raises.

    What the server returned counts, and not what was `asked`; where it says nothing of a member, that.  A new secret or
    token takes the place of the `known` one, in any answer; what an answer does not hold stays.  `server` is who
    answers: it cannot lead the token of the registration to another host than its own, or those in `hosts`; an address
    there is passed over.
    """
    members = read_members(response.body) if response.status in _OK else None
    if members is None or len(response.body) > MAX_DOCUMENT or refused(members):
        return _refusal(response)
    client_id = members.get("client_id")
    if not (isinstance(client_id, str) and _CLIENT_ID.fullmatch(client_id)):
        return _useless(response, "names no client_id")
    if known is not None and client_id != known.client_id:
        return _useless(response, "is about another client")
    found = _read(members, client_id, asked, known)
    if found.client_auth in _BY_SECRET and found.client_secret is None:
        return _useless(response, f"names no client_secret, and wants the app to prove itself by {found.client_auth}")
    problem = outside_flaw(found.management_url, named_by=server) if found.management_url else ""
    problem = f"names a registration_client_uri that {problem}" if problem else _unusable(found)
    if problem:
        return _useless(response, problem)
    before = known.management_url if known is not None else ""
    own = {urlsplit(url).hostname for url in (server, before, *hosts)}
    return found if urlsplit(found.management_url).hostname in own else replace(found, management_url=before)


def _unusable(found: Registration) -> str:
    """Return why an app cannot prove itself as it was registered; empty where it can."""
    if found.client_auth and found.client_auth not in get_args(ClientAuth):
        return f"wants the app to prove itself by {shown(found.client_auth)}, which is not known here"
    return ""


def _read(members: Members, client_id: str, asked: Mapping[str, Any], known: Registration | None) -> Registration:
    secret, token = (_secret(members, name, kind) for name, kind in _SECRETS)
    before = known or Registration(client_id=client_id)
    url = members.get("registration_client_uri")
    metadata = {**asked, **{name: value for name, value in members.items() if name not in _KEPT_APART}}
    ends = seconds(members.get("client_secret_expires_at"))
    method = metadata.get("token_endpoint_auth_method")
    return Registration(
        client_id=client_id,
        client_secret=secret or before.client_secret,
        secret_ends_at=(ends or None) if secret or "client_secret_expires_at" in members else before.secret_ends_at,
        client_auth=method if isinstance(method, str) else "",
        management_url=url if isinstance(url, str) and url else before.management_url,
        token=token or before.token,
        metadata=metadata,
    )


_SECRETS: Final = (("client_secret", _SECRET), ("registration_access_token", _TOKEN))


def _secret(members: Members, name: str, allowed: re.Pattern[str]) -> Secret | None:
    value = members.get(name)
    return Secret(value) if isinstance(value, str) and allowed.fullmatch(value) else None


def parse_deleted(response: Response) -> RegistrationRefused | None:
    """Read the answer to a ``DELETE`` (RFC 7592 section 2.3); None: it is deleted."""
    return None if response.status in (_NO_CONTENT, *_OK) else _refusal(response)


def _refusal(response: Response) -> RegistrationRefused:
    members = read_members(response.body) or {}
    status = response.status
    error = provider_text(members.get("error"), 64)
    words = provider_text(members.get("error_description"))
    kind: Literal["gone", "forbidden", "transient", "invalid"] = "invalid"
    if status == _GONE:
        kind = "gone"
    elif status in _FORBIDDEN:
        kind = "forbidden"
    elif status >= _SERVER_ERROR or status in _BUSY:
        kind = "transient"
    what = words or error or f"HTTP {status}, {flaw(response.body) if not members else 'without a reason'}"
    return RegistrationRefused(kind=kind, error=error, what=clean(what, 300), status=status)


def _useless(response: Response, what: str) -> RegistrationRefused:
    return RegistrationRefused(kind="invalid", what=f"its answer {what}", status=response.status)


# -- redirect URIs -----------------------------------------------------------------------------------------------------


def covers(registered: Sequence[str], wanted: str, *, any_port: bool) -> bool:
    """Tell whether an answer may be sent to `wanted`: on the local machine the port may differ (RFC 8252 7.3)."""
    return any(uri == wanted or (any_port and _but_for_the_port(uri, wanted)) for uri in registered)


def _but_for_the_port(one: str, other: str) -> bool:
    here, there = urlsplit(one), urlsplit(other)
    same = (here.scheme, here.hostname, here.path, here.query) == (
        there.scheme,
        there.hostname,
        there.path,
        there.query,
    )
    return same and _on_this_machine(one)


def _on_this_machine(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")
