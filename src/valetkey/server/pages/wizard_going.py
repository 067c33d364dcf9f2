"""The second half of the wizard: what to ask for, checks before leaving, and waiting for the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import JSONResponse, Response

from valetkey.engine.connect import AuthorizationStart
from valetkey.engine.flows import is_under_way
from valetkey.engine.preflight import Probe, probe
from valetkey.errors import ConfigurationError, StoreError, ValetkeyError
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.joining.ends import end_of
from valetkey.server.joining.leaving import begin, bind
from valetkey.server.joining.params import in_place
from valetkey.server.pages.apps import declared, known_app
from valetkey.server.pages.joining import Wish, failed, wished
from valetkey.server.pages.scopes_page import scopes_page, wrong_params
from valetkey.server.views.providers import provider

OFF: Final = 30.0
"""Seconds by which clocks may differ before it is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of what was checked before leaving."""

    well: bool
    text: str


def show_scopes(ask: Ask) -> Response:
    """Ask for whom, and what the connection shall be able to do."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    if known_app(ask, credential)[0] is None:
        return ask.go(f"/console/new/{credential.name}/app")
    return scopes_page(ask, credential)


def go(ask: Ask) -> Response:
    """Begin the sign-in, and show the page that waits for it."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    try:
        wish = wished(ask, credential)
        wrong = wrong_params(ask, credential, wish.key)
        if wrong:
            return scopes_page(ask, credential, wrong=wrong, status=400)
    except ConfigurationError as error:
        return scopes_page(ask, credential, trouble=f"{error}.", status=400)
    chosen = wish.scopes
    if credential.source in {"command", "console"}:
        credential = _remembered(ask, credential, chosen)
    core = ask.server.core
    errand = {"face": "console", "by": ask.operator.operator, "waits": "1"}
    looked = core.call(lambda: probe(core.world, in_place(ask, credential, wish.key, wish.params)))
    try:
        only = credential.source in {"command", "console"}
        begun = begin(ask, wish.key, chosen, only=only, errand=errand, params=wish.params)
    except StoreError:
        raise
    except ValetkeyError as error:
        return failed(ask, error, credential, wish)
    page = _waiting_page(ask, credential, wish, checks(credential, looked, redirect_uri(ask, credential)), begun)
    return bind(ask, page, begun)


def _remembered(ask: Ask, credential: OAuth2Credential, chosen: tuple[str, ...]) -> OAuth2Credential:
    """Keep what was chosen as what this credential asks for, where this operator may change it."""
    if not ask.operator.may("everything") or chosen == credential.scopes:
        return credential
    kept = replace(credential, scopes=chosen)
    ask.server.core.call(lambda: ask.server.desk.save_declaration(kept))
    return kept


def checks(credential: OAuth2Credential, looked: Probe, uri: str) -> tuple[Check, ...]:
    """Return what was checked, in words."""
    name = provider(credential).name
    off = looked.clock_off
    bound = "PKCE S256, " if credential.pkce else ""
    issuer = ", issuer check" if credential.issuer else ""
    clock = "" if off is None else f", our clock differs by {abs(off):.0f} s"
    return (
        Check(well=True, text=f"{name} answers{clock}")
        if looked.answers
        else Check(well=False, text=f"{name} did not answer when we looked: {looked.problem}"),
        *(
            ()
            if off is None or abs(off) < OFF
            else (Check(well=False, text="Our clock is off: one-time codes may count as too old"),)
        ),
        Check(well=True, text=f"The request is bound to this browser: {bound}one-time state{issuer}"),
        Check(
            well=True,
            text=f"The redirect address {'uses https' if uri.startswith('https:') else 'is on this machine'}",
        ),
    )


# -- waiting -----------------------------------------------------------------------------------------------------------


def _waiting_page(
    ask: Ask, credential: OAuth2Credential, wish: Wish, looked: tuple[Check, ...], begun: AuthorizationStart
) -> Response:
    return ask.page(
        "wizard-waiting.html",
        provider=provider(credential),
        owner=wish.key.owner,
        checks=looked,
        url=begun.url,
        flow=begun.flow_id,
        redirect_uri=redirect_uri(ask, credential),
        client_id=_client_id(ask, credential),
    )


def _client_id(ask: Ask, credential: OAuth2Credential) -> str:
    app, _ = known_app(ask, credential)
    return app.client_id if app else ""


def look(ask: Ask) -> Response:
    """Say how a sign-in stands: for the script of the page that waits."""
    return JSONResponse(_standing(ask))


def onward(ask: Ask) -> Response:
    """Lead on when the sign-in is over: for those without script."""
    stands = _standing(ask)
    if stands["to"]:
        return ask.go(stands["to"].removeprefix(ask.root))
    return ask.page("still-waiting.html", state=stands["state"], flow=ask.request.path_params["flow"])


def _standing(ask: Ask) -> dict[str, str]:
    wanted = ask.request.path_params["flow"]
    end = end_of(ask.server.core, wanted)
    if end is not None:
        return {"state": end.state, "to": ask.url(end.to) if end.to else ""}
    return {"state": "waiting" if is_under_way(ask.server.core.world, wanted) else "over", "to": ""}


ROUTES: Final = [
    get("/console/new/{credential}/scopes", show_scopes, grade="connections"),
    post("/console/new/{credential}/connect", go),
    get("/console/sign-ins/{flow}", look, grade="connections"),
    get("/console/sign-ins/{flow}/onward", onward, grade="connections"),
]
