"""The authorization request and its callback.

RFC 6749 section 4.1 (code), RFC 7636 (PKCE), RFC 9207 (``iss``), RFC 9700 (what to be afraid of).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from valetkey.errors import ConnectError, IssuerMismatch
from valetkey.forks import late_imports
from valetkey.model.credentials import AppCredentials, OAuth2Credential, PkceEncoding
from valetkey.protocol.authentication_request import NOTHING_SPECIAL, AuthenticationRequest
from valetkey.protocol.client_authentication import client_id
from valetkey.protocol.denials import CallbackParams, denied
from valetkey.protocol.forms import merged, renamed
from valetkey.protocol.texts import provider_text
from valetkey.protocol.urls import require_https
from valetkey.values import Params, Secret

__all__ = [
    "CallbackParams",
    "authorization_params",
    "callback_of",
    "challenge",
    "check_issuer",
    "claimed_state",
    "denied",
    "front_url",
    "new_verifier",
    "parse_callback",
    "translated",
]

_VERIFIER_BYTES: Final = range(32, 97)
_MAX_CALLBACK: Final = 64 * 1024
_MAX_FIELDS: Final = 100
_MAX_EXTRA: Final = 32
_MAX_VALUE: Final = 2048
_TOO_LONG: Final = "it is too long"
_TOO_MANY: Final = "it has too many parameters"
_FRAGMENT: Final = "it has a fragment, where nothing of ours belongs"
_TWICE: Final = "it has one of code, state, iss, error and response twice"
_ONCE: Final = frozenset({"code", "state", "iss", "error", "error_description", "response"})
_OF_PROTOCOL: Final = frozenset(
    {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"),
        *("nonce", "dpop_jkt", "response_mode", "request", "request_uri"),
    }
)
"""What the endpoint's own query must not say otherwise."""
_UNUSED: Final = frozenset({"error_uri"})


# -- the request ---------------------------------------------------------------------------------------------------


def new_verifier(random: bytes) -> Secret:
    """Return a PKCE verifier made of `random`: 43 to 128 unreserved characters (RFC 7636 section 4.1).

    Raises:
        ValueError: `random` is not 32 to 96 bytes long.
    """
    if len(random) not in _VERIFIER_BYTES:
        msg = "a PKCE verifier is made of 32 to 96 random bytes"
        raise ValueError(msg)
    return Secret(_base64url(random))


def challenge(verifier: Secret, encoding: PkceEncoding = "base64url") -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2), or its digest in hex for those who want that."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return digest.hex() if encoding == "hex" else _base64url(digest)


def authorization_params(
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    redirect_uri: str,
    state: str,
    challenge: str | None,
    scopes: Sequence[str],
    nonce: str | None,
    dpop_jkt: str = "",
    wants: AuthenticationRequest = NOTHING_SPECIAL,
) -> Params:
    """Return the parameters of an authorization request (RFC 6749 section 4.1.1).

    Args:
        credential: Which integration.
        app: Its app; only the client id is used.
        redirect_uri: Where the answer shall go; none is sent when empty.
        state: The fresh random value that the answer must bring back.
        challenge: The S256 challenge, or None without PKCE.
        scopes: What to ask for.
        nonce: For OpenID Connect, or None.
        dpop_jkt: The thumbprint of the key that the code shall be bound to (RFC 9449 section 10), or empty.
        wants: How the person is to be asked, and what for; it goes before ``additional_params``.

    Raises:
        ConfigurationError: ``client_id_missing``, or ``parameter_reserved`` when ``additional_params`` set a parameter
            of the protocol to another value.
    """
    wanted = {name: value for name, value in wants.params().items() if value}
    if "authorization_details" not in wanted:
        wanted["authorization_details"] = credential.authorization_details
    asked: Params = {  # in this order: WeChat takes no other
        "client_id": client_id(credential, app),
        "redirect_uri": (credential.redirect_name or redirect_uri) if redirect_uri else "",
        "response_type": "code",
        "scope": credential.scope_separator.join(scopes),
        "state": state,
        "code_challenge": challenge or "",
        "code_challenge_method": "S256" if challenge else "",
        "nonce": nonce or "",
        "dpop_jkt": dpop_jkt,
        "resource": credential.resources,
        "response_mode": "" if credential.response_mode == "default" else credential.response_mode,
    }
    usual = {name: value for name, value in credential.additional_params.items() if name not in wanted}
    return {**merged(asked, usual, what="additional_params", name=credential.name), **_filled(wanted)}


def front_url(credential: OAuth2Credential, params: Params) -> str:
    """Return the authorization endpoint with `params` added; its own query is kept (RFC 6749 section 3.1).

    Raises:
        ConfigurationError: ``url_missing``, ``url_invalid``, ``url_insecure``, or ``parameter_reserved`` when the
            endpoint's query sets a parameter to another value.
    """
    require_https(credential.authorization_url, what="authorization_url", name=credential.name)
    parts = urlsplit(credential.authorization_url)
    kept = parse_qsl(parts.query, keep_blank_values=True)
    of_protocol = renamed(credential, {name: value for name, value in params.items() if name in _OF_PROTOCOL})
    merged(of_protocol, dict(kept), what="authorization_url", name=credential.name)
    params = renamed(credential, params)
    added = [*((key, value) for key, value in kept if key not in params), *params.items()]
    query, fragment = urlencode(added, doseq=True, quote_via=quote), credential.authorization_fragment
    return parts._replace(query=query, fragment=fragment).geturl()


def _filled(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}


# -- the answer ----------------------------------------------------------------------------------------------------


def parse_callback(url_or_query: str) -> CallbackParams:
    """Read a callback from its whole URL, or from its query or form body alone.

    A parameter without a value counts as absent (RFC 6749 section 3.1).

    Raises:
        ConnectError: Code ``callback_malformed``: it is too long, has parameters in a fragment, or a parameter of the
            protocol twice.  The text repeats nothing of it.
    """
    pairs = _pairs(url_or_query.strip())
    seen: dict[str, str] = {}
    for name, value in pairs:
        if name in _ONCE and name in seen:
            raise _malformed(_TWICE)
        seen.setdefault(name, value)
    return callback_of(seen)


def callback_of(seen: Mapping[str, str]) -> CallbackParams:
    """Return the parameters of an answer by their meaning."""
    code = seen.get("code")
    return CallbackParams(
        code=Secret(code) if code else None,
        state=seen.get("state", ""),
        iss=seen.get("iss", ""),
        error=provider_text(seen.get("error"), 64),
        description=provider_text(seen.get("error_description")),
        signed=Secret(seen["response"]) if seen.get("response") else None,
        extra=_extra(seen),
    )


def translated(params: CallbackParams, credential: OAuth2Credential) -> CallbackParams:
    """Return an answer with the code taken from where the provider puts it, as ``param_names`` says."""
    names = credential.param_names
    theirs = names.get("response_code", names.get("code", ""))
    if not theirs or params.code is not None or not params.extra.get(theirs):
        return params
    extra = {name: value for name, value in params.extra.items() if name != theirs}
    return replace(params, code=Secret(params.extra[theirs]), extra=MappingProxyType(extra))


def claimed_state(state: str, response: str) -> str:
    """Return the state of an answer; of a signed one what it claims, to find out who has to have signed it (JARM)."""
    if state or not response:
        return state
    with late_imports:
        from valetkey.protocol.jarm import state_in  # noqa: PLC0415 - only for signed answers

    return state_in(Secret(response))


def check_issuer(params: CallbackParams, *, credential: OAuth2Credential) -> None:
    """Check who answered (RFC 9207 section 2.4), before anything else of the answer is used, errors included.

    ``iss`` must equal the known issuer byte for byte; it must be there where the server says that it always sends it.
    Where the issuer is not known, there is nothing to compare with.

    Raises:
        IssuerMismatch: The answer is from somebody else, or does not say from whom.
    """
    title = credential.display_name or credential.name
    if not params.iss:
        if credential.iss_advertised:
            msg = f"the answer does not say which server it comes from, and {title} always does"
            raise IssuerMismatch(msg, hint="do not continue; start again from the beginning")
        return
    if credential.issuer and params.iss != credential.issuer:
        msg = f"the answer comes from a different server than {title} ({credential.issuer})"
        raise IssuerMismatch(msg, hint=f"do not continue; check the issuer declared for {credential.name!r}")


def _pairs(text: str) -> list[tuple[str, str]]:
    if len(text) > _MAX_CALLBACK:
        raise _malformed(_TOO_LONG)
    whole, _, fragment = text.partition("#")
    if fragment not in ("", "_=_", "_"):  # Facebook's redirects end in "#_=_", Instagram's in "#_"
        raise _malformed(_FRAGMENT)
    try:
        return parse_qsl(_query(whole), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise _malformed(_TOO_MANY) from None


def _query(text: str) -> str:
    head = text.partition("=")[0]
    if "?" in head:
        return text.partition("?")[2]
    return "" if "://" in head or head.startswith("/") else text


def _extra(seen: Mapping[str, str]) -> Mapping[str, str]:
    extra = {
        name: value
        for name, value in seen.items()
        if name not in _ONCE | _UNUSED and len(name) + len(value) <= _MAX_VALUE and (name + value).isprintable()
    }
    return MappingProxyType(dict(list(extra.items())[:_MAX_EXTRA]))


def _malformed(why: str) -> ConnectError:
    hint = "start again, and pass on the whole address that the browser ends on"
    return ConnectError(f"this is no proper answer of a provider: {why}", code="callback_malformed", hint=hint)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
