"""The switches that make the practice provider misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args
from urllib.parse import urlencode

from valetkey.testing._http import Reply
from valetkey.values import NO_HEADERS

Endpoint = Literal[
    "authorization",
    "token",
    "revocation",
    "introspection",
    "device_authorization",
    "ciba",
    "userinfo",
    "api",
    "discovery",
    "jwks",
    "id_token",
    "jarm",
    "signed_introspection",
    "registration",
    "management",
    "resource_metadata",
    "mcp",
]
ENDPOINTS: Final[tuple[Endpoint, ...]] = get_args(Endpoint)

OMIT: Final = object()
"""As the value of a member: leave the member out."""

HTML_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"


class Hold:
    """Requests that are held until a test lets them go: what is slow, without waiting.

    Made by `PracticeProvider.hold`; as a context manager it lets them go at its end.

    Attributes:
        arrived: Set when the first request is held.
    """

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit
        self.arrived = threading.Event()
        self._changed = threading.Condition()
        self._count = 0
        self._released = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    @property
    def count(self) -> int:
        """How many requests arrived here so far."""
        with self._changed:
            return self._count

    def wait_for(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until `count` requests have arrived.

        Raises:
            TimeoutError: Fewer came within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout):
                msg = f"{self._count} of {count} requests arrived within {timeout:g} seconds"
                raise TimeoutError(msg)

    def release(self) -> None:
        """Let all go, those still to come included."""
        self._released.set()

    @property
    def released(self) -> bool:
        """Whether requests pass again."""
        return self._released.is_set()

    def stand(self) -> None:
        """Hold the calling thread."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()
        self.arrived.set()
        self._released.wait(self._limit)


@dataclass(slots=True)
class _Fault:
    """One planned answer instead of the right one: `reply` None hangs up; with `note`, only where the answer has it."""

    endpoint: str
    after: bool
    left: int | None
    reply: Reply | None
    note: str = ""


@dataclass(slots=True)
class _Change:
    """One planned change of the members of a right answer."""

    endpoint: str
    left: int | None
    members: Mapping[str, object] = field(default_factory=dict[str, object])
    as_form: bool = False


class Faults:
    """Every way to misbehave, as methods; `reset_faults` ends them all.

    Where a method takes `times`, None means until `reset_faults`.  Planned faults of one endpoint happen in the order
    in which they were planned.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Fault] = []
        self._changes: list[_Change] = []
        self._holds: list[tuple[str, bool, Hold]] = []
        self._denials: list[tuple[str, str]] = []
        self._narrowed: tuple[str, ...] | None = None
        self.signs_answers = True

    def reset_faults(self) -> None:
        """Behave again: forget all planned faults and changes, and let go what is held."""
        with self._lock:
            holds, self._holds = self._holds, []
            self._planned, self._changes, self._denials, self._narrowed = [], [], [], None
        for _, _, hold in holds:
            hold.release()

    # -- instead of an answer

    def fail_next(
        self,
        *,
        status: int,
        error: str | None = None,
        description: str = "",
        body: bytes | str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        retry_after: float | str | None = None,
        times: int | None = 1,
        endpoint: Endpoint = "token",
        after: bool = False,
    ) -> None:
        """Answer the next `times` requests to `endpoint` with this.

        Args:
            status: The HTTP status; 200 makes a success that holds an error.
            error: The OAuth error of a JSON body, and of the challenge where the API refuses.
            description: Its ``error_description``.
            body: The whole body instead; ``b""`` for none.  With neither: a page of HTML.
            headers: Further headers.
            retry_after: ``Retry-After``: seconds, or an HTTP date.
            times: How often; None: until `reset_faults`.
            endpoint: Where.
            after: Do the work first, and answer this afterwards: a refresh token is spent then.

        Raises:
            ValueError: There is no such endpoint.
        """
        extra = {**headers} | ({} if retry_after is None else {"Retry-After": _plain_number(retry_after)})
        self._plan(endpoint, after, times, _failure(endpoint, status, error, description, body, extra))

    def answer_html(self, times: int | None = 1, *, endpoint: Endpoint = "token", after: bool = False) -> None:
        """Answer with a page of HTML and status 200, as a proxy under maintenance does."""
        self._plan(endpoint, after, times, Reply(200, HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"}))

    def drop_before(self, times: int | None = 1, *, endpoint: Endpoint = "token") -> None:
        """Close the connection without an answer, and without having done anything."""
        self._plan(endpoint, after=False, times=times, reply=None)

    def drop_after(self, times: int | None = 1, *, endpoint: Endpoint = "token") -> None:
        """Do the work, whatever comes of it, and close the connection without an answer."""
        self._plan(endpoint, after=True, times=times, reply=None)

    def drop_after_rotation(self, times: int | None = 1) -> None:
        """Grant the next refresh, spending its token, and close the connection without an answer."""
        self._plan("token", after=True, times=times, reply=None, note="refreshed")

    def hold(self, endpoint: Endpoint = "token", *, after: bool = False) -> Hold:
        """Hold all requests to `endpoint` until they are released; with `after`, hold their answers.

        Raises:
            ValueError: There is no such endpoint.
        """
        return self._hold(endpoint, after, Hold())

    def slow(self, seconds: float, endpoint: Endpoint = "token", *, after: bool = False) -> Hold:
        """Let each request to `endpoint` wait so many seconds of real time; with `after`, its answer.

        For trying things out by hand and for measuring; tests are better served by `hold`.

        Raises:
            ValueError: There is no such endpoint.
        """
        return self._hold(endpoint, after, Hold(seconds))

    def _hold(self, endpoint: str, after: bool, hold: Hold) -> Hold:
        with self._lock:
            self._holds.append((_known(endpoint), after, hold))
        return hold

    def _plan(self, endpoint: str, after: bool, times: int | None, reply: Reply | None, note: str = "") -> None:
        with self._lock:
            self._planned.append(_Fault(_known(endpoint), after, times, reply, note))

    # -- another answer

    def change_answer(self, times: int | None = None, *, endpoint: Endpoint = "token", **members: object) -> None:
        """Give members of right answers these values; `OMIT` leaves a member out.

        Meant for the JSON of ``token``, ``device_authorization``, ``ciba``, ``userinfo``, ``discovery`` and ``jwks``;
        at a `WickedServer` of ``registration``, ``management`` and ``resource_metadata`` too; for the parameters of the
        redirect of ``authorization``; and for the claims of an ``id_token`` or of a signed authorization answer
        (``jarm``).

        Raises:
            ValueError: There is no such endpoint.
        """
        with self._lock:
            self._changes.append(_Change(_known(endpoint), times, members))

    def answer_form_encoded(self, times: int | None = None) -> None:
        """Write token answers as a form, as some servers do that are not asked for JSON."""
        with self._lock:
            self._changes.append(_Change("token", times, as_form=True))

    def expires_in_as(self, value: object, times: int | None = None) -> None:
        """Send ``expires_in`` as this: ``"3600"``, 0, 3600.0, None, `OMIT`...; the token lives as long as ever."""
        self.change_answer(times, expires_in=value)

    def token_type_as(self, value: object, times: int | None = None) -> None:
        """Send this ``token_type``."""
        self.change_answer(times, token_type=value)

    def omit_refresh_token(self, times: int | None = None) -> None:
        """Leave the refresh token out of token answers.  With rotation the old one is spent all the same."""
        self.change_answer(times, refresh_token=OMIT)

    def answer_iss(self, value: str, times: int | None = None) -> None:
        """Send this ``iss`` with authorization answers (RFC 9207)."""
        self.change_answer(times, endpoint="authorization", iss=value)

    def omit_iss(self, times: int | None = None) -> None:
        """Leave ``iss`` out of authorization answers, though the metadata promises it."""
        self.change_answer(times, endpoint="authorization", iss=OMIT)

    # -- the person

    def narrow_scopes(self, *scopes: str) -> None:
        """Let the person give no more than these scopes, whatever is asked for; the answer says so."""
        with self._lock:
            self._narrowed = scopes

    def deny_next(self, error: str = "access_denied", description: str = "", times: int = 1) -> None:
        """Let the next `times` consents fail with this error, whatever the person presses."""
        with self._lock:
            self._denials.extend([(error, description)] * times)

    def take_denial(self) -> tuple[str, str] | None:
        """Return and use up the next planned denial.  For the endpoints."""
        with self._lock:
            return self._denials.pop(0) if self._denials else None

    def given(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the person gives of `scopes`.  For the endpoints."""
        with self._lock:
            return scopes if self._narrowed is None else tuple(s for s in scopes if s in self._narrowed)

    # -- used by the endpoints

    def around(self, endpoint: str, work: Callable[[], Reply]) -> Reply | None:
        """Do the work of `endpoint`, with whatever was planned before and after it."""
        self._stand(endpoint, after=False)
        fault = self._next(endpoint, after=False, note="")
        if fault is not None:
            return fault.reply
        reply = work()
        self._stand(endpoint, after=True)
        fault = self._next(endpoint, after=True, note=reply.note)
        return reply if fault is None else fault.reply

    def changed(self, endpoint: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of a right answer with the planned changes."""
        found = dict(members)
        for change in self._use_changes(endpoint, as_form=False):
            found.update(change.members)
        return {name: value for name, value in found.items() if value is not OMIT}

    def rendered(self, endpoint: str, status: int, members: Mapping[str, Any], note: str = "") -> Reply:
        """Write a right answer with the planned changes."""
        found = self.changed(endpoint, members)
        if not self._use_changes(endpoint, as_form=True):
            return Reply.of_json(status, found, note=note)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cache-Control": "no-store"}
        return Reply(status, urlencode(found).encode(), headers, note)

    def _stand(self, endpoint: str, *, after: bool) -> None:
        with self._lock:
            self._holds = [entry for entry in self._holds if not entry[2].released]
            holds = [hold for place, late, hold in self._holds if (place, late) == (endpoint, after)]
        for hold in holds:
            hold.stand()

    def _next(self, endpoint: str, *, after: bool, note: str) -> _Fault | None:
        with self._lock:
            for fault in self._planned:
                if (fault.endpoint, fault.after) == (endpoint, after) and fault.note in {"", note}:
                    fault.left = None if fault.left is None else fault.left - 1
                    self._planned = [other for other in self._planned if other.left != 0]
                    return fault
            return None

    def _use_changes(self, endpoint: str, *, as_form: bool) -> list[_Change]:
        with self._lock:
            used = [c for c in self._changes if c.endpoint == endpoint and c.as_form == as_form]
            for change in used:
                change.left = None if change.left is None else change.left - 1
            self._changes = [change for change in self._changes if change.left != 0]
            return used


def _known(endpoint: str) -> str:
    if endpoint not in ENDPOINTS:
        msg = f"no endpoint {endpoint!r}; there are {', '.join(ENDPOINTS)}"
        raise ValueError(msg)
    return endpoint


def _plain_number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _failure(
    endpoint: str, status: int, error: str | None, description: str, body: bytes | str | None, headers: dict[str, str]
) -> Reply:
    fixed = {"Cache-Control": "no-store"}
    challenge = _challenge(endpoint, status, error, description)
    if challenge:
        fixed["WWW-Authenticate"] = challenge
    if body is not None:
        content = body.encode() if isinstance(body, str) else body
    elif error is not None:
        fixed["Content-Type"] = "application/json"
        content = json.dumps({"error": error} | ({"error_description": description} if description else {})).encode()
    else:
        fixed["Content-Type"] = "text/html; charset=utf-8"
        content = b"<!doctype html><title>Error</title><h1>%d</h1>" % status
    return Reply(status, content, {**fixed, **headers})


def _challenge(endpoint: str, status: int, error: str | None, description: str) -> str:
    """Return the challenge that goes with a refusal (RFC 6749 section 5.2, RFC 6750 section 3)."""
    if endpoint not in {"api", "userinfo"}:
        return 'Basic realm="practice"' if status == HTTPStatus.UNAUTHORIZED else ""
    if status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ""
    parts = ['Bearer realm="practice"']
    if error:
        parts.append(f'error="{error}"')
    if description:
        parts.append(f'error_description="{description}"')
    return ", ".join(parts)
