"""Re-authorizing a connection, and the question where somebody else signed in than before (SPEC section 6.3)."""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

from starlette.responses import Response

from valetkey.engine.deciding import held, keep_old, second, switch
from valetkey.engine.holding import Held
from valetkey.errors import ConfigurationError, StateMismatch, StoreError, ValetkeyError
from valetkey.model.connections import Record
from valetkey.model.names import check_account
from valetkey.server.asking import Ask, get, post
from valetkey.server.joining.leaving import binding, unbind
from valetkey.server.pages.joining import Wish, failed, go
from valetkey.server.views.connections import row
from valetkey.server.views.deciding import question
from valetkey.server.views.naming import named
from valetkey.server.views.providers import provider

Choice = Literal["keep", "second", "switch"]
NO_LABEL: Final = "Write an account label for the second connection."


def show(ask: Ask) -> Response:
    """Say what re-authorizing does."""
    record = _record(ask)
    if record is None:
        return ask.page("not-found.html", status=404)
    core = ask.server.core
    credential = core.credential(record.key.credential)
    shown = row(core.status(record.key), record, credential, core.clock.now())
    scopes = _more_scopes(record, credential.all_scopes)
    return ask.page(
        "reauthorize.html",
        id=record.id,
        row=shown,
        provider=provider(credential),
        scopes=(*credential.all_scopes, *scopes),
    )


def start(ask: Ask) -> Response:
    """Send the operator to the provider, for the same connection."""
    record = _record(ask)
    if record is None:
        return ask.page("not-found.html", status=404)
    declared = ask.server.core.credential(record.key.credential).all_scopes
    return go(ask, Wish(key=record.key, scopes=_more_scopes(record, declared)), again=record.id)


def _record(ask: Ask) -> Record | None:
    record = ask.server.core.store.find(ask.request.path_params["id"])
    return record if record is not None and record.key.env == ask.server.core.env else None


def _more_scopes(record: Record, declared: tuple[str, ...]) -> tuple[str, ...]:
    """Return what was asked for last time beyond what is declared: it is asked for again."""
    return tuple(scope for scope in record.requested if scope not in declared)


# -- another account ---------------------------------------------------------------------------------------------------


def ask_which(ask: Ask) -> Response:
    """Ask what shall become of the other account."""
    found = _waiting(ask)
    return _over(ask) if found is None else _page(ask, found, "keep")


def answer(ask: Ask) -> Response:
    """Do what was chosen."""
    found = _waiting(ask)
    chosen = ask.field("choice")
    if found is None:
        return _over(ask)
    if chosen not in get_args(Choice):
        return _page(ask, found, "keep", status=400)
    try:
        connection_id = _answered(ask, found, cast("Choice", chosen))
    except StateMismatch:
        return _over(ask)
    except StoreError:
        raise
    except ConfigurationError as error:
        said = NO_LABEL if error.code == "account_invalid" else f"{error}: {error.hint}."
        return _page(ask, found, "second", trouble=said, status=400)
    except ValetkeyError as error:
        credential = ask.server.core.credential(found.key.credential)
        return failed(ask, error, credential, Wish(key=found.key))
    return unbind(ask, ask.go(f"/console/connections/{connection_id}"), found.id)


def _answered(ask: Ask, found: Held, choice: Choice) -> str:
    core = ask.server.core
    world, bound = core.acting(ask.operator.operator), binding(ask, found.id)
    if choice == "keep":
        core.call(lambda: keep_old(world, found.id, bound))
        return found.connection_id
    if choice == "switch":
        return core.call(lambda: switch(world, found.id, bound)).id
    label = check_account(ask.field("account").strip())
    if not label:
        raise ConfigurationError(NO_LABEL, code="account_invalid")
    done = core.call(lambda: second(world, found.id, bound, label))
    return done.connection_id if isinstance(done, Held) else done.id


def _waiting(ask: Ask) -> Held | None:
    wanted = ask.request.path_params["id"]
    found = held(ask.server.core.world, wanted, binding(ask, wanted))
    return found if found is not None and found.errand.get("face") == "console" else None


def _page(ask: Ask, found: Held, choice: Choice, *, trouble: str = "", status: int = 200) -> Response:
    core = ask.server.core
    credential = core.credential(found.key.credential)
    now = core.status(found.key)
    shown = question(
        found,
        named(now.connection, now.identity, credential).place,
        core.clock.now(),
        may_switch=True,
        broken=now.state in {"needs_reauth", "app_error"},
    )
    return ask.page(
        "decide.html",
        status=status,
        question=shown,
        provider=provider(credential),
        trouble=trouble,
        choice=choice,
        account=ask.field("account"),
    )


def _over(ask: Ask) -> Response:
    return ask.page("decision-over.html", status=410)


ROUTES: Final = [
    get("/console/connections/{id}/reauthorize", show, grade="connections"),
    post("/console/connections/{id}/reauthorize", start),
    get("/console/decide/{id}", ask_which, grade="connections"),
    post("/console/decide/{id}", answer),
]
