"""All pages about connecting: wizard, apps, callback, connect links and what account holders see."""

from __future__ import annotations

from typing import Final

from valetkey.server.pages import (
    accounts,
    apps,
    callback,
    connect_decide,
    connect_page,
    joining,
    links,
    reauthorizing,
    start,
    wizard,
    wizard_going,
)

ROUTES: Final = [
    *callback.ROUTES,
    *joining.ROUTES,
    *reauthorizing.ROUTES,
    *start.ROUTES,
    *wizard.ROUTES,
    *wizard_going.ROUTES,
    *apps.ROUTES,
    *links.ROUTES,
    *connect_decide.ROUTES,
    *connect_page.ROUTES,
    *accounts.ROUTES,
]
