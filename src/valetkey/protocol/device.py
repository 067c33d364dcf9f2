"""Connecting without a browser on this device (RFC 8628)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from valetkey.errors import clean
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import Members, read_members, seconds
from valetkey.protocol.client_authentication import client_id
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import Refusal, read_refusal, refused
from valetkey.protocol.token_request import token_request
from valetkey.values import Params, Request, Response, Secret

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL: Final = 5.0
"""Seconds between two polls where the server says nothing (section 3.2)."""
SLOW_DOWN: Final = 5.0
"""Seconds that a ``slow_down`` adds, for good (section 3.5)."""
LONGEST_INTERVAL: Final = 300.0
_MAX_USER_CODE: Final = 64
_MAX_URI: Final = 2048
_DEVICE_CODE: Final = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """What the server wants shown to the person, and what it wants to be polled with.

    Attributes:
        device_code: What the polls carry; never shown.
        user_code: What the person types; always shown, also beside a link that holds it (section 3.3.1).
        verification_uri: Where the person types it; http or https.
        verification_uri_complete: The same with the code in it, where the server gives one.
        expires_in: Seconds after which the codes are dead.
        interval: Seconds to wait between two polls.
    """

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: float
    interval: float = INTERVAL


def device_authorization_request(
    credential: OAuth2Credential, app: AppCredentials, *, scopes: Sequence[str]
) -> Request:
    """Return the request that starts the flow (section 3.1).

    The client id stands in the body also where the Authorization header names it: some servers look nowhere else.
    ``resource`` is repeated for each API that the token is for (RFC 8707 section 2).

    Raises:
        ConfigurationError: See `forms.post`.
    """
    params: Params = {
        "client_id": client_id(credential, app),
        "scope": credential.scope_separator.join(scopes),
        "authorization_details": credential.authorization_details,
        "resource": credential.resources,
    }
    what = "device_authorization_url"
    return post(credential.device_authorization_url, params, what=what, credential=credential, app=app)


def parse_device_authorization(
    response: Response, *, credential: OAuth2Credential, now: float
) -> DeviceAuthorization | Refusal:
    """Read the answer of the device authorization endpoint (section 3.2); never raises.  `now` is Unix seconds.

    ``expires_in`` must be there.  ``verification_url``, as Google spells it, is understood.
    """
    members = read_members(response.body) if response.status in range(200, 300) else None
    if members is None or refused(members):
        return read_refusal(response, credential=credential, now=now)
    code = members.get("device_code")
    user_code = _printable(members.get("user_code"), _MAX_USER_CODE)
    uri = _uri(members, "verification_uri")
    life = seconds(members.get("expires_in"))
    if not (isinstance(code, str) and _DEVICE_CODE.fullmatch(code) and user_code and uri and life):
        note = "an answer without a usable device_code, user_code, verification_uri or expires_in"
        return replace(read_refusal(response, credential=credential, now=now), note=note)
    return DeviceAuthorization(
        device_code=Secret(code),
        user_code=user_code,
        verification_uri=uri,
        verification_uri_complete=_uri(members, "verification_uri_complete") or None,
        expires_in=life,
        interval=min(seconds(members.get("interval")) or INTERVAL, LONGEST_INTERVAL),
    )


def device_token_request(credential: OAuth2Credential, app: AppCredentials, *, device_code: Secret) -> Request:
    """Return one poll of the token endpoint (section 3.4).  Its answer is read by `parse_token_response`.

    Raises:
        ConfigurationError: See `forms.post` and `forms.merged`.
    """
    params: Params = {
        "grant_type": DEVICE_GRANT,
        "device_code": device_code.reveal(),
        "resource": credential.token_resources,
    }
    return token_request(credential, app, params, extra=credential.token_params)


def next_interval(interval: float, refusal: Refusal | Literal["timeout"]) -> float:
    """Return the seconds to wait before the next poll, and from then on (section 3.5).

    ``slow_down`` adds five seconds, or takes the longer interval that the answer names (GitHub).  No answer, or one
    of a server in trouble, doubles it; a ``Retry-After`` is waited out.
    """
    if refusal == "timeout":
        return min(interval * 2, LONGEST_INTERVAL)
    if refusal.error == "slow_down":
        return max(interval + SLOW_DOWN, refusal.interval or 0.0, refusal.retry_after or 0.0)
    if refusal.kind == "pending":
        return interval
    return max(min(interval * 2, LONGEST_INTERVAL), refusal.retry_after or 0.0)


def _uri(members: Members, name: str) -> str:
    """Return an http or https URI, or an empty text: it is shown to a person and opened in a browser."""
    uri = _printable(members.get(name) or members.get(name.replace("_uri", "_url")), _MAX_URI)
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    return uri if parts.scheme in ("https", "http") and parts.hostname and " " not in uri else ""


def _printable(value: object, limit: int) -> str:
    """Return a text that a terminal can show as it is, or an empty text."""
    if not isinstance(value, str) or len(value) > limit:
        return ""
    return value if value == clean(value, limit) else ""
