"""The grant: one token set, and its form as the stored token object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

from valetkey.values import Secret, Value

_MILLISECONDS = 100_000_000_000
"""Unix times above this are in milliseconds: as seconds they would lie beyond the year 5138."""


EMPTY_TOKENS: Final[Mapping[str, ResourceToken]] = MappingProxyType({})
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResourceToken(Value):
    """An access token that the grant's refresh token bought for one resource (RFC 8707 section 2.2).

    What it is bound to, a key or a certificate, is what the grant's own access token is bound to.

    Attributes:
        access_token: What the resource takes.
        token_type: As the provider wrote it.
        expires_at: Unix seconds at which it ends; None when unknown or never.
        scope: The scopes that it holds.
        obtained_at: Unix seconds at which it arrived.
    """

    access_token: Secret
    token_type: str = "bearer"  # noqa: S105 - a scheme, not a password
    expires_at: float | None = None
    scope: tuple[str, ...] = ()
    obtained_at: float = 0.0

    def to_object(self) -> dict[str, Any]:
        """Return it as plain JSON values, the token in clear."""
        token: dict[str, Any] = {
            "access_token": self.access_token.reveal(),
            "token_type": self.token_type,
            "scope": " ".join(self.scope),
            "obtained_at": self.obtained_at,
        }
        return token if self.expires_at is None else {**token, "expires_at": self.expires_at}

    @classmethod
    def from_object(cls, token: Mapping[str, Any]) -> ResourceToken:
        """Read what `to_object` wrote.

        Raises:
            ValueError: It holds no access token.
        """
        access = _secret(token, "access_token")
        if access is None:
            msg = "the token of a resource holds no access_token"
            raise ValueError(msg)
        return cls(
            access_token=access,
            token_type=_text(token, "token_type") or "bearer",
            expires_at=_seconds(token.get("expires_at")),
            scope=tuple(str(token.get("scope") or "").split()),
            obtained_at=_seconds(token.get("obtained_at")) or 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Grant(Value):
    """The token set of one connection.

    Attributes:
        access_token: What the API takes.
        refresh_token: What buys the next access token, where the provider gave one.
        token_type: As the provider wrote it; compare without case (RFC 6749 section 7.1).
        expires_at: Unix seconds at which the access token ends; None when unknown or never.
        refresh_expires_at: Unix seconds at which the refresh token ends, where the provider says so.
        scope: The scopes that were granted, which may differ from those asked for.
        id_token: The OpenID Connect id token, where one came.
        obtained_at: Unix seconds at which this token set arrived.
        quarantined: A refresh token that came in an answer which could not be used otherwise.  `refresh_token` may be
            spent with it, so this is what the next refresh sends.
        dpop_key: The private key, as the JSON text of a JWK, that the tokens are bound to (RFC 9449); None: they are
            bearer tokens.
        authorization_details: What exactly was granted, as JSON text (RFC 9396), which may differ from what was asked
            for; empty where the provider does not say.
        resources: The resources that the sign-in asked for (RFC 8707); none where that is not known, or it named none.
        resource_tokens: Access tokens for one resource each, by the resource's URI (RFC 8707), which the same refresh
            token bought.
    """

    access_token: Secret
    refresh_token: Secret | None = None
    token_type: str = "bearer"  # noqa: S105 - a scheme, not a password
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    scope: tuple[str, ...] = ()
    id_token: Secret | None = None
    obtained_at: float = 0.0
    quarantined: Secret | None = None
    dpop_key: Secret | None = None
    authorization_details: str = ""
    resources: tuple[str, ...] = ()
    resource_tokens: Mapping[str, ResourceToken] = field(default_factory=lambda: EMPTY_TOKENS)

    @property
    def access_tokens(self) -> tuple[ResourceToken, ...]:
        """All its access tokens, its own first.  One that is both counts once, as that of the resource."""
        own = ResourceToken(
            access_token=self.access_token,
            token_type=self.token_type,
            expires_at=self.expires_at,
            scope=self.scope,
            obtained_at=self.obtained_at,
        )
        every = (own, *self.resource_tokens.values())
        return tuple({token.access_token.fingerprint(): token for token in every}.values())

    def to_token_object(self) -> dict[str, Any]:
        """Return the stored form: plain JSON values, secrets in clear.  For sealing, never for printing."""
        token: dict[str, Any] = {
            "access_token": self.access_token.reveal(),
            "token_type": self.token_type,
            "scope": " ".join(self.scope),
            "obtained_at": self.obtained_at,
        }
        optional: dict[str, Any] = {
            "refresh_token": self.refresh_token and self.refresh_token.reveal(),
            "expires_at": self.expires_at,
            "refresh_expires_at": self.refresh_expires_at,
            "id_token": self.id_token and self.id_token.reveal(),
            "quarantined": self.quarantined and self.quarantined.reveal(),
            "dpop_key": self.dpop_key and self.dpop_key.reveal(),
            "authorization_details": self.authorization_details or None,
            "resources": list(self.resources) or None,
            "resource_tokens": {name: token.to_object() for name, token in self.resource_tokens.items()} or None,
        }
        token.update({name: value for name, value in optional.items() if value is not None})
        return token

    def to_json(self) -> bytes:
        """Return the token object as UTF-8 JSON."""
        return _encode(self.to_token_object()).encode()

    @classmethod
    def from_token_object(cls, token: Mapping[str, Any]) -> Grant:
        """Read a token object; camelCase names and times in milliseconds are understood too.

        Raises:
            ValueError: The object holds no access token.
        """
        access = _secret(token, "access_token", "accessToken")
        if access is None:
            msg = "the token object holds no access_token"
            raise ValueError(msg)
        scope = token.get("scope") or ()
        return cls(
            access_token=access,
            refresh_token=_secret(token, "refresh_token", "refreshToken"),
            token_type=_text(token, "token_type", "tokenType") or "bearer",
            expires_at=_seconds(token.get("expires_at", token.get("expiresAt"))),
            refresh_expires_at=_seconds(token.get("refresh_expires_at", token.get("refreshExpiresAt"))),
            scope=tuple(scope.split()) if isinstance(scope, str) else tuple(scope),
            id_token=_secret(token, "id_token", "idToken"),
            obtained_at=_seconds(token.get("obtained_at", token.get("obtainedAt"))) or 0.0,
            quarantined=_secret(token, "quarantined"),
            dpop_key=_secret(token, "dpop_key"),
            authorization_details=_text(token, "authorization_details") or "",
            resources=_texts(token.get("resources")),
            resource_tokens=_by_resource(token.get("resource_tokens")),
        )

    @classmethod
    def from_json(cls, data: bytes | str) -> Grant:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is not a JSON object with an access token.
        """
        token = json.loads(data)
        if not isinstance(token, dict):
            msg = "the token object is not a JSON object"
            raise ValueError(msg)  # noqa: TRY004 - the caller gave text, not a type
        return cls.from_token_object(cast("dict[str, Any]", token))


def _texts(value: object) -> tuple[str, ...]:
    if not value:
        return ()
    texts = cast("list[object]", value if isinstance(value, (list, tuple)) else [None])
    if not all(isinstance(text, str) for text in texts):
        msg = "resources of the token object are no list of texts"
        raise ValueError(msg)
    return tuple(map(str, texts))


def _by_resource(value: object) -> Mapping[str, ResourceToken]:
    if not value:
        return EMPTY_TOKENS
    tokens = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {"": None})
    if not all(isinstance(token, Mapping) for token in tokens.values()):
        msg = "resource_tokens of the token object is no object of objects"
        raise ValueError(msg)
    return {name: ResourceToken.from_object(cast("Mapping[str, Any]", token)) for name, token in tokens.items()}


def _text(token: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = token.get(name)
        if value is not None and value != "":
            return str(value)
    return None


def _secret(token: Mapping[str, Any], *names: str) -> Secret | None:
    value = _text(token, *names)
    return None if value is None else Secret(value)


def _seconds(value: object) -> float | None:
    if value is None or value == "" or isinstance(value, bool):
        return None
    if not isinstance(value, (int, float, str)):
        msg = "a time in the token object is not a number"
        raise ValueError(msg)  # noqa: TRY004
    number = float(value)
    return number / 1000 if number > _MILLISECONDS else number
