"""The settings page of the environment: where its store is, and under which address it is reached."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError, StoreError
from valetkey.server.asking import Ask, get


def show(ask: Ask) -> Response:
    """Show the environment that this console is for."""
    core = ask.server.core
    credentials = core.credentials()
    missing = [credential.name for credential in credentials if not _has_app(ask, credential.name)]
    return ask.page(
        "settings-environments.html",
        store=core.store.url,
        local=core.store.local,
        declared=len(credentials),
        missing=missing,
        base_url=ask.server.settings.base_url,
        hosts=[host for host in ask.server.settings.hosts if host],
        origin=ask.origin,
    )


def _has_app(ask: Ask, name: str) -> bool:
    core = ask.server.core
    try:
        core.app(core.credential(name))
    except (ConfigurationError, StoreError):
        return False
    return True


ROUTES: Final = [get("/console/settings/environments", show, grade="everything")]
