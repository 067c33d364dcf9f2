"""What Redis, or the way to it, complains of, as errors with a code and a next step."""

from __future__ import annotations

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from redis import exceptions as redis_errors

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, ValetkeyError, clean
from valetkey.stores import _troubles
from valetkey.stores._troubles import Trouble, answer_lost


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
        return _LOGIN(url)
    for kind, trouble in _BY_CLASS.items():
        if isinstance(error, kind):
            return trouble(url)
    for words, trouble in _BY_WORDS:
        if words.search(text):
            return trouble(url)
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


def _tls(url: str, reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store {url} is not trusted: {clean(reason)}. Nothing was sent.",
        code="store_tls",
        hint="Name the authority that signed the server's certificate: rediss://...?ssl_ca_certs=/etc/ssl/redis-ca.pem;"
        " the host in the URL must be one that the certificate names.",
    )


def not_synced(url: str, seconds: float) -> StoreUnavailable:
    """Return the error for a write that was not on disk in time."""
    return StoreUnavailable(
        f"The store {url} did not bring a write to its disk within {seconds:.0f} s. It is done, but may yet be lost.",
        code="store_io",
        hint="Look at its disk: redis-cli -u URL info persistence; with appendfsync no it never tells: choose another.",
    )


def row_corrupt(url: str, what: str, reason: str, key: bytes, *, kind: str = "") -> StoreError:
    """Return the error for one damaged row, which stands under `key`; all others can still be read."""
    return _troubles.row_corrupt(url, what, reason, remove=f"redis-cli -u URL DEL {key.decode()!r}", kind=kind)


_LOGIN: Final = Trouble(
    "The store {store} does not let us in: user name or password are wrong or missing. Nothing was sent.",
    code="store_login",
    hint="Write them before the host, percent-encoded: redis://user:password@host:6379/0",
)
_LOADING: Final = Trouble(
    "The store {store} is starting: the server reads its data from disk. Nothing was changed.",
    hint="Try again in a moment.",
)
REPLICA: Final = Trouble(
    "The store {store} is a read-only replica, which may be behind. Nothing was read from it or changed.",
    code="store_read_only",
    hint="Point the URL at the primary. After a failover: try again in a moment.",
)
_FULL: Final = Trouble(
    "The store {store} cannot be written: the server's memory is full (maxmemory). What was stored is kept.",
    code="store_full",
    hint="Raise maxmemory, or move other data away: redis-cli -u URL info memory",
)
_DISK: Final = Trouble(
    "The store {store} cannot be written: the server cannot save to its disk. What was stored is kept.",
    code="store_io",
    hint="Look at the server's log and disk: redis-cli -u URL info persistence",
)
_REPLICAS: Final = Trouble(
    "The store {store} cannot be written: too few replicas follow it (min-replicas-to-write). Nothing was changed.",
    hint="Look at: redis-cli -u URL info replication",
)
_CLUSTER: Final = Trouble(
    "The store {store} is not served by the cluster at present: it is down, or moves the slot. Nothing was changed.",
    hint="Try again in a moment; if it stays so: redis-cli -u URL cluster info",
)
BUSY: Final = Trouble(
    "All connections of this process to the store {store} are in use. Nothing was changed.",
    code="store_busy",
    hint="Try again; if it stays so, look for what is slow: redis-cli -u URL slowlog get",
)
_CROWDED: Final = Trouble(
    "The server of the store {store} takes no more connections. Nothing was changed.",
    code="store_busy",
    hint="Raise maxclients there, or look who has them: redis-cli -u URL client list",
)
_HELD_UP: Final = Trouble(
    "The store {store} is held up by a script of another program. Nothing was changed.",
    hint="Try again; if it stays so: redis-cli -u URL script kill",
)
_PRIVILEGE: Final = Trouble(
    "The store {store} forbids what valetkey needs. Nothing was changed.",
    code="store_privilege",
    hint="Allow this user: ACL SETUSER name ~{{valetkey:* &{{valetkey:* +@all -@admin -@dangerous +info",
    kind=StoreError,
)
_NO_DATABASE: Final = Trouble(
    "The store {store} cannot be: the server has no database of that number.",
    code="store_url",
    hint="Use number 0 (a cluster has no other): redis://host:6379/0",
    kind=ConfigurationError,
)
_WRONG_TYPE: Final = Trouble(
    "The store {store} is damaged: a key holds something else than valetkey wrote.",
    code="store_corrupt",
    hint="Restore it from a backup; or choose another store with ?name=",
    kind=StoreError,
)
CONTENDED: Final = Trouble(
    "The store {store} is written by so many at once that we got no turn. Nothing was changed.", hint="Try again."
)
GONE: Final = Trouble(
    "The store {store} was emptied or replaced while it was in use. Nothing was changed.",
    code="store_replaced",
    hint="Restore it (was FLUSHALL called, or the server started without its data?), and restart this program.",
    kind=StoreError,
)

_BY_CLASS: Final[dict[type[Exception], Trouble]] = {
    redis_errors.BusyLoadingError: _LOADING,
    redis_errors.MasterDownError: REPLICA,
    redis_errors.ReadOnlyError: REPLICA,
    redis_errors.OutOfMemoryError: _FULL,
    redis_errors.NoPermissionError: _PRIVILEGE,
    redis_errors.ClusterDownError: _CLUSTER,
    redis_errors.TryAgainError: _CLUSTER,
    redis_errors.AskError: _CLUSTER,
}
"""Errors that redis-py tells apart: their texts lack the word that the server began with."""

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], Trouble], ...]] = tuple(
    (re.compile(words), trouble)
    for words, trouble in (
        # what an answer of the server begins with, alone or within that of a script
        (r"\bMISCONF\b", _DISK),
        (r"\b(READONLY|MASTERDOWN)\b", REPLICA),
        (r"\bOOM\b", _FULL),
        (r"\bNOREPLICAS\b", _REPLICAS),
        (r"\bNOPERM\b|no permissions to", _PRIVILEGE),
        (r"\bLOADING\b", _LOADING),
        (r"\b(CLUSTERDOWN|TRYAGAIN|ASK)\b", _CLUSTER),
        (r"\b(NOAUTH|WRONGPASS)\b", _LOGIN),
        (r"\bWRONGTYPE\b", _WRONG_TYPE),
        (r"\bBUSY\b", _HELD_UP),
        (r"max number of clients", _CROWDED),
        (r"DB index is out of range|SELECT is not allowed|invalid DB index", _NO_DATABASE),
    )
)
