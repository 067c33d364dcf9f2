"""Errors as problem details (RFC 9457), with the codes and hints of the library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    ConnectError,
    ProviderError,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshBusy,
    StepUpRequired,
    StoreError,
    StoreUnavailable,
    ValetkeyError,
    clean,
)

MEDIA_TYPE: Final = "application/problem+json"
PATIENCE: Final = 1.0
"""Seconds after which to try again where nobody said otherwise."""
_STATUS: Final[tuple[tuple[type[ValetkeyError], HTTPStatus], ...]] = (
    (ReauthorizationRequired, HTTPStatus.CONFLICT),
    (StepUpRequired, HTTPStatus.CONFLICT),
    (ConnectError, HTTPStatus.CONFLICT),
    (ClientRejected, HTTPStatus.CONFLICT),
    (ProviderUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ProviderError, HTTPStatus.BAD_GATEWAY),
    (RefreshBusy, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (ConfigurationError, HTTPStatus.UNPROCESSABLE_ENTITY),
)
"""The first that fits.  409: the same call is of no use before somebody has acted."""
_OF_THE_APP: Final = (
    *("app_", "certificate_", "client_", "credential_", "preset_", "private_key_", "profile_", "resource_"),
    *("look_up_", "secret_", "token_bound"),
)
"""How codes of configuration errors begin that are the fault of one credential's set-up: an operator must act."""
_OF_THE_SERVER: Final = ("key_", "keyring_")
"""How those begin that are the fault of the server's own."""


class FieldProblem(BaseModel):
    """What is wrong with one value of the request."""

    model_config = ConfigDict(extra="forbid")

    where: Annotated[str, Field(description="Where it stands.", examples=["body.tags.team", "query.limit"])]
    detail: Annotated[str, Field(description="What is wrong with it.", examples=["Input should be a valid string"])]


class Problem(BaseModel):
    """What went wrong, and what to do next (RFC 9457).  No problem ever holds a secret."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(description="Always `about:blank`: `code` tells the kind.")] = "about:blank"
    title: Annotated[str, Field(description="The HTTP status in words.", examples=["Conflict"])]
    status: Annotated[int, Field(description="The HTTP status.", ge=400, le=599, examples=[409])]
    detail: Annotated[str, Field(description="What happened, for people.")]
    code: Annotated[
        str, Field(description="What happened, for programs: it never changes.", examples=["not_connected"])
    ]
    hint: Annotated[str, Field(description="The next step; empty where there is none.")] = ""
    retry_after: Annotated[
        float | None, Field(description="Seconds after which the same call makes sense again.", examples=[1.5])
    ] = None
    reason: Annotated[
        str | None, Field(description="Why a connection needs a person, as in its `reason`.", examples=["revoked"])
    ] = None
    connect_url: Annotated[str | None, Field(description="The page where a person mends it.")] = None
    errors: Annotated[list[FieldProblem] | None, Field(description="All values that are wrong.")] = None


class Refusal(Exception):
    """The API refuses a request by its own rules: becomes a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        code: str,
        hint: str = "",
        retry_after: float | None = None,
        errors: list[FieldProblem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = Problem(
            title=status.phrase,
            status=status,
            detail=detail,
            code=code,
            hint=hint,
            retry_after=retry_after,
            errors=errors,
        )


def nothing_here() -> Refusal:
    """Return what an address gets that shows nothing: the same bytes where it is not there and where it is hidden."""
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "there is nothing here, or it is not for this API key to see",
        code="resource_unknown",
        hint="compare the address; what a key may see stands in the console under API keys",
    )


def too_long() -> Refusal:
    """Return what a body gets that is longer than is taken."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "the body of the request is too long",
        code="body_too_long",
        hint="send less at a time",
    )


def other_host() -> Refusal:
    """Return what a request gets that names a host which is not ours."""
    return Refusal(
        HTTPStatus.MISDIRECTED_REQUEST,
        "this host name is not known here",
        code="host_unknown",
        hint="use the address that the server was set up with, or add the name to allowed_hosts",
    )


def our_mistake() -> Refusal:
    """Return what is told of an error that nobody expected: nothing about it."""
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here", code="internal", hint="see the server's log"
    )


def answer(error: Refusal | ValetkeyError) -> JSONResponse:
    """Return the answer that tells of an error."""
    problem, headers = (error.problem, error.headers) if isinstance(error, Refusal) else (_problem(error), {})
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(math.ceil(problem.retry_after), 1))
    content = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, problem.status, headers, media_type=MEDIA_TYPE)


def _problem(error: ValetkeyError) -> Problem:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, ConfigurationError) and error.code.startswith(_OF_THE_APP):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, ConfigurationError) and error.code.startswith(_OF_THE_SERVER):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    dead = error if isinstance(error, ReauthorizationRequired) else None
    return Problem(
        title=status.phrase,
        status=status,
        detail=clean(error, 1000),
        code=error.code,
        hint=clean(error.hint, 1000),
        retry_after=_patience(error, status),
        reason=dead.reason if dead else None,
        connect_url=dead.connect_url if dead else None,
    )


def _patience(error: ValetkeyError, status: HTTPStatus) -> float | None:
    told = error.retry_after if isinstance(error, ProviderError) else None
    return PATIENCE if told is None and status == HTTPStatus.SERVICE_UNAVAILABLE else told


# -- how problems stand in the OpenAPI document ------------------------------------------------------------------------

_TOLD: Final[Mapping[int, str]] = {
    400: "The body is no JSON.",
    401: "No API key was sent, or it is unknown, revoked or over.",
    403: "The API key may not do this, or not from this address.",
    404: "It is not there, or the API key may not see it: the two look the same.",
    405: "This address does not know this method.",
    409: "As things are it cannot be done: somebody must act first, as `hint` says.",
    413: "The body is too long.",
    415: "The body is not `application/json`.",
    421: "The `Host` header names another server.",
    422: "A value or a name in the request is not one that is taken; `errors` lists all of them.",
    429: "The API key has used up its calls for this minute.",
    500: "A mistake of the server, or a store that is damaged.",
    502: "The provider answered with an error, or with what the protocol does not allow.",
    503: "The provider or the store does not answer now; `retry_after` says when to try again.",
}
_EVERYWHERE: Final = (401, 403, 405, 413, 415, 421, 422, 429, 500, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers with problems that an operation can give: those of every operation, and these."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        status: {"description": _TOLD[status], "content": content, **_headers(status)}
        for status in sorted({*_EVERYWHERE, *statuses})
    }


def _headers(status: int) -> dict[str, Any]:
    if status not in {429, 503}:
        return {}
    told = {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
    return {"headers": {"Retry-After": told}}
