"""What changes in a page that is open, as plain values: the script puts them in as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from valetkey.server.times import Moment
from valetkey.server.views.banners import Banner
from valetkey.server.views.causes import Cause, summary
from valetkey.server.views.connections import Row
from valetkey.server.views.detail import Figure
from valetkey.server.words import Word


def row_parts(row: Row) -> dict[str, Any]:
    """Return the parts of a row that change."""
    return {
        "state": {
            "title": row.word.title,
            "icon": row.word.icon,
            "tone": row.word.tone,
            "why": row.why,
            "next": moment(row.next_try) if row.next_try else None,
        },
        "expires": moment(row.expires),
        "used": moment(row.used),
        "refreshed": moment(row.refreshed),
    }


def causes_parts(ask_url: Callable[[str], str], found: Sequence[Cause], trouble: int) -> dict[str, Any]:
    """Return the card of what is behind it."""
    return {
        "sum": summary(found, trouble),
        "list": [
            {
                "icon": cause.word.icon,
                "colour": cause.word.colour,
                "title": cause.title,
                "text": cause.text,
                "next": moment(cause.next_try) if cause.next_try else None,
                "act": cause.act,
                "spoken": cause.spoken,
                "main": bool(cause.fix),
                "href": ask_url(cause.address),
            }
            for cause in found
        ],
    }


def page_parts(word: Word, above: Banner | None, below: Sequence[Figure]) -> dict[str, Any]:
    """Return the parts of a connection's own page that change."""
    shown = None
    if above is not None:
        shown = {
            "tone": above.tone,
            "icon": above.icon,
            "title": above.title,
            "text": above.text,
            "next": moment(above.next_try) if above.next_try else None,
            "calls": above.calls,
            "raises": above.raises,
            "code": above.code,
            "said": above.said,
            "at": above.at,
            "act": above.act,
        }
    figures = [
        {"value": one.value, "more": one.more, "bad": one.bad, "counts": moment(one.counts) if one.counts else None}
        for one in below
    ]
    return {
        "state": {"title": word.title, "icon": word.icon, "tone": word.tone},
        "banner": shown,
        "figures": figures,
    }


def moment(one: Moment) -> dict[str, str]:
    """Return a moment as the script shows it."""
    return {"said": one.said, "iso": one.iso, "exact": one.exact, "over": one.over}
