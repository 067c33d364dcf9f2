"""The pages, a module for each group; each has its `ROUTES`."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute

from valetkey.server.pages import (
    again,
    api_keys,
    apps,
    callback,
    connections,
    detail,
    environments,
    events,
    invitations,
    jobs,
    joining,
    keys,
    live,
    login,
    operators,
    owners,
    reauthorizing,
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
    joining,
    reauthorizing,
    apps,
    wizard,
    wizard_going,
    operators,
    invitations,
    keys,
    api_keys,
    environments,
)

ROUTES: Final[list[BaseRoute]] = [route for group in _GROUPS for route in group.ROUTES]
