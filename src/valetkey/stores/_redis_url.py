"""What a URL says about a store in Redis: where the server is, how to log in, which store, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from valetkey.errors import ConfigurationError, clean
from valetkey.values import Secret

SCHEMES: Final[Mapping[str, str]] = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
}
"""The schemes of URLs, and what they come to."""

_PORT: Final = 6379
_FILES: Final = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
_FLAGS: Final = frozenset({"allow_eviction", "allow_volatile"})
_OPTIONS: Final = frozenset({"name", "db", "client_name", *_FILES, *_FLAGS})
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORDS: Final[Mapping[str, bool]] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is.

    Attributes:
        shown: The URL for people: no user name and no password in it.
        name: The name of the store among others in the same database.
        host: The host, empty for a socket.
        port: The port.
        path: The path of the socket, empty for a host.
        db: The number of the database.
        user: Who logs in, empty for the server's default user.
        password: With what, or None.
        tls: What TLS needs; None where there is none.
        client_name: How the connections are named on the server.
        allow_eviction: Whether a server that evicts keys will do.
        allow_volatile: Whether a server that keeps everything in memory only will do.
    """

    shown: str
    name: str
    host: str = ""
    port: int = _PORT
    path: str = ""
    db: int = 0
    user: str = field(default="", repr=False)
    password: Secret | None = field(default=None, repr=False)
    tls: Mapping[str, str] | None = None
    client_name: str = "valetkey"
    allow_eviction: bool = False
    allow_volatile: bool = False

    def login(self) -> dict[str, Any]:
        """Return what a connection needs beside the address."""
        options: dict[str, Any] = {"db": self.db, "client_name": self.client_name}
        if self.password is not None:
            options.update(username=self.user or None, password=self.password.reveal())
        if self.tls is not None:
            options.update(ssl_cert_reqs="required", ssl_check_hostname=True, **self.tls)
        return options


def place_of(url: str) -> Place:
    """Read a URL.

    Raises:
        ConfigurationError: It cannot be (``store_url``).
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError as error:
        raise bad_url(f"The URL of the store cannot be read: {error}.") from None
    scheme = SCHEMES.get(parts.scheme.lower(), "")
    if not scheme:
        raise bad_url(f"{clean(parts.scheme)!r} is not a scheme of Redis.")
    options = _options(parts.query)
    flags = {name: _flag(name, options.pop(name, "0")) for name in sorted(_FLAGS)}
    name = options.pop("name", "default")
    if not _NAME.fullmatch(name):
        raise bad_url(f"name={clean(name, 80)} cannot be the name of a store: letters, digits and ._- only.")
    tls = {option: options.pop(option) for option in sorted(_FILES & set(options))}
    if tls and scheme != "rediss":
        raise bad_url(f"{', '.join(tls)} makes sense with TLS only.", hint="Begin the URL with rediss://")
    path, db = _path_and_db(scheme, unquote(parts.path), options.pop("db", ""))
    host = "" if scheme == "unix" else parts.hostname or "localhost"
    told = {"name": name} if name != "default" else {}
    told |= {flag: "1" for flag, on in flags.items() if on}
    return Place(
        shown=_socket_shown(path, db, told) if scheme == "unix" else _shown(scheme, host, port, db, told),
        name=name,
        host=host,
        port=port,
        path=path,
        db=db,
        user=unquote(parts.username or ""),
        password=None if parts.password is None else Secret(unquote(parts.password)),
        tls=tls if scheme == "rediss" else None,
        client_name=options.pop("client_name", "valetkey"),
        **flags,
    )


def _shown(scheme: str, host: str, port: int, db: int, told: dict[str, str]) -> str:
    """Return the URL for people: with all that tells one store from another, and without the login."""
    named = f"[{host}]" if ":" in host else host  # an IPv6 address
    return f"{scheme}://{named}:{port}/{db}" + (f"?{urlencode(told)}" if told else "")


def _socket_shown(path: str, db: int, told: dict[str, str]) -> str:
    return f"unix://{quote(path)}?{urlencode({'db': db, **told})}"


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    wrong = sorted(set(options) - _OPTIONS)
    if wrong:
        known = ", ".join(sorted(_OPTIONS))
        hint = "Write user and password before the host, percent-encoded: redis://user:password@host:6379/0"
        if not {"username", "password"} & set(wrong):
            hint = f"What may be said there: {known}"
        raise bad_url(f"The URL of the store has options that mean nothing: {clean(', '.join(wrong))}.", hint=hint)
    return options


def _flag(name: str, text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise bad_url(f"{name}={clean(text, 40)} is neither yes nor no.", hint=f"Write {name}=1") from None


def _path_and_db(scheme: str, path: str, db: str) -> tuple[str, int]:
    if scheme == "unix":
        if not path.strip("/"):
            raise bad_url("The URL names no socket.", hint="Write unix:///run/redis/redis.sock?db=0")
        number = db or "0"
    else:
        number = db or path.strip("/") or "0"
    if not number.isdecimal():
        raise bad_url(f"{clean(number, 40)!r} is not the number of a database.")
    return path if scheme == "unix" else "", int(number)


def bad_url(problem: str, *, hint: str = "") -> ConfigurationError:
    """Return the error for a URL that cannot be."""
    usual = "Write redis://user:password@host:6379/0, rediss:// for TLS, or unix:///run/redis/redis.sock?db=0"
    return ConfigurationError(problem, code="store_url", hint=hint or usual)
