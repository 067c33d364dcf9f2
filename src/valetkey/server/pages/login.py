"""Signing in and out.  A GET of a login link shows a page and uses up nothing; the POST uses it up (DESIGN 8.7)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.model.connections import Event
from valetkey.server.asking import HOME, Ask, get, is_page, post
from valetkey.server.limits import network_of
from valetkey.server.operators import Operator
from valetkey.server.times import length

WINDOW: Final = 900.0
"""Seconds within which tries to sign in are counted."""
TRIES_BY_NAME: Final = 10
TRIES_BY_NETWORK: Final = 60
WRONG: Final = "That name and that password do not belong together."
"""Said of an unknown name too, and of one that was disabled."""


def home(ask: Ask) -> Response:
    """Lead to the console."""
    return ask.go(HOME)


def show(ask: Ask) -> Response:
    """Show how to sign in."""
    return ask.go(leads_to(ask.request.query_params.get("next", ""))) if ask.session else _sign_in(ask)


def sign_in(ask: Ask) -> Response:
    """Sign in by name and password."""
    if wait := counted(ask, ask.field("name")):
        return too_many(ask, wait)
    operator = ask.server.operators.check(ask.field("name"), ask.field("password"))
    if operator is None:
        ask.server.core.store.append_event(_event(ask, "sign_in_refused", actor=""))
        return _sign_in(ask, status=403, trouble=WRONG)
    return signed_in(ask, operator, leads_to(ask.field("next")))


def show_link(ask: Ask) -> Response:
    """Show what a login link does, without using it up."""
    token = ask.request.query_params.get("token", "")
    if not ask.server.sessions.link_lives(token):
        return _over(ask)
    return ask.page("login-link.html", token=token)


def use_link(ask: Ask) -> Response:
    """Sign in by a login link, once."""
    session = ask.server.sessions.use_link(ask.field("token"))
    if session is None:
        return _over(ask)
    ask.server.core.store.append_event(_event(ask, "signed_in", actor=session.operator))
    return ask.sign_in(ask.go(HOME), session)


def leave(ask: Ask) -> Response:
    """Sign out."""
    ask.server.sessions.end(ask.operator.token.reveal())
    return ask.sign_out(ask.go("/login"))


# -- what other pages sign in with too


def counted(ask: Ask, name: str) -> float:
    """Count a try with a password, by name and by network; return how many seconds to wait, 0 for none."""
    limits = ask.server.limits
    by_network = f"login:network:{network_of(ask.address)}"
    wait = limits.take(by_network, limit=TRIES_BY_NETWORK, window=WINDOW)
    return wait or limits.take(_by_name(name), limit=TRIES_BY_NAME, window=WINDOW)


def too_many(ask: Ask, wait: float) -> Response:
    """Say how long to wait: whoever it is, and whether there is such a name or not."""
    answer = _sign_in(ask, status=429, trouble=f"Too many tries. Wait {length(wait)}, and try again.")
    answer.headers["retry-after"] = str(int(wait) + 1)
    return answer


def signed_in(ask: Ask, operator: Operator, path: str) -> Response:
    """Begin the session of an operator who showed who they are, and lead to a page."""
    ask.server.limits.forget(_by_name(operator.name))
    ask.server.operators.saw(operator)
    ask.server.core.store.append_event(_event(ask, "signed_in", actor=operator.name))
    return ask.sign_in(ask.go(path), ask.server.sessions.begin(operator))


def leads_to(path: str) -> str:
    """Return where a sign-in leads: to a page of the console, and never to another site."""
    return path if is_page(path) else HOME


def _by_name(name: str) -> str:
    return f"login:name:{name.strip().casefold()[:200]}"


def _sign_in(ask: Ask, *, status: int = 200, trouble: str = "") -> Response:
    target = ask.field("next") or ask.request.query_params.get("next", "")
    passwords = ask.server.operators.any()
    return ask.page(
        "login.html", status=status, trouble=trouble, passwords=passwords, name=ask.field("name"), target=target
    )


def _over(ask: Ask) -> Response:
    return _sign_in(ask, status=410, trouble="This link was used already, or its minute is over. Make a new one.")


def _event(ask: Ask, kind: str, *, actor: str) -> Event:
    core = ask.server.core
    return Event(kind=kind, at=core.clock.now(), env=core.env, actor=actor, detail={"address": ask.address})


ROUTES: Final = [
    get("/", home),
    get("/console", home),
    get("/login", show, grade=None),
    post("/login", sign_in, grade=None),
    get("/login/link", show_link, grade=None),
    post("/login/link", use_link, grade=None),
    post("/logout", leave, grade="look"),
]
