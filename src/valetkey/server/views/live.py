"""What a page that is open changes in a row, as plain values: the script puts them in as text."""

from __future__ import annotations

from typing import Any

from valetkey.server.times import Moment
from valetkey.server.views.connections import Row


def row_parts(row: Row) -> dict[str, Any]:
    """Return the parts of a row that change."""
    return {
        "state": {"title": row.word.title, "icon": row.word.icon, "tone": row.word.tone, "why": row.why},
        "expires": moment(row.expires),
        "used": moment(row.used),
        "refreshed": moment(row.refreshed),
    }


def moment(one: Moment) -> dict[str, str]:
    """Return a moment as the script shows it."""
    return {"said": one.said, "iso": one.iso, "exact": one.exact}
