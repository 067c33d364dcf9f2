"""The colour theme: a form, so that it works without script; the script only saves the way."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.server.asking import THEME, THEMES, Ask, post
from valetkey.server.pages.login import leads_to

_YEAR: Final = 365 * 86400


def choose(ask: Ask) -> Response:
    """Keep the theme in a cookie; ``auto`` takes it away."""
    theme = ask.field("theme")
    answer = ask.go(leads_to(ask.field("next")))
    kept = theme if theme in THEMES else ""
    secure, path = ask.server.settings.secure, ask.root or "/"
    answer.set_cookie(
        THEME, kept, max_age=_YEAR if kept else 0, path=path, secure=secure, httponly=True, samesite="lax"
    )
    return answer


ROUTES: Final = [post("/console/theme", choose, grade="look")]
