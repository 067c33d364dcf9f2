"""The settings page of operators: who may sign in, what they may do, and invitations."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.server.asking import Ask, get, post
from valetkey.server.grades import GRADES
from valetkey.server.once import first_time, nonce
from valetkey.server.operators import Operator
from valetkey.server.pages.login import counted, signed_in, too_many
from valetkey.server.views.operators import person
from valetkey.values import Secret

PAGE: Final = "/console/settings/operators"
_WRONG: Final = "That is not your password of today."


def show(ask: Ask) -> Response:
    """Show who may sign in."""
    return _page(ask)


def invite(ask: Ask) -> Response:
    """Make an invitation; its link stands in this answer and nowhere else."""
    grade = ask.field("grade")
    if grade not in GRADES:
        return _page(ask, status=400, trouble="Choose what they may do.")
    try:
        made, token = ask.server.operators.invite(ask.field("name"), grade, by=ask.operator.operator)
    except ConfigurationError as error:
        return _page(ask, status=409, trouble=f"{error}: {error.hint}.")
    return _invited(ask, made, token)


def _invited(ask: Ask, made: Operator, token: Secret) -> Response:
    link = f"{ask.origin}{ask.url('/login/invitation')}?token={token.reveal()}"
    return ask.page("settings-operator-invited.html", operator=made, link=link)


def _renewed(ask: Ask, name: str) -> Response:
    """Make another invitation; a form that is sent again, by a reload, makes none."""
    core = ask.server.core
    if not first_time(core.store, core.clock, ask.field("nonce")):
        return ask.go(PAGE)
    return _invited(ask, *ask.server.operators.renew(name, by=ask.operator.operator))


def change(ask: Ask) -> Response:
    """Disable, enable, remove or invite somebody again."""
    operators, name, by = ask.server.operators, ask.field("name"), ask.operator.operator
    acts = {"disable": operators.disable, "enable": operators.enable, "remove": operators.remove}
    act = acts.get(ask.field("do"))
    if act is None and ask.field("do") != "renew":
        return _page(ask, status=400, trouble="Choose what is to be done.")
    try:
        if act is None:
            return _renewed(ask, name)
        act(name, by=by)
    except ConfigurationError as error:
        return _page(ask, status=409, trouble=f"{error}: {error.hint}.")
    return ask.go(PAGE)


def set_password(ask: Ask) -> Response:
    """Give oneself another password, knowing the one of today; all other sessions of one's own end."""
    name = ask.operator.operator
    if ask.operator.local:
        return ask.go(PAGE)
    if wait := counted(ask, name):
        return too_many(ask, wait)
    if ask.server.operators.check(name, ask.field("password")) is None:
        return _page(ask, status=403, trouble=_WRONG)
    try:
        operator = ask.server.operators.set_password(name, ask.field("new"), by=name)
    except ConfigurationError as error:
        return _page(ask, status=409, trouble=f"{error}: {error.hint}.")
    return signed_in(ask, operator, PAGE)


def _page(ask: Ask, *, status: int = 200, trouble: str = "") -> Response:
    now = ask.server.core.clock.now()
    mine = "" if ask.operator.local else ask.operator.operator
    people = [person(operator, now, mine=mine) for operator in ask.server.operators.every()]
    shown = {"people": people, "trouble": trouble, "local": ask.operator.local, "nonce": nonce()}
    return ask.page("settings-operators.html", status=status, **shown)


ROUTES: Final = [
    get(PAGE, show, grade="everything"),
    post(f"{PAGE}/invite", invite, grade="everything", fresh=True),
    post(f"{PAGE}/change", change, grade="everything", fresh=True),
    post(f"{PAGE}/password", set_password, grade="everything"),
]
