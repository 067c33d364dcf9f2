"""``/v1/connections``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from valetkey.engine.consequences import of_disconnect
from valetkey.engine.disconnect import disconnect as disconnect_connection
from valetkey.engine.listing import as_stored
from valetkey.engine.looking_up import look_up_again
from valetkey.engine.transfer import import_grants
from valetkey.engine.world import emit
from valetkey.model import connections as model
from valetkey.server.api import choice_models, models, shapes, token_models
from valetkey.server.api.caller import Caller, Connector, Manager, Reader, Refresher, TokenReader, beyond_limits
from valetkey.server.api.finding import find_connections
from valetkey.server.api.problems import Refusal, problems

router: Final = APIRouter(prefix="/connections", tags=["Connections"])
ConnectionId = Annotated[
    str, Path(description="The connection's id.", max_length=100, examples=["con_2q7hzkx4m5w3c6tbn1a0"])
]


@router.get("", summary="List connections", responses=problems())
def list_connections(caller: Reader, wanted: Annotated[models.ConnectionFilter, Query()]) -> models.ConnectionPage:
    """Return a page of the connections that the key may see, in an order that does not change.

    Where few match, a page may hold fewer than `limit` and others still come: go on until `cursor` is null.

    Scope: `read`.  A key without identities cannot search, for a search looks at them too.
    """
    if wanted.search and not caller.key.identities:
        raise beyond_limits("this API key does not see identities, so it cannot search")
    query = model.Query(
        env=caller.server.core.env,
        credential=wanted.credential,
        owner=wanted.owner,
        own=wanted.own,
        missing_scope=wanted.missing_scope,
        search=wanted.search,
    )
    status, core = caller.statuses(), caller.server.core
    query = as_stored(query, wanted.state, core.clock.now())

    def takes(record: model.Record) -> bool:
        return wanted.state is None or status(record).state == wanted.state

    found, cursor = find_connections(core.store, caller.key, query, wanted.cursor, wanted.limit, takes)
    items = [shapes.of_status(status(record), record, identities=caller.key.identities) for record in found]
    return models.ConnectionPage(items=items, cursor=cursor)


@router.post("/import", summary="Import connections", responses=problems(400))
async def import_connections(caller: Manager, wanted: models.Import) -> models.Imported:
    """Take over grants from elsewhere, row by row; a bad row stops none of the others.

    Scope: `manage`.  Repeating it is safe: a token that is there already is skipped.
    """
    for number, row in enumerate(wanted.rows, start=1):
        if not _within(caller, row):
            raise beyond_limits(f"row {number} is beyond the limits of this API key; nothing was imported")
    core = caller.server.core
    report = await core.in_flight(
        lambda: import_grants(
            caller.world, core.env, wanted.rows, dry_run=wanted.dry_run, on_conflict=wanted.on_conflict
        )
    )
    return shapes.of_report(report)


def _within(caller: Caller, row: dict[str, Any]) -> bool:
    owner = row.get("owner")
    return caller.key.sees(str(row.get("credential") or ""), None if owner is None else str(owner))


@router.get("/{connection_id}", summary="Get a connection", responses=problems(404))
def get_connection(caller: Reader, connection_id: ConnectionId) -> models.Connection:
    """Return one connection and how it is.

    Scope: `read`.
    """
    return _shown(caller, caller.record(connection_id))


def _shown(caller: Caller, record: model.Record) -> models.Connection:
    return shapes.of_status(caller.statuses()(record), record, identities=caller.key.identities)


@router.patch("/{connection_id}", summary="Change tags", responses=problems(400, 404))
def change_tags(caller: Manager, connection_id: ConnectionId, wanted: models.TagChange) -> models.Connection:
    """Set and remove tags of a connection.

    Scope: `manage`.  Repeating it changes nothing more.
    """
    store = caller.server.core.store
    while True:
        record = caller.record(connection_id)
        tags = {name: text for name, text in {**record.tags, **wanted.tags}.items() if text is not None}
        if len(tags) > models.MOST_TAGS:
            raise _too_many_tags()
        if tags == dict(record.tags):
            return _shown(caller, record)
        if store.note(record.id, incarnation=record.incarnation, changes={"tags": tags}):
            emit(caller.world, "tags_changed", record, names=sorted(wanted.tags))
            return _shown(caller, caller.record(connection_id))
        # It was connected anew or disconnected in between: what is noted belongs to one incarnation.


def _too_many_tags() -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"a connection holds {models.MOST_TAGS} tags at most",
        code="tags_full",
        hint="remove some: null removes one",
    )


@router.post("/{connection_id}/token", summary="Get an access token", responses=problems(400, 404, 409, 502))
async def get_token(
    caller: TokenReader,
    connection_id: ConnectionId,
    response: Response,
    wanted: Annotated[token_models.TokenWish | None, Body()] = None,
) -> token_models.Token:
    """Return an access token that works: the stored one while it is valid, else a fresh one.

    Scope: `read_secret`.  This is the only answer of the API that holds a secret.  However many ask at the same time,
    an expired token is refreshed once.  A token that is bound to a key (DPoP) or a certificate (mTLS) is not handed
    out: code `token_bound`.

    With `resource` the token is for that one of the resources that the credential declares, bought out of the same
    grant; a provider that gives none for it answers in a problem with the code `resource_refused`, and the connection
    is as it was.
    """
    record = await run_in_threadpool(caller.record, connection_id)
    caller.server.calls.note(record.id, caller.key.id)
    source = caller.server.core.source(record.key, (wanted.resource if wanted else None) or "")
    token = await source.aget(caller.actor)
    token.demand(wanted.scopes if wanted else ())
    token.ensure_bearer()
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"  # RFC 6749 section 5.1
    return token_models.Token(
        access_token=token.secret.reveal(),
        header=token.form,
        expires_at=token.end,
        scope=" ".join(token.granted),
        api_hosts=list(token.hosts),
    )


@router.post("/{connection_id}/refresh", summary="Refresh now", responses=problems(404, 409, 502))
async def refresh(caller: Refresher, connection_id: ConnectionId) -> models.Connection:
    """Refresh the token although it may still be valid, and return the connection; no token is told.

    Scope: `refresh`.  Those who ask at the same time share one refresh.
    """
    record = await run_in_threadpool(caller.record, connection_id)
    caller.server.calls.note(record.id, caller.key.id)
    await caller.server.core.source(record.key).arefresh(caller.actor)
    return await run_in_threadpool(lambda: _shown(caller, caller.record(connection_id)))


@router.post("/{connection_id}/look-up", summary="Look up its places", responses=problems(400, 404, 409, 502))
async def look_up(
    caller: Connector, connection_id: ConnectionId, wanted: Annotated[choice_models.Chosen | None, Body()] = None
) -> models.Connection:
    """Ask the provider again for what the connection has to know of itself (tenant, site), and return the connection.

    Scope: `connect`.  With `choose`, another of several is used; `choices` of the connection names them.
    """
    record = await run_in_threadpool(caller.record, connection_id)
    choose = wanted.choose if wanted is not None else {}
    await caller.server.core.in_flight(lambda: look_up_again(caller.world, record.key, choose))
    return await run_in_threadpool(lambda: _shown(caller, caller.record(connection_id)))


@router.post("/{connection_id}/disconnect", summary="Disconnect", responses=problems(400, 404, 409))
async def disconnect(
    caller: Connector, connection_id: ConnectionId, wanted: Annotated[models.Disconnecting | None, Body()] = None
) -> models.Ended:
    """Erase the tokens here, revoke them at the provider as far as that goes, and say truthfully what happened.

    Scope: `connect`.  The connection stays, as `disconnected`.  Repeating it says that there was nothing to disconnect.
    With `dry_run` nothing is changed, and `would` says what it would do: the same list as in command and console.
    """
    record = await run_in_threadpool(caller.record, connection_id)
    if wanted is not None and wanted.dry_run:
        return await run_in_threadpool(lambda: _would(caller, record))
    core = caller.server.core
    return await core.in_flight(lambda: _disconnect(caller, record))


def _would(caller: Caller, record: model.Record) -> models.Ended:
    caller.server.calls.flush(record.id)
    return shapes.of_consequences(of_disconnect(caller.world, record, discreet=caller.key.limited))


def _disconnect(caller: Caller, record: model.Record) -> models.Ended:
    credential = caller.server.core.credential(record.key.credential)
    done = disconnect_connection(caller.world, credential, record.key)
    return shapes.of_ended(done, discreet=caller.key.limited)
