"""Connect links in the console: the list, a new one, and the one answer that shows its address."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from valetkey.engine.confirming import withdraw as withdraw_link
from valetkey.engine.link_lists import list_links, list_links_before
from valetkey.engine.links import find_link, is_link_id
from valetkey.engine.places import known_params
from valetkey.errors import ConfigurationError
from valetkey.model.asked_params import left_to_program, open_to_people
from valetkey.model.connections import ConnectionKey, Document
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.links import Link
from valetkey.model.names import check_owner
from valetkey.server.addresses import home
from valetkey.server.asking import Ask, get, post
from valetkey.server.joining.params import answers
from valetkey.server.pages.joining import wished
from valetkey.server.times import exactly, until
from valetkey.server.views.links import FILTERS, LinkRow, link_row
from valetkey.server.views.param_fields import PREFIX, ParamField, param_fields
from valetkey.server.views.providers import provider
from valetkey.server.views.scopes import choices

PAGE: Final = 50
NONCE: Final = "form_nonce"
NONCE_LIFE: Final = 86400.0
LIVES: Final = {"1800": "30 minutes", "14400": "4 hours", "86400": "24 hours", "604800": "7 days"}


def show_list(ask: Ask) -> Response:
    """Show the links, the newest first."""
    given, core = ask.request.query_params, ask.server.core
    q, state = given.get("q", "").strip().lower(), given.get("state", "")
    known = {credential.name: credential for credential in core.credentials()}

    def wanted(link: Link) -> bool:
        text = f"{link.key.owner or ''} {link.key.account} {link.key.credential}".lower()
        return q in text and (state not in FILTERS or link.state in FILTERS[state][1])

    chosen = {name: value for name in ("q", "state") if (value := given.get(name, "").strip())}
    since, before = (one if is_link_id(one := given.get(name, "")) else "" for name in ("after", "before"))
    if before:
        found, more = list_links_before(core.world, core.env, before, wanted=wanted, limit=PAGE)
        if not more:  # it may hold few, for others were made since: show the newest page whole
            return ask.go(f"/console/links?{urlencode(chosen)}")
        after = found[-1].id
    else:
        found, after = list_links(core.world, core.env, wanted=wanted, after=since, limit=PAGE)
    now, later = core.clock.now(), bool(before or since)
    first = found[0].id if found else f"{since}~"
    return ask.page(
        "links.html",
        rows=[_row(ask, link, known, now) for link in found],
        q=given.get("q", ""),
        state=state,
        filters=FILTERS,
        query=urlencode(chosen),
        later=later,
        previous=urlencode({**chosen, "before": first}) if later else "",
        next=urlencode({**chosen, "after": after}) if after else "",
    )


def _row(ask: Ask, link: Link, known: dict[str, OAuth2Credential], now: float) -> tuple[LinkRow, str]:
    """Return how a link is listed, and the query of the form for a new one; empty where no form can make it."""
    key = link.key
    gone = OAuth2Credential(name=key.credential, display_name=key.credential)
    fields = {"credential": key.credential, "owner": key.owner or "", "account": key.account}
    fields |= {f"{PREFIX}{name}": value for name, value in link.params.items()}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items() if value)
    credential = known.get(key.credential, gone)
    waits = not link.is_open and left_to_program(credential, known_params(ask.server.core.world, credential, key))
    return link_row(link, credential, now), "" if waits else query


def show_new(ask: Ask) -> Response:
    """Ask what the new link is for."""
    return _form(ask)


def create(ask: Ask) -> Response:
    """Make a link and show it, this once; a form that is sent again makes none (SPEC section 6, point 1)."""
    core = ask.server.core
    if ask.field("do") == "scopes":
        return _form(ask)
    try:
        credential = core.credential(ask.field("credential"))
        wish = wished(ask, credential)
        said_so = answers(ask, credential, open_to_people(credential))
        wrong = {name: "wrong" for name in said_so.wrong if said_so.typed[name].strip()}
        if wrong:
            return _form(ask, wrong=wrong, status=400)
        key = ConnectionKey(core.env, credential.name, check_owner(wish.key.owner, credential), wish.key.account)
        expires_in = float(ask.field("expires_in") if ask.field("expires_in") in LIVES else "1800")
        return_to = ask.field("return_to").strip() or None
        if not _first_time(ask):
            return ask.go("/console/links")
        by = ask.operator.operator
        scopes = tuple(dict.fromkeys((*wish.scopes, *(() if _own(credential) else credential.all_scopes))))
        made = core.call(
            lambda: ask.server.desk.new_link(
                key,
                scopes,
                return_to,
                expires_in,
                only=True,
                world=core.acting(by),
                created_by=by,
                params=wish.params,
            )
        )
    except ConfigurationError as error:
        return _form(ask, trouble=f"{error}.", status=400)
    address = f"{home(ask)}/connect/{made.token.reveal()}"
    shown = provider(credential)
    return ask.page(
        "link-created.html",
        address=address,
        link=made.link,
        provider=shown,
        row=link_row(made.link, credential, core.clock.now()),
        ends=until(made.link.ends_at, core.clock.now(), never=""),
        exact=exactly(made.link.ends_at),
        scopes=[(scope, shown.meanings.get(scope, "")) for scope in scopes],
        seconds=int(expires_in),
    )


def withdraw(ask: Ask) -> Response:
    """End a link."""
    core = ask.server.core
    link = find_link(core.world, ask.request.path_params["id"])
    if link is None or link.key.env != core.env:
        return ask.page("not-found.html", status=404)
    by = ask.operator.operator
    core.call(lambda: withdraw_link(core.acting(by), link.id))
    return ask.go("/console/links")


def _own(credential: OAuth2Credential) -> bool:
    """Whether the credential was declared here, so that fewer scopes than declared may be asked for."""
    return credential.source in {"command", "console"}


def _first_time(ask: Ask) -> bool:
    """Whether this form was not sent before: its nonce is used up in one atomic step."""
    nonce = ask.field("nonce")
    if not nonce:
        return False
    store = ask.server.core.store
    name = hashlib.sha256(f"{ask.operator.token.reveal()}:{nonce}".encode("utf-8", "surrogatepass")).hexdigest()
    used = Document(kind=NONCE, id=name, body={}, expires_at=store.now() + NONCE_LIFE)
    return store.put_document(used, expect=0) is not None


def _form(ask: Ask, *, trouble: str = "", wrong: Mapping[str, str] = EMPTY, status: int = 200) -> Response:
    core = ask.server.core
    usable = [c for c in core.credentials() if c.grant == "authorization_code"]
    given = _given(ask)
    chosen = next((c for c in usable if c.name == given["credential"]), usable[0] if usable else None)
    shown = provider(chosen) if chosen else None
    offered = (
        choices(chosen.all_scopes, {}, chosen=chosen.all_scopes, fixed=() if _own(chosen) else chosen.all_scopes)
        if chosen
        else ()
    )
    return ask.page(
        "link-new.html",
        status=status,
        credentials=[(c.name, provider(c).name) for c in usable],
        chosen=chosen.name if chosen else "",
        choices=offered,
        meanings=shown.meanings if shown else {},
        params=_param_fields(ask, chosen, wrong) if chosen else (),
        per_owner=bool(chosen and chosen.per_owner),
        given=given,
        lives=LIVES,
        allowed=ask.server.desk.return_urls(),
        nonce=secrets.token_urlsafe(16),
        trouble=trouble,
    )


def _param_fields(ask: Ask, credential: OAuth2Credential, wrong: Mapping[str, str]) -> tuple[ParamField, ...]:
    """Return the fields of what the link may carry; what is left empty the person is asked for."""
    rules, query = open_to_people(credential), ask.request.query_params
    values = {rule.name: ask.field(name) or query.get(name, "") for rule in rules if (name := f"{PREFIX}{rule.name}")}
    return param_fields([replace(rule, default="") for rule in rules], values, wrong=wrong, required=False)


def _given(ask: Ask) -> dict[str, str]:
    """Return what was typed, else what the address asks for."""
    query = ask.request.query_params
    names = ("credential", "owner", "account", "return_to", "expires_in")
    given = {name: ask.field(name) or query.get(name, "") for name in names}
    record = ask.server.core.store.find(query.get("connection", "")) if query.get("connection") else None
    if record is not None and record.key.env == ask.server.core.env:
        given |= {"credential": record.key.credential, "owner": record.key.owner or "", "account": record.key.account}
        given["whose"] = "own" if record.key.owner is None else "owner"
    given["whose"] = ask.field("whose") or given.get("whose") or "owner"
    given["expires_in"] = given["expires_in"] if given["expires_in"] in LIVES else "86400"
    return given


ROUTES: Final = [
    get("/console/links", show_list),
    post("/console/links", create),
    get("/console/links/new", show_new, grade="connections"),
    post("/console/links/{id}/withdraw", withdraw),
]
