"""The URL of a Postgres store: what of it is ours, what is libpq's, and what people may see of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from valetkey.errors import ConfigurationError
from valetkey.values import Secret

SCHEMA: Final = "valetkey"
"""The schema in which the tables are, unless the URL says otherwise."""

LISTEN_URL: Final = "VALETKEY_LISTEN_URL"
"""Names a direct way to the server where ``listen_url=`` is not said."""

_OURS: Final = frozenset({"schema", "listen_url"})
_HIDDEN: Final = frozenset({"password", "sslpassword"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
_PORTS: Final = re.compile(r"[0-9]*(,[0-9]*)*")

_SETTINGS: Final = {
    "application_name": "valetkey",
    "connect_timeout": "5",
    # A host that vanished without a word is noticed within seconds, not after the hours of the system's defaults.
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "8000",
}
"""What is said to libpq where the URL does not say it."""

_ALWAYS: Final = {
    "client_encoding": "utf8",
    "target_session_attrs": "read-write",  # a replica lags behind: it must be neither read nor listened to
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Postgres store is.

    Attributes:
        schema: The schema of its tables.
        url: For people: no password in it.
        conninfo: What libpq connects with.
        listen: What libpq connects with to be told of changes.
        secrets: Passwords, to be kept out of messages.
    """

    schema: str
    url: str
    conninfo: Secret
    listen: Secret
    secrets: tuple[Secret, ...] = field(repr=False)

    @property
    def quoted_schema(self) -> str:
        """The schema as SQL writes it."""
        return f'"{self.schema}"'


def parse(url: str, *, schema: str | None = None, listen_url: str | None = None) -> Place:
    """Return the place that a URL names; the arguments go before what it says itself.

    Raises:
        ConfigurationError: libpq cannot read it, or could misread it (``store_url``).  The message shows nothing of
            it, for nobody knows which part of a malformed URL is the password.
    """
    base, own = _split(url)
    name = schema or own.get("schema", SCHEMA)
    if not _NAME.fullmatch(name):
        raise _malformed("its schema is no plain name", "Write letters, digits and underscores: ?schema=valetkey")
    settings = _settings(base)
    listening = listen_url or own.get("listen_url") or os.environ.get(LISTEN_URL)
    other = settings if listening is None else _settings(_split(listening)[0])
    secrets = [found[key] for found in (settings, other) for key in _HIDDEN if found.get(key)]
    return Place(
        schema=name,
        url=_shown(base, name),
        conninfo=Secret(make_conninfo("", **settings)),
        listen=Secret(make_conninfo("", **other)),
        secrets=tuple(Secret(text) for text in dict.fromkeys(secrets)),
    )


def _split(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL without the parameters that are ours, and those."""
    base, mark, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    authority, _, database = rest.partition("/")
    if scheme.lower() not in {"postgresql", "postgres"} or authority.count("@") > 1 or "@" in database:
        raise _malformed("it cannot be told apart into its parts")
    pairs = [part.partition("=") for part in query.split("&") if part]
    own = {unquote(key): unquote(value) for key, _, value in pairs if unquote(key) in _OURS}
    kept = "&".join(key + sign + value for key, sign, value in pairs if unquote(key) not in _OURS)
    return f"postgresql://{rest}{mark if kept else ''}{kept}", own


def _settings(url: str) -> dict[str, str]:
    """Return what libpq is told."""
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeError):
        raise _malformed("libpq cannot read it") from None
    if not _PORTS.fullmatch(said.get("port", "")):
        raise _malformed("its port is no number")
    return {**_SETTINGS, **said, **_ALWAYS}


def _shown(url: str, schema: str) -> str:
    """Return the URL without passwords: in it, those who look at it find host, port, user, database and schema."""
    base = url.partition("?")[0]
    scheme, _, rest = base.partition("://")
    authority, slash, database = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    user = user.partition(":")[0]
    told = {
        key: str(value) for key, value in conninfo_to_dict(url).items() if key in {"host", "port", "dbname", "user"}
    }
    named = conninfo_to_dict(base)
    more = {key: text for key, text in told.items() if named.get(key) != text}
    if schema != SCHEMA:
        more["schema"] = schema
    query = "&".join(f"{key}={quote(text, safe='/,')}" for key, text in more.items())
    return f"{scheme}://{user}{at}{hosts}{slash}{database}" + (f"?{query}" if query else "")


def _malformed(reason: str, hint: str = "") -> ConfigurationError:
    usual = "Write postgresql://user:password@host:5432/database; in the password, write @ / : ? # % as %40 %2F %3A ..."
    return ConfigurationError(
        f"The URL of the Postgres store is malformed: {reason}.", code="store_url", hint=hint or usual
    )
