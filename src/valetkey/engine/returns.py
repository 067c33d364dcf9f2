"""Where a browser may be sent after connecting: addresses on a list, so that nobody can use us to mislead people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlencode, urlsplit

from valetkey.errors import ConfigurationError, clean
from valetkey.protocol.urls import is_loopback

LONGEST: Final = 2000
RESULT: Final = "valetkey_result"
"""The parameter that tells how it ended."""


def check_return_url(url: str, allowed: Iterable[str]) -> str:
    """Return the address if it is on the list: below an allowed one, on the same origin.

    Raises:
        ConfigurationError: It is no https address (``return_url_invalid``), or not on the list
            (``return_url_not_allowed``).
    """
    if not _is_address(url):
        msg = f"return_to={clean(url, 80)!r} is no address to send a browser to"
        raise ConfigurationError(msg, code="return_url_invalid", hint='pass one such as "https://app.example.com/done"')
    if not any(_below(url, base) for base in allowed):
        msg = f"return_to={clean(url, 80)!r} is not among the addresses that people may be sent back to"
        hint = f'create_app(valet, return_urls=["{origin_of(url)}/"]), or the console: Settings, Environments'
        raise ConfigurationError(msg, code="return_url_not_allowed", hint=hint)
    return url


def check_base(url: str) -> str:
    """Return an address below which people may be sent back to, if it can be one.

    Raises:
        ConfigurationError: It is no https address, or has a query (``return_url_invalid``).
    """
    if not _is_address(url) or "?" in url or "#" in url:
        msg = f"{clean(url, 80)!r} is no address below which people can be sent back to"
        raise ConfigurationError(msg, code="return_url_invalid", hint='write one such as "https://app.example.com/"')
    return url


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def with_result(url: str, result: str) -> str:
    """Return the address with how it ended; its own query stays, and what it said before about the result goes."""
    parts = urlsplit(url)
    kept = "&".join(piece for piece in parts.query.split("&") if piece and piece.partition("=")[0] != RESULT)
    return parts._replace(query="&".join(filter(None, (kept, urlencode({RESULT: result}))))).geturl()


def _is_address(url: str) -> bool:
    if len(url) > LONGEST or not url.isprintable() or not url.isascii() or "\\" in url or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return secure and bool(host) and "@" not in parts.netloc and not _climbs(parts.path)


def _climbs(path: str) -> bool:
    """Whether a browser would take a segment of the path for "the folder above", also where it is encoded."""
    return any(unquote(segment) in {".", ".."} for segment in path.split("/"))


def _below(url: str, base: str) -> bool:
    """Whether `url` is on the origin of `base`, and its path below it."""
    if not _is_address(base) or origin_of(url) != origin_of(base):
        return False
    path, floor = urlsplit(url).path or "/", urlsplit(base).path.rstrip("/")
    return path == floor or path.startswith(f"{floor}/")
