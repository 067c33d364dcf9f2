"""The answer of the token endpoint, read leniently (RFC 6749 sections 5.1 and 5.2)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.protocol.answers import places_read, understood
from valetkey.protocol.authorization_details import granted_details
from valetkey.protocol.bodies import (
    Members,
    as_list,
    as_object,
    read_json,
    read_members,
    seconds,
    server_time,
    unix_time,
)
from valetkey.protocol.echoes import without_echo
from valetkey.protocol.extras import harmless_members
from valetkey.protocol.refusals import UNSUPPORTED_TOKEN_TYPE, Refusal, read_refusal, refused
from valetkey.values import Request, Response, Secret, Value

__all__ = ["Parse", "Refusal", "TokenSet", "parse_token_response"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""What a header can carry: visible ASCII (RFC 6750 section 2.1 allows less, providers send more)."""
_OPAQUE: Final = re.compile(r"[\x20-\x7e]+")
"""RFC 6749 appendix A.17."""
_BEARER: Final = frozenset({"bearer", "bot", "user"})
_SLACK: Final = frozenset({"bot", "user"})
"""Slack's words for whose bearer token it is."""
_REFRESH_LIVES: Final = ("refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in")
_READ: Final = frozenset(
    {
        *("token_type", "expires_in", "expires_at", "scope", "scopes", "ok", "error", "authorization_details"),
        *_REFRESH_LIVES,
    }
)
_OFFLINE: Final = frozenset({"offline_access", "offline.access", "offline"})
"""Scopes that ask for a refresh token (OpenID Connect Core section 11; X and Typeform have names of their own)."""
_MAX_SCOPES: Final = 500
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_SUCCESS: Final = range(200, 300)
_JWT_PARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TokenSet(Value):
    """What a successful answer holds.

    Attributes:
        access_token: Visible ASCII, of any length.
        token_type: As the provider wrote it; ``bearer`` where it wrote nothing or a word of its own for it.
        refresh_token: The new one; None when none came, and then the old one stays.
        expires_in: Seconds, positive and at most a hundred years; None when absent, odd or not positive.
        refresh_expires_in: Seconds until the refresh token ends, where the provider says so.
        scope: What was granted; None when the answer does not say, which means: as asked.
        id_token: The id token, not validated.
        dpop_key: The private key that the tokens are bound to (RFC 9449); None: they are bearer tokens.
        authorization_details: What exactly was granted, as JSON text (RFC 9396 section 7); empty where the answer does
            not say.
        extra: Other scalar members as texts (``instance_url``, ``bot_user_id``), few, short, and none token-like; and
            what ``credential.kept_params`` names, under its dotted path (``team.id``).
    """

    access_token: Secret
    token_type: str = "bearer"  # noqa: S105 - a scheme, not a password
    refresh_token: Secret | None = None
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    scope: tuple[str, ...] | None = None
    id_token: Secret | None = None
    dpop_key: Secret | None = None
    authorization_details: str = ""
    extra: Mapping[str, str] = field(default_factory=lambda: _NONE)

    def grant(
        self,
        *,
        now: float,
        credential: OAuth2Credential,
        requested: Sequence[str],
        previous: Grant | None,
        learnt_lifetime: float | None,
    ) -> Grant:
        """Return the grant that this answer makes, at `now` (Unix seconds).

        Args:
            now: When the answer arrived.
            credential: Which integration.
            requested: The scopes that were asked for.  They count where the answer names none and there is no
                `previous` grant: a refresh that says nothing gives what was granted before.
            previous: The grant that was refreshed, whose refresh token and id token stay unless new ones came; None
                after a new consent.
            learnt_lifetime: Seconds that earlier tokens were seen to live (R13).
        """
        before = previous if credential.signs_in else None
        return Grant(
            access_token=self.access_token,
            refresh_token=self._refresh_token(credential, before),
            token_type=self.token_type,
            expires_at=self._expires_at(now, credential, learnt_lifetime),
            refresh_expires_at=self._refresh_expires_at(now, credential, before, learnt_lifetime),
            scope=self._granted(before, requested),
            id_token=self.id_token or (before.id_token if before else None),
            obtained_at=now,
            quarantined=before.quarantined if before else None,
            dpop_key=self.dpop_key,
            authorization_details=self.authorization_details or (before.authorization_details if before else ""),
        )

    def _granted(self, before: Grant | None, requested: Sequence[str]) -> tuple[str, ...]:
        """Return the scopes of the grant; the one that asked for a refresh token counts while that token stays."""
        if self.scope is None:
            return before.scope if before else tuple(requested)
        held = before.scope if before is not None and before.refresh_token is not None else ()
        kept = [scope for scope in held if scope in _OFFLINE]
        return tuple(dict.fromkeys((*self.scope, *kept)))

    def _refresh_token(self, credential: OAuth2Credential, before: Grant | None) -> Secret | None:
        if not credential.signs_in:
            return None  # RFC 6749 section 4.4.3: one asks again; a stray refresh token is no way to renew
        if credential.renews_by_access_token:
            return self.access_token
        return self.refresh_token or (before.refresh_token if before else None)

    def _expires_at(self, now: float, credential: OAuth2Credential, learnt: float | None) -> float | None:
        """Follow R13: the answer, the token's own ``exp``, the preset, what was learnt; else it is not known."""
        if self.expires_in is not None:
            return now + self.expires_in
        stated = _jwt_exp(self.access_token) if credential.expiry_in_token or not credential.never_expires else None
        if stated is not None and stated > now:
            return stated
        if credential.never_expires:
            return None
        life = credential.access_token_lifetime or learnt
        return now + life if life and life > 0 else None

    def _refresh_expires_at(
        self, now: float, credential: OAuth2Credential, before: Grant | None, learnt: float | None
    ) -> float | None:
        if self._refresh_token(credential, before) is None:
            return None
        if credential.renews_by_access_token:
            return self._expires_at(now, credential, learnt)
        life = self.refresh_expires_in or credential.refresh_token_lifetime
        if life:
            return now + life
        if before is None or before.refresh_expires_at is None:
            return None
        return before.refresh_expires_at if self.refresh_token in (None, before.refresh_token) else None


def parse_token_response(
    response: Response, *, credential: OAuth2Credential, now: float, request: Request | None = None
) -> TokenSet | Refusal:
    """Read any answer of the token endpoint; never raises.  `now` is Unix seconds.

    `request` is what is answered: where a refusal repeats a secret of it, that is masked; and where it proves a key, no
    token is taken that is not bound to it (RFC 9449 section 5).  The body is looked at before
    the status counts as success: some servers answer errors with 200.
    """
    members = read_members(response.body) if response.status in _SUCCESS else None
    members = understood(members, credential) if members else members
    if members is None or refused(members):
        refusal = read_refusal(response, credential=credential, now=now)
        return without_echo(refusal, request) if request is not None else refusal
    access = _secret(members, "access_token", _TOKEN)
    key = request.dpop_key if request is not None else None
    token_type = _token_type(members.get("token_type"), bound=key is not None)
    if access is None or token_type is None:
        return _unusable(members, response.status, typed=token_type is not None)
    return TokenSet(
        access_token=access,
        token_type=token_type,
        refresh_token=_secret(members, "refresh_token", _OPAQUE),
        expires_in=_expires_in(members, response, now),
        refresh_expires_in=min(filter(None, (seconds(members.get(name)) for name in _REFRESH_LIVES)), default=None),
        scope=_scope(members, credential),
        id_token=_secret(members, "id_token", _TOKEN),
        dpop_key=key,
        authorization_details=granted_details(members.get("authorization_details")),
        extra=harmless_members(members, kept=credential.kept_params.values(), read=_READ | places_read(credential)),
    )


class Parse(Protocol):
    """Reads an answer of the token endpoint, as `parse_token_response` does."""

    def __call__(
        self, response: Response, *, credential: OAuth2Credential, now: float, request: Request | None = None
    ) -> TokenSet | Refusal:
        """Read it; never raises."""
        ...


def _unusable(members: Members, status: int, *, typed: bool) -> Refusal:
    """Refuse a success whose access token must not or cannot be used; its refresh token may be the only successor."""
    refresh = _secret(members, "refresh_token", _OPAQUE)
    if not typed:
        note = "a token of a type that was not asked for"
        return Refusal(kind="request", error=UNSUPPORTED_TOKEN_TYPE, status=status, note=note, quarantined=refresh)
    note = "an access token that no header can carry" if members.get("access_token") else "no access token"
    return Refusal(kind="doubt", status=status, note=note, quarantined=refresh)


def _secret(members: Members, name: str, allowed: re.Pattern[str]) -> Secret | None:
    value = members.get(name)
    return Secret(value) if isinstance(value, str) and allowed.fullmatch(value) else None


def _token_type(value: object, *, bound: bool) -> str | None:
    """Return the type of a token that may be used, else None: RFC 6749 section 7.1 forbids to use what is unknown.

    A token that was to be bound to a key is refused where it is a bearer token, and the other way round.
    """
    if bound:
        return "DPoP" if isinstance(value, str) and value.lower() == "dpop" else None
    if value is None or value == "":
        return "bearer"
    if not isinstance(value, str) or value.lower() not in _BEARER:
        return None
    return "bearer" if value.lower() in _SLACK else value


def _expires_in(members: Members, response: Response, now: float) -> float | None:
    """Read ``expires_in``, else an absolute ``expires_at`` (Square, Strava), by the server's own clock if it tells."""
    life = seconds(members.get("expires_in"))
    end = unix_time(members.get("expires_at"))
    if life is not None or end is None:
        return life
    theirs = server_time(response.headers)
    return seconds(end - (now if theirs is None else theirs))


def _scope(members: Members, credential: OAuth2Credential) -> tuple[str, ...] | None:
    """Read scopes from a text, a comma-separated text, or a list; an empty one counts as absent.

    A comma separates, unless a scope that is asked for holds one itself, which RFC 6749 section 3.3 allows.  What is
    asked for by one name and answered by another counts under both; and where a refresh token came, the scope that
    asks for one was granted, whether the answer says so (Microsoft does not).
    """
    value = members.get("scope") or members.get("scopes")
    given = _split(value, credential) if isinstance(value, str) else as_list(value)
    scopes = [scope for scope in given[:_MAX_SCOPES] if isinstance(scope, str) and scope and scope.isprintable()]
    asked_as = credential.scope_aliases
    both = [one for scope in scopes for one in (scope, asked_as.get(scope, scope))]
    if both and members.get("refresh_token"):
        both += [scope for scope in credential.all_scopes if scope in _OFFLINE]
    return tuple(dict.fromkeys(both)) or None


def _split(text: str, credential: OAuth2Credential) -> Sequence[object]:
    separators = {credential.scope_separator, ","}
    for separator in separators:
        if separator and not any(separator in scope for scope in credential.all_scopes):
            text = text.replace(separator, " ")
    return text.split()


def _jwt_exp(token: Secret) -> float | None:
    """Return the ``exp`` of a JWT access token, unverified.

    RFC 9068 section 6 makes the token opaque to us, so nothing else is taken from it, and this only where the
    provider says nothing itself (monday.com: R13).  At worst we refresh at a wrong time.
    """
    parts = token.reveal().split(".")
    if len(parts) != _JWT_PARTS:
        return None
    payload = parts[1]
    try:
        claims = as_object(read_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()))
    except ValueError:
        return None
    return unix_time(claims.get("exp")) if claims else None
