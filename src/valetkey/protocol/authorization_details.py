"""What exactly was granted, beside scopes (RFC 9396): read from an answer, and put in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from valetkey.errors import clean
from valetkey.protocol.bodies import as_list, as_object, read_json

NAME: Final = "authorization_details"
_MOST: Final = 16_384
"""Characters that are kept of them."""
_SHOWN: Final = 200


def granted_details(value: object) -> str:
    """Return the details of a token answer as JSON text: a list of objects with a ``type`` each (section 7).

    Empty where there are none, where it is something else, or far too long: then nothing is known of them.
    """
    if isinstance(value, str):  # as in a form, section 6: not what an answer should hold, but it means the same
        try:
            value = read_json(value)
        except ValueError:
            return ""
    found = [as_object(one) for one in as_list(value)]
    if not found or any(one is None or not isinstance(one.get("type"), str) or not one["type"] for one in found):
        return ""
    text = json.dumps(found, separators=(",", ":"))
    return text if len(text) <= _MOST else ""


def read_details(text: str) -> tuple[Mapping[str, Any], ...]:
    """Read what `granted_details` wrote."""
    try:
        found: object = json.loads(text) if text else None
    except ValueError:
        found = None
    return tuple(cast("Mapping[str, Any]", one) for one in as_list(found) if isinstance(one, dict))


def in_words(text: str) -> str:
    """Return details as one line for people: ``payment_initiation (actions: initiate, status)``."""
    return "; ".join(_said(one) for one in read_details(text))


def _said(one: Mapping[str, Any]) -> str:
    parts = [f"{name}: {_value(value)}" for name, value in one.items() if name != "type"]
    return clean(str(one.get("type", "")), _SHOWN) + (f" ({clean(', '.join(parts), _SHOWN)})" if parts else "")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_value(one) for one in cast("list[object]", value))
    return value if isinstance(value, str) else json.dumps(value)
