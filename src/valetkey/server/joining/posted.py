"""Answers that a provider sends as a form (``response_mode=form_post``).

Such a form comes from another site, so it brings no cookie of ours.  It is kept, sealed, for a minute, and the browser
is sent on to fetch it: that request carries the cookie, and the binding is checked there (DESIGN 8.1).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from valetkey.core import Core
from valetkey.engine.flows import peek_flow
from valetkey.model.connections import Document, Sealed
from valetkey.model.sealing import document_label, write_sealed
from valetkey.protocol.authorization import claimed_state
from valetkey.server.addresses import other_spelling
from valetkey.server.asking import Ask
from valetkey.server.bodies import read_form

KIND: Final = "posted_answer"
LIFE: Final = 60.0
"""Seconds within which the browser has to fetch it."""
NAME: Final = "posted"
_FIELDS: Final = 100


async def keep(request: Request) -> Response:
    """Keep the answer, and send the browser on to fetch it."""
    form = await read_form(request)
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)][:_FIELDS]
    ask = Ask(request.app.state.server, request)
    return await run_in_threadpool(_kept, ask, fields)


def _kept(ask: Ask, fields: list[tuple[str, str]]) -> Response:
    """Keep what belongs to a sign-in under way; of anything else nothing is stored."""
    core = ask.server.core
    given = dict(fields)
    flow = peek_flow(core.world, claimed_state(given.get("state", ""), given.get("response", "")))
    name = _put(core, urlencode(fields)) if flow is not None else "nothing"
    began = flow.errand.get("home", "") if flow is not None else ""
    home = began if began and other_spelling(ask, began) else ""
    return RedirectResponse(f"{home}{ask.request.url.path}?{NAME}={name}", status_code=303)


def _put(core: Core, query: str) -> str:
    ends = core.store.now() + LIFE
    document = Document(kind=KIND, id=secrets.token_urlsafe(32), env=core.env, expires_at=ends)

    def put(sealed: Sealed) -> Document | None:
        return core.store.put_document(replace(document, sealed=sealed), expect=0)

    write_sealed(core.sealer, query.encode(), document_label(document), put)
    return document.id


def query_of(ask: Ask) -> str:
    """Return the query of the answer: what was kept, once, else that of the address."""
    name = ask.request.query_params.get(NAME, "")
    if not name:
        return ask.request.url.query
    core = ask.server.core
    found = core.store.take_document(KIND, name, env=core.env)
    if found is None or found.sealed is None:
        return ""
    return core.sealer.open(found.sealed, document_label(found)).decode()


ROUTES: Final = [Route("/callback/{credential}", keep, methods=["POST"])]
