"""``/accounts``: "Your connected accounts", for the person who is signed in to the application, and for nobody else.

It is there only where the application tells who is signed in (`create_app(current_owner=...)`).  The owner is never in
an address: what belongs to another owner is not found, with the same bytes as what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.responses import Response

from valetkey.engine.holding import Held
from valetkey.errors import AuthorizationDenied, ConfigurationError, StateMismatch, StoreError, ValetkeyError
from valetkey.model.connections import ConnectionKey, Query, Record
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.names import check_account
from valetkey.server.addresses import home
from valetkey.server.asking import Ask, get, post
from valetkey.server.audit import note
from valetkey.server.joining.arriving import Arrival
from valetkey.server.joining.arriving import finish as finished
from valetkey.server.joining.leaving import begin, bind, unbind
from valetkey.server.joining.params import answers, left_to_ask
from valetkey.server.people import current_owner, fits
from valetkey.server.texts import said
from valetkey.server.views.accounts import shelves
from valetkey.server.views.param_fields import param_fields
from valetkey.server.views.providers import provider

ACTOR: Final = "account holder"
MANY: Final = 200
NEWS: Final = frozenset({"accounts.refreshed", "accounts.refresh_failed", "accounts.ended"})
OwnHandler = Callable[[Ask, str], Response]


def _own(handler: OwnHandler) -> Callable[[Ask], Response]:
    """Call a handler with the owner who is signed in to the application."""

    def handled(ask: Ask) -> Response:
        if ask.server.current_owner is None:
            return ask.page("not-found.html", status=404)
        owner = current_owner(ask)
        if owner is None:
            return _plain(ask, "accounts.nobody", status=401)
        return handler(ask, owner)

    return handled


def show(ask: Ask, owner: str) -> Response:
    """Show what this owner has connected, and what could be."""
    core = ask.server.core
    usable = [c for c in core.credentials() if c.grant == "authorization_code"]
    listed = core.statuses(Query(env=core.env, owner=owner), None, MANY)
    news = f"accounts.{ask.request.query_params.get('news', '')}"
    return ask.page(
        "accounts.html",
        shelves=shelves(usable, listed, core.clock.now()),
        t=said,
        w=_words(ask, owner),
        privacy_url=ask.brand.privacy_url,
        news=said(news) if news in NEWS else "",
    )


def connect(ask: Ask, owner: str) -> Response:
    """Begin a sign-in for this owner."""
    core = ask.server.core
    try:
        credential = core.credential(ask.request.path_params["credential"])
        label = check_account(ask.field("account").strip())
    except ConfigurationError:
        return ask.page("not-found.html", status=404)
    key = ConnectionKey(core.env, credential.name, owner, label)
    rules = left_to_ask(ask, credential, key)
    said_so = answers(ask, credential, rules)
    if not said_so.wrong:
        return _leave(ask, key, said_so.given)
    wrong = said_so.wrong if said_so.came else EMPTY
    return ask.page(
        "accounts-where.html",
        status=400 if wrong else 200,
        provider=provider(credential),
        params=param_fields(rules, said_so.typed, wrong=wrong),
        account=label,
        t=said,
        w={**_words(ask, owner), "provider": provider(credential).name},
    )


def connect_again(ask: Ask, owner: str) -> Response:
    """Begin a sign-in for an account that is there."""
    record = _mine(ask, owner)
    return ask.page("not-found.html", status=404) if record is None else _leave(ask, record.key)


def _leave(ask: Ask, key: ConnectionKey, params: Mapping[str, str] = EMPTY) -> Response:
    core = ask.server.core
    try:
        begun = begin(ask, key, (), errand={"face": "accounts"}, params=params)
    except StoreError:
        raise
    except ValetkeyError as error:
        return _failed(ask, key, error)
    credential = core.credential(key.credential)
    shown = provider(credential)
    words = {**_words(ask, key.owner), "provider": shown.name}
    return bind(ask, ask.page("connect-leaving.html", url=begun.url, provider=shown, t=said, w=words), begun)


def finish(ask: Ask, came: Arrival) -> Response:
    """Take the answer, for the one who began it: whoever else is signed in by now redeems nothing."""
    key = came.key(ask.server.core.env)
    if key.owner is None or fits(ask, key.owner) != "yes":
        detail = {"code": "wrong_user", "request": ask.request_id}
        note(ask.server.core, "connect_failed", key, actor=ACTOR, detail=detail)
        return _plain(ask, "accounts.person", status=403)
    try:
        done = finished(ask, came, ACTOR, key.owner)
    except StoreError:
        raise
    except ValetkeyError as error:
        return _failed(ask, key, error)
    if isinstance(done, Held):
        return ask.go(f"/connect/decide/{done.id}")
    return unbind(ask, ask.go("/accounts"), came.flow_id)


def refresh(ask: Ask, owner: str) -> Response:
    """Renew the access, and say whether it still works."""
    record = _mine(ask, owner)
    if record is None:
        return ask.page("not-found.html", status=404)
    try:
        ask.server.core.source(record.key).refresh(ACTOR)
    except StoreError:
        raise
    except ValetkeyError:
        return ask.go("/accounts?news=refresh_failed")
    return ask.go("/accounts?news=refreshed")


def show_disconnect(ask: Ask, owner: str) -> Response:
    """Ask whether it is meant."""
    record = _mine(ask, owner)
    if record is None:
        return ask.page("not-found.html", status=404)
    shown = provider(_credential(ask, record))
    title = record.identity.title if record.identity else ""
    words = {**_words(ask, owner), "provider": shown.name}
    named = title or said("accounts.unnamed", **words)
    return ask.page("accounts-disconnect.html", provider=shown, account=named, t=said, w=words)


def disconnect(ask: Ask, owner: str) -> Response:
    """Disconnect, and withdraw the access at the provider as far as it goes."""
    record = _mine(ask, owner)
    if record is None:
        return ask.page("not-found.html", status=404)
    ask.server.core.call(lambda: ask.server.core.disconnect(record.key, actor=ACTOR))
    return ask.go("/accounts?news=ended")


def _mine(ask: Ask, owner: str) -> Record | None:
    """Return the connection that the address names, if it is this owner's."""
    core = ask.server.core
    record = core.store.find(ask.request.path_params["id"])
    return record if record is not None and (record.key.env, record.key.owner) == (core.env, owner) else None


def _credential(ask: Ask, record: Record) -> OAuth2Credential:
    return ask.server.core.credential(record.key.credential)


def _failed(ask: Ask, key: ConnectionKey, error: ValetkeyError) -> Response:
    named = ask.request_id
    note(ask.server.core, "connect_failed", key, actor=ACTOR, detail={"code": error.code, "request": named})
    what, status = "error", 502
    if isinstance(error, AuthorizationDenied):
        what, status = ("pending" if error.why == "approval_pending" else "denied"), 400
    elif isinstance(error, StateMismatch):
        what, status = "cookie", 403
    credential = ask.server.core.credential(key.credential)
    mention = named if what == "error" else ""
    return _plain(ask, what, status=status, name=provider(credential).name, mention=mention)


def _plain(ask: Ask, what: str, *, status: int, name: str = "", mention: str = "") -> Response:
    words = {**_words(ask, None), "provider": name, "host": home(ask).partition("://")[2].partition("/")[0]}
    return ask.page(
        "connect-plain.html",
        status=status,
        title=said(f"{what}.title", **words),
        text=said(f"{what}.text", **words),
        t=said,
        w=words,
        mention=mention,
        back=ask.url("/accounts") if what != "accounts.nobody" else "",
        back_label=said("accounts.title"),
    )


def _words(ask: Ask, owner: str | None) -> dict[str, str]:
    brand = ask.brand
    return {"product": brand.product or str(said("product.unknown")), "workspace": brand.workspace_of(owner)}


ROUTES: Final = [
    get("/accounts", _own(show), grade=None),
    post("/accounts/connect/{credential}", _own(connect), grade=None),
    post("/accounts/{id}/connect", _own(connect_again), grade=None),
    post("/accounts/{id}/refresh", _own(refresh), grade=None),
    get("/accounts/{id}/disconnect", _own(show_disconnect), grade=None),
    post("/accounts/{id}/disconnect", _own(disconnect), grade=None),
]
