"""The wizard: a provider, its app, what to ask for, and the way there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from starlette.responses import Response

from valetkey.errors import ConfigurationError, ValetkeyError
from valetkey.model.app_headers import shows_secret
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.placing import URL_FIELDS
from valetkey.model.presets import Preset, load_preset, search_presets
from valetkey.model.registry import declare
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.audit import note
from valetkey.server.joining.params import Answers, answers
from valetkey.server.pages.apps import declared, known_app, typed_app
from valetkey.server.pages.typed_keys import key_fields, proves_by_key
from valetkey.server.views.param_fields import param_fields
from valetkey.server.views.providers import Provider, of_listed, of_preset, provider

SHOWN: Final = 48
BY_HAND: Final = (
    *("authorization_url", "token_url", "userinfo_url", "revocation_url", "registration_url", "issuer", "client_auth"),
)

_PLACES: Final[frozenset[str]] = frozenset({*URL_FIELDS, "api_hosts"})
"""The fields in which params stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A declared credential in the catalogue; `set_up` says whether its app is known."""

    provider: Provider
    set_up: bool


def catalogue(ask: Ask) -> Response:
    """Show the providers, by name or host, and what is declared already."""
    given = ask.request.query_params
    q, category = given.get("q", "").strip()[:200], given.get("category", "")
    known = search_presets("")
    found = [listed for listed in search_presets(q) if not category or category in listed.category]
    if not q:
        found.sort(key=lambda listed: listed.display_name.lower())  # of a search the best match comes first
    every = sorted({word for listed in known for word in listed.category})
    mine = [
        _ready(ask, credential) for credential in ask.server.core.credentials() if _is_meant(credential, q, category)
    ]
    return ask.page(
        "wizard-provider.html",
        q=given.get("q", ""),
        category=category,
        categories=every,
        ready=mine,
        presets=[(listed, of_listed(listed)) for listed in found[:SHOWN]],
        found=len(found),
        many=len(known),
    )


def _ready(ask: Ask, credential: OAuth2Credential) -> Ready:
    return Ready(provider=provider(credential), set_up=known_app(ask, credential)[0] is not None)


def _is_meant(credential: OAuth2Credential, q: str, category: str) -> bool:
    text = " ".join((credential.name, credential.display_name, credential.authorization_url, *credential.api_hosts))
    return q.lower() in text.lower() and not category and credential.grant == "authorization_code"


# -- app credentials ---------------------------------------------------------------------------------------------------


def show_new(ask: Ask) -> Response:
    """Ask for the app credentials of a provider that is not declared yet."""
    preset = _preset(ask)
    if preset is None:
        return ask.page("not-found.html", status=404)
    return _new_page(ask, preset, _free_name(ask, preset.id))


def add_new(ask: Ask) -> Response:
    """Declare a provider of the catalogue, and store its app."""
    preset = _preset(ask)
    if preset is None:
        return ask.page("not-found.html", status=404)
    said = _answers(ask, preset)
    params = {**{name: value.strip() for name, value in said.typed.items() if value.strip()}, **said.given}
    name = ask.field("name").strip()
    try:
        credential = _declared(ask, name, {"preset": preset.id, "params": params})
    except ValetkeyError as error:
        at_fields = said.wrong and error.code in {"param_invalid", "param_missing"}
        return _new_page(ask, preset, name, trouble="" if at_fields else _said(error), wrong=said.wrong, status=400)
    return _stored(ask, credential, lambda why: _new_page(ask, preset, name, trouble=why, status=400))


def _answers(ask: Ask, preset: Preset) -> Answers:
    """Read what the form says of the params, as the pages do that ask people for them before a sign-in."""
    rules = preset.asked_params
    places: dict[str, Any] = {name: value for name, value in preset.fields.items() if name in _PLACES}
    said = answers(ask, OAuth2Credential(name=preset.id, **places), rules.values())
    wrong = {name: why for name, why in said.wrong.items() if why == "wrong" or not rules[name].optional}
    return replace(said, wrong=wrong)


def show_own(ask: Ask) -> Response:
    """Ask for the endpoints of a server that is in no list."""
    return _own_page(ask)


def add_own(ask: Ask) -> Response:
    """Declare a server by its endpoints, and store its app."""
    given: dict[str, Any] = {field: ask.field(field).strip() for field in BY_HAND if ask.field(field).strip()}
    hosts, scopes = ask.field("api_hosts").split(), ask.field("scopes").split()
    given |= {"display_name": ask.field("display_name").strip() or None, "api_hosts": hosts or None, "scopes": scopes}
    if ask.field("registers"):
        given["registration"] = "dynamic"
    try:
        credential = _declared(ask, ask.field("name").strip(), given)
    except ValetkeyError as error:
        return _own_page(ask, trouble=_said(error), status=400)
    if credential.registration == "dynamic":
        ask.server.core.call(lambda: ask.server.desk.save_declaration(credential))
        return ask.go(f"/console/apps/{credential.name}/register")
    return _stored(ask, credential, lambda said: _own_page(ask, trouble=said, status=400))


def show_app(ask: Ask) -> Response:
    """Ask for the app credentials of what is declared already."""
    credential = declared(ask)
    return ask.page("not-found.html", status=404) if credential is None else _app_page(ask, credential)


def add_app(ask: Ask) -> Response:
    """Store the app of what is declared already."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    return _stored(ask, credential, lambda said: _app_page(ask, credential, trouble=said, status=400))


def _declared(ask: Ask, name: str, fields: dict[str, Any]) -> OAuth2Credential:
    """Declare a credential of the console under a name that is free.

    Raises:
        ConfigurationError: A field is wrong, or the name is taken (``name_taken``).
    """
    made = declare(name, {field: value for field, value in fields.items() if value}, source="console")
    if any(made.name == other.name for other in ask.server.core.credentials()):
        msg = f"there is a credential {made.name!r} already"
        raise ConfigurationError(msg, code="name_taken", hint="choose another name, or open that app")
    return made


def _stored(ask: Ask, credential: OAuth2Credential, wrong: Callable[[str], Response]) -> Response:
    try:
        app = typed_app(ask, credential)
        ask.server.core.call(lambda: ask.server.desk.save_app(credential, app))
    except ConfigurationError as error:
        return wrong(_said(error))
    key = ConnectionKey(ask.server.core.env, credential.name)
    note(ask.server.core, "app_added", key, actor=ask.operator.operator, detail={})
    if credential.proves_by_key and app.private_key is None:
        return ask.go(f"/console/apps/{credential.name}")  # there its key is made, or given
    return ask.go(f"/console/new/{credential.name}/scopes")


def _new_page(
    ask: Ask,
    preset: Preset,
    name: str,
    *,
    trouble: str = "",
    wrong: Mapping[str, str] = EMPTY,
    status: int = 200,
) -> Response:
    shown = of_preset(preset)
    given = {param: ask.field(f"param_{param}") for param in preset.asked_params}
    fields = [
        one
        for rule in preset.asked_params.values()
        for one in param_fields([rule], given, wrong=wrong, required=not rule.optional)
    ]
    stand_in = OAuth2Credential(name=name or preset.id, loopback_host=_loopback_host(preset))
    return ask.page(
        "wizard-app.html",
        status=status,
        provider=shown,
        name=name,
        new=True,
        params=fields,
        **key_fields(ask, by_key=proves_by_key(preset.fields), signs=bool(preset.fields.get("signed_secret_claims"))),
        client_id=ask.field("client_id"),
        redirect_uri=redirect_uri(ask, stand_in),
        docs_url=preset.docs_url,
        quirks=preset.quirks,
        public=_is_public(preset.fields.get("client_auth"), preset.fields.get("api_headers", {})),
        registers=False,
        trouble=trouble,
    )


def _is_public(client_auth: object, api_headers: object) -> bool:
    """Whether an app may do without a secret: it neither proves itself by one, nor do calls carry it."""
    carried = cast("Mapping[str, str]", api_headers).values()
    return client_auth == "none" and not any(map(shows_secret, carried))


def _loopback_host(preset: Preset) -> Any:
    return preset.fields.get("loopback_host", "127.0.0.1")


def _app_page(ask: Ask, credential: OAuth2Credential, *, trouble: str = "", status: int = 200) -> Response:
    return ask.page(
        "wizard-app.html",
        status=status,
        provider=provider(credential),
        name=credential.name,
        new=False,
        params=[],
        **key_fields(ask, by_key=credential.proves_by_key, signs=bool(credential.signed_secret_claims)),
        client_id=ask.field("client_id"),
        redirect_uri=redirect_uri(ask, credential),
        docs_url="",
        quirks=(),
        public=_is_public(credential.client_auth, credential.api_headers),
        registers=credential.registers,
        trouble=trouble,
    )


def _own_page(ask: Ask, *, trouble: str = "", status: int = 200) -> Response:
    name = ask.field("name").strip() or "intern"
    try:
        uri = redirect_uri(ask, OAuth2Credential(name=name))
    except ConfigurationError:
        uri = ""
    fields = (*BY_HAND, "name", "display_name", "api_hosts", "scopes", "client_id", "registers")
    given = {field: ask.field(field) for field in fields}
    return ask.page("wizard-own.html", status=status, given=given, redirect_uri=uri, trouble=trouble)


def _preset(ask: Ask) -> Preset | None:
    try:
        return load_preset(ask.request.path_params["preset"])
    except ConfigurationError:
        return None


def _free_name(ask: Ask, wanted: str) -> str:
    taken = {credential.name for credential in ask.server.core.credentials()}
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 100)))
    return next((name for name in names if name not in taken), "")


def _said(error: ValetkeyError) -> str:
    hint = f" {error.hint[:1].upper()}{error.hint[1:]}." if error.hint and "wire_" not in error.hint else ""
    return f"{error}.{hint}"


ROUTES: Final = [
    get("/console/new", catalogue),
    get("/console/new/own", show_own, grade="everything"),
    post("/console/new/own", add_own, grade="everything"),
    get("/console/presets/{preset}", show_new, grade="everything"),
    post("/console/presets/{preset}", add_new, grade="everything"),
    get("/console/new/{credential}/app", show_app, grade="everything"),
    post("/console/new/{credential}/app", add_app, grade="everything"),
]
