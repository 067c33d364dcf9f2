"""Connecting from the console: to the provider and back, and a page for each way in which it does not end well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from valetkey.engine.flows import is_under_way
from valetkey.engine.preflight import probe
from valetkey.errors import ConfigurationError, StateMismatch, StoreError, ValetkeyError
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.names import check_account, check_owner
from valetkey.server.addresses import redirect_uri
from valetkey.server.asking import Ask, get, post
from valetkey.server.audit import note
from valetkey.server.joining.arriving import Arrival, cookies_of
from valetkey.server.joining.arriving import finish as finished
from valetkey.server.joining.ends import end
from valetkey.server.joining.leaving import begin, leave, unbind
from valetkey.server.joining.params import in_place, typed_params
from valetkey.server.pages.apps import used_by
from valetkey.server.pages.scopes_page import scopes_page, wrong_params
from valetkey.server.times import exactly
from valetkey.server.views.comparing import difference
from valetkey.server.views.failures import Scene, failure
from valetkey.server.views.outcome import outcome
from valetkey.server.views.providers import provider

WHOSE: Final = ("owner", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to connect, as the form says it.

    Attributes:
        key: The connection.
        scopes: What to ask for beside what is declared.
        params: The connection's own.
    """

    key: ConnectionKey
    scopes: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def start(ask: Ask) -> Response:
    """Send the operator to the provider; back to the form where it does not say what the URLs wait for."""
    name = ask.request.path_params["credential"]
    try:
        credential = ask.server.core.credential(name)
        wish = wished(ask, credential)
    except ConfigurationError as error:
        return ask.page("not-found.html", status=404) if error.code == "credential_unknown" else _refused(ask, error)
    wrong = wrong_params(ask, credential, wish.key)
    return scopes_page(ask, credential, wrong=wrong, status=400) if wrong else go(ask, wish)


def go(ask: Ask, wish: Wish, *, again: str = "") -> Response:
    """Begin a sign-in for an operator; `again` is the id of the connection that is connected again."""
    errand = {"face": "console", "by": ask.operator.operator, "again": again}
    try:
        begun = begin(ask, wish.key, wish.scopes, errand=errand, params=wish.params)
    except StoreError:
        raise
    except ValetkeyError as error:
        return failed(ask, error, ask.server.core.credential(wish.key.credential), wish)
    return leave(ask, begun, wish.key.credential)


def wished(ask: Ask, credential: OAuth2Credential) -> Wish:
    """Read the form: whose connection, which account, which scopes.

    Raises:
        ConfigurationError: The owner is missing where one is meant, or a label cannot be one.
    """
    owner = ask.field("owner").strip()
    if ask.field("whose") == "owner" and not owner:
        msg = "the owner is empty: say whose connection it shall be"
        raise ConfigurationError(msg, code="owner_required", hint="write the owner's id, or choose your program itself")
    whose = check_owner(owner or None, credential)
    key = ConnectionKey(ask.server.core.env, credential.name, whose, check_account(ask.field("account").strip()))
    given = [str(scope) for scope in ask.form.getlist("scope")]
    scopes = tuple(dict.fromkeys(word for text in given for word in text.split()))
    return Wish(key=key, scopes=scopes, params=typed_params(ask, credential))


def finish(ask: Ask, came: Arrival) -> Response:
    """Take the answer to a sign-in that an operator began, or that nobody remembers."""
    actor = came.errand("by") or "somebody"
    try:
        done = finished(ask, came, actor)
    except StoreError:
        raise
    except ValetkeyError as error:
        _remember(ask, came, "failed", "")
        return _ended_badly(ask, came, error, actor)
    to = _next_page(ask, done) if isinstance(done, Record) else f"/console/decide/{done.id}"
    _remember(ask, came, "done", to)
    return unbind(ask, ask.go(to), came.flow_id) if isinstance(done, Record) else ask.go(to)


def _remember(ask: Ask, came: Arrival, state: str, to: str) -> None:
    """Tell the page that waits in another tab; not of an answer that this browser had no right to."""
    if came.errand("waits") and not is_under_way(ask.server.core.world, came.flow_id):
        end(ask.server.core, came.flow_id, state, to)


def _next_page(ask: Ask, record: Record) -> str:
    page = f"/console/connections/{record.id}"
    status = ask.server.core.status(record.key)
    return f"{page}/connected" if outcome(status, ask.server.core.clock.now()).parts else page


def connected(ask: Ask) -> Response:
    """Say what a sign-in that ended well left to be desired: a scope, a refresh token."""
    record = ask.server.core.store.find(ask.request.path_params["id"])
    if record is None or record.key.env != ask.server.core.env:
        return ask.page("not-found.html", status=404)
    core = ask.server.core
    now, shown = core.status(record.key), provider(core.credential(record.key.credential))
    return ask.page("connected.html", connection=now, provider=shown, outcome=outcome(now, core.clock.now()))


def compare(ask: Ask) -> Response:
    """Show the address that we send beside the one that stands at the provider, with the difference marked."""
    try:
        credential = ask.server.core.credential(ask.request.path_params["credential"])
    except ConfigurationError:
        return ask.page("not-found.html", status=404)
    ours, theirs = redirect_uri(ask, credential), ask.request.query_params.get("theirs", "").strip()[:2000]
    pieces, said = difference(ours, theirs) if theirs else ((), "")
    return ask.page("compare.html", ours=ours, theirs=theirs, pieces=pieces, said=said, provider=provider(credential))


# -- what does not end well --------------------------------------------------------------------------------------------


def _ended_badly(ask: Ask, came: Arrival, error: ValetkeyError, actor: str) -> Response:
    wish = Wish(key=came.flow.key, params=came.flow.params) if came.flow else None
    cookie = ("present" if came.binding else "absent") if isinstance(error, StateMismatch) else ""
    return failed(ask, error, came.credential, wish, cookie=cookie, actor=actor)


def failed(
    ask: Ask,
    error: ValetkeyError,
    credential: OAuth2Credential,
    wish: Wish | None,
    *,
    cookie: str = "",
    actor: str = "",
) -> Response:
    """Show why nothing was connected, and write it down."""
    core = ask.server.core
    key = wish.key if wish else ConnectionKey(core.env, credential.name)
    who = actor or (ask.session.operator if ask.session else "somebody")
    note(core, "connect_failed", key, actor=who, detail={"code": error.code, "request": ask.request_id})
    return told(ask, error, credential, wish, cookie=cookie, named=ask.request_id)


def told(
    ask: Ask, error: ValetkeyError, credential: OAuth2Credential, wish: Wish | None, *, cookie: str, named: str
) -> Response:
    """Show why nothing was connected; `named` is the request in which it happened."""
    core = ask.server.core
    scene = Scene(
        provider=provider(credential),
        redirect_uri=redirect_uri(ask, credential),
        client_id=_client_id(ask, credential),
        cookies_of=cookies_of(ask),
        cookie=cookie,
        scopes=credential.all_scopes,
        clock_off=_clock_off(ask, credential, wish) if error.code == "code_refused" else None,
        app_users=used_by(ask).get(credential.name, 0) if error.code == "client_rejected" else 0,
    )
    shown = failure(error, scene, request_id=named, time=exactly(core.clock.now()))
    return ask.page("failure.html", status=shown.status, failure=shown, scene=scene, wish=wish)


def _clock_off(ask: Ask, credential: OAuth2Credential, wish: Wish | None) -> float | None:
    """Return the seconds by which our clock is ahead of the provider's; None where it does not say."""
    here = in_place(ask, credential, wish.key, wish.params) if wish else credential
    return probe(ask.server.core.world, here).clock_off


def _client_id(ask: Ask, credential: OAuth2Credential) -> str:
    try:
        return ask.server.core.app(credential).client_id
    except (ConfigurationError, StoreError):
        return ""


def _refused(ask: Ask, error: ConfigurationError) -> Response:
    return ask.page("form-wrong.html", status=400, error=error)


ROUTES: Final = [
    post("/console/connect/{credential}", start),
    get("/console/compare/{credential}", compare),
    get("/console/connections/{id}/connected", connected),
]
