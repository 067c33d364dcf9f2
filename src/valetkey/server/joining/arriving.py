"""The way back from the provider: one callback for each credential, whoever began."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.responses import RedirectResponse, Response

from valetkey.core import Core
from valetkey.engine.connect import UNSET, Unset
from valetkey.engine.deciding import finish_or_hold, sweep
from valetkey.engine.flows import Flow, flow_id, peek_flow
from valetkey.engine.holding import HELD_SECONDS, Held
from valetkey.errors import ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.authorization import claimed_state
from valetkey.server.addresses import home, other_spelling, redirect_uri
from valetkey.server.asking import Ask
from valetkey.server.joining.leaving import binding
from valetkey.server.joining.posted import query_of
from valetkey.values import Secret

_log = get_logger("server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An answer of a provider, as it came.  Nothing of it is trusted.

    Attributes:
        credential: To whose callback it came.
        url: The address as the browser was sent to, with its query.
        flow_id: The id of the flow that it names.
        flow: That flow, not used up; None where there is none (any more).
        binding: What this browser kept for it.
    """

    credential: OAuth2Credential
    url: str
    flow_id: str
    flow: Flow | None
    binding: Secret | None

    @property
    def face(self) -> str:
        """Who began it: ``console``, ``link``, ``accounts``; empty where nobody knows."""
        return self.errand("face")

    def errand(self, name: str) -> str:
        """Return a word of the errand, empty where it has none."""
        return str(self.flow.errand.get(name, "")) if self.flow else ""

    def key(self, env: str) -> ConnectionKey:
        """Return what was to be connected, as far as it is known."""
        return self.flow.key if self.flow else ConnectionKey(env, self.credential.name)


def arrival(ask: Ask, credential: OAuth2Credential) -> Arrival:
    """Read the answer that this request is."""
    query = query_of(ask)
    fields = dict(parse_qsl(query))
    state = claimed_state(fields.get("state", ""), fields.get("response", ""))
    wanted = flow_id(state)
    return Arrival(
        credential=credential,
        url=f"{redirect_uri(ask, credential)}?{query}",
        flow_id=wanted,
        flow=peek_flow(ask.server.core.world, state),
        binding=binding(ask, wanted),
    )


def elsewhere(ask: Ask, came: Arrival) -> Response | None:
    """Lead to where this browser's cookies are: providers may call this machine by another name than the browser."""
    began = came.errand("home")
    if not began or not other_spelling(ask, began):
        return None
    return RedirectResponse(f"{began}{ask.request.url.path}?{ask.request.url.query}", status_code=303)


def finish(
    ask: Ask, came: Arrival, actor: str, owner: str | Unset | None = UNSET, *, confirm: bool = False
) -> Record | Held:
    """Redeem the answer in a flight, which goes on should the browser go away.

    With `confirm` it waits for the word of the application.

    Raises:
        ValetkeyError: It did not end well; see `engine.deciding.finish_or_hold`.
    """
    core = ask.server.core
    world = core.acting(actor)
    done = core.call(lambda: finish_or_hold(world, came.url, binding=came.binding, owner=owner, confirm=confirm))
    if isinstance(done, Held):
        give_back_later(core)
    return done


def give_back_later(core: Core) -> None:
    """See to it that a grant which nobody decides about is given back when its time is over.

    Where this process does not live that long, the next sign-in does it.
    """
    timer = threading.Timer(HELD_SECONDS + 1, sweep_soon, (core,))
    timer.daemon = True
    timer.start()


def sweep_soon(core: Core) -> None:
    """Give back what nobody decided about, beside what is going on."""

    def swept() -> None:
        try:
            sweep(core.world, core.env)
        except ValetkeyError as error:
            _log.warning("grants that wait for an answer were not looked through: %s", error)

    core.flights.call(swept)


def cookies_of(ask: Ask) -> str:
    """Return the host whose cookies have to be allowed."""
    return home(ask).partition("://")[2].partition("/")[0]
