"""The page that a connect link opens: for account holders, in plain words, and what became of it.

A GET uses up nothing, so that a mail scanner that opens the link does no harm; going on binds the link to the browser.
The page names the product and the workspace that receives the access (DESIGN 8.2).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from valetkey.engine.connect import UNSET
from valetkey.engine.deciding import awaits_confirmation
from valetkey.engine.holding import Held, confirmation
from valetkey.engine.links import (
    bind_link,
    find_link,
    is_bound_to,
    link_of_token,
    note_declined,
    note_failed,
    note_left,
    note_opened,
    note_to_confirm,
    note_used,
)
from valetkey.engine.returns import CODE, SESSION, check_return_url, with_result
from valetkey.errors import AuthorizationDenied, ConfigurationError, StateMismatch, StoreError, ValetkeyError, clean
from valetkey.model.connections import Record, Status
from valetkey.model.credentials import EMPTY
from valetkey.model.links import Link, Outcome
from valetkey.server.addresses import home
from valetkey.server.asking import Ask, get, post
from valetkey.server.audit import note
from valetkey.server.joining.arriving import Arrival
from valetkey.server.joining.arriving import finish as finished
from valetkey.server.joining.leaving import begin, bind, binding, unbind
from valetkey.server.joining.params import Answers, answers, left_to_ask
from valetkey.server.people import fits
from valetkey.server.texts import said
from valetkey.server.times import length
from valetkey.server.views.asks import asked
from valetkey.server.views.param_fields import param_fields
from valetkey.server.views.providers import provider
from valetkey.values import Secret

ACTOR: Final = "account holder"
RESULTS: Final[dict[str, str]] = {"declined": "denied", "": "expired", "unconfirmed": "expired"}
"""Result codes of the return address, where they are not called as the outcome."""


def show(ask: Ask) -> Response:
    """Show what a link asks for, or what became of it."""
    link = link_of_token(ask.server.core.world, ask.request.path_params["token"])
    if link is None:
        return plain(ask, "unknown", status=404)
    stopped = _stopped(ask, link)
    if stopped is not None:
        return stopped
    return _asking(ask, note_opened(ask.server.core.world, link))


def answer(ask: Ask) -> Response:
    """Go on to the provider, or not."""
    link = link_of_token(ask.server.core.world, ask.request.path_params["token"])
    return plain(ask, "unknown", status=404) if link is None else _answered(ask, link)


def again(ask: Ask) -> Response:
    """Go on once more, from the page of an outcome: there the browser vouches for itself."""
    link = find_link(ask.server.core.world, ask.request.path_params["id"])
    if link is None or not is_bound_to(link, browser_of(ask, link)):
        return plain(ask, "browser", status=403)
    return _answered(ask, link)


def show_outcome(ask: Ask) -> Response:
    """Show what became of a sign-in, to the browser that made it."""
    link = find_link(ask.server.core.world, ask.request.path_params["id"])
    if link is None or not is_bound_to(link, browser_of(ask, link)):
        return plain(ask, "browser", status=403)
    return outcome_page(ask, link)


# -- asking ------------------------------------------------------------------------------------------------------------


def _stopped(ask: Ask, link: Link) -> Response | None:
    """Return the page that says why this browser cannot go on; None where it can."""
    mine = is_bound_to(link, browser_of(ask, link))
    if link.state in {"used", "to_confirm"} and mine:
        return outcome_page(ask, link)
    if link.state == "used":
        return plain(ask, "used", link, status=410)
    if not link.is_open:
        return plain(ask, "expired", link, status=410)
    if link.browser and not mine:
        return plain(ask, "browser", link, status=403)
    match = fits(ask, link.key.owner)
    if match != "yes":
        return _wrong_person(ask, link, match)
    return None if _declared(ask, link) else plain(ask, "expired", link, status=410)


def _declared(ask: Ask, link: Link) -> bool:
    try:
        ask.server.core.credential(link.key.credential)
    except ConfigurationError:
        return False
    return True


def _wrong_person(ask: Ask, link: Link, match: str) -> Response:
    key = link.key
    if match == "another":
        note(ask.server.core, "link_refused", key, actor=ACTOR, detail={"link": link.id, "code": "wrong_user"})
    more = said("person.nobody", **words(ask, link)) if match == "nobody" else ""
    return plain(ask, "person", link, status=403, text=more)


def _asking(ask: Ask, link: Link, said_so: Answers | None = None) -> Response:
    """Show what is asked for; `said_so` came with a form that cannot be gone on with."""
    credential = ask.server.core.credential(link.key.credential)
    wrong = said_so.wrong if said_so and said_so.came else EMPTY
    typed = said_so.typed if wrong and said_so else link.answers
    shown = provider(credential)
    scopes = link.scopes if link.only else tuple(dict.fromkeys((*credential.all_scopes, *link.scopes)))
    return ask.page(
        "connect-page.html",
        status=400 if wrong else 200,
        provider=shown,
        params=param_fields(left_to_ask(ask, credential, link.key, link.params), typed, wrong=wrong),
        t=said,
        w=words(ask, link),
        description=clean(credential.description, 200),
        asks=asked(scopes, shown, str(said("connect.other", **words(ask, link)).unescape())),
        privacy_url=ask.brand.privacy_url,
        ends=length(max(link.ends_at - ask.server.core.clock.now(), 0.0)),
        action=ask.request.url.path,
    )


def _answered(ask: Ask, link: Link) -> Response:
    stopped = _stopped(ask, link)
    if stopped is not None:
        return stopped
    core, do = ask.server.core, ask.field("do")
    credential = core.credential(link.key.credential)
    said_so = answers(ask, credential, left_to_ask(ask, credential, link.key, link.params))
    if said_so.wrong and do not in {"decline", "accept"}:
        return _asking(ask, link, said_so)
    browser = browser_of(ask, link) or Secret(secrets.token_urlsafe(32))
    bound = bind_link(core.world, link.id, browser)
    if bound is None:
        return plain(ask, "browser", link, status=403)
    if do == "decline":
        declined = note_declined(core.acting(ACTOR), link.id) or bound
        return _keep_browser(ask, ask.go(f"/connect/outcome/{declined.id}"), link, browser)
    if do == "accept" and bound.connection_id:
        note_used(core.acting(ACTOR), link.id, bound.connection_id)
        return ask.go(f"/connect/outcome/{link.id}")
    return _keep_browser(ask, _leave(ask, bound, said_so.given), link, browser)


def _leave(ask: Ask, link: Link, given: Mapping[str, str]) -> Response:
    core = ask.server.core
    try:
        errand, own = {"face": "link", "link": link.id}, {**given, **link.params}
        begun = begin(ask, link.key, link.scopes, only=link.only, errand=errand, params=own)
    except StoreError:
        raise
    except ValetkeyError as error:
        return _failed(ask, link, error)
    note_left(core.world, link.id, given)
    shown = provider(core.credential(link.key.credential))
    page = ask.page("connect-leaving.html", url=begun.url, provider=shown, t=said, w=words(ask, link))
    return bind(ask, page, begun)


# -- coming back -------------------------------------------------------------------------------------------------------


def finish(ask: Ask, came: Arrival) -> Response:
    """Take the answer to a sign-in that a link began.  Nothing is redeemed for whoever may not finish it."""
    link = find_link(ask.server.core.world, came.errand("link"))
    if link is None or link.state in {"used", "withdrawn"}:
        return plain(ask, "expired", link, status=410)
    if not is_bound_to(link, browser_of(ask, link)):
        return plain(ask, "cookie", link, status=403)
    if link.state == "to_confirm":
        return ask.go(f"/connect/outcome/{link.id}")
    match = fits(ask, link.key.owner)
    return _redeemed(ask, came, link) if match == "yes" else _wrong_person(ask, link, match)


def _redeemed(ask: Ask, came: Arrival, link: Link) -> Response:
    try:
        owner = link.key.owner if ask.server.current_owner else UNSET
        done = finished(ask, came, ACTOR, owner, confirm=link.confirm)
    except StoreError:
        raise
    except StateMismatch as error:
        _note_failure(ask, link, error, ask.request_id)
        return plain(ask, "cookie", link, status=403)
    except ValetkeyError as error:
        return unbind(ask, _failed(ask, link, error), came.flow_id)
    if isinstance(done, Held) and done.asks == "owner":
        return to_confirm(ask, link, done)
    if isinstance(done, Held):
        note_failed(ask.server.core.world, link.id, "other_account")
        return ask.go(f"/connect/decide/{done.id}")
    return unbind(ask, connected(ask, link, done), came.flow_id)


def to_confirm(ask: Ask, link: Link, waits: Held) -> Response:
    """Send the browser back to the application, which has the last word."""
    note_to_confirm(ask.server.core.acting(ACTOR), link.id, waits.id, waits.until)
    return ask.go(f"/connect/outcome/{link.id}")


def connected(ask: Ask, link: Link, record: Record) -> Response:
    """Use the link up, unless a permission is missing: then the person may still give it."""
    core = ask.server.core
    status = core.status(record.key)
    if status.missing:
        missing(ask, link, record.id)
    else:
        note_used(core.acting(ACTOR), link.id, record.id)
    return ask.go(f"/connect/outcome/{link.id}")


def missing(ask: Ask, link: Link, connection_id: str) -> None:
    """Remember the connection, and leave the link open for one more try."""
    note_failed(ask.server.core.world, link.id, "scopes_missing", connection_id=connection_id)


def _failed(ask: Ask, link: Link, error: ValetkeyError) -> Response:
    outcome: Outcome = "error"
    if isinstance(error, AuthorizationDenied):
        outcome = "approval_pending" if error.why == "approval_pending" else "denied"
    named = ask.request_id
    _note_failure(ask, link, error, named)
    note_failed(ask.server.core.world, link.id, outcome, named)
    return ask.go(f"/connect/outcome/{link.id}")


def _note_failure(ask: Ask, link: Link, error: ValetkeyError, named: str) -> None:
    detail = {"code": error.code, "request": named, "link": link.id}
    note(ask.server.core, "connect_failed", link.key, actor=ACTOR, detail=detail)


# -- outcomes ----------------------------------------------------------------------------------------------------------


def outcome_page(ask: Ask, link: Link) -> Response:
    """Show what became of a link: each outcome is a page of its own."""
    if link.state == "to_confirm":
        return _on_to_the_application(ask, link)
    if link.outcome in {"", "other_account"}:
        return plain(ask, "expired", link, status=410) if not link.is_open else plain(ask, "declined", link)
    status = _status(ask, link)
    account = status.identity.title if status and status.identity else ""
    return ask.page(
        "connect-outcome.html",
        outcome=link.outcome,
        provider=provider(ask.server.core.credential(link.key.credential)),
        t=said,
        w=words(ask, link),
        account=account,
        missing=_missing(ask, link, status),
        request_id=link.request_id,
        again=ask.url(f"/connect/again/{link.id}") if link.is_open else "",
        back=back(ask, link),
    )


def _on_to_the_application(ask: Ask, link: Link) -> Response:
    """Lead back with the code that this browser alone has; an address that is not allowed any more is not gone to."""
    bound = binding(ask, link.held)
    if bound is None or not awaits_confirmation(ask.server.core.world, link.held, bound):
        return plain(ask, "unconfirmed", link, status=410)
    url = back(ask, link, result="confirm", more={CODE: confirmation(link.held, bound).reveal()})
    if not url:
        return plain(ask, "unconfirmed", link, status=409)
    shown = provider(ask.server.core.credential(link.key.credential))
    return ask.page("connect-confirm.html", url=url, provider=shown, t=said, w=words(ask, link))


def _status(ask: Ask, link: Link) -> Status | None:
    record = ask.server.core.store.find(link.connection_id) if link.connection_id else None
    return None if record is None else ask.server.core.status(record.key)


def _missing(ask: Ask, link: Link, status: Status | None) -> tuple[Any, ...]:
    credential = ask.server.core.credential(link.key.credential)
    other = str(said("missing.other", **words(ask, link)).unescape())
    return asked(status.missing, provider(credential), other) if status and status.missing else ()


def plain(ask: Ask, what: str, link: Link | None = None, *, status: int = 200, text: Any = "") -> Response:
    """Show a page that ends it: a title, a sentence, and the way back."""
    w = {**words(ask, link), "host": home(ask).partition("://")[2].partition("/")[0]}
    shown = text or said(f"{what}.text", **w)
    title = said(f"{what}.title", **w)
    more = {"back": back(ask, link), "back_label": "", "mention": ""}
    return ask.page("connect-plain.html", status=status, title=title, text=shown, t=said, w=w, **more)


def back(ask: Ask, link: Link | None, *, result: str = "", more: Mapping[str, str] = EMPTY) -> str:
    """Return where the person goes back to, with how it ended; empty for nowhere, and where it is not allowed."""
    if link is None or not link.return_to:
        return ""
    try:
        allowed = check_return_url(link.return_to, ask.server.desk.return_urls())
    except ConfigurationError:  # the list is another one than when the link was made
        return ""
    named = {SESSION: link.id} if link.confirm else {}
    return with_result(allowed, result or RESULTS.get(link.outcome, link.outcome), {**named, **more})


def words(ask: Ask, link: Link | None) -> dict[str, str]:
    """Return what the texts are filled with."""
    brand = ask.brand
    name = ""
    if link is not None:
        try:
            name = provider(ask.server.core.credential(link.key.credential)).name
        except ConfigurationError:
            name = link.key.credential
    workspace = brand.workspace_of(link.key.owner) if link is not None else ""
    return {"product": brand.product or str(said("product.unknown")), "provider": name, "workspace": workspace}


# -- the browser -------------------------------------------------------------------------------------------------------


def browser_of(ask: Ask, link: Link) -> Secret | None:
    """Return what this browser keeps for a link."""
    kept = ask.request.cookies.get(_cookie(ask, link), "")
    return Secret(kept) if kept else None


def _keep_browser(ask: Ask, answer: Response, link: Link, browser: Secret) -> Response:
    left = max(link.ends_at - ask.server.core.clock.now(), 0.0)
    ask.keep(answer, _cookie(ask, link), browser.reveal(), left + 3600.0)
    return answer


def _cookie(ask: Ask, link: Link) -> str:
    prefix = "__Host-" if ask.server.settings.cookie.startswith("__Host-") else ""
    return f"{prefix}valetkey_link_{link.id}"


ROUTES: Final = [
    get("/connect/outcome/{id}", show_outcome, grade=None),
    post("/connect/again/{id}", again, grade=None),
    get("/connect/{token}", show, grade=None),
    post("/connect/{token}", answer, grade=None),
]
