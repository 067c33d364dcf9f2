"""Layer 4: stores.  `open_store` finds the one that is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote_to_bytes, urlsplit

from valetkey.errors import ConfigurationError, StoreUnavailable, clean
from valetkey.model.ports import Clock, SecretService, Store

if TYPE_CHECKING:
    from valetkey.stores.sqlite import SQLiteStore

HOME: Final = "VALETKEY_HOME"
FILE_NAME: Final = "valetkey.db"
PLUGINS: Final = "valetkey.stores"
"""The entry point group of stores by URL scheme: ``postgresql = "package:open"``, called as
``open(url, clock=clock)``.
"""

REDIS: Final = frozenset({"redis", "rediss", "valkey", "valkeys", "unix"})
"""Schemes of URLs that `RedisStore` serves."""

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]+):(//.*)?", re.IGNORECASE | re.DOTALL)
"""A scheme of two letters or more, and nothing after it but ``//...``: a path may hold a colon too."""


def open_store(
    where: str | os.PathLike[str] | Store | SecretService | None = None, *, clock: Clock | None = None
) -> Store:
    """Return the store that `where` names.  Costs no connection; the store is opened when it is first used.

    ``None`` is the embedded SQLite file in the user's data folder (`default_path`).  A string is a path, or a URL:
    ``sqlite:///home/ada/valetkey.db``, ``postgresql://user@host/database``, ``redis://host:6379/0`` (and what else
    `RedisStore` knows), ``memory:``, or one whose scheme an installed package serves (entry point group
    ``valetkey.stores``).  A store is taken as it is.  A plain `SecretService` keeps the token objects, while claims and
    states live in the embedded SQLite file of this host (`SecretServiceStore`).

    Raises:
        ConfigurationError: There is no home folder (``home_missing``), nothing serves the URL's scheme
            (``store_unknown``), the package that does is not installed (``extra_missing``), the URL is malformed
            (``store_url``), or it is none of all that (``store_argument``).
    """
    if where is None:
        return _embedded(clock)
    if isinstance(where, (str, os.PathLike)):
        return _named(os.fspath(where), clock)
    if isinstance(where, Store):  # pyright: ignore[reportUnnecessaryIsInstance] - callers need not be typed
        return where
    if isinstance(where, SecretService):  # pyright: ignore[reportUnnecessaryIsInstance]
        from valetkey.stores.over_secrets import SecretServiceStore  # noqa: PLC0415 - imported where it is used

        return SecretServiceStore(where, _embedded(clock), clock=clock)
    raise _no_store(where)


def demand_store(where: str) -> None:
    """Let `where` pass if a store is there, or if it is no file: for programs that only look, and make none.

    Raises:
        StoreUnavailable: There is no such file (``store_missing``).
        ConfigurationError: It is a ``sqlite:`` URL that names no file (``store_path``).
    """
    url = _URL.fullmatch(where)
    if not where.strip() or where == ":memory:" or (url and url[1].lower() != "sqlite"):
        return
    path = Path(os.path.abspath(os.path.expanduser(_path_of(where) if url else where)))  # noqa: PTH100, PTH111
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        msg = f"There is no store at {path}, and none was made."
        hint = "Compare the path. Connecting, adding an app, setting a secret and importing make a new store there."
        raise StoreUnavailable(msg, code="store_missing", hint=hint) from None
    except OSError:  # opening it says what is wrong
        return


def default_path() -> Path:
    """Return where the embedded store is: in ``VALETKEY_HOME``, else in the data folder of this user.

    Raises:
        ConfigurationError: No home folder can be found (``home_missing``).
    """
    home = os.environ.get(HOME)
    folder = os.path.expanduser(home) if home else _data_folder()  # noqa: PTH111 - Path's raises where there is none
    if folder.startswith("~"):
        raise no_home("this user has none")
    return Path(folder).absolute() / FILE_NAME


def _data_folder() -> str:
    import platformdirs  # noqa: PLC0415 - not needed by those who pass a path

    try:
        return platformdirs.user_data_dir("valetkey", appauthor=False)
    except RuntimeError:  # versions differ: some return a path that begins with a tilde
        return "~"


def no_home(reason: str) -> ConfigurationError:
    """Return the error for a program that runs without a home folder."""
    return ConfigurationError(
        f"There is no folder to keep the store in: {clean(reason)}.",
        code="home_missing",
        hint=f"Set {HOME} to a folder that this user may write, or pass a path: Valet('/srv/app/valetkey.db')",
    )


def _embedded(clock: Clock | None) -> SQLiteStore:
    from valetkey.stores._sqlite_file import make_folder  # noqa: PLC0415 - sqlite3 is imported where it is used
    from valetkey.stores.sqlite import SQLiteStore  # noqa: PLC0415

    path = default_path()
    try:
        make_folder(path.parent)
    except OSError as error:
        reason = f"{path.parent} cannot be made ({error.strerror or type(error).__name__})"
        raise no_home(reason) from error
    return SQLiteStore(path, clock=clock)


def _named(name: str, clock: Clock | None) -> Store:
    url = _URL.fullmatch(name)
    scheme = url[1].lower() if url else ""
    if scheme == "memory" or name == ":memory:":
        from valetkey.stores.memory import MemoryStore  # noqa: PLC0415

        return MemoryStore(clock=clock)
    if not name.strip():
        raise _no_store(name)
    if scheme in {"", "sqlite"}:
        from valetkey.stores.sqlite import SQLiteStore  # noqa: PLC0415

        return SQLiteStore(_path_of(name) if scheme else name, clock=clock)
    if scheme in REDIS:
        return _redis(name, clock)
    if scheme in {"postgresql", "postgres"}:
        return _postgres(name, clock)
    return _plugged(name, scheme, clock)


def _redis(url: str, clock: Clock | None) -> Store:
    try:
        from valetkey.stores.redis import RedisStore  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _extra_missing("Redis", "redis", "redis") from error
    return RedisStore(url, clock=clock)


def _extra_missing(store: str, package: str, extra: str) -> ConfigurationError:
    return ConfigurationError(
        f"A {store} store needs the package {package}, which cannot be imported here.",
        code="extra_missing",
        hint=f"pip install 'valetkey[{extra}]'",
    )


def _path_of(url: str) -> str:
    """Return the path of a ``sqlite:`` URL.  It is absolute, as in the URL of any file (RFC 8089 section 2)."""
    parts = urlsplit(url)
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.netloc or not path.strip("/"):
        raise ConfigurationError(
            f"{clean(url)!r} names no file.",
            code="store_path",
            hint="Write sqlite:// and the absolute path, sqlite:///srv/app/valetkey.db; or just pass a path.",
        )
    return "/" + path.lstrip("/")


def _postgres(url: str, clock: Clock | None) -> Store:
    try:
        from valetkey.stores.postgres import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError as error:  # there is none, or one without libpq
        raise _extra_missing("Postgres", "psycopg", "postgres") from error
    return PostgresStore(url, clock=clock)


def _plugged(url: str, scheme: str, clock: Clock | None) -> Store:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms that only plugged-in stores pay

    found = {point.name: point for point in entry_points(group=PLUGINS)}
    if scheme not in found:
        known = ", ".join(sorted({"memory", "postgresql", "sqlite", *REDIS, *found}))
        raise ConfigurationError(
            f"No store serves URLs that begin with {scheme}: (known: {known}).",
            code="store_unknown",
            hint=f"Install the package whose entry point in the group {PLUGINS!r} is named {scheme!r}, or pass a path.",
        )
    make = cast("Callable[..., Any]", found[scheme].load())
    store: Store = make(url, clock=clock)
    return store


def _no_store(where: object) -> ConfigurationError:
    what = "an empty string" if isinstance(where, str) else f"a value of type {type(where).__name__}"
    return ConfigurationError(
        f"There is no store in {what}.",
        code="store_argument",
        hint="Pass nothing, a path, a URL, a store, or an object with get, set and delete (a SecretService).",
    )
