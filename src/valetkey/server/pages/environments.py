"""The settings page of the environment: where its store is, how it is reached, where people may be sent back to."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.engine.public import addresses, set_addresses
from valetkey.errors import ConfigurationError, StoreError
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with, told
from valetkey.server.settings import settings

PAGE: Final = "/console/settings/environments"


def show(ask: Ask) -> Response:
    """Show the environment that this console is for."""
    core = ask.server.core
    stored = addresses(core.store, core.env)
    return _page(ask, public=stored.public, urls="\n".join(stored.return_urls))


def save(ask: Ask) -> Response:
    """Take the addresses; those that code names stay as they are."""
    core = ask.server.core
    stored = addresses(core.store, core.env)
    public = stored.public if _fixed(ask) else ask.field("base_url").strip()
    urls = ask.field("return_to")
    try:
        public = settings(public, ()).base_url
        by = ask.operator.operator
        set_addresses(core.store, core.clock, core.env, public=public, return_urls=urls.splitlines(), by=by)
    except ConfigurationError as error:
        return _page(ask, public=public, urls=urls, status=400, trouble=f"Not saved: {error}. Next: {error.hint}.")
    later = "The public address is used when valetkey serve starts the next time." if public != stored.public else ""
    return go_with(ask, PAGE, "ok", "Saved.", later)


def _fixed(ask: Ask) -> bool:
    """Whether code or the command line said where this server is reached."""
    core = ask.server.core
    used = ask.server.settings.base_url
    return bool(used) and used != addresses(core.store, core.env).public


def _page(ask: Ask, *, public: str, urls: str, status: int = 200, trouble: str = "") -> Response:
    core = ask.server.core
    credentials = core.credentials()
    missing = [credential.name for credential in credentials if not _has_app(ask, credential.name)]
    return ask.page(
        "settings-environments.html",
        status=status,
        store=core.store.url,
        local=core.store.local,
        declared=len(credentials),
        missing=missing,
        base_url=ask.server.settings.base_url,
        fixed=_fixed(ask),
        public=public,
        urls=urls,
        named=core.return_urls,
        hosts=[host for host in ask.server.settings.hosts if host],
        origin=ask.origin,
        trouble=trouble,
        told=told(ask),
    )


def _has_app(ask: Ask, name: str) -> bool:
    core = ask.server.core
    try:
        core.app(core.credential(name))
    except (ConfigurationError, StoreError):
        return False
    return True


ROUTES: Final = [get(PAGE, show, grade="everything"), post(PAGE, save, grade="everything", fresh=True)]
