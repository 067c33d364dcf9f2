"""Apps: what was registered at providers, its health, and a new client secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as dataclass_replace
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from valetkey.app_keys import name_key
from valetkey.apps import health_of, outside, replace_secret, set_end, withdraw_secret
from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.app_health import standing_of
from valetkey.engine.app_replacing import OVERLAP
from valetkey.engine.calls import calls_of_app
from valetkey.engine.consequences import said_calls
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, clean
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.urls import allowed_hosts
from valetkey.server.addresses import leads_here, redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with, told
from valetkey.server.pages.typed_keys import typed_key, with_typed_key
from valetkey.server.views.app_causes import rows
from valetkey.server.views.app_keys import shown_keys
from valetkey.server.views.apps import HEALTH, AppView, app_view
from valetkey.server.views.providers import preset_of
from valetkey.values import Secret

PAGE: Final = "/console/apps"
OVERLAPS: Final = {
    "604800": "7 days",
    "86400": "24 hours",
    "3600": "1 hour",
    "2592000": "30 days",
    "0": "Do not keep",
}
"""For how many seconds the old secret can be kept, and in words."""
_DONE: Final = {
    "replaced": ("The new client secret is in use.", "The provider took it. Nobody signs in again."),
    "waiting": (
        "The new client secret is stored.",
        "It is tried with the next refresh that is due; until it has worked once, the one in use stays.",
    ),
}
BY_KEYS: Final = frozenset({"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"})
"""How apps prove themselves whose key or certificate is kept where another client id is typed."""
_HINTS: Final = {"client_id": 512, "client_secret": 4096}
"""How long what is typed may be, in characters."""


def show_list(ask: Ask) -> Response:
    """Show all apps."""
    given = ask.request.query_params
    q, health = given.get("q", "").strip().lower(), given.get("health", "")
    shown = [app for app in (view(ask, c) for c in ask.server.core.credentials()) if _matches(app, q, health)]
    users = used_by(ask)
    listed = [(app, users.get(app.name, 0)) for app in shown]
    return ask.page("apps.html", rows=listed, q=given.get("q", ""), health=health, words=HEALTH)


def _matches(app: AppView, q: str, health: str) -> bool:
    text = f"{app.name} {app.provider.name} {app.client_id} {app.secret.replace(chr(183), '')}".lower()
    return q.replace("\u00b7", "") in text and health in {"", app.health}


def show(ask: Ask) -> Response:
    """Show one app."""
    credential = declared(ask)
    return ask.page("not-found.html", status=404) if credential is None else page(ask, credential)


def replace(ask: Ask) -> Response:
    """Take a new client secret, which follows the one in use once the provider has taken it."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    core, by = ask.server.core, ask.operator.operator
    try:
        secret = typed_key(ask, credential) if credential.signed_secret_claims else Secret(_typed(ask, "client_secret"))
        overlap, ends_at = _overlap(ask), _end(ask)
        if credential.signed_secret_claims:
            core.call(lambda: name_key(core, credential))
        done = core.call(lambda: replace_secret(core, credential.name, secret, overlap, ends_at, actor=by))
    except ConfigurationError as error:
        return page(ask, credential, trouble=f"{error}: {error.hint}.", status=400)
    path = f"{PAGE}/{credential.name}"
    if done.state == "refused":
        return ask.go(path)  # it says there what the provider said, for as long as that matters
    title, text = _DONE[done.state]
    return go_with(ask, path, "ok", title, text)


def withdraw(ask: Ask) -> Response:
    """Take back a new secret that is not in use yet."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    core, by = ask.server.core, ask.operator.operator
    core.call(lambda: withdraw_secret(core, credential.name, actor=by))
    return ask.go(f"{PAGE}/{credential.name}")


def end(ask: Ask) -> Response:
    """Note when the provider ends the secret in use."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    core, by = ask.server.core, ask.operator.operator
    try:
        ends_at = _end(ask)
        core.call(lambda: set_end(core, credential.name, ends_at, actor=by))
    except ConfigurationError as error:
        return page(ask, credential, trouble=f"{error}: {error.hint}.", status=400)
    return ask.go(f"{PAGE}/{credential.name}")


def _overlap(ask: Ask) -> float:
    text = ask.field("overlap")
    return float(text) if text in OVERLAPS else OVERLAP


def _end(ask: Ask) -> float | None:
    """Return the beginning of the day that was typed, in UTC: who is told a day early has lost nothing."""
    text = ask.field("ends").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        msg = "the end is no date"
        raise ConfigurationError(msg, code="ends_at_invalid", hint="write it as 2027-05-31") from None


def page(ask: Ask, credential: OAuth2Credential, *, trouble: str = "", status: int = 200) -> Response:
    """Show an app, with what was wrong about what was typed."""
    core = ask.server.core
    shown, now = view(ask, credential), core.clock.now()
    standing = standing_of(core.world, core.env, credential, rejected=shown.error if shown.health == "fixing" else "")
    calls = _calls_of(ask, credential)
    return ask.page(
        "app.html",
        status=status,
        app=shown,
        credential=credential,
        users=used_by(ask).get(credential.name, 0),
        standing=standing,
        causes=rows(shown, standing, now),
        calls=sum(calls.values()),
        keys=_keys_of(ask, credential, calls) if ask.operator.may("everything") else (),
        redirect_uri=redirect_uri(ask, credential),
        here=leads_here(ask, credential),
        hosts=allowed_hosts(credential),
        preset=preset_of(credential),
        outside=outside(credential),
        fresh=ask.fresh(),
        overlaps=OVERLAPS,
        trouble=trouble,
        told=told(ask),
        **shown_keys(ask, credential),
    )


def _keys_of(ask: Ask, credential: OAuth2Credential, calls: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """Return the API keys that may use this credential, and how often they called for it; the busiest first."""
    core = ask.server.core
    keys = ApiKeys(core.store, core.clock, core.env).list()
    may = [key for key in keys if not key.credentials or credential.name in key.credentials]
    busiest = sorted(may, key=lambda key: -calls.get(key.id, 0))
    return tuple((clean(key.name, 200), said_calls(calls.get(key.id, 0))) for key in busiest)


def _calls_of(ask: Ask, credential: OAuth2Credential) -> dict[str, int]:
    """Return how often API keys called for its connections in the last 24 hours."""
    core = ask.server.core
    ask.server.calls.flush()
    return calls_of_app(core.store, core.env, credential.name, core.clock.now())


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
    if known is None or (credential.client_auth not in BY_KEYS and not credential.proves_by_key):
        known = AppCredentials(client_id=client_id)
    app = dataclass_replace(known, client_id=client_id, client_secret=Secret(secret) if secret else None)
    return with_typed_key(ask, credential, app) if credential.proves_by_key else app


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
    return app_view(credential, health_of(core, credential), core.clock.now())


def used_by(ask: Ask) -> dict[str, int]:
    """Return how many connections hold tokens under each credential, as the store has counted them."""
    core = ask.server.core
    found: dict[str, int] = {}
    for (name, state), n in core.store.counts(env=core.env, now=core.clock.now()).items():
        if state not in {"pending", "disconnected"}:
            found[name] = found.get(name, 0) + n
    return found


ROUTES: Final = [
    get(PAGE, show_list),
    get(f"{PAGE}/{{credential}}", show),
    post(f"{PAGE}/{{credential}}", replace, grade="everything", fresh=True),
    post(f"{PAGE}/{{credential}}/withdraw", withdraw, grade="everything"),
    post(f"{PAGE}/{{credential}}/end", end, grade="everything"),
]
