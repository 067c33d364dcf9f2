"""Lenient reading of what authorization servers send: JSON or forms, odd numbers, dates.

RFC 6749 sections 5.1 and 5.2 ask for JSON objects; RFC 9110 sections 5.6.7 and 10.2.3 define the dates and
``Retry-After``.  Nothing here raises for what a server sent, and nothing takes more than a bounded effort.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from valetkey.forks import late_imports

if TYPE_CHECKING:
    from datetime import datetime

Members = Mapping[str, object]
"""The members of a body that was read: names, and whatever a server put there."""

MAX_BODY: Final = 1 << 20
"""Bytes; a longer answer is not read.  The transport has its own, lower or equal, bound."""
LONGEST: Final = 100 * 365.25 * 86400.0
"""Seconds; a longer life is taken for this one."""
LONGEST_WAIT: Final = 3600.0
"""Seconds; a ``Retry-After`` beyond it is taken for this one."""
_FORM_NAMES: Final = frozenset({"access_token", "error", "device_code"})
_MAX_FIELDS: Final = 200
_DIGITS: Final = 6
_MAX_DIGITS: Final = 20
_MAX_DEPTH: Final = 8
_MILLISECONDS: Final = 1e11
_MOMENT: Final = 1e9
"""What is above it is a moment, of 2001 or later, and no number of seconds."""


def read_members(body: bytes) -> Members | None:
    """Return the members of a JSON object or of a form-encoded text; None when the body is neither.

    A byte order mark and raw control characters are tolerated.  Two members of one name make the whole body
    unreadable: nobody can say which of them the server meant.
    """
    if len(body) > MAX_BODY:
        return None
    text = body.decode("utf-8-sig", errors="replace").strip()
    try:
        return as_object(_read_form(text) if _may_be_form(text) else read_json(text))
    except ValueError:
        return None


def as_object(value: object) -> Members | None:
    """Return `value` if it is a JSON object, else None."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object]:
    """Return `value` if it is a JSON array, else an empty list."""
    return cast("list[object]", value) if isinstance(value, list) else []


def at(value: object, path: str) -> object:
    """Return what stands at a dotted path (``accounts.0.id``; ``.`` is the whole), None where nothing does."""
    for name in filter(None, path.split(".")):
        if isinstance(value, Mapping):
            value = cast("Members", value).get(name)
        elif isinstance(value, list) and name.isascii() and name.isdecimal():
            items = cast("list[object]", value)
            value = items[int(name)] if len(name) < _DIGITS and int(name) < len(items) else None
        else:
            return None
    return value


def dotted(members: Members, path: str) -> str:
    """Return the text, number or truth value at a dotted path (``team.id``, ``emails.0.value``); else an empty text."""
    value = at_path(members, path)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def at_path(members: Members, path: str) -> object:
    """Return what stands at a dotted path (``data.0.token``; digits count the items of a list); None: nothing."""
    value: object = members.get(path, members)
    for step in path.split(".", _MAX_DEPTH) if value is members else ():
        items = as_list(value)
        here = items[int(step)] if step.isdecimal() and int(step) < len(items) else None
        value = (as_object(value) or {}).get(step, here)
    return value


def read_json(text: str) -> object:
    """Return the JSON value of `text`; NaN and infinities become None.

    Raises:
        ValueError: It is not JSON, has two members of one name, or is nested too deeply.
    """
    try:
        return cast("object", _DECODER.decode(text))
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None


def flaw(body: bytes) -> str:
    """Say in a few words why `read_members` returned None for `body`."""
    if len(body) > MAX_BODY:
        return "an answer of more than a megabyte"
    text = body[:64].decode("utf-8-sig", errors="replace").strip()
    if not text:
        return "an empty answer"
    if text.startswith("<"):
        return "HTML instead of JSON"
    return "an answer that is no readable JSON object"


def seconds(value: object) -> float | None:
    """Return a lifetime in seconds from a number or a numeric string; None for what is absent, odd or below a second.

    Lifetimes are whole seconds (RFC 6749 section 5.1).
    """
    number = _number(value)
    return min(number, LONGEST) if number is not None and number >= 1 else None


def unix_time(value: object) -> float | None:
    """Return Unix seconds from a number (of seconds or milliseconds), a numeric string or an ISO 8601 text."""
    number = _number(value)
    if number is None and isinstance(value, str):
        with late_imports:
            from datetime import datetime  # noqa: PLC0415 - most servers tell seconds

        try:
            number = _timestamp(datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            return None
    if number is None or number <= 0:
        return None
    return number / 1000 if number > _MILLISECONDS else number


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the server's own clock, from its ``Date`` header, as Unix seconds."""
    return _http_date(headers.get("date", ""))


def retry_after(headers: Mapping[str, str], now: float | None, *, resets: tuple[str, ...] = ()) -> float | None:
    """Return for how many seconds the server asks to be left alone, at most an hour; None when it does not say.

    The header holds seconds or a date; a date counts from the server's own ``Date`` where that is there, else from
    `now` (Unix seconds), so that a wrong clock does not stretch it.  Where it is not there, the first of the headers
    `resets` counts: seconds, or the Unix time (in seconds or milliseconds) at which a limit ends.
    """
    text = headers.get("retry-after", "").strip()
    wait, until = _number(text), None
    if wait is None:
        until = _http_date(text)
    if wait is None and until is None:
        number = next((n for n in (_number(headers.get(name.lower(), "")) for name in resets) if n is not None), None)
        wait, until = (number, None) if number is None or number < _MOMENT else (None, unix_time(number))
    if until is not None:
        since = server_time(headers)
        since = now if since is None else since
        wait = None if since is None else max(0.0, until - since)
    return min(wait, LONGEST_WAIT) if wait is not None and wait >= 0 else None


def _may_be_form(text: str) -> bool:
    return "=" in text and text[:1] not in ("{", "[", "<", '"')


def _read_form(text: str) -> Members:
    members = _unique(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    if _FORM_NAMES.isdisjoint(members):
        msg = "some text with an equals sign"
        raise ValueError(msg)
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "two members of one name"
        raise ValueError(msg)
    return members


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_constant=lambda _: None, strict=False
)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _http_date(text: str) -> float | None:
    with late_imports:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        return _timestamp(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _timestamp(moment: datetime) -> float:
    with late_imports:
        from datetime import UTC  # noqa: PLC0415

    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
