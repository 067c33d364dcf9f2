"""Who may come in: an API key in the ``Authorization`` header and nothing else, its address, its rate, the body's type.

No cookie is looked at, so no page of another site can make a browser call this API.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from valetkey.engine.api_keys import ApiKey, ApiKeys
from valetkey.errors import ValetkeyError, clean
from valetkey.logs import get_logger
from valetkey.server.api.limits import Windows
from valetkey.server.api.problems import FieldProblem, Refusal, answer, our_mistake, too_long
from valetkey.server.asking import Server

OPEN: Final = frozenset({"/openapi.json"})
"""What is shown to everybody."""
LONGEST_BODY: Final = 200 * 1024
"""Bytes of a body, at most: less than the whole application takes, so that the API itself says what is wrong."""
_log = get_logger("server")
_KEY: Final = re.compile(r"vk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
_BODIES: Final = frozenset({"POST", "PUT", "PATCH"})


class Gate:
    """ASGI middleware around the API: it puts the `ApiKey` into the request's state as ``key``."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self.app = app
        self._doorman = Doorman(server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer with a problem."""
        if scope["type"] != "http" or _path(scope) in OPEN:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            key = await self._doorman.admit(headers, scope)
            _check_query(scope)
            _check_body(scope, headers)
        except (Refusal, ValetkeyError) as error:
            await answer(error)(scope, receive, send)
            return
        scope["state"] = {**scope.get("state", {}), "key": key}
        await self._answered(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; a mistake of ours becomes a problem that tells nothing about it, unless half an answer is out."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, _bounded(receive), noting)
        except Exception as error:
            if begun:
                raise
            _log.exception("%s: a mistake of ours (%s)", scope["state"].get("request_id", ""), type(error).__name__)
            await answer(our_mistake())(scope, receive, send)


def _path(scope: Scope) -> str:
    """Return the path below where the API is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class Doorman:
    """Finds the API key of a request."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._windows = Windows(server.core.clock.monotonic)

    async def admit(self, headers: Headers, scope: Scope) -> ApiKey:
        """Return the API key that a request carries.

        Raises:
            Refusal: It carries none, one that is not taken, not from there, or not as often.
            StoreUnavailable: The store does not answer.
        """
        text = _bearer(headers)
        key = await run_in_threadpool(self._found, text) if _KEY.fullmatch(text) else None
        if key is None:
            raise _refused()
        if not key.comes_from((scope.get("client") or ("", 0))[0]):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "this API key is not taken from this address",
                code="api_key_elsewhere",
                hint="call from one of its networks, or make a key for this one",
            )
        wait = self._windows.wait(key.id, key.rate)
        if wait:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"this API key may call {key.rate} times a minute, and did",
                code="rate_exceeded",
                hint="keep a token until it expires instead of asking each time, or make a key with a higher rate",
                retry_after=round(wait, 1),
            )
        return key

    def _found(self, text: str) -> ApiKey | None:
        keys = ApiKeys(self._server.core.store, self._server.core.clock, self._server.core.env)
        key = keys.find(text)
        if key is not None:
            keys.note_use(key)
        return key


def _bearer(headers: Headers) -> str:
    given = headers.getlist("authorization")
    scheme, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not text:
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "there is no API key in the Authorization header",
            code="api_key_missing",
            hint="send: Authorization: Bearer vk_...; keys are made by: valetkey api-key add NAME --scope read",
            headers={"WWW-Authenticate": 'Bearer realm="valetkey"'},
        )
    return text.strip()


def _refused() -> Refusal:
    """Return what every key gets that is not taken: nobody learns whether it ever was one (RFC 6750 section 3.1)."""
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "this API key is unknown here, was revoked, or has ended",
        code="api_key_refused",
        hint="see: valetkey api-key list; a key is good in one environment only",
        headers={"WWW-Authenticate": 'Bearer realm="valetkey", error="invalid_token"'},
    )


def _check_query(scope: Scope) -> None:
    """Refuse a query that names one thing twice: which of the two counts should not be a matter of luck."""
    names = [name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        told = [
            FieldProblem(where=f"query.{clean(name, 60)}", detail="It is there more than once") for name in twice[:20]
        ]
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the query names something more than once",
            code="fields_invalid",
            hint="name each once",
            errors=told,
        )


def _check_body(scope: Scope, headers: Headers) -> None:
    if scope["method"] not in _BODIES:
        return
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > LONGEST_BODY:
        raise too_long()
    empty = length == "0" and "transfer-encoding" not in headers
    kind, _, rest = headers.get("content-type", "").partition(";")
    charset = rest.strip().lower().replace('"', "")
    if not empty and (kind.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}):
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body is not declared as JSON",
            code="content_type_unsupported",
            hint="send: Content-Type: application/json",
        )


def _bounded(receive: Receive) -> Receive:
    """Bound a body that does not say how long it is."""
    seen = 0

    async def take() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LONGEST_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # the one that FastAPI lets through
        return message

    return take
