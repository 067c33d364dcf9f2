"""Where things may be sent: https only, and an access token only to the hosts of its credential.

`host_allowed` stands in the way of every API request, so its answers are cached by origin.  What two URL parsers
might read differently (backslashes, userinfo, odd characters in hosts) is refused, not interpreted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urljoin, urlsplit

from valetkey.errors import ConfigurationError, clean
from valetkey.forks import late_imports
from valetkey.model.credentials import OAuth2Credential

_PORTS: Final = {"https": 443, "http": 80}
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_OPEN: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_HOST: Final = re.compile(r"[a-z0-9_\-.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_DEVIANT: Final = frozenset("\u00df\u03c2\u200c\u200d")
"""IDNA 2003 and IDNA 2008 turn these into different hosts."""


def origin(url: str) -> str:
    """Return scheme, host and port as ``https://api.example.com`` (the scheme's own port is left out).

    Raises:
        ConfigurationError: Code ``url_invalid``: it is no http or https URL, or one that parsers disagree about.
    """
    parts = _parts(url)
    if parts is None:
        msg = f"{shown(url)!r} is no usable http or https URL"
        raise ConfigurationError(msg, code="url_invalid", hint="write it as https://host/path")
    scheme, host, port = parts
    return f"{scheme}://{_entry(scheme, host, port)}"


def require_https(url: str, *, what: str, name: str) -> None:
    """Let `url` pass if it is https, or http to this very machine (DESIGN rule: https only, except loopback).

    `what` is the field and `name` the credential that holds it, for the message.

    Raises:
        ConfigurationError: ``url_missing``, ``url_invalid`` or ``url_insecure``.
    """
    if not url:
        msg = f"{name}: {what} is needed for this and not declared"
        raise ConfigurationError(msg, code="url_missing", hint=f"declare {what}= for {name!r}")
    if hole := _OPEN.search(url):
        msg = f"{name}: {what} needs {hole[0]}, which nobody has said; nothing was sent"
        hint = f'name it for this sign-in: params={{"{hole[1]}": "..."}}, or connect again'
        raise ConfigurationError(msg, code="param_missing", hint=hint)
    parts = _parts(url)
    if parts is None:
        msg = f"{name}: {what} {shown(url)!r} is no usable https URL"
        raise ConfigurationError(msg, code="url_invalid", hint=f"write {what} of {name!r} as https://host/path")
    if not _secure(parts[0], parts[1]):
        msg = f"{name}: {what} {shown(url)!r} is not https: anybody on the way could read what is sent there"
        raise ConfigurationError(msg, code="url_insecure", hint=f"write {what} of {name!r} with https://")


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine: 127.0.0.0/8, ``::1`` or ``localhost``."""
    host = host.lower().strip("[]").removesuffix(".")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address == ipaddress.IPv6Address("::1") or address in ipaddress.ip_network("127.0.0.0/8")


def host_allowed(url: str, hosts: Sequence[str]) -> bool:
    """Tell whether a token may be sent to `url`.

    An entry of `hosts` is a host (``api.example.com``: the scheme's own port), a host with a port
    (``api.example.com:8443``), or ``*.example.com``, which is every host below, but not ``example.com`` itself; of a
    URL (an ``instance_url``) host and port count.  Plain http is allowed to a listed loopback host only.
    """
    start = url.find("://") + 3
    end = url.find("/", start)
    return _url_allowed(url[:end] if end > 0 else url, tuple(hosts))


def stays(url: str, location: str) -> bool:
    """Tell whether a redirect from `url` to `location`, which may be relative, keeps scheme, host and port.

    Only then the token goes along.  What parsers might disagree about does not stay.
    """
    try:
        split = urlsplit(urljoin(url, location))
    except ValueError:
        return False
    parts = _parts(f"{split.scheme}://{split.netloc}/")
    return parts is not None and parts == _parts(url)


@lru_cache(maxsize=4096)
def allows(scheme: str, host: str, port: int | None, hosts: tuple[str, ...]) -> bool:
    """Do what `host_allowed` does, for a URL that is split already; `port` None is the scheme's own."""
    scheme = scheme.lower()
    name = _normal_host(host)
    if scheme not in _PORTS or name is None or not _secure(scheme, name):
        return False
    port = port or _PORTS[scheme]
    return any(_matches(entry, scheme, name, port) for entry in hosts)


def allowed_hosts(credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the hosts that may see the access token: the declared ones, else those of the credential's own URLs."""
    if credential.api_hosts:
        return credential.api_hosts
    return hosts_of(
        (
            credential.api_base_url,
            credential.userinfo_url,
            credential.token_url,
            credential.authorization_url,
            credential.device_authorization_url,
            credential.revocation_url,
            credential.issuer if credential.discovers else "",
        )
    )


@lru_cache(maxsize=256)
def hosts_of(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts of these URLs, as entries for `host_allowed`; what is no URL is left out."""
    found = [_entry(*parts) for parts in map(_parts, urls) if parts is not None]
    return tuple(dict.fromkeys(found))


def join(base: str, url: str) -> str:
    """Return an absolute `url` unchanged, and a relative one below `base`: its path is added to the base's path.

    Raises:
        ConfigurationError: ``url_invalid`` for ``//host`` and its kin, which look relative and are not;
            ``base_url_missing`` for a relative URL without a base.
    """
    if _ABSOLUTE.match(url):
        return url
    if url.startswith(("//", "/\\", "\\")):
        msg = f"{shown(url)!r} names a host without a scheme"
        raise ConfigurationError(
            msg, code="url_invalid", hint="write the whole URL, or a path that starts with one slash"
        )
    if not base:
        msg = f"{shown(url)!r} is relative, and this credential has no api_base_url"
        raise ConfigurationError(msg, code="base_url_missing", hint="pass the whole URL, or declare api_base_url=")
    base = base.rstrip("/")
    return base + url if url[:1] in ("", "?", "#") else f"{base}/{url.removeprefix('/')}"


@lru_cache(maxsize=4096)
def _url_allowed(url: str, hosts: tuple[str, ...]) -> bool:
    parts = _parts(url)
    return parts is not None and allows(*parts, hosts)


@lru_cache(maxsize=256)
def _parts(url: str) -> tuple[str, str, int] | None:
    """Return scheme, normalised host and port; None for what is no plain http or https URL."""
    if "\\" in url or not url.isprintable() or " " in url:
        return None
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return None
    if split.scheme not in _PORTS or not url[len(split.scheme) :].startswith("://") or "@" in split.netloc:
        return None
    host = _normal_host(split.hostname or "")
    return None if host is None or port == 0 else (split.scheme, host, port or _PORTS[split.scheme])


def _normal_host(host: str) -> str | None:
    """Return the host in lower case, as ASCII, without a final dot; None when its meaning is not beyond doubt."""
    host = host.lower().strip("[]").removesuffix(".")
    if not host.isascii():
        host = _ascii_host(host)
    if not host or not _HOST.fullmatch(host) or host.startswith(".") or ".." in host:
        return None
    return host


def _ascii_host(host: str) -> str:
    """Return the ASCII form of an internationalised host, or an empty text where the two IDNA standards differ."""
    with late_imports:
        import unicodedata  # noqa: PLC0415 - seldom needed

    plain = unicodedata.normalize("NFKC", host) == host and _DEVIANT.isdisjoint(host)
    if not plain or not all(c in ".-" or unicodedata.category(c)[0] in "LMN" for c in host):
        return ""
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _secure(scheme: str, host: str) -> bool:
    return scheme == "https" or is_loopback(host)


def _entry(scheme: str, host: str, port: int) -> str:
    """Write host and port as they stand in a list of hosts."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == _PORTS[scheme] else f"{shown}:{port}"


def _matches(entry: str, scheme: str, host: str, port: int) -> bool:
    listed, port_wanted = _split_entry(entry)
    if port != (port_wanted or _PORTS[scheme]):
        return False
    below = listed.startswith("*.")
    name = _normal_host(listed[2:] if below else listed)
    return name is not None and (host.endswith("." + name) if below else host == name)


def _split_entry(entry: str) -> tuple[str, int]:
    """Split ``host:port``, also in a URL; port 0 stands for the scheme's own.  A bare IPv6 address has no port."""
    entry = entry.partition("://")[2].partition("/")[0] if "://" in entry else entry
    host, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        return host, int(port)
    return entry, 0


def shown(url: str) -> str:
    """Return a URL for a message: without userinfo and query, which may hold secrets."""
    return clean(re.sub(r"//[^/@]*@", "//", url).partition("?")[0], 100)
