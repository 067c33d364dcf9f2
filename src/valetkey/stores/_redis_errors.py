"""What Redis, or the way to it, complains of, as errors with a code and a next step."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from redis import exceptions as redis_errors

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores._rules import DATA_KEY


class Conflict(Exception):
    """What a write was decided from has changed meanwhile: decide again."""


@contextmanager
def translated(url: str, *, writes: bool = False) -> Generator[None]:
    """Turn errors of Redis in the block into those of valetkey."""
    try:
        yield
    except redis_errors.RedisError as error:
        raise store_error(error, url, writes=writes) from error
    except (OSError, ValueError, IndexError) as error:  # what a connection says that another thread closes
        raise (answer_lost(url) if writes else no_answer(url, str(error) or type(error).__name__)) from error


def store_error(error: redis_errors.RedisError, url: str, *, writes: bool = False) -> ValetkeyError:
    """Return the error to raise for one of Redis."""
    text = clean(error)
    if isinstance(error, (redis_errors.AuthenticationError, redis_errors.AuthorizationError)):
        return _login(url)
    for kind, make in _BY_CLASS.items():
        if isinstance(error, kind):
            return make(url)
    for words, make in _BY_WORDS:
        if words.search(text):
            return make(url)
    if isinstance(error, (redis_errors.ConnectionError, redis_errors.TimeoutError)):
        return _no_way(error, url, writes=writes)
    return StoreError(f"The store {url} failed: {text}.", hint="Look at the log of the server.")


def _no_way(error: redis_errors.RedisError, url: str, *, writes: bool) -> StoreUnavailable:
    cause = error.__context__
    if isinstance(cause, ssl.SSLError):
        return _tls(url, getattr(cause, "verify_message", "") or cause.reason or str(cause))
    reason = str(cause.strerror or cause) if isinstance(cause, OSError) else str(error)
    if "connecting to" in str(error):
        return no_answer(url, f"it is not reached ({clean(reason)}), and nothing was sent")
    return answer_lost(url) if writes else no_answer(url, reason)


def no_answer(url: str, reason: str) -> StoreUnavailable:
    """Return the error for a server that does not answer."""
    return StoreUnavailable(
        f"The store {url} does not answer: {clean(reason).rstrip('.')}.",
        hint="Try again; if it stays so, look whether it runs and is reached from here: redis-cli -u URL ping",
    )


def answer_lost(url: str) -> StoreUnavailable:
    """Return the error for a write of which nobody knows whether it happened."""
    return StoreUnavailable(
        f"The store {url} was asked to write, and its answer was lost: the write may have happened, or not.",
        code="store_answer_lost",
        hint="Read before writing again. If it happens often, look at the network and the log of the server.",
    )


def _tls(url: str, reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} is not trusted: {clean(reason)}. Nothing was sent.",
        code="store_tls",
        hint="Name the authority that signed the server's certificate: rediss://...?ssl_ca_certs=/etc/ssl/redis-ca.pem;"
        " the host in the URL must be one that the certificate names.",
    )


def _login(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} does not let us in: user name or password are wrong or missing. Nothing was sent.",
        code="store_login",
        hint="Write them before the host, percent-encoded: redis://user:password@host:6379/0",
    )


def _loading(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} is starting: the server reads its data from disk. Nothing was changed.",
        hint="Try again in a moment.",
    )


def replica(url: str) -> StoreUnavailable:
    """Return the error for a server that is not the primary."""
    return StoreUnavailable(
        f"The store {url} is a read-only replica, which may be behind. Nothing was read from it or changed.",
        code="store_read_only",
        hint="Point the URL at the primary. After a failover: try again in a moment.",
    )


def _full(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} cannot be written: the server's memory is full (maxmemory). What was stored is kept.",
        code="store_full",
        hint="Raise maxmemory, or move other data away: redis-cli -u URL info memory",
    )


def _disk(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} cannot be written: the server cannot save to its disk. What was stored is kept.",
        code="store_io",
        hint="Look at the server's log and disk: redis-cli -u URL info persistence",
    )


def _replicas(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} cannot be written: too few replicas follow it (min-replicas-to-write). Nothing was changed.",
        hint="Look at: redis-cli -u URL info replication",
    )


def _cluster(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} is not served by the cluster at present: it is down, or moves the slot. Nothing was changed.",
        hint="Try again in a moment; if it stays so: redis-cli -u URL cluster info",
    )


def busy(url: str) -> StoreUnavailable:
    """Return the error for connections that are all in use."""
    return StoreUnavailable(
        f"All connections of this process to the store {url} are in use. Nothing was changed.",
        code="store_busy",
        hint="Try again; if it stays so, look for what is slow: redis-cli -u URL slowlog get",
    )


def _crowded(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The server of the store {url} takes no more connections. Nothing was changed.",
        code="store_busy",
        hint="Raise maxclients there, or look who has them: redis-cli -u URL client list",
    )


def _held_up(url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} is held up by a script of another program. Nothing was changed.",
        hint="Try again; if it stays so: redis-cli -u URL script kill",
    )


def _privilege(url: str) -> StoreError:
    return StoreError(
        f"The store {url} forbids what valetkey needs. Nothing was changed.",
        code="store_privilege",
        hint="Allow this user: ACL SETUSER name ~{valetkey:* &{valetkey:* +@all -@admin -@dangerous +info",
    )


def _no_database(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"The store {url} cannot be: the server has no database of that number.",
        code="store_url",
        hint="Use number 0 (a cluster has no other): redis://host:6379/0",
    )


def _wrong_type(url: str) -> StoreError:
    return StoreError(
        f"The store {url} is damaged: a key holds something else than valetkey wrote.",
        code="store_corrupt",
        hint="Restore it from a backup; or choose another store with ?name=",
    )


def not_synced(url: str, seconds: float) -> StoreUnavailable:
    """Return the error for a write that was not on disk in time."""
    return StoreUnavailable(
        f"The store {url} did not bring a write to its disk within {seconds:.0f} s. It is done, but may yet be lost.",
        code="store_io",
        hint="Look at its disk: redis-cli -u URL info persistence; with appendfsync no it never tells: choose another.",
    )


def contended(url: str) -> StoreUnavailable:
    """Return the error for a write that others always got ahead of."""
    return StoreUnavailable(
        f"The store {url} is written by so many at once that we got no turn. Nothing was changed.", hint="Try again."
    )


def gone(url: str) -> StoreError:
    """Return the error for a store that is not the one that was opened."""
    return StoreError(
        f"The store {url} was emptied or replaced while it was in use. Nothing was changed.",
        code="store_replaced",
        hint="Restore it (was FLUSHALL called, or the server started without its data?), and restart this program.",
    )


def newer(url: str, found: str, known: int) -> StoreError:
    """Return the error for a store that a later valetkey has written."""
    return StoreError(
        f"The store {url} was written by a newer valetkey (schema {clean(found, 20)}; this one knows {known})."
        " It is kept.",
        code="store_newer",
        hint="Upgrade this one: pip install --upgrade valetkey",
    )


def row_corrupt(url: str, what: str, reason: str, key: bytes, *, kind: str = "") -> StoreError:
    """Return the error for one damaged row; all others can still be read."""
    hint = f"Restore the store from a backup; or remove this one: redis-cli -u URL DEL {key.decode()!r}"
    if kind == DATA_KEY:
        hint = "Restore the store from a backup. Do not remove this one: nothing else opens what it has sealed."
    return StoreError(
        f"{what} in the store {url} is damaged: {reason}. It is kept as it is.", code="row_corrupt", hint=hint
    )


_BY_CLASS: Final[dict[type[Exception], Callable[[str], ValetkeyError]]] = {
    redis_errors.BusyLoadingError: _loading,
    redis_errors.MasterDownError: replica,
    redis_errors.ReadOnlyError: replica,
    redis_errors.OutOfMemoryError: _full,
    redis_errors.NoPermissionError: _privilege,
    redis_errors.ClusterDownError: _cluster,
    redis_errors.TryAgainError: _cluster,
    redis_errors.AskError: _cluster,
}
"""Errors that redis-py tells apart: their texts lack the word that the server began with."""

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], Callable[[str], ValetkeyError]], ...]] = tuple(
    (re.compile(words), make)
    for words, make in (
        # what an answer of the server begins with, alone or within that of a script
        (r"\bMISCONF\b", _disk),
        (r"\b(READONLY|MASTERDOWN)\b", replica),
        (r"\bOOM\b", _full),
        (r"\bNOREPLICAS\b", _replicas),
        (r"\bNOPERM\b|no permissions to", _privilege),
        (r"\bLOADING\b", _loading),
        (r"\b(CLUSTERDOWN|TRYAGAIN|ASK)\b", _cluster),
        (r"\b(NOAUTH|WRONGPASS)\b", _login),
        (r"\bWRONGTYPE\b", _wrong_type),
        (r"\bBUSY\b", _held_up),
        (r"max number of clients", _crowded),
        (r"DB index is out of range|SELECT is not allowed|invalid DB index", _no_database),
    )
)
