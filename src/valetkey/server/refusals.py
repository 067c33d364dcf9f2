"""Answers to what went wrong before, beside or below the pages: rendered from memory, without looking at the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from valetkey.server.api import problems
from valetkey.server.asking import Ask

RETRY_AFTER: Final = 5
"""Seconds after which it is worth to ask again for what needs the store."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered as it was meant.

    Attributes:
        status: The HTTP status.
        code: A stable word for it.
        title: The same for people.
        text: What to do.
        template: The page.
    """

    status: int
    code: str
    title: str
    text: str
    template: str = "refused.html"


_BACK: Final = "Nothing was changed. Go back, load the page again, and repeat it."
TOO_LONG: Final = Refusal(
    413, "body_too_long", "That was too long", "A form may be 256 KiB. Send less at once; nothing was changed."
)
ELSEWHERE: Final = Refusal(
    403,
    "origin_foreign",
    "This came from another site",
    "Your browser says that the form did not stand on a page of ours, and it was not looked at. If you did send it"
    " here: open this Console by the address that it was set up with, and repeat it.",
)
UNEXPECTED: Final = Refusal(
    500,
    "internal",
    "Something went wrong here",
    "It is a mistake of ours. What you did may have happened or not: look before you repeat it. The log of the server"
    " says more; find it by the request ID.",
)
STORE_DOWN: Final = Refusal(
    503, "store_unavailable", "Valetkey cannot reach its store", "Try again in a moment.", "store-down.html"
)
NOT_FOUND: Final = Refusal(404, "page_missing", "There is nothing here", "", "not-found.html")
_OTHERS: Final = {
    "form_type": Refusal(415, "form_type", "That is not a form of ours", f"It was sent in another format. {_BACK}"),
    "form_encoding": Refusal(400, "form_encoding", "That is not readable text", f"It is not UTF-8. {_BACK}"),
}
_BY_STATUS: Final = {
    404: NOT_FOUND,
    405: Refusal(405, "method_not_allowed", "That cannot be done here", "The address is for something else."),
    413: TOO_LONG,
}


def of_http(status: int, detail: str) -> Refusal:
    """Return the refusal for an error that the routing or a form raised."""
    known = _OTHERS.get(detail) or _BY_STATUS.get(status)
    return known or Refusal(status, "form_unreadable", "That could not be read", _BACK)


def refused(scope: Scope, refusal: Refusal) -> Response:
    """Return the answer: a page, and for the API problem details (RFC 9457)."""
    request = Request(scope)
    ask = Ask(scope["app"].state.server, request)
    if for_api(scope):
        answer: Response = problems.answer(_problem(refusal))
    else:
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        answer = ask.page(
            refusal.template,
            status=refusal.status,
            refusal=refusal,
            request_id=ask.request_id,
            at=at,
            retry=RETRY_AFTER,
        )
    if refusal.status == STORE_DOWN.status:
        answer.headers["retry-after"] = str(RETRY_AFTER)
    return answer


def _problem(refusal: Refusal) -> problems.Refusal:
    if refusal is TOO_LONG:
        return problems.too_long()
    return problems.Refusal(HTTPStatus(refusal.status), refusal.text or refusal.title, code=refusal.code)


def for_api(scope: Scope) -> bool:
    """Whether a request is for the REST API: it gets problem details (RFC 9457), and no cookie counts there."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).startswith("/v1/")
