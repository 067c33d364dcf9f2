"""``/v1/connect-sessions``: links with which account holders connect, for applications in any language."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from valetkey.engine.confirming import confirm_link
from valetkey.engine.confirming import withdraw as withdraw_link
from valetkey.engine.links import find_link
from valetkey.model.connections import ConnectionKey
from valetkey.model.links import Link
from valetkey.model.names import check_owner
from valetkey.server.api.caller import Caller, Connector, beyond_limits
from valetkey.server.api.problems import Refusal, nothing_here, problems
from valetkey.server.api.session_models import Confirmation, ConnectSession, ConnectWish, NewConnectSession
from valetkey.values import Secret

router: Final = APIRouter(prefix="/connect-sessions", tags=["Connect sessions"])
SessionId = Annotated[str, Path(description="The session's id.", max_length=100, examples=["0018e0a4d2bfc1a2b3c4d5e6"])]


@router.post("", status_code=201, summary="Begin a connect session", responses=problems(400, 404, 409))
async def begin(caller: Connector, wanted: ConnectWish, request: Request) -> NewConnectSession:
    """Make a page of ours where one person connects one account, once; send them to its `url`.

    Scope: `connect`.  The address is told in this answer only.  It works once, in the first browser that goes on from
    it; opening it uses up nothing.  A second session for the same credential, owner and account takes the first one's
    place.  With `confirm` the browser comes back with a code, and the connection becomes live when it is confirmed.
    """
    core = caller.server.core
    unknown_to_us = wanted.owner is not None and caller.server.current_owner is None
    confirm = unknown_to_us if wanted.confirm is None else wanted.confirm
    key = await core.in_flight(lambda: _key(caller, wanted))
    made = await core.in_flight(
        lambda: caller.server.desk.new_link(
            key,
            wanted.scopes,
            wanted.return_to,
            wanted.expires_in,
            world=caller.world,
            created_by=caller.actor,
            confirm=confirm,
            made_with=caller.key.id,
            params=wanted.params,
        )
    )
    address = f"{_home(caller, request)}/connect/{made.token.reveal()}"
    return NewConnectSession(**_members(made.link), url=address)


def _key(caller: Caller, wanted: ConnectWish) -> ConnectionKey:
    credential = caller.credential(wanted.credential)
    owner = check_owner(wanted.owner, credential)
    if not caller.key.sees(credential.name, owner):
        raise beyond_limits("this API key does not see that owner")
    return ConnectionKey(caller.server.core.env, credential.name, owner, wanted.account)


def _home(caller: Caller, request: Request) -> str:
    """Return the public address of the application: as it was told, else as this program reaches it."""
    return caller.server.settings.base_url or str(request.base_url).rstrip("/").removesuffix("/v1")


@router.get("/{session_id}", summary="Get a connect session", responses=problems(404))
def get_session(caller: Connector, session_id: SessionId) -> ConnectSession:
    """Return how far it came; once it is `used`, `connection_id` names the connection.

    Scope: `connect`.
    """
    return ConnectSession(**_members(_found(caller, session_id)))


@router.post("/{session_id}/confirm", summary="Confirm a connect session", responses=problems(400, 404, 409))
async def confirm(caller: Connector, session_id: SessionId, wanted: Confirmation) -> ConnectSession:
    """Say who came back, so that the connection becomes live; where it is somebody else, the access is given back.

    Scope: `connect`.  It takes the API key that began the session, and the code of the browser that signed in: whoever
    sent the link to somebody else cannot confirm it for them.  It can be done once, within ten minutes of the sign-in.
    """
    link = await run_in_threadpool(_found, caller, session_id)
    if link.made_with and link.made_with != caller.key.id:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "this connect session was begun with another API key",
            code="api_key_other",
            hint="confirm with the API key that began it, or begin anew with this one",
        )
    core, code = caller.server.core, Secret(wanted.code)
    await core.in_flight(lambda: confirm_link(caller.world, core.env, session_id, code, wanted.owner))
    return await run_in_threadpool(lambda: ConnectSession(**_members(_found(caller, session_id))))


@router.post("/{session_id}/withdraw", summary="Withdraw a connect session", responses=problems(404))
async def withdraw(caller: Connector, session_id: SessionId) -> ConnectSession:
    """End it: its address leads nowhere any more.  A connection that came of it stays.

    Scope: `connect`.  Repeating it changes nothing more.  A sign-in that waits to be confirmed is given back.
    """
    await run_in_threadpool(_found, caller, session_id)
    await caller.server.core.in_flight(lambda: withdraw_link(caller.world, session_id))
    return await run_in_threadpool(lambda: ConnectSession(**_members(_found(caller, session_id))))


def _found(caller: Caller, session_id: str) -> Link:
    found = find_link(caller.world, session_id)
    if (
        found is None
        or found.key.env != caller.server.core.env
        or not caller.key.sees(found.key.credential, found.key.owner)
    ):
        raise nothing_here()
    return found


def _members(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "credential": link.key.credential,
        "owner": link.key.owner,
        "account": link.key.account,
        "state": link.state,
        "scopes": list(link.scopes),
        "params": dict(link.params),
        "return_to": link.return_to,
        "confirm": link.confirm,
        "confirm_until": link.held_until if link.state == "to_confirm" else None,
        "outcome": link.outcome,
        "connection_id": link.connection_id,
        "created_at": link.created_at,
        "expires_at": link.ends_at,
        "opened_at": link.opened_at,
        "ended_at": link.ended_at,
    }
