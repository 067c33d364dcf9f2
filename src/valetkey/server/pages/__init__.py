"""The pages, a module for each group; each has its `ROUTES`."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute

from valetkey.server.pages import (
    accounts,
    again,
    api_keys,
    app_keys,
    apps,
    brand,
    callback,
    client_documents,
    connect_decide,
    connect_page,
    connections,
    detail,
    environments,
    events,
    invitations,
    jobs,
    joining,
    keys,
    links,
    live,
    login,
    operators,
    owners,
    reauthorizing,
    registering,
    start,
    theme,
    wizard,
    wizard_going,
)

_GROUPS: Final = (
    login,
    again,
    theme,
    connections,
    detail,
    events,
    owners,
    jobs,
    live,
    callback,
    client_documents,
    joining,
    reauthorizing,
    apps,
    registering,
    app_keys,
    start,
    wizard,
    wizard_going,
    links,
    connect_decide,
    connect_page,
    accounts,
    operators,
    invitations,
    keys,
    api_keys,
    brand,
    environments,
)

ROUTES: Final[list[BaseRoute]] = [route for group in _GROUPS for route in group.ROUTES]
