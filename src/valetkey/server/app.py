"""The ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from valetkey.app_keys import key_set
from valetkey.async_valet import AsyncValet
from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.errors import StoreError, clean
from valetkey.server import pages
from valetkey.server.api.app import api_mount
from valetkey.server.asking import Server
from valetkey.server.brand import LONGEST, Brand
from valetkey.server.calls import CallCounts
from valetkey.server.guard import Guard
from valetkey.server.metrics import Metrics
from valetkey.server.refusals import of_http, refused
from valetkey.server.render import STATIC, asset
from valetkey.server.settings import settings
from valetkey.valet import Valet


def create_app(
    valet: Valet | AsyncValet,
    *,
    base_url: str | None = None,
    allowed_hosts: Iterable[str] = (),
    product: str = "",
    workspace: Callable[[str], str | None] | None = None,
    privacy_url: str = "",
    return_urls: Iterable[str] = (),
    current_owner: Callable[[Request], Any] | None = None,
) -> Starlette:
    """Return the web face of a valet, an ASGI application that can be mounted under any path.

    Args:
        valet: Whose connections it shows.
        base_url: The public address of this application; default: that of the valet, else loopback only.
        allowed_hosts: Further host names under which it answers; by default those of loopback.
        product: What your application is called, for the pages that account holders see.
        workspace: Returns what the workspace of an owner is called; None: the owner's id is shown.
        privacy_url: Your page about privacy.
        return_urls: Addresses below which people may be sent back to after connecting; our own origin always may.
        current_owner: Returns the owner whose session a request of your application carries, None for nobody.  With it
            a browser connects for its own owner alone, and has the page ``/accounts``.

    Raises:
        ConfigurationError: The address is no https URL, and not on this machine.
    """
    core, desk = valet._core, valet._desk  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - one inside, many faces
    core.return_urls = tuple(return_urls)
    brand = Brand(product=clean(product, LONGEST), workspace=workspace, privacy_url=privacy_url)
    return application(
        core, desk, base_url=base_url, allowed_hosts=allowed_hosts, brand=brand, current_owner=current_owner
    )


def application(
    core: Core,
    desk: Desk,
    *,
    base_url: str | None,
    allowed_hosts: Iterable[str] = (),
    brand: Brand | None = None,
    current_owner: Callable[[Request], Any] | None = None,
) -> Starlette:
    """Return the application over the inside of a valet; the arguments are those of `create_app`.

    Raises:
        ConfigurationError: As for `create_app`.
    """
    made = settings(base_url or core.base_url, allowed_hosts)
    core.server_url = made.base_url or None
    server = Server(core, desk, made, brand or Brand(), current_owner, calls=CallCounts(core))
    routes = [
        Route("/healthz", _healthy),
        Route("/readyz", _ready),
        Route("/metrics", Metrics(server).endpoint),
        Route("/static/{name}", _static),
        Route("/.well-known/valetkey/{credential}/jwks.json", _key_set),
        *pages.ROUTES,
        api_mount(server),
    ]
    handlers: dict[Any, Any] = {HTTPException: _refused}
    app = Starlette(routes=routes, middleware=[Middleware(Guard, settings=made)], exception_handlers=handlers)
    app.state.server = server
    return app


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _ready(request: Request) -> Response:
    """Say whether the store answers too."""
    core: Core = request.app.state.server.core
    try:
        await run_in_threadpool(lambda: core.store.get_document("meta", "ready"))
    except StoreError:
        return PlainTextResponse("the store does not answer\n", status_code=503, headers={"retry-after": "5"})
    return PlainTextResponse("ok\n")


async def _key_set(request: Request) -> Response:
    """Publish the public halves of an app's keys, for its provider: nobody signs in to read them."""
    core: Core = request.app.state.server.core
    keys = await run_in_threadpool(lambda: key_set(core, request.path_params["credential"]))
    if not keys:
        raise HTTPException(404)
    return JSONResponse(
        {"keys": keys}, headers={"cache-control": "public, max-age=300"}, media_type="application/jwk-set+json"
    )


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    # The address holds the version: what was fetched once stays good.
    return Response(
        asset(name), media_type=STATIC[name], headers={"cache-control": "public, max-age=31536000, immutable"}
    )


async def _refused(request: Request, error: HTTPException) -> Response:
    return refused(request.scope, of_http(error.status_code, error.detail))
