"""The cursor of a page: where the page ended, as an opaque text."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from valetkey.errors import ConfigurationError
from valetkey.model.connections import Record, RecordPage
from valetkey.stores._rules import sort_key

Position = tuple[str, str, str]
"""Credential, owner as stored, account: the order of connections within an environment."""


def encode(position: Position) -> str:
    """Return the cursor of the page after `position`."""
    text = json.dumps(position, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """Return the position that `encode` wrote.

    Raises:
        ConfigurationError: It is not a cursor (``cursor_invalid``).
    """
    try:
        position = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        credential, owner, account = position
    except (ValueError, TypeError) as error:
        raise _bad() from error
    if not all(isinstance(part, str) for part in (credential, owner, account)):
        raise _bad()
    return credential, owner, account


def page_of(found: Sequence[Record], limit: int, cursor: str | None, *, backwards: bool) -> RecordPage:
    """Cut a page.

    Args:
        found: The records after the cursor, or before it, as they were read: one more than `limit`, where there is one.
        limit: How many a page holds.
        cursor: The cursor that was given.
        backwards: Whether they were read backwards, the last one first.
    """
    items, more = tuple(found[:limit]), len(found) > limit
    if backwards:
        items = items[::-1]
    if not items:
        return RecordPage(items)
    after, before = (cursor is not None, more) if backwards else (more, cursor is not None)
    first, last = sort_key(items[0].key), sort_key(items[-1].key)
    return RecordPage(items, encode(last) if after else None, encode(first) if before else None)


def _bad() -> ConfigurationError:
    return ConfigurationError(
        "This is not a cursor of a list of connections.",
        code="cursor_invalid",
        hint="Start again without a cursor, and pass on the `cursor` of each page as it is.",
    )
