"""What an action came to, told once on the page that the browser is sent to after it."""

from __future__ import annotations

import secrets
from typing import Any, Final

from starlette.responses import Response

from valetkey.errors import ValetkeyError, clean
from valetkey.model.connections import Document
from valetkey.server.asking import Ask

KIND: Final = "notice"
LIFE: Final = 120.0
"""Seconds for which it can be read: a reload shows it again."""


def go_with(ask: Ask, path: str, tone: str, title: str, text: str = "") -> Response:
    """Send the browser on, and have the next page tell what happened: ``ok``, ``warn`` or ``bad``."""
    name = secrets.token_urlsafe(9)
    body = {"tone": tone, "title": clean(title, 300), "text": clean(text, 2000), "session": ask.operator.csrf}
    core = ask.server.core
    ends = core.clock.now() + LIFE
    core.store.put_document(Document(kind=KIND, env=core.env, id=name, body=body, expires_at=ends))
    return ask.go(f"{path}{'&' if '?' in path else '?'}told={name}")


def go_after(ask: Ask, path: str, error: ValetkeyError) -> Response:
    """Send the browser on after an action failed."""
    hint = error.hint.removeprefix("run: ")
    return go_with(ask, path, "bad", str(error), f"Next: {hint}" if hint else "")


def told(ask: Ask) -> dict[str, Any] | None:
    """Return what the last action came to, if this session did it a moment ago."""
    name = ask.request.query_params.get("told", "")
    found = ask.server.core.store.get_document(KIND, name, env=ask.server.core.env) if name else None
    if found is None or ask.session is None or found.body.get("session") != ask.session.csrf:
        return None
    return dict(found.body)
