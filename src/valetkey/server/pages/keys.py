"""The settings page of keys: which master and data keys there are, and what they seal.  Never a key."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.engine.key_status import key_status
from valetkey.server.asking import Ask, get
from valetkey.server.views.keys import master_key

PAGE: Final = "/console/settings/keys"


def show(ask: Ask) -> Response:
    """Show the keys."""
    core = ask.server.core
    found = key_status(core.store, core.vault, core.keys)
    return ask.page("settings-keys.html", found=found, shown=master_key(found))


def settings(ask: Ask) -> Response:
    """Lead to the first tab of the settings."""
    return ask.go(PAGE)


ROUTES: Final = [get("/console/settings", settings, grade="everything"), get(PAGE, show, grade="everything")]
