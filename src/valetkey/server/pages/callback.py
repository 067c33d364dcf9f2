"""``/callback/<credential>``: where providers send browsers back to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.server.asking import Ask, get
from valetkey.server.joining.arriving import Arrival, arrival, elsewhere, sweep_soon
from valetkey.server.pages import joining

ENDINGS: Final[dict[str, Callable[[Ask, Arrival], Response]]] = {"": joining.finish, "console": joining.finish}
"""What takes an answer, by who began; the empty name takes those of nobody."""


def take(ask: Ask) -> Response:
    """Take a provider's answer.  It came by a link from another site: only the cookie of its flow vouches for it."""
    core = ask.server.core
    try:
        credential = core.credential(ask.request.path_params["credential"])
    except ConfigurationError:
        return ask.page("not-found.html", status=404)
    came = arrival(ask, credential)
    moved = elsewhere(ask, came)
    if moved is not None:
        return moved
    sweep_soon(core)
    return ENDINGS.get(came.face, joining.finish)(ask, came)


ROUTES: Final = [get("/callback/{credential}", take, grade=None)]
