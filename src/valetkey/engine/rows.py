"""Grants as rows: what `import_grants` reads and `export_grants` writes, one connection each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from valetkey.errors import ConfigurationError, clean
from valetkey.model.connections import ConnectionKey, Identity, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.names import check_account, check_owner, has_control, has_marks
from valetkey.protocol.bodies import seconds, unix_time

_ACCESS: Final = re.compile(r"[\x21-\x7e]+")
_REFRESH: Final = re.compile(r"[\x20-\x7e]+")
_TIMES: Final = {
    "expires_at": ("expires_at", "expiresAt"),
    "refresh_expires_at": ("refresh_expires_at", "refreshExpiresAt"),
    "obtained_at": ("obtained_at", "obtainedAt"),
}
_TIME_NAMES: Final = frozenset(name for names in _TIMES.values() for name in names)
_DEAD: Final = frozenset({"needs_reauth", "disconnected", "pending"})
_TOKENS: Final = ("access_token", "accessToken", "refresh_token", "refreshToken", "id_token", "idToken")


class BadRow(Exception):
    """A row that cannot be taken; its text says why and holds nothing secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One row, read and checked."""

    key: ConnectionKey
    grant: Grant
    requested: tuple[str, ...]
    client_id: str
    identity: Identity | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dead: str = ""
    """The state that says the grant was of no use any more where it comes from."""


def read_row(row: Mapping[str, Any], credential: OAuth2Credential, env: str, now: float) -> GrantRow:
    """Read one row of `credential`.  The token may stand under ``token`` (an object or its JSON) or in the row itself.

    Names may be snake_case or camelCase, times seconds, milliseconds or ISO 8601.

    Raises:
        BadRow: It cannot be taken.
    """
    if not credential.signs_in:
        msg = "it is an app's own credential, which gets its token by itself"
        raise BadRow(msg)
    key = _key(row, credential, env)
    grant = _grant(_token_of(row), credential)
    if grant.refresh_token is None and grant.expires_at is not None and grant.expires_at <= now:
        msg = "the access token has ended and there is no refresh token"
        raise BadRow(msg)
    state = row.get("state")
    return GrantRow(
        key=key,
        grant=grant,
        requested=_scopes(row.get("requested"), credential) or credential.all_scopes,
        client_id=_text(row, "client_id", "clientId"),
        identity=_identity(row.get("identity")),
        params=_texts(row, "params"),
        tags=_texts(row, "tags"),
        dead=state if isinstance(state, str) and state in _DEAD else "",
    )


def write_row(record: Record, grant: Grant | None) -> dict[str, Any]:
    """Return a record as a row of plain JSON values; with the token in clear where `grant` is given."""
    key, who = record.key, record.identity
    row: dict[str, Any] = {
        "credential": key.credential,
        "owner": key.owner,
        "account": key.account,
        "id": record.id,
        "state": record.state,
        "requested": list(record.requested),
        "granted": list(record.granted),
        "expires_at": record.expires_at,
        "client_id": record.client_id,
        "identity": who and {"subject": who.subject, "email": who.email, "name": who.name, "login": who.login},
        "params": dict(record.params),
        "tags": dict(record.tags),
    }
    if grant is not None:
        row["token"] = grant.to_token_object()
    return row


def as_mapping(value: object) -> Mapping[str, Any] | None:
    """Return `value` if it is an object with names, else None."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def _key(row: Mapping[str, Any], credential: OAuth2Credential, env: str) -> ConnectionKey:
    try:
        owner = check_owner(row.get("owner"), credential)
        return ConnectionKey(env, credential.name, owner, check_account(row.get("account") or ""))
    except ConfigurationError as error:
        raise BadRow(str(error)) from None


def _token_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    value: object = row.get("token", row)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            msg = "its token is a text that is no JSON"
            raise BadRow(msg) from None
    token = as_mapping(value)
    if token is None:
        msg = "its token is no object"
        raise BadRow(msg)
    return token


def _grant(token: Mapping[str, Any], credential: OAuth2Credential) -> Grant:
    plain = {
        name: value for name, value in token.items() if name not in {n for names in _TIMES.values() for n in names}
    }
    plain["scope"] = _scopes(token.get("scope", token.get("scopes")), credential)
    for name in _TOKENS:
        if not isinstance(token.get(name), str | None):
            msg = f"its {name} is no text"
            raise BadRow(msg)
    times = {name: _time(token, spellings) for name, spellings in _TIMES.items()}
    if times["expires_at"] is None and times["obtained_at"] is not None:
        life = seconds(token.get("expires_in", token.get("expiresIn")))
        times["expires_at"] = None if life is None else times["obtained_at"] + life
    try:
        grant = Grant.from_token_object({**plain, **times})
    except (ValueError, TypeError):
        msg = "it holds no access token"
        raise BadRow(msg) from None
    if not all(_ACCESS.fullmatch(one.access_token.reveal()) for one in grant.access_tokens):
        msg = "its access token is none that a header can carry"
        raise BadRow(msg)
    if grant.refresh_token is not None and not _REFRESH.fullmatch(grant.refresh_token.reveal()):
        msg = "its refresh token holds characters that no refresh token has"
        raise BadRow(msg)
    return grant


def _time(token: Mapping[str, Any], spellings: tuple[str, ...]) -> float | None:
    value = next((token[name] for name in spellings if token.get(name) not in (None, "")), None)
    if value is None:
        return None
    moment = unix_time(value)
    if moment is None:
        msg = f"its {spellings[0]} is no time"
        raise BadRow(msg)
    return moment


def _scopes(value: object, credential: OAuth2Credential) -> tuple[str, ...]:
    if isinstance(value, str) and not has_control(value):
        separator = credential.scope_separator
        return tuple(value.replace(separator, " ").split() if separator else value.split())
    if isinstance(value, (list, tuple)):
        scopes = cast("Sequence[object]", value)
        if all(isinstance(scope, str) and not has_control(scope) for scope in scopes):
            return tuple(str(scope) for scope in scopes)
    if value is None:
        return ()
    msg = "its scopes are neither a text nor a list of texts"
    raise BadRow(msg)


def _identity(value: object) -> Identity | None:
    parts = as_mapping(value)
    if parts is None:
        return None
    who = Identity(**{name: clean(parts.get(name) or "", 200) for name in ("subject", "email", "name", "login")})
    return who if who.title else None


def _text(row: Mapping[str, Any], *names: str) -> str:
    text = next((str(row[name]) for name in names if row.get(name)), "")
    if has_control(text) or has_marks(text):
        msg = f"its {names[0]} holds control characters, or marks that turn the direction of text"
        raise BadRow(msg)
    return text


def _texts(row: Mapping[str, Any], name: str) -> dict[str, str]:
    value = as_mapping(row.get(name) or {})
    if value is None:
        msg = f"its {name} are no object"
        raise BadRow(msg)
    for key, item in value.items():
        if not isinstance(item, str | int | float) or has_control(f"{key}{item}") or has_marks(f"{key}{item}"):
            msg = f"its {name} hold something that is no plain text"
            raise BadRow(msg)
    return {str(key): str(item) for key, item in value.items()}
