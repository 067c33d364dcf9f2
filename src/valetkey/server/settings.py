"""How an application was set up: its public address, whom it lets in, and how its cookies are called."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
SESSION_LIFE: Final = 12 * 3600.0
"""Seconds after which an operator signs in again."""
BODY_LIMIT: Final = 256 * 1024
"""Bytes of a request's body, at most."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address, as in a URL or not, is this machine's alone."""
    return f"[{host}]" in LOOPBACK or host in LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What does not change while the application runs.

    Attributes:
        base_url: The public address of the application, without a slash at its end; empty: whatever loopback name the
            browser uses.
        hosts: The host names under which it answers, without ports.
        cookie: The name of the session cookie.
    """

    base_url: str = ""
    hosts: tuple[str, ...] = LOOPBACK
    cookie: str = field(default_factory=lambda: f"valetkey_{secrets.token_hex(4)}")

    @property
    def public(self) -> bool:
        """Whether browsers of other machines reach it."""
        return not is_loopback(urlsplit(self.base_url).hostname or "127.0.0.1")

    @property
    def secure(self) -> bool:
        """Whether the browser speaks TLS with us, or with what stands before us."""
        return self.base_url.startswith("https://")


def settings(base_url: str | None, allowed_hosts: Iterable[str]) -> Settings:
    """Check what an application was told and return its settings.

    Raises:
        ConfigurationError: The address is no http(s) URL, or not encrypted beyond loopback.
    """
    hosts = tuple(dict.fromkeys(host.lower() for host in allowed_hosts))
    if not base_url:
        return Settings(hosts=hosts or LOOPBACK)
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        msg = f"base_url={base_url!r} is not the address of a web application"
        raise ConfigurationError(msg, code="url_invalid", hint='write base_url="https://app.example.com/accounts"')
    name = f"[{host}]" if ":" in host else host
    if parts.scheme == "http" and name not in LOOPBACK:
        msg = f"base_url={base_url!r} is not encrypted, and not on this machine"
        raise ConfigurationError(msg, code="url_invalid", hint="use https, or put a proxy with TLS before it")
    # With __Host- no other application under the domain can set the cookie; it demands the path "/" (RFC 6265bis).
    alone = parts.scheme == "https" and parts.path in {"", "/"}
    made = Settings(base_url=base_url.rstrip("/"), hosts=tuple(dict.fromkeys((*(hosts or LOOPBACK), name))))
    return replace(made, cookie="__Host-valetkey") if alone else made
