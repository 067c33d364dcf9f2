"""Which pages this application has: a link is shown only where it leads somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Match

if TYPE_CHECKING:
    from valetkey.server.asking import Ask


def leads(ask: Ask, path: str, method: str = "GET") -> str:
    """Return the address of a page, empty where the application has no such page."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": f"{ask.root}{path}",
        "root_path": ask.root,
        "headers": [],
    }
    there = any(route.matches(scope)[0] is Match.FULL for route in ask.request.app.routes)
    return ask.url(path) if there else ""
