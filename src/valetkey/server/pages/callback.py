"""``/callback/<credential>``: where providers send browsers back to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError, StoreUnavailable, ValetkeyError
from valetkey.logs import get_logger
from valetkey.server.asking import Ask, get, troubled
from valetkey.server.joining import posted
from valetkey.server.joining.arriving import Arrival, arrival, elsewhere, sweep_soon
from valetkey.server.joining.clean import lead_away, refusal, shown_before
from valetkey.server.pages import accounts, connect_page, joining
from valetkey.server.refusals import UNEXPECTED, refused

_log = get_logger("server")

ENDINGS: Final[dict[str, Callable[[Ask, Arrival], Response]]] = {
    "": joining.finish,
    "console": joining.finish,
    "link": connect_page.finish,
    "accounts": accounts.finish,
}
"""What takes an answer, by who began; the empty name takes those of nobody."""


def take(ask: Ask) -> Response:
    """Take a provider's answer.  It came by a link from another site: only the cookie of its flow vouches for it."""
    core = ask.server.core
    try:
        credential = core.credential(ask.request.path_params["credential"])
    except ConfigurationError:
        query = ask.request.url.query
        return ask.go(ask.request.url.path.removeprefix(ask.root)) if query else ask.page("not-found.html", status=404)
    came = arrival(ask, credential)
    moved = elsewhere(ask, came)
    if moved is not None:
        return moved
    sweep_soon(core)
    return lead_away(ask, came, _ended(ask, came))


def _ended(ask: Ask, came: Arrival) -> Response:
    """Take the answer; whatever goes wrong is told at a clean address too.

    While the store is away the answer is needed where it is: the page that says so asks again.
    """
    try:
        return ENDINGS.get(came.face, joining.finish)(ask, came)
    except StoreUnavailable:
        raise
    except ValetkeyError as error:
        return troubled(ask, error)
    except Exception as error:  # noqa: BLE001 - logged, and told as everywhere
        _log.exception("%s: a mistake of ours (%s)", ask.request_id, type(error).__name__)
        return refused(ask.request.scope, UNEXPECTED)


def show_end(ask: Ask) -> Response:
    """Show how a sign-in ended, to the browser that made it."""
    return shown_before(ask) or connect_page.plain(ask, "ended", status=410)


def show_refusal(ask: Ask) -> Response:
    """Show that an answer was not taken, in the words of the face that it would have been for."""
    face = ask.request.path_params["face"]
    if face != "console":
        return connect_page.plain(ask, "cookie", status=403)
    try:
        credential = ask.server.core.credential(ask.request.path_params["credential"])
    except ConfigurationError:
        return ask.page("not-found.html", status=404)
    error, request_id, cookie = refusal(ask)
    return joining.told(ask, error, credential, None, cookie=cookie, named=request_id)


ROUTES: Final = [
    get("/callback/{credential}", take, grade=None),
    get("/callback/{credential}/ended/{id}", show_end, grade=None),
    get("/callback/{credential}/refused/{face}", show_refusal, grade=None),
    *posted.ROUTES,
]
