"""The question about another account, for account holders: keep the old one, or have both.  Nobody switches.

They came by a connect link, or from the page of their own accounts.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.engine.deciding import held, keep_old, second
from valetkey.engine.holding import Held
from valetkey.engine.links import find_link, is_bound_to, note_failed
from valetkey.errors import ConfigurationError, StateMismatch
from valetkey.model.links import Link
from valetkey.model.names import check_account
from valetkey.server.asking import Ask, get, post
from valetkey.server.joining.arriving import give_back_later
from valetkey.server.joining.leaving import binding, unbind
from valetkey.server.pages.connect_page import ACTOR, browser_of, connected, plain, to_confirm, words
from valetkey.server.people import fits
from valetkey.server.texts import said
from valetkey.server.views.deciding import question
from valetkey.server.views.providers import provider


def show(ask: Ask) -> Response:
    """Ask what shall become of the other account."""
    found = _waiting(ask)
    return plain(ask, "other.over", status=410) if found is None else _page(ask, *found)


def answer(ask: Ask) -> Response:
    """Do what was chosen."""
    waiting = _waiting(ask)
    if waiting is None:
        return plain(ask, "other.over", status=410)
    try:
        return _ANSWERS.get(ask.field("choice"), _unknown)(ask, *waiting)
    except StateMismatch:
        return plain(ask, "other.over", status=410)


def _keep(ask: Ask, found: Held, link: Link | None) -> Response:
    world, bound = ask.server.core.acting(ACTOR), binding(ask, found.id)
    ask.server.core.call(lambda: keep_old(world, found.id, bound))
    if link is None:
        return unbind(ask, ask.go("/accounts"), found.id)
    note_failed(world, link.id, "declined")
    return unbind(ask, plain(ask, "other.kept", link), found.id)


def _second(ask: Ask, found: Held, link: Link | None) -> Response:
    world, bound = ask.server.core.acting(ACTOR), binding(ask, found.id)
    label = ask.field("account").strip()
    if not label:
        return _page(ask, found, link, trouble="other.no_label", status=400)
    try:
        check_account(label)
        done = ask.server.core.call(lambda: second(world, found.id, bound, label))
    except ConfigurationError as error:
        trouble = "other.taken" if error.code == "account_taken" else "other.no_label"
        return _page(ask, found, link, trouble=trouble, status=400)
    if link is not None and isinstance(done, Held):
        give_back_later(ask.server.core)
        return to_confirm(ask, link, done)
    to = ask.go("/accounts") if link is None or isinstance(done, Held) else connected(ask, link, done)
    return unbind(ask, to, found.id)


def _unknown(ask: Ask, found: Held, link: Link | None) -> Response:
    return _page(ask, found, link, status=400)


_ANSWERS: Final = {"keep": _keep, "second": _second}


def _waiting(ask: Ask) -> tuple[Held, Link | None] | None:
    """Return the question, and its link where there is one, for the browser that began it and for its owner."""
    wanted, world = ask.request.path_params["id"], ask.server.core.world
    found = held(world, wanted, binding(ask, wanted))
    face = found.errand.get("face") if found is not None else None
    if found is None or face not in {"link", "accounts"} or fits(ask, found.key.owner) != "yes":
        return None
    if face == "accounts":
        return (found, None) if ask.server.current_owner is not None else None
    link = find_link(world, found.errand["link"])
    return (found, link) if link is not None and is_bound_to(link, browser_of(ask, link)) else None


def _page(ask: Ask, found: Held, link: Link | None, *, trouble: str = "", status: int = 200) -> Response:
    shown = question(found, "", ask.server.core.clock.now(), may_switch=False, broken=False)
    shown_provider = provider(ask.server.core.credential(found.key.credential))
    return ask.page(
        "connect-decide.html",
        status=status,
        question=shown,
        provider=shown_provider,
        t=said,
        w={**words(ask, link), "provider": shown_provider.name},
        trouble=said(trouble) if trouble else "",
        choice=ask.field("choice") or "keep",
        account=ask.field("account"),
    )


ROUTES: Final = [
    get("/connect/decide/{id}", show, grade=None),
    post("/connect/decide/{id}", answer, grade=None),
]
