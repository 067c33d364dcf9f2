"""What PostgreSQL, and the way to it, complain of, as errors with a code and a next step."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores import _troubles
from valetkey.stores._postgres_url import Place
from valetkey.stores._texts import bad_text
from valetkey.stores._troubles import Trouble, delete_statement

_TRY_AGAIN: Final = "Look whether the server runs and can be reached: pg_isready -d"
_MAKE_ANOTHER: Final = "Make one with UTF8: createdb -E UTF8 -T template0 NAME"


class Slow(psycopg.OperationalError):
    """The server did not answer in time; nobody knows what it is doing."""


@contextmanager
def translated(place: Place) -> Generator[None]:
    """Turn errors of psycopg in the block into those of valetkey."""
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error, place) from error
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise bad_text() from error


def lost(error: psycopg.Error) -> bool:
    """Tell whether the connection is gone, or leads to a server that takes no writes any more."""
    state = error.sqlstate or ""
    gone = not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return gone or state[:2] == "08" or state[:3] == "57P" or state in {"25006", "25P03"}


def worth_another_try(error: psycopg.Error) -> bool:
    """Tell whether what failed, and surely was not committed, may well succeed on a new connection at once."""
    return (lost(error) and not isinstance(error, Slow)) or error.sqlstate in {"40001", "40P01"}


def store_error(error: psycopg.Error, place: Place) -> ValetkeyError:
    """Return the error to raise for one of psycopg's that a statement brought."""
    state = error.sqlstate or ""
    if trouble := _BY_STATE.get(state) or _BY_CLASS.get(state[:2]):
        return trouble(place)
    if lost(error):
        return unreachable(place, "the connection was lost" if state else detail(error, place))
    if isinstance(error, psycopg.DataError) and not state:
        return bad_text("the character NUL, which PostgreSQL cannot keep", "bytes were taken for text")
    told = clean(error.diag.message_primary or type(error).__name__)
    return StoreError(
        f"The store {place.url} failed: {state or type(error).__name__}: {told}.", hint="Look at: valetkey doctor"
    )


def detail(error: psycopg.Error, place: Place) -> str:
    """Return what libpq says, in one line, without passwords and without the questions it asks back."""
    text = str(error)
    for secret in place.secrets:
        text = text.replace(secret.reveal(), "****")
    lines = (line.strip() for line in text.replace("FATAL:", "").replace("connection failed: ", "").splitlines())
    return clean(" ".join(line for line in lines if not line.endswith("?")))


# -- connecting ------------------------------------------------------------------------------------------------------


def connect_error(error: psycopg.Error, place: Place) -> ValetkeyError:
    """Return the error to raise where no connection comes about.  libpq gives no code for this, only words."""
    text = str(error)
    for words, trouble in _BY_WORDS:
        if words.search(text):
            return trouble(place)
    return unreachable(place, detail(error, place))


def unreachable(place: Place, reason: str) -> StoreUnavailable:
    """Return the error for a server that does not answer."""
    return StoreUnavailable(f"The store {place.url} does not answer: {reason}.", hint=f"{_TRY_AGAIN} '{place.url}'")


_LOGIN: Final = Trouble(
    "The server of the store {store.url} refuses the login: user, password or pg_hba.conf do not allow it.",
    code="store_login",
    hint="Check user and password in the URL (or PGPASSWORD, ~/.pgpass), and the server's pg_hba.conf.",
)
_NO_DATABASE: Final = Trouble(
    "The store {store.url} is not there: the server has no such database.",
    code="store_missing",
    hint="Make it, with the encoding UTF8: createdb -E UTF8 -T template0 NAME; or correct the URL.",
)
_CROWDED: Final = Trouble(
    "The server of the store {store.url} takes no more connections.",
    code="store_busy",
    hint="Raise max_connections there, put pgbouncer before it, or lower pool_size= of each process.",
)
_STARTING: Final = Trouble(
    "The store {store.url} does not answer: the server starts, stops or recovers.",
    hint=f"{_TRY_AGAIN} '{{store.url}}'",
)
_REPLICA: Final = Trouble(
    "The store {store.url} leads to a replica or a server that is read-only; nothing was read there, "
    "for a replica lags behind.",
    code="store_read_only",
    hint="Name the primary; or all hosts, of which the primary is found: postgresql://user@host1,host2/database",
)

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], Trouble], ...]] = tuple(
    (re.compile(words, re.IGNORECASE), trouble)
    for words, trouble in (
        (r"session is read-only|server is in hot standby|read-write", _REPLICA),
        (r"authentication failed|no password supplied|pg_hba\.conf|role .* does not exist|auth failed", _LOGIN),
        (r"database .* does not exist|no such database", _NO_DATABASE),
        (r"too many (clients|connections)|connection slots|no more connections allowed", _CROWDED),
        (r"the database system is (starting|shutting|in recovery)|not yet accepting connections", _STARTING),
    )
)


# -- statements ------------------------------------------------------------------------------------------------------


def row_corrupt(place: Place, what: str, reason: str, table: str, **key: str) -> StoreError:
    """Return the error for one damaged row, which `key` names in `table`; all others can still be read."""
    remove = delete_statement(f"{place.quoted_schema}.{table}", key)
    return _troubles.row_corrupt(place.url, what, reason, remove=remove, kind=key.get("kind", ""))


def encoding(place: Place, found: str) -> ConfigurationError:
    """Return the error for a database that cannot hold all text."""
    return ConfigurationError(
        f"The database of the store {place.url} has the encoding {clean(found)}, and cannot hold every name.",
        code="store_url",
        hint=_MAKE_ANOTHER,
    )


BUSY: Final = Trouble(
    "All connections of this process to the store {store.url} are in use. Nothing was changed.",
    code="store_busy",
    hint="Try again; if it stays so, raise pool_size=, or look for slow statements in pg_stat_activity.",
)
_LOCKED: Final = Trouble(
    "The store {store.url} is locked by another transaction, which did not end in time. Nothing was changed.",
    code="store_locked",
    hint="Try again; if it stays so, find who: SELECT pid, state, query FROM pg_stat_activity",
)
MISSING: Final = Trouble(
    "The tables of the store {store.url} are gone: the schema {store.quoted_schema} was dropped or renamed.",
    code="store_missing",
    hint="Restore the database from a backup. A program that starts anew makes an empty store there.",
    kind=StoreError,
)
_FORBIDDEN: Final = Trouble(
    "The store {store.url} may not be used by this role.",
    code="store_privilege",
    hint="As its owner: GRANT USAGE ON SCHEMA {store.quoted_schema} TO ROLE; GRANT SELECT, INSERT, UPDATE, "
    "DELETE ON ALL TABLES IN SCHEMA {store.quoted_schema} TO ROLE",
    kind=StoreError,
)
MAY_NOT_MAKE: Final = Trouble(
    "The store {store.url} has no tables in the current form yet, and this role may not make them.",
    code="store_privilege",
    hint="As an administrator: CREATE SCHEMA {store.quoted_schema} AUTHORIZATION ROLE; or start once as a role "
    "that may make them.",
    kind=StoreError,
)
FOREIGN: Final = Trouble(
    "The schema {store.quoted_schema} of {store.url} holds tables of another program. They were not touched.",
    code="store_foreign",
    hint="Name a schema of its own: postgresql://.../database?schema=valetkey",
    kind=StoreError,
)
_NOT_UTF8: Final = Trouble(
    "The database of the store {store.url} has another encoding than UTF8, and cannot hold every name.",
    code="store_url",
    hint=_MAKE_ANOTHER,
    kind=ConfigurationError,
)
_FULL: Final = Trouble(
    "The server of the store {store.url} has no room left. Nothing was changed.",
    code="store_full",
    hint="Make room on the server's disk, then try again.",
)
_TOO_LONG: Final = Trouble(
    "A name for the store is too long: credential, owner and account take more than 2,600 bytes together.",
    code="owner_invalid",
    hint="Use shorter owners and account labels.",
    kind=ConfigurationError,
)
_CORRUPT: Final = Trouble(
    "The server of the store {store.url} reports damaged data. It is kept as it is.",
    code="store_corrupt",
    hint="Restore the database from a backup; the server's log says more.",
    kind=StoreError,
)
_IO: Final = Trouble(
    "The server of the store {store.url} cannot read or write its disk. What was stored is kept.",
    code="store_io",
    hint="Look at the server's log and its disk; then try again.",
)

_BY_STATE: Final[dict[str, Trouble]] = {
    "25006": _REPLICA,
    "22021": _NOT_UTF8,
    "22P05": _NOT_UTF8,
    "3F000": MISSING,
    "42P01": MISSING,
    "42883": MISSING,
    "42501": _FORBIDDEN,
    "53100": _FULL,
    "53300": _CROWDED,
    "54000": _TOO_LONG,
    "55P03": _LOCKED,
    "57014": _LOCKED,
    "40001": _LOCKED,
    "40P01": _LOCKED,
}
_BY_CLASS: Final[dict[str, Trouble]] = {"58": _IO, "XX": _CORRUPT}
