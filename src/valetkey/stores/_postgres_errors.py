"""What PostgreSQL, and the way to it, complain of, as errors with a code and a next step."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import psycopg

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores._postgres_url import Place
from valetkey.stores._rules import DATA_KEY
from valetkey.stores._texts import bad_text, literal

_TRY_AGAIN: Final = "Look whether the server runs and can be reached: pg_isready -d"


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
    make = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if make is not None:
        return make(place)
    if lost(error):
        return unreachable(place, "the connection was lost" if state else detail(error, place))
    if isinstance(error, psycopg.DataError) and not state:
        return bad_text("the character NUL, which PostgreSQL cannot keep", "bytes were taken for text")
    told = clean(error.diag.message_primary or type(error).__name__)
    return StoreError(
        f"The store {place.url} failed: {state or type(error).__name__}: {told}.", hint="Look at: valetkey doctor"
    )


def detail(error: psycopg.Error, place: Place) -> str:
    """Return what libpq says, in one line and without passwords."""
    text = str(error)
    for secret in place.secrets:
        text = text.replace(secret.reveal(), "****")
    return clean(text.replace("FATAL:", "").replace("connection failed: ", ""))


# -- connecting ------------------------------------------------------------------------------------------------------


def connect_error(error: psycopg.Error, place: Place) -> StoreError:
    """Return the error to raise where no connection comes about.  libpq gives no code for this, only words."""
    text = str(error)
    for words, make in _BY_WORDS:
        if words.search(text):
            return make(place)
    return unreachable(place, detail(error, place))


def unreachable(place: Place, reason: str) -> StoreUnavailable:
    """Return the error for a server that does not answer."""
    return StoreUnavailable(f"The store {place.url} does not answer: {reason}.", hint=f"{_TRY_AGAIN} '{place.url}'")


def _login(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server of the store {place.url} refuses the login: user, password or pg_hba.conf do not allow it.",
        code="store_login",
        hint="Check user and password in the URL (or PGPASSWORD, ~/.pgpass), and the server's pg_hba.conf.",
    )


def _no_database(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {place.url} is not there: the server has no such database.",
        code="store_missing",
        hint="Make it, with the encoding UTF8: createdb -E UTF8 -T template0 NAME; or correct the URL.",
    )


def _crowded(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server of the store {place.url} takes no more connections.",
        code="store_busy",
        hint="Raise max_connections there, put pgbouncer before it, or lower pool_size= of each process.",
    )


def _starting(place: Place) -> StoreUnavailable:
    return unreachable(place, "the server starts, stops or recovers")


def replica(place: Place) -> StoreUnavailable:
    """Return the error for a server that is no primary."""
    return StoreUnavailable(
        f"The store {place.url} leads to a replica or a server that is read-only; nothing was read there, "
        "for a replica lags behind.",
        code="store_read_only",
        hint="Name the primary; or all hosts, of which the primary is found: postgresql://user@host1,host2/database",
    )


_BY_WORDS: Final[tuple[tuple[re.Pattern[str], Callable[[Place], StoreUnavailable]], ...]] = tuple(
    (re.compile(words, re.IGNORECASE), make)
    for words, make in (
        (r"session is read-only|server is in hot standby|read-write", replica),
        (r"authentication failed|no password supplied|pg_hba\.conf|role .* does not exist|auth failed", _login),
        (r"database .* does not exist|no such database", _no_database),
        (r"too many (clients|connections)|connection slots|no more connections allowed", _crowded),
        (r"the database system is (starting|shutting|in recovery)|not yet accepting connections", _starting),
    )
)


# -- statements ------------------------------------------------------------------------------------------------------


def answer_lost(place: Place) -> StoreUnavailable:
    """Return the error for a commit of which nobody knows whether it happened."""
    return StoreUnavailable(
        f"The store {place.url} was asked to commit, and its answer was lost: the write may have happened, or not.",
        code="store_answer_lost",
        hint="Read before writing again.  If it happens often, look at the network and the server's log.",
    )


def busy(place: Place) -> StoreUnavailable:
    """Return the error for a pool of which all connections are lent."""
    return StoreUnavailable(
        f"All connections of this process to the store {place.url} are in use. Nothing was changed.",
        code="store_busy",
        hint="Try again; if it stays so, raise pool_size=, or look for slow statements in pg_stat_activity.",
    )


def locked(place: Place) -> StoreUnavailable:
    """Return the error for a lock that was not to be had in time."""
    return StoreUnavailable(
        f"The store {place.url} is locked by another transaction, which did not end in time. Nothing was changed.",
        code="store_locked",
        hint="Try again; if it stays so, find who: SELECT pid, state, query FROM pg_stat_activity",
    )


def missing(place: Place) -> StoreError:
    """Return the error for tables that are gone."""
    return StoreError(
        f"The tables of the store {place.url} are gone: the schema {place.quoted_schema} was dropped or renamed.",
        code="store_missing",
        hint="Restore the database from a backup. A program that starts anew makes an empty store there.",
    )


def forbidden(place: Place) -> StoreError:
    """Return the error for a role that may not use the tables."""
    return StoreError(
        f"The store {place.url} may not be used by this role.",
        code="store_privilege",
        hint=f"As its owner: GRANT USAGE ON SCHEMA {place.quoted_schema} TO ROLE; GRANT SELECT, INSERT, UPDATE, "
        f"DELETE ON ALL TABLES IN SCHEMA {place.quoted_schema} TO ROLE",
    )


def may_not_make(place: Place) -> StoreError:
    """Return the error for a role that may not make the tables."""
    return StoreError(
        f"The store {place.url} has no tables in the current form yet, and this role may not make them.",
        code="store_privilege",
        hint=f"As an administrator: CREATE SCHEMA {place.quoted_schema} AUTHORIZATION ROLE; or start once as a role "
        "that may make them.",
    )


def newer(place: Place, found: int, known: int) -> StoreError:
    """Return the error for a store that a later valetkey has written."""
    return StoreError(
        f"The store {place.url} was written by a newer valetkey (schema {found}; this one knows {known}). It is kept.",
        code="store_newer",
        hint="Upgrade this one: pip install --upgrade valetkey",
    )


def foreign(place: Place) -> StoreError:
    """Return the error for tables of another program."""
    return StoreError(
        f"The schema {place.quoted_schema} of {place.url} holds tables of another program. They were not touched.",
        code="store_foreign",
        hint="Name a schema of its own: postgresql://.../database?schema=valetkey",
    )


def encoding(place: Place, found: str) -> ConfigurationError:
    """Return the error for a database that cannot hold all text."""
    return ConfigurationError(
        f"The database of the store {place.url} has the encoding {clean(found)}, and cannot hold every name.",
        code="store_url",
        hint="Make one with UTF8: createdb -E UTF8 -T template0 NAME",
    )


def row_corrupt(place: Place, what: str, reason: str, table: str, **key: str) -> StoreError:
    """Return the error for one damaged row, which `key` names in `table`; all others can still be read."""
    which = " AND ".join(f"{name} = {literal(text)}" for name, text in key.items())
    hint = f"Restore it from a backup; or remove this row: DELETE FROM {place.quoted_schema}.{table} WHERE {which}"  # noqa: S608 - for a person to read
    if key.get("kind") == DATA_KEY:
        hint = "Restore the store from a backup. Do not remove this row: nothing else opens what it has sealed."
    return StoreError(
        f"{what} in the store {place.url} is damaged: {reason}. It is kept as it is.", code="row_corrupt", hint=hint
    )


def _full(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server of the store {place.url} has no room left. Nothing was changed.",
        code="store_full",
        hint="Make room on the server's disk, then try again.",
    )


def _too_long(_: Place) -> ConfigurationError:
    return ConfigurationError(
        "A name for the store is too long: credential, owner and account take more than 2,600 bytes together.",
        code="owner_invalid",
        hint="Use shorter owners and account labels.",
    )


def _corrupt(place: Place) -> StoreError:
    return StoreError(
        f"The server of the store {place.url} reports damaged data. It is kept as it is.",
        code="store_corrupt",
        hint="Restore the database from a backup; the server's log says more.",
    )


def _io(place: Place) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server of the store {place.url} cannot read or write its disk. What was stored is kept.",
        code="store_io",
        hint="Look at the server's log and its disk; then try again.",
    )


def _untranslatable(place: Place) -> ConfigurationError:
    return encoding(place, "of another kind than UTF8")


_BY_STATE: Final[dict[str, Callable[[Place], ValetkeyError]]] = {
    "25006": replica,
    "22021": _untranslatable,
    "22P05": _untranslatable,
    "3F000": missing,
    "42P01": missing,
    "42883": missing,
    "42501": forbidden,
    "53100": _full,
    "53300": _crowded,
    "54000": _too_long,
    "55P03": locked,
    "57014": locked,
    "40001": locked,
    "40P01": locked,
}
_BY_CLASS: Final[dict[str, Callable[[Place], ValetkeyError]]] = {"58": _io, "XX": _corrupt}
