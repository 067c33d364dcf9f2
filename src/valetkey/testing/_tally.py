"""What the practice provider counts, and the requests that it remembers."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from valetkey.testing._http import Call
from valetkey.values import NO_HEADERS

KEPT = 10_000
"""How many requests are remembered; older ones are forgotten, the counters go on."""

_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request that the provider received, without anything secret: no body, no values of parameters.

    Attributes:
        at: Unix time by the provider's clock.
        method: ``GET``, ``POST``...
        path: Its path, without the query.
        endpoint: ``authorization``, ``token``, ``revocation``, ``device_authorization``, ``userinfo``, ``api``,
            ``discovery``, ``pages`` or, for an unknown path, empty.
        status: What was answered; None where the connection was closed without an answer.
        authentication: ``basic``, ``post``, ``none`` (a ``client_id`` alone), ``bearer``, ``basic+post`` (which no
            client may do), or empty.
        grant_type: Of a token request.
        parameters: The names of the parameters of URL and form, in order, repeated ones repeated.
        headers: The headers, names in lower case, without ``Authorization`` and cookies.
    """

    at: float
    method: str
    path: str
    endpoint: str
    status: int | None
    authentication: str = ""
    grant_type: str = ""
    parameters: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)


class Tally:
    """Counters and the last requests.  Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._requests: deque[SeenRequest] = deque(maxlen=KEPT)

    def add(self, name: str) -> None:
        """Count one more `name`."""
        with self._lock:
            self._counts[name] += 1

    def count(self, name: str) -> int:
        """Return how often `name` was counted."""
        with self._lock:
            return self._counts[name]

    def remember(self, request: SeenRequest) -> None:
        """Keep `request`, in the place of the oldest where there are too many."""
        with self._lock:
            self._requests.append(request)

    def requests(self) -> tuple[SeenRequest, ...]:
        """Return the remembered requests in the order in which they were answered."""
        with self._lock:
            return tuple(self._requests)

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._lock:
            self._counts.clear()
            self._requests.clear()


def seen(call: Call, *, endpoint: str, status: int | None, at: float) -> SeenRequest:
    """Describe a request without its secrets."""
    form = call.form_pairs()
    return SeenRequest(
        at=at,
        method=call.method,
        path=call.path,
        endpoint=endpoint,
        status=status,
        authentication=_authentication(call.headers.get("authorization", ""), dict(form)),
        grant_type=dict(form).get("grant_type", ""),
        parameters=tuple(name for name, _ in [*call.query_pairs(), *form]),
        headers={name: value for name, value in call.headers.items() if name not in _PRIVATE},
    )


def _authentication(header: str, form: Mapping[str, str]) -> str:
    methods = [header.partition(" ")[0].lower()] if header else []
    if "client_secret" in form:
        methods.append("post")
    elif "client_id" in form and not methods:
        methods.append("none")
    return "+".join(methods)
