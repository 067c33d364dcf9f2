"""Event hooks of HTTP clients: each hop of an API request is looked at; what goes to token endpoints is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

ENDPOINT = "valetkey.endpoint"
"""The request extension of what goes to an authorization server."""
HOP = "valetkey.hop"
"""The request extension with the function that looks at each hop of a request that follows redirects."""
_OURS = "_valetkey_wrapped"


def look_at_hop(request: httpx2.Request) -> None:
    """Have a request looked at on every hop; requests of others than ours pass."""
    hop = request.extensions.get(HOP)
    if hop is not None:
        hop(request)


async def alook_at_hop(request: httpx2.Request) -> None:
    """Do what `look_at_hop` does, for the asynchronous client."""
    if HOP in request.extensions:
        look_at_hop(request)


def prepare(given: Any, hop: Callable[[Any], object]) -> None:
    """Keep what goes to token endpoints from the hooks of a client that was given, and have each hop looked at.

    A client may be given to several valets: what is done already is left as it is.
    """
    hooks: dict[str, list[Any]] = given.event_hooks
    wrap = _awrapped if hop is alook_at_hop else _wrapped
    named = {
        name: [hook if hook is hop or hasattr(hook, _OURS) else wrap(hook) for hook in listed]
        for name, listed in hooks.items()
    }
    if hop not in named["request"]:
        named["request"].append(hop)
    given.event_hooks = named


def _wrapped(hook: Callable[[Any], object]) -> Callable[[Any], None]:
    def call(about: Any) -> None:
        if ENDPOINT not in getattr(about, "request", about).extensions:
            hook(about)

    setattr(call, _OURS, True)
    return call


def _awrapped(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def call(about: Any) -> None:
        if ENDPOINT not in getattr(about, "request", about).extensions:
            await hook(about)

    setattr(call, _OURS, True)
    return call
