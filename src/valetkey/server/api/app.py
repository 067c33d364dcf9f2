"""The FastAPI application of ``/v1``."""

from __future__ import annotations

import re
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final, cast

import anyio
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from valetkey.errors import ValetkeyError, clean
from valetkey.server.api import connections, credentials, events, owners, providers, sessions
from valetkey.server.api.caller import BEARER
from valetkey.server.api.gate import Gate
from valetkey.server.api.problems import FieldProblem, Problem, Refusal, answer, nothing_here, too_long
from valetkey.server.asking import Server

DESCRIPTION: Final = """\
Connections, their states and their tokens, for programs of any language.

Every call carries an API key: `Authorization: Bearer vk_...`.  A key has scopes, and may be limited to owners and
credentials; what is beyond its limits looks as if it were not there.  Every error is a problem document (RFC 9457) with
a `code` that never changes.  Unknown names in a body or a query are errors.  All times are Unix seconds.
"""
ROUTERS: Final = (
    connections.router,
    credentials.router,
    events.router,
    owners.router,
    providers.router,
    sessions.router,
)


class Api(FastAPI):
    """The application, whose OpenAPI document tells of problems, and is held to."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            made = super().openapi()
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            made["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
        return super().openapi()

    @cached_property
    def queries(self) -> dict[tuple[str, str], frozenset[str]]:
        """What may stand in the query of each operation, by its path and method, as the document tells."""
        return {
            (path, method.upper()): frozenset(
                one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"
            )
            for path, operations in self.openapi()["paths"].items()
            for method, operation in operations.items()
        }


async def _known_query(request: Request) -> None:
    """Refuse a query that names what the operation does not know: a typing mistake must not look like an answer."""
    if not request.query_params:
        return
    queries = await run_in_threadpool(lambda: request.app.queries)  # making the document takes a moment
    unknown = sorted(set(request.query_params) - queries[request.scope["route"].path, request.method])
    if unknown:
        told = [FieldProblem(where=f"query.{clean(name, 60)}", detail="It is not known here") for name in unknown[:20]]
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{told[0].where}: {told[0].detail}",
            code="fields_invalid",
            hint="compare the request with /v1/openapi.json",
            errors=told,
        )


def create_api(server: Server) -> Api:
    """Return the application; it knows nothing of the path under which it is mounted."""
    from valetkey import __version__  # noqa: PLC0415 - the package imports its server only when that is asked for

    api = Api(
        title="Valetkey",
        version=__version__,
        summary="OAuth2 connections and their tokens.",
        description=DESCRIPTION,
        docs_url=None,  # its page would load foreign scripts
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Gate, server=server)],
        dependencies=[Depends(BEARER), Depends(_known_query)],
        exception_handlers=cast("Any", _HANDLERS),
        separate_input_output_schemas=False,
    )
    api.state.server = server
    api.state.streams = anyio.CapacityLimiter(events.MOST_STREAMS)
    for router in ROUTERS:
        api.include_router(router)
    return api


def api_mount(server: Server) -> Mount:
    """Return the route of the whole API."""
    mount = Mount("/v1", create_api(server))
    # The one of Starlette does not match addresses with a line break in them, which would get a page instead.
    mount.path_regex = re.compile("^/v1/(?P<path>.*)$", re.DOTALL)
    return mount


# -- errors ------------------------------------------------------------------------------------------------------------


async def _refused(_: Request, error: Exception) -> Response:
    return answer(cast("Refusal | ValetkeyError", error))


async def _of_the_framework(_: Request, error: Exception) -> Response:
    """Tell what the framework refused: there is no such address, no such method, or the body could not be read."""
    told = cast("HTTPException", error)
    if told.status_code == HTTPStatus.NOT_FOUND:
        return answer(nothing_here())
    if told.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return answer(too_long())
    if told.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return answer(
            Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "this address does not know this method",
                code="method_unsupported",
                hint="the Allow header names those it knows",
                headers=told.headers,
            )
        )
    return answer(_not_json())


def _not_json() -> Refusal:
    return Refusal(
        HTTPStatus.BAD_REQUEST, "the body is no JSON", code="input_not_json", hint="send one JSON object, in UTF-8"
    )


async def _invalid(_: Request, error: Exception) -> Response:
    """Tell all values that are wrong; never the values themselves, which may be secrets."""
    found = cast("RequestValidationError", error).errors()
    if any(one["type"] == "json_invalid" for one in found):
        return answer(_not_json())
    choices = [one for one in found if one["type"] != "none_required"]  # what may be left out need not be told so
    told = [FieldProblem(where=_place(one["loc"]), detail=clean(one["msg"])) for one in (choices or found)[:20]]
    refusal = Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{told[0].where}: {told[0].detail}",
        code="fields_invalid",
        hint="compare the request with /v1/openapi.json",
        errors=told,
    )
    return answer(refusal)


def _place(steps: tuple[int | str, ...]) -> str:
    """Return where a value stands; what pydantic calls the choices of a type is no place."""
    named = (str(step) for step in steps)
    return clean(".".join(step for step in named if "[" not in step and step != "none"), 200)


_HANDLERS: Final = {
    Refusal: _refused,
    ValetkeyError: _refused,
    HTTPException: _of_the_framework,
    RequestValidationError: _invalid,
}
