"""What callers ask of a client: a method, a URL and options; and whether they can go to the HTTP client as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from valetkey.source import TokenSource

_ABSOLUTE: Final = ("https://", "http://")


def ensure_sendable(method: str, url: str, options: dict[str, Any]) -> None:
    """Refuse what cannot be sent.

    Raises:
        TypeError: The URL stands where the method belongs, or is missing; or `auth` is given, which is ours.
    """
    if "/" in method or not url:
        msg = f"the method comes first: request('GET', {method!r})" if "/" in method else "the URL is missing"
        raise TypeError(msg)
    if "auth" in options:
        msg = "auth= is this client's own; for requests without the token use httpx2 itself"
        raise TypeError(msg)


def is_ready(source: TokenSource, method: str, url: str, options: dict[str, Any]) -> bool:
    """Whether a request can go as it is: its URL is absolute, and the token in memory goes the usual way.

    Where it follows redirects, the token has to be valid too, and each hop will be looked at.

    Raises:
        TypeError: It cannot be sent at all, see `ensure_sendable`.
    """
    ensure_sendable(method, url, options)
    token = source.token
    if token is None or token.apart or type(url) is not str or not url.startswith(_ABSOLUTE):
        return False
    if options.get("follow_redirects", source.follows):
        if source.now() >= token.until:
            return False
        source.watch_hops(options, token)
    return True
