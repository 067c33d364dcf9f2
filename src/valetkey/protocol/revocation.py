"""Giving a token back (RFC 7009)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import read_members, retry_after
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import error_of, refused
from valetkey.protocol.texts import provider_text
from valetkey.values import Request, Response, Secret

_DEAD_ALREADY: Final = frozenset({"invalid_token", "token_revoked"})
_SUCCESS: Final = range(200, 300)
_CLIENT_ERROR: Final = range(400, 500)
_UNKNOWN: Final = OAuth2Credential(name="")


@dataclass(frozen=True, slots=True)
class Revoked:
    """The provider confirms that the token is dead, by this request or before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillLives:
    """The token may still work (section 2.2.1).

    Attributes:
        retry_after: Seconds after which another try makes sense, at most an hour; None when nobody said.
        error: The error code, or ``http_503`` and the like where the answer names none.
    """

    retry_after: float | None = None
    error: str = ""


def revocation_request(
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    token: Secret,
    hint: Literal["refresh_token", "access_token"],
) -> Request:
    """Return the request that revokes `token` (section 2.1), with the app's own authentication.

    Revoke the refresh token first: the server should then take its access tokens along.

    Raises:
        ConfigurationError: See `forms.post`.
    """
    params = {"token": token.reveal(), "token_type_hint": hint}
    return post(credential.revocation_url, params, what="revocation_url", credential=credential, app=app)


def parse_revocation(
    response: Response, *, credential: OAuth2Credential = _UNKNOWN, now: float | None = None
) -> Revoked | StillLives:
    """Read the answer of the revocation endpoint (section 2.2); never raises.

    Any 2xx is a confirmation, also for a token that the server does not know, whatever the body holds; but for one
    that says in so many words that it did not do it (Slack: ``"ok": false``).  `credential` brings its error
    aliases; `now` (Unix seconds) is for a ``Retry-After`` date from a server without a clock of its own.
    """
    members = read_members(response.body) or {}
    if response.status in _SUCCESS and not refused(members):
        return Revoked()
    error, _ = error_of(members, credential)
    error = error or _as_code(members.get("message"))
    if error in _DEAD_ALREADY and response.status in (*_SUCCESS, *_CLIENT_ERROR):
        return Revoked()
    return StillLives(retry_after=retry_after(response.headers, now), error=error or f"http_{response.status}")


def _as_code(message: object) -> str:
    """Return words as a code: Twitch says ``{"status": 400, "message": "Invalid token"}``."""
    return re.sub(r"[^a-z0-9]+", "_", provider_text(message, 64).lower()).strip("_")
