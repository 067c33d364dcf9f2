"""Clean addresses: no page stands at the callback's address, where `code` and `state` are (SPEC section 6, point 13).

What a browser sees that began the sign-in is kept, sealed, for ten minutes, and shown to that browser alone.  What
others see needs nothing kept, so nobody can fill the store by calling callbacks: a cookie says which request it was.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import Final

from starlette.responses import HTMLResponse, Response

from valetkey.engine.flows import binding_hash
from valetkey.errors import StateMismatch
from valetkey.model.connections import Document, Sealed
from valetkey.model.sealing import document_label, write_sealed
from valetkey.server.asking import Ask
from valetkey.server.joining.arriving import Arrival
from valetkey.server.joining.leaving import binding

KIND: Final = "sign_in_page"
KEPT: Final = 600.0
"""Seconds for which a page can be looked at again."""
REFUSED: Final = "valetkey_refused"
_REFUSED: Final = re.compile(r"(state_mismatch|binding_mismatch)\.(req_[0-9a-f]{12})\.(present|absent)")


def lead_away(ask: Ask, came: Arrival, answer: Response) -> Response:
    """Lead from the callback to an address without the provider's answer in it; a redirect does so already."""
    if not isinstance(answer, HTMLResponse):
        return answer
    page = f"/callback/{came.credential.name}"
    if came.flow is not None and came.flow.is_bound_to(came.binding):
        _keep(ask, came, answer)
        clean = ask.go(f"{page}/ended/{came.flow_id}")
    else:
        clean = ask.go(f"{page}/refused/{came.face or 'console'}")
        code = "state_mismatch" if came.flow is None else "binding_mismatch"
        cookie = "present" if came.binding else "absent"
        ask.keep(clean, _cookie(ask), f"{code}.{ask.request_id}.{cookie}", KEPT)
    clean.raw_headers.extend(header for header in answer.raw_headers if header[0] == b"set-cookie")
    return clean


def shown_before(ask: Ask) -> Response | None:
    """Return the page that is kept for this browser; None where there is none."""
    core, wanted = ask.server.core, ask.request.path_params["id"]
    kept = core.store.get_document(KIND, wanted, env=core.env)
    bound = binding(ask, wanted)
    if kept is None or kept.sealed is None or bound is None:
        return None
    if not hmac.compare_digest(binding_hash(bound), str(kept.body["binding"])):
        return None
    return HTMLResponse(core.sealer.open(kept.sealed, document_label(kept)), status_code=int(kept.body["status"]))


def refusal(ask: Ask) -> tuple[StateMismatch, str, str]:
    """Return why an answer was refused, which request it was, and whether the cookie of its sign-in had come."""
    found = _REFUSED.fullmatch(ask.request.cookies.get(_cookie(ask), ""))
    code, request_id, cookie = found.groups() if found else ("state_mismatch", "", "")
    return StateMismatch("the answer belongs to no sign-in of this browser", code=code), request_id, cookie


def _keep(ask: Ask, came: Arrival, answer: HTMLResponse) -> None:
    core = ask.server.core
    body = {"status": answer.status_code, "binding": came.flow.mark if came.flow else ""}
    ends = core.store.now() + KEPT
    document = Document(kind=KIND, id=came.flow_id, env=core.env, body=body, expires_at=ends)

    def put(sealed: Sealed) -> Document | None:
        return core.store.put_document(replace(document, sealed=sealed))

    write_sealed(core.sealer, bytes(answer.body), document_label(document), put)


def _cookie(ask: Ask) -> str:
    return f"__Host-{REFUSED}" if ask.server.settings.cookie.startswith("__Host-") else REFUSED
