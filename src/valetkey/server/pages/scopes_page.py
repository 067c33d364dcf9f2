"""The form that asks for whom a connection is, and what it shall be able to do."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from valetkey.model.asked_params import asked
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.server.asking import Ask
from valetkey.server.joining.params import answers, left_to_ask
from valetkey.server.views.param_fields import ParamField, param_fields
from valetkey.server.views.providers import provider
from valetkey.server.views.scopes import choices


def scopes_page(
    ask: Ask,
    credential: OAuth2Credential,
    *,
    trouble: str = "",
    wrong: Mapping[str, str] = EMPTY,
    status: int = 200,
) -> Response:
    """Show the form again or anew, with what was typed; `wrong` says of params why they are not taken."""
    shown = provider(credential)
    own = credential.source in {"command", "console"}
    fixed = credential.forced_scopes if own else credential.all_scopes
    given = [str(scope) for scope in ask.form.getlist("scope")]
    chosen = [word for text in given for word in text.split()] or list(credential.all_scopes)
    offered = choices(credential.all_scopes, shown.meanings, chosen=chosen, fixed=fixed, weights=shown.weights)
    return ask.page(
        "wizard-scopes.html",
        status=status,
        provider=shown,
        per_owner=credential.per_owner,
        own=own,
        choices=offered,
        typed=" ".join(word for word in chosen if word not in {choice.name for choice in offered}),
        params=_param_fields(ask, credential, wrong),
        owner=ask.field("owner"),
        account=ask.field("account"),
        whose=ask.field("whose") or ("owner" if credential.per_owner else "own"),
        trouble=trouble,
    )


def _param_fields(ask: Ask, credential: OAuth2Credential, wrong: Mapping[str, str]) -> tuple[ParamField, ...]:
    """Return the fields of what a first sign-in waits for."""
    rules = asked(credential, EMPTY)
    return param_fields(rules, answers(ask, credential, rules).typed, wrong=wrong)


def wrong_params(ask: Ask, credential: OAuth2Credential, key: ConnectionKey) -> dict[str, str]:
    """Return which params of the form may not stand, or are missing of `key`: param -> ``wrong`` or ``empty``."""
    left = {rule.name for rule in left_to_ask(ask, credential, key)}
    wrong = answers(ask, credential, asked(credential, EMPTY)).wrong
    return {name: why for name, why in wrong.items() if why == "wrong" or name in left}
