"""The list of connections."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.model.connections import Query
from valetkey.server.asking import Ask, get
from valetkey.server.views.connections import row

PAGE: Final = 50


def show(ask: Ask) -> Response:
    """Show a page of connections."""
    core = ask.server.core
    given = ask.request.query_params
    query = Query(env=core.env, search=given.get("q") or None)
    try:
        page = core.statuses(query, given.get("after") or None, PAGE)
    except ConfigurationError:  # an old address
        return ask.go("/console/connections")
    declared = {credential.name: credential for credential in core.credentials()}
    now = core.clock.now()
    rows = [row(status, declared.get(status.connection.credential), now) for status in page]
    return ask.page("connections.html", rows=rows, q=given.get("q", ""), after=page.cursor)


ROUTES: Final = [get("/console/connections", show)]
