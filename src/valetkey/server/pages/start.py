"""The first page of a console without connections: a demo provider, a real one, or code."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey, Query
from valetkey.model.presets import load_preset, preset_ids
from valetkey.practising import is_free
from valetkey.protocol.urls import is_loopback
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import told
from valetkey.server.pages.joining import Wish, go
from valetkey.server.views.providers import of_preset

OFTEN: Final = ("github", "google", "slack", "stripe", "microsoft", "notion")


def show(ask: Ask) -> Response:
    """Show how to begin."""
    core = ask.server.core
    known = preset_ids()
    often = [load_preset(preset) for preset in OFTEN if preset in known]
    return ask.page(
        "empty.html",
        told=told(ask),
        declared=core.credentials(),
        first=not core.store.list(Query(env=core.env), limit=1).items,
        demo=_possible(ask),
        many=len(known),
        often=[(preset, of_preset(preset)) for preset in often],
        store=core.store.url,
        local=core.store.local,
        key_place=core.keys.place,
    )


def begin(ask: Ask) -> Response:
    """Start the practice provider, and go there to sign in."""
    if not _possible(ask):
        return ask.page("not-found.html", status=404)
    core = ask.server.core
    try:
        credential = core.call(lambda: ask.server.demo.start(core))
    except ConfigurationError as error:
        return ask.page("form-wrong.html", status=409, error=error)
    provider = ask.server.demo.provider
    if provider is not None:
        provider.allow_redirect(redirect_uri(ask, credential))
    return go(ask, Wish(key=ConnectionKey(core.env, credential.name)))


def _possible(ask: Ask) -> bool:
    """Whether this browser can reach a provider on our loopback, and the name is free."""
    return is_loopback(ask.request.url.hostname or "") and is_free(ask.server.core)


ROUTES: Final = [get("/console/start", show), post("/console/start", begin, grade="everything")]
