"""What can be known before a person is sent to a provider: whether it answers, and whether the clocks agree."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from valetkey.engine.discovery import complete
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, ProviderError, clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.urls import origin
from valetkey.values import Request

PROBE_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a first look at a provider said.

    Attributes:
        answers: Whether the host of its authorization endpoint answers, whatever it says.
        problem: Why not.
        clock_off: Seconds by which our clock is ahead of its own, to the second; None where it does not say.
    """

    answers: bool
    problem: str = ""
    clock_off: float | None = None


def probe(world: World, credential: OAuth2Credential) -> Probe:
    """Ask the host of the authorization endpoint for nothing in particular.  Never raises: it is a hint, not a gate."""
    try:
        whole = complete(world, credential, need=("token_url", "authorization_url"))
        where = origin(whole.authorization_url)
        request = Request(method="HEAD", url=f"{where}/")
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + PROBE_SECONDS)
    except (ConfigurationError, ProviderError, NotSent, InDoubt) as error:
        return Probe(answers=False, problem=clean(error) or type(error).__name__)
    return Probe(answers=True, clock_off=_off(response.headers.get("date", ""), world.clock.now()))


def _off(date: str, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
