"""Records whose token object lies in a plain secret service: how row and token are told apart and put together.

The row in the ledger holds all facts but the grant itself; in place of the sealed grant it holds an empty mark that
there is one.  Its environment carries a suffix, so that connections of a secret service and those of the embedded
store do not meet where both use the same file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from valetkey.errors import StoreError, clean
from valetkey.model.connections import ConnectionKey, Record, Sealed
from valetkey.model.grants import Grant

_SUFFIX: Final = "@secrets"
_ELSEWHERE: Final = Sealed(b"", "")


def ledger_env(env: str) -> str:
    """Return the environment under which the ledger keeps rows of `env`."""
    return env + _SUFFIX


def ledger_key(key: ConnectionKey) -> ConnectionKey:
    """Return the key under which the ledger keeps the row."""
    return replace(key, env=ledger_env(key.env))


def to_row(record: Record) -> Record:
    """Return a record as the ledger keeps it: without its token object."""
    sealed = None if record.sealed is None else _ELSEWHERE
    return replace(record, key=ledger_key(record.key), sealed=sealed)


def is_row(row: Record | None) -> bool:
    """Whether it is a row of ours, not one of the embedded store."""
    return row is not None and row.key.env.endswith(_SUFFIX)


def joined(row: Record, text: str | None) -> Record:
    """Return the record that a row and its token object make."""
    key = replace(row.key, env=row.key.env.removesuffix(_SUFFIX))
    return replace(row, key=key, sealed=None if text is None else Sealed(text.encode(), ""))


def agrees(row: Record, text: str | None) -> bool:
    """Whether the token object is the one that the row tells of.

    Not by the access token alone: what is bought for one resource (RFC 8707) leaves that as it is.
    """
    if text is None or row.sealed is None:
        return text is None and row.sealed is None
    token = read_token(text, row.secret_id)
    refresh = token.refresh_token.fingerprint() if token.refresh_token else ""
    return (token.access_token.fingerprint(), refresh) == (row.access_fp, row.refresh_fp)


def plain_text(sealed: Sealed | None) -> str | None:
    """Return the token object that a record brings along.

    Raises:
        StoreError: It is sealed: a secret service keeps token objects as they are.
    """
    if sealed is None:
        return None
    if sealed.key_id:
        msg = f"A plain secret service keeps unsealed token objects; this one is sealed with the key {sealed.key_id}."
        raise StoreError(msg, code="store_unsealed", hint="Use a store, such as SQLiteStore, for sealed grants.")
    return sealed.blob.decode()


def read_token(text: str, secret_id: str) -> Grant:
    """Read a token object, also as other clients write it.

    Raises:
        StoreError: It is none (``row_corrupt``).  It is kept as it is.
    """
    try:
        return Grant.from_json(text)
    except (ValueError, TypeError):  # their messages may quote the text
        name = clean(secret_id)
        raise StoreError(
            f"The secret {name!r} is not a token object: it must be a JSON object with an access_token.",
            code="row_corrupt",
            hint=f"Mend the secret {name!r}; or delete it and connect the account again.",
        ) from None


def taken_over(row: Record, text: str, now: float) -> Record:
    """Return the row moved on to a token object that somebody else put into the service."""
    grant = read_token(text, row.secret_id)
    return replace(
        _settled(row),
        state="connected",
        expires_at=grant.expires_at,
        refresh_expires_at=grant.refresh_expires_at,
        sign_in_due_at=None,  # the service does not say how long whoever wrote it had been signed in
        obtained_at=grant.obtained_at or now,
        granted=grant.scope or row.granted,
        refreshable=grant.refresh_token is not None,
        access_fp=grant.access_token.fingerprint(),
        refresh_fp=grant.refresh_token.fingerprint() if grant.refresh_token else "",
        sealed=_ELSEWHERE,
        connected_at=row.connected_at or now,
        last_refresh_at=now if row.sealed is not None else row.last_refresh_at,
        due_at=grant.expires_at if grant.refresh_token else None,
    )


def vanished(row: Record) -> Record:
    """Return the row of a connection whose token object somebody removed: a disconnect, so a new incarnation (R14)."""
    return replace(
        _settled(row),
        incarnation=row.incarnation + 1,
        state="disconnected",
        due_at=None,
        expires_at=None,
        refresh_expires_at=None,
        sign_in_due_at=None,
        obtained_at=None,
        refreshable=False,
        access_fp="",
        refresh_fp="",
        sealed=None,
    )


def _settled(row: Record) -> Record:
    """Return the row one version on, with nothing left of its old troubles."""
    return replace(
        row,
        version=row.version + 1,
        claim=None,
        doubt=0,
        reason="",
        error="",
        error_text="",
        failures=0,
        next_try_at=None,
        cooldown_until=None,
    )
