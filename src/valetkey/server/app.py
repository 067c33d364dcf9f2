"""The ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from valetkey.server.asking import Ask, Server
from valetkey.server.brand import Brand
from valetkey.server.guard import Guard
from valetkey.server.pages import connecting, connections, login
from valetkey.server.render import STATIC, asset
from valetkey.server.settings import settings
from valetkey.valet import AsyncValet, Valet


def create_app(
    valet: Valet | AsyncValet,
    *,
    base_url: str | None = None,
    allowed_hosts: Iterable[str] = (),
    product: str = "",
    workspace: Callable[[str], str] | None = None,
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
    made = settings(base_url or core.base_url, allowed_hosts)
    routes = [Route("/healthz", _healthy), Route("/static/{name}", _static), *login.ROUTES, *connections.ROUTES]
    routes += connecting.ROUTES
    handlers: dict[Any, Any] = {404: _not_found}
    app = Starlette(routes=routes, middleware=[Middleware(Guard, settings=made)], exception_handlers=handlers)
    core.return_urls = tuple(return_urls)
    brand = Brand(product=product, workspace=workspace, privacy_url=privacy_url)
    app.state.server = Server(core, desk, made, brand, current_owner)
    return app


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return await _not_found(request, None)
    # The address holds the version: what was fetched once stays good.
    return Response(
        asset(name), media_type=STATIC[name], headers={"cache-control": "public, max-age=31536000, immutable"}
    )


async def _not_found(request: Request, _: Exception | None) -> Response:
    return Ask(request.app.state.server, request).page("not-found.html", status=404)
