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
_SHOWN: Final = frozenset({"host", "port", "dbname", "user"})
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
    parts = _split(url)
    name = schema or parts.own.get("schema", SCHEMA)
    if not _NAME.fullmatch(name):
        raise _malformed("its schema is no plain name", "Write letters, digits and underscores: ?schema=valetkey")
    settings = _settings(parts.whole)
    listening = listen_url or parts.own.get("listen_url") or os.environ.get(LISTEN_URL)
    other = settings if listening is None else _settings(_split(listening).whole)
    secrets = [found[key] for found in (settings, other) for key in _HIDDEN if found.get(key)]
    return Place(
        schema=name,
        url=_shown(parts, name),
        conninfo=Secret(make_conninfo("", **settings)),
        listen=Secret(make_conninfo("", **other)),
        secrets=tuple(Secret(text) for text in dict.fromkeys(secrets)),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """A URL, cut where libpq cuts it: credentials end at the first ``@`` that comes before a slash."""

    credentials: str | None
    hosts: str
    database: str
    query: str
    own: dict[str, str]

    @property
    def whole(self) -> str:
        """The URL for libpq, which knows no parameters of ours."""
        return self._text(None if self.credentials is None else f"{self.credentials}@") + _after("?", self.query)

    @property
    def bare(self) -> str:
        """The URL without password and parameters."""
        return self._text(None if self.credentials is None else f"{self.credentials.partition(':')[0]}@")

    def _text(self, user: str | None) -> str:
        return f"postgresql://{user or ''}{self.hosts}{_after('/', self.database)}"


def _after(mark: str, text: str) -> str:
    return mark + text if text else ""


def _split(url: str) -> _Parts:
    scheme, _, rest = url.partition("://")
    head = rest.partition("/")[0]
    credentials, at, _ = head.partition("@")
    place, _, query = (rest[len(credentials) + 1 :] if at else rest).partition("?")
    if scheme.lower() not in {"postgresql", "postgres"} or "@" in place:
        raise _malformed("it cannot be told apart into its parts")
    hosts, _, database = place.partition("/")
    pairs = [part.partition("=") for part in query.split("&") if part]
    own = {unquote(key): unquote(value) for key, _, value in pairs if unquote(key) in _OURS}
    kept = "&".join(key + sign + value for key, sign, value in pairs if unquote(key) not in _OURS)
    return _Parts(credentials if at else None, hosts, database, kept, own)


def _settings(url: str) -> dict[str, str]:
    """Return what libpq is told."""
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeError):
        raise _malformed("libpq cannot read it") from None
    if not _PORTS.fullmatch(said.get("port", "")):
        raise _malformed("its port is no number")
    return {**_SETTINGS, **said, **_ALWAYS}


def _shown(parts: _Parts, schema: str) -> str:
    """Return the URL for people: host, port, user, database and schema."""
    bare = conninfo_to_dict(parts.bare)
    told = {key: str(value) for key, value in conninfo_to_dict(parts.whole).items() if key in _SHOWN}
    more = {key: text for key, text in told.items() if bare.get(key) != text}
    if schema != SCHEMA:
        more["schema"] = schema
    return parts.bare + _after("?", "&".join(f"{key}={quote(text, safe='/,')}" for key, text in more.items()))


def _malformed(reason: str, hint: str = "") -> ConfigurationError:
    usual = "Write postgresql://user:password@host:5432/database; in the password, write @ / : ? # % as %40 %2F %3A ..."
    return ConfigurationError(
        f"The URL of the Postgres store is malformed: {reason}.", code="store_url", hint=hint or usual
    )
