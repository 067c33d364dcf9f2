"""The settings page of API keys, and the one answer in which a new key is shown."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from valetkey.engine.api_keys import RATE, ApiKeys
from valetkey.engine.calls import calls_by_key
from valetkey.errors import ConfigurationError
from valetkey.server.asking import Ask, get, post
from valetkey.server.once import first_time, nonce
from valetkey.server.views.api_keys import LIVES, choices, made, row

PAGE: Final = "/console/settings/api-keys"
_FIELDS: Final = ("name", "ends", "owners", "credentials", "rate", "networks")
_BLANK: Final = {"ends": "90", "rate": str(RATE)}


def show(ask: Ask) -> Response:
    """Show all keys, and a form for another."""
    return _page(ask, dict.fromkeys(_FIELDS, "") | _BLANK, ("read",))


def create(ask: Ask) -> Response:
    """Make a key; it stands in this answer and nowhere else."""
    core = ask.server.core
    if not first_time(core.store, core.clock, ask.field("nonce")):
        return ask.go(PAGE)
    given = {name: ask.field(name).strip() for name in _FIELDS}
    scopes = tuple(scope for scope in ask.form.getlist("may") if isinstance(scope, str))
    try:
        key, secret = _keys(ask).add(
            given["name"],
            scopes,
            owners=_names(given["owners"]),
            credentials=_names(given["credentials"]),
            networks=_names(given["networks"]),
            rate=int(given["rate"]) if given["rate"].isdecimal() and len(given["rate"]) < 9 else 0,  # noqa: PLR2004
            identities=ask.field("hide") != "identities",
            life=_life(given["ends"]),
            by=ask.operator.operator,
        )
    except ConfigurationError as error:
        return _page(ask, given, scopes, trouble=f"{error}: {error.hint}.")
    address = f"{ask.origin}{ask.url('/v1/connections')}"
    shown = made(key, core.clock.now())
    return ask.page("settings-api-key-created.html", key=shown, secret=secret.reveal(), address=address)


def revoke(ask: Ask) -> Response:
    """Revoke a key; one that is gone already is no trouble."""
    _keys(ask).revoke(ask.field("id"), by=ask.operator.operator)
    return ask.go(PAGE)


def _keys(ask: Ask) -> ApiKeys:
    core = ask.server.core
    return ApiKeys(core.store, core.clock, core.env)


def _names(text: str) -> list[str]:
    """Return what is entered with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _life(value: str) -> float | None:
    if value not in LIVES:
        msg = "the API key was not made: nobody said when it ends"
        raise ConfigurationError(msg, code="api_key_invalid", hint="choose when it ends")
    return LIVES[value][1]


def _page(ask: Ask, given: dict[str, Any], scopes: tuple[str, ...], *, trouble: str = "") -> Response:
    core = ask.server.core
    now = core.clock.now()
    ask.server.calls.flush()
    calls = calls_by_key(core.store, core.env, now)
    return ask.page(
        "settings-api-keys.html",
        status=400 if trouble else 200,
        rows=[row(key, now, calls.get(key.id, 0)) for key in _keys(ask).list()],
        given=given,
        choices=choices(scopes),
        lives=[(value, words) for value, (words, _) in LIVES.items()],
        hide=ask.field("hide") == "identities",
        nonce=nonce(),
        trouble=trouble,
    )


ROUTES: Final = [
    get(PAGE, show, grade="everything"),
    post(f"{PAGE}/new", create, grade="everything", fresh=True),
    post(f"{PAGE}/revoke", revoke, grade="everything"),
]
