"""Apps: what was registered at providers, its health, and a new client secret."""

from __future__ import annotations

import os
from typing import Final

from starlette.responses import Response

from valetkey.engine.apps import app_state
from valetkey.engine.secrets import app_variables
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable
from valetkey.model.connections import ConnectionKey, Query
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.urls import allowed_hosts
from valetkey.server.addresses import leads_here, redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.audit import note
from valetkey.server.views.apps import HEALTH, AppView, app_view
from valetkey.server.views.providers import preset_of
from valetkey.values import Secret

COUNTED: Final = 1000
_HINTS: Final = {"client_id": 512, "client_secret": 4096}
"""How long what is typed may be, in characters."""


def show_list(ask: Ask) -> Response:
    """Show all apps."""
    given = ask.request.query_params
    q, health = given.get("q", "").strip().lower(), given.get("health", "")
    shown = [app for app in (view(ask, c) for c in ask.server.core.credentials()) if _matches(app, q, health)]
    rows = [(app, used_by(ask, app.name)) for app in shown]
    return ask.page("apps.html", rows=rows, q=given.get("q", ""), health=health, words=HEALTH)


def _matches(app: AppView, q: str, health: str) -> bool:
    text = f"{app.name} {app.provider.name} {app.client_id} {app.secret.replace(chr(183), '')}".lower()
    return q.replace("\u00b7", "") in text and health in {"", app.health}


def show(ask: Ask) -> Response:
    """Show one app."""
    credential = declared(ask)
    return ask.page("not-found.html", status=404) if credential is None else page(ask, credential)


def replace(ask: Ask) -> Response:
    """Store another client secret, and with it another client id where one was typed."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    try:
        app = typed_app(ask, credential)
        ask.server.core.call(lambda: ask.server.desk.save_app(credential, app))
    except ConfigurationError as error:
        return page(ask, credential, trouble=f"{error}.", status=400)
    key = ConnectionKey(ask.server.core.env, credential.name)
    note(ask.server.core, "app_changed", key, actor=ask.operator.operator, detail={"secret": bool(app.client_secret)})
    return ask.go(f"/console/apps/{credential.name}")


def page(ask: Ask, credential: OAuth2Credential, *, trouble: str = "", status: int = 200) -> Response:
    """Show an app, with what was wrong about what was typed."""
    outside = [name for name in app_variables(credential.name) if os.environ.get(name)]
    return ask.page(
        "app.html",
        status=status,
        app=view(ask, credential),
        credential=credential,
        users=used_by(ask, credential.name),
        counted=COUNTED,
        redirect_uri=redirect_uri(ask, credential),
        here=leads_here(ask, credential),
        hosts=allowed_hosts(credential),
        preset=preset_of(credential),
        outside=outside,
        trouble=trouble,
    )


# -- what the wizard uses too ------------------------------------------------------------------------------------------


def declared(ask: Ask) -> OAuth2Credential | None:
    """Return the credential that the address names, None where nobody declared it."""
    try:
        return ask.server.core.credential(ask.request.path_params["credential"])
    except ConfigurationError:
        return None


def typed_app(ask: Ask, credential: OAuth2Credential) -> AppCredentials:
    """Read client id and secret from the form; without a client id it stays the one that is.

    Raises:
        ConfigurationError: Neither is there, or one is too long or holds what cannot be in it.
    """
    known = known_app(ask, credential)[0]
    client_id = _typed(ask, "client_id") or (known.client_id if known else "")
    secret = _typed(ask, "client_secret")
    if not client_id:
        msg = "the client ID is missing"
        raise ConfigurationError(msg, code="client_id_missing", hint="copy it from the app at the provider")
    return AppCredentials(client_id=client_id, client_secret=Secret(secret) if secret else None)


def _typed(ask: Ask, name: str) -> str:
    text = ask.field(name).strip()
    if len(text) > _HINTS[name] or not text.isprintable():
        what = "client ID" if name == "client_id" else "client secret"
        msg = f"the {what} is not one: it is too long, or holds characters that cannot be seen"
        raise ConfigurationError(msg, code="secret_invalid", hint="copy it again")
    return text


def known_app(ask: Ask, credential: OAuth2Credential) -> tuple[AppCredentials | None, str]:
    """Return the app credentials, or why there are none."""
    try:
        return ask.server.core.app(credential), ""
    except StoreUnavailable:
        raise
    except (ConfigurationError, StoreError) as error:
        return None, error.code


def view(ask: Ask, credential: OAuth2Credential) -> AppView:
    """Return an app as it is shown."""
    core = ask.server.core
    app, error = known_app(ask, credential)
    held = app_state(core.world, core.env, credential)
    secret = app.client_secret if app else None
    fingerprint = core.vault.fingerprint(secret.reveal()) if secret else ""
    return app_view(credential, app, error=error, held=held, fingerprint=fingerprint, now=core.clock.now())


def used_by(ask: Ask, name: str) -> int:
    """Return how many connections hold tokens under a credential; it stops counting at `COUNTED`."""
    core = ask.server.core
    found, cursor = 0, None
    while found < COUNTED:
        listed = core.store.list(Query(env=core.env, credential=name), cursor=cursor, limit=200)
        found += sum(record.sealed is not None for record in listed.items)
        cursor = listed.cursor
        if cursor is None:
            break
    return min(found, COUNTED)


ROUTES: Final = [
    get("/console/apps", show_list),
    get("/console/apps/{credential}", show),
    post("/console/apps/{credential}", replace, grade="everything"),
]
