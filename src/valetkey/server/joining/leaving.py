"""The way to the provider.

The POST is answered with a small page that refreshes to the provider: a redirect would be stopped by the policy that
forms may only lead to us (SPEC section 2).  The cookie that binds the answer to this browser is named after the flow,
so that several sign-ins may be under way, and so that nobody can plant it who does not know the flow (DESIGN 8.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from valetkey.engine.connect import AuthorizationStart
from valetkey.engine.flows import FLOW_SECONDS
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY
from valetkey.server.addresses import browser_home, leads_here, redirect_uri
from valetkey.server.asking import Ask
from valetkey.server.views.providers import provider
from valetkey.values import Secret

KEPT: Final = 3 * FLOW_SECONDS
"""Seconds that the cookie lives: ten minutes each to sign in, to answer a question, and to have it confirmed."""


def begin(
    ask: Ask,
    key: ConnectionKey,
    scopes: Sequence[str],
    *,
    only: bool = False,
    errand: Mapping[str, str],
    params: Mapping[str, str] = EMPTY,
) -> AuthorizationStart:
    """Begin a sign-in whose answer comes to our callback.

    Raises:
        ConfigurationError: The declaration or the app does not allow for it; its answer would go elsewhere
            (``callback_elsewhere``).
        StoreUnavailable: The store does not answer.
    """
    core, desk = ask.server.core, ask.server.desk
    credential = core.credential(key.credential)
    uri = redirect_uri(ask, credential)
    if credential.grant == "authorization_code" and not leads_here(ask, credential):
        msg = f"the redirect URI of {credential.name!r} is {uri}, which is not the callback of this server"
        raise ConfigurationError(msg, code="callback_elsewhere", hint="declare it without redirect_uri")
    kept = {**errand, "home": browser_home(ask)}
    return core.call(
        lambda: desk.authorize(
            key.credential, key.owner, key.account, scopes, uri, only=only, errand=kept, params=params
        )
    )


def leave(ask: Ask, start: AuthorizationStart, credential_name: str) -> Response:
    """Answer a POST with the way to the provider."""
    shown = provider(ask.server.core.credential(credential_name))
    return bind(ask, ask.page("leaving.html", url=start.url, provider=shown), start)


def bind(ask: Ask, answer: Response, start: AuthorizationStart) -> Response:
    """Give the browser the cookie that the answer has to come with."""
    ask.keep(answer, cookie_name(ask, start.flow_id), start.binding.reveal(), KEPT)
    return answer


def binding(ask: Ask, flow_id: str) -> Secret | None:
    """Return what this browser kept since it left for the provider."""
    kept = ask.request.cookies.get(cookie_name(ask, flow_id), "")
    return Secret(kept) if kept else None


def unbind(ask: Ask, answer: Response, flow_id: str) -> Response:
    """Take the cookie back."""
    ask.keep(answer, cookie_name(ask, flow_id), "", 0)
    return answer


def cookie_name(ask: Ask, flow_id: str) -> str:
    """Return the name of the cookie of a flow."""
    prefix = "__Host-" if ask.server.settings.cookie.startswith("__Host-") else ""
    return f"{prefix}valetkey_flow_{flow_id[:24]}"
