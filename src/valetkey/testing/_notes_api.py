"""The small API that the practice provider's access tokens open: notes, and a few routes to test clients with."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import Any

from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import AccessToken
from valetkey.testing._site import Site, bearer, claims

_MOST_LINES = 10_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NotesApi:
    """``/notes``, ``/me``, ``/echo``, ``/redirect``, ``/stream``; and ``/open``, which wants no token."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._notes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def notes(self, call: Call) -> Reply:
        """List the notes (GET, scope ``notes.read``) or write one (POST ``{"text": ...}``, ``notes.write``)."""
        token = bearer(self._site, call, "notes.write" if call.method == "POST" else "notes.read")
        if isinstance(token, Reply):
            return token
        return self._create(call, token) if call.method == "POST" else self._list(token)

    def _list(self, token: AccessToken) -> Reply:
        with self._lock:
            return Reply.of_json(200, {"notes": list(self._notes[claims(token)["sub"]])})

    def _create(self, call: Call, token: AccessToken) -> Reply:
        text = _text_of(call.body)
        if text is None:
            return Reply.of_json(400, {"error": "bad_note", "message": 'send {"text": "..."}'})
        with self._lock:
            notes = self._notes[claims(token)["sub"]]
            note = {"id": len(notes) + 1, "text": text, "created_at": self._site.ledger.now()}
            notes.append(note)
        return Reply.of_json(201, note)

    def me(self, call: Call) -> Reply:
        """Tell who calls, and with which scopes."""
        token = bearer(self._site, call)
        return (
            token if isinstance(token, Reply) else Reply.of_json(200, {**claims(token), "scopes": list(token.scopes)})
        )

    def echo(self, call: Call) -> Reply:
        """Tell what came in, to a caller with a token."""
        token = bearer(self._site, call)
        return token if isinstance(token, Reply) else echoed(call)

    def redirect(self, call: Call) -> Reply:
        """Redirect a caller with a token to ``?to=``, with ``&status=`` 302 unless named."""
        token = bearer(self._site, call)
        if isinstance(token, Reply):
            return token
        query = dict(call.query_pairs())
        status = query.get("status", "302")
        known = status.isdecimal() and int(status) in _REDIRECTS
        return Reply.redirect(query.get("to", "/me"), int(status)) if known else Reply.of_json(400, {"error": "status"})

    def stream(self, call: Call) -> Reply:
        """Send ``?lines=`` (3 unless named) lines of JSON, each in a chunk of its own."""
        token = bearer(self._site, call)
        if isinstance(token, Reply):
            return token
        asked = dict(call.query_pairs()).get("lines", "3")
        count = min(int(asked), _MOST_LINES) if asked.isdecimal() else 3
        lines = tuple(b'{"line": %d}\n' % number for number in range(1, count + 1))
        return Reply(200, lines, {"Content-Type": "application/x-ndjson"})


def echoed(call: Call) -> Reply:
    """Describe a request; of its ``Authorization`` only the scheme, so that no test prints a token."""
    body = {
        "method": call.method,
        "path": call.path,
        "query": call.query_pairs(),
        "authorization": call.headers.get("authorization", "").partition(" ")[0],
        "headers": {name: value for name, value in call.headers.items() if name not in {"authorization", "cookie"}},
        "body": call.body.decode("utf-8", "replace"),
    }
    return Reply.of_json(200, body)


def _text_of(body: bytes) -> str | None:
    try:
        note: Any = json.loads(body)
        text: Any = note["text"]
    except (ValueError, TypeError, KeyError):
        return None
    return text if isinstance(text, str) else None
