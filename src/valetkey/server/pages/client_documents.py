"""``/oauth/clients/<credential>.json``: what an app is, for servers that take its address as a client id."""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

from valetkey.app_source import DOCUMENTS, client_document_url
from valetkey.errors import ConfigurationError
from valetkey.protocol.client_document import client_document
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get

_FRESH: Final = {"cache-control": "public, max-age=300"}


def show(ask: Ask) -> Response:
    """Say what the app of a credential is; only for those whose client id this address can be."""
    core = ask.server.core
    name = ask.request.path_params["credential"]
    try:
        credential = core.credential(name)
    except ConfigurationError:
        return PlainTextResponse("there is no such client\n", status_code=404)
    url = client_document_url(core, credential)
    if url != f"{(core.server_url or '').rstrip('/')}{DOCUMENTS}/{name}.json":
        return PlainTextResponse("there is no such client\n", status_code=404)
    return JSONResponse(
        client_document(credential, url, redirect_uris=(redirect_uri(ask, credential),)), headers=_FRESH
    )


ROUTES: Final = [get(f"{DOCUMENTS}/{{credential}}.json", show, grade=None)]
