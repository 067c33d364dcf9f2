"""The connections: their list, a page for each, owners, the audit log, jobs over many, and what changes live."""

from __future__ import annotations

from typing import Any, Final, cast

from valetkey.server.pages import detail, events, jobs, listing, live, owners
from valetkey.server.render import environment
from valetkey.server.routes import leads

ROUTES: Final = [
    *listing.ROUTES,
    *detail.ROUTES,
    *owners.ROUTES,
    *events.ROUTES,
    *jobs.ROUTES,
    *live.ROUTES,
]

# The templates of these pages show a link only where it leads somewhere.
cast("dict[str, Any]", environment().globals)["leads"] = leads
