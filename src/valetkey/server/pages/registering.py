"""An app that registers itself at its server (RFC 7591): what it would say there, and doing it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.engine.discovery import complete
from valetkey.engine.registering import register
from valetkey.engine.registrations import Registered, registered
from valetkey.errors import ConfigurationError, ProviderError, StoreUnavailable, ValetkeyError, clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.registration import client_metadata
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with
from valetkey.server.pages.apps import declared, known_app, used_by
from valetkey.server.views.providers import provider

HERE: Final = "/console/apps/{credential}/register"
_SAID: Final = ("client_name", "client_uri", "logo_uri", "contacts", "tos_uri", "policy_uri", "software_id")
"""What people are shown of what an app says of itself; the rest follows from the declaration."""


def show(ask: Ask) -> Response:
    """Show what the app would register, and where."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    return _page(ask, credential)


def do(ask: Ask) -> Response:
    """Register the app now; in the place of another one only after a sign-in of the last minutes."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    here = HERE.format(credential=credential.name)
    if known_app(ask, credential)[0] is not None and not ask.fresh():
        return ask.go(f"/login/again?next={here}")
    core, uris = ask.server.core, (redirect_uri(ask, credential),) if credential.signs_in else ()
    world = core.acting(ask.operator.operator)
    try:
        made = core.call(lambda: register(world, core.env, credential, uris))
    except StoreUnavailable:
        raise
    except ValetkeyError as error:
        return _page(ask, credential, error)
    client_id = clean(made.registration.client_id, 200)
    path = f"/console/apps/{credential.name}"
    return go_with(ask, path, "ok", "The app has registered itself.", f"Its client ID is {client_id}.")


def _page(ask: Ask, credential: OAuth2Credential, error: ValetkeyError | None = None) -> Response:
    """Show the form; where the server's metadata cannot be read, that is what was wrong."""
    core = ask.server.core
    try:
        found = core.call(lambda: complete(core.world, credential))
    except StoreUnavailable:
        raise
    except ValetkeyError as unread:
        found, error = credential, error or unread
    uri = redirect_uri(ask, credential) if credential.signs_in else ""
    says = client_metadata(found, redirect_uris=(uri,) if uri else (), method=found.client_auth)
    mine = registered(core.store, core.sealer, core.env, found)
    app = known_app(ask, credential)[0]
    return ask.page(
        "app-register.html",
        status=_status(error),
        provider=provider(credential),
        credential=credential,
        where=found.registration_url,
        redirect_uri=uri,
        scopes=credential.all_scopes,
        says=[(name, _in_words(says[name])) for name in _SAID if name in says],
        client_id=clean(app.client_id, 200) if app else "",
        by_itself=_dynamic(mine) and app is not None and mine is not None and mine.app().client_id == app.client_id,
        users=used_by(ask).get(credential.name, 0),
        trouble="" if error is None else str(error),
        code="" if error is None else error.code,
        hint=_hint(error),
    )


def _dynamic(mine: Registered | None) -> bool:
    return mine is not None and mine.way == "dynamic"


def _in_words(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _status(error: ValetkeyError | None) -> int:
    if error is None:
        return 200
    return 502 if isinstance(error, ProviderError) else 400


def _hint(error: ValetkeyError | None) -> str:
    """Return the next step; commands are said as what the console has in their place."""
    if error is None:
        return ""
    if isinstance(error, ProviderError) and error.retryable:
        return "Nothing was stored. Try again in a moment."
    if isinstance(error, ConfigurationError) and error.code != "registration_unfit":
        return f"{error.hint[:1].upper()}{error.hint[1:]}." if error.hint else ""
    return "Nothing was stored. Register the app at the provider by hand, and enter its client ID and secret here."


ROUTES: Final = [
    get(HERE, show, grade="everything"),
    post(HERE, do, grade="everything"),
]
