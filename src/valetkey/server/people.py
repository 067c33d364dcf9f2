"""Who the application says is signed in: with `current_owner` the browser must be the owner's (DESIGN 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from starlette.requests import Request

from valetkey.desk import ANY
from valetkey.model.names import check_owner
from valetkey.server.asking import Ask

CurrentOwner = Callable[[Request], Any]
"""Returns the owner whose session a request carries, None where nobody is signed in."""
Match = Literal["yes", "nobody", "another"]
NOBODY: Final = None


def current_owner(ask: Ask) -> str | None:
    """Return the owner who is signed in to the application; None for nobody.

    Raises:
        ConfigurationError: The application returned something that is no owner, such as an empty text.
    """
    find = ask.server.current_owner
    found = find(ask.request) if find is not None else None
    return None if found is None else check_owner(found, ANY)


def fits(ask: Ask, owner: str | None) -> Match:
    """Whether the browser is the owner's, where the application tells who is signed in."""
    if ask.server.current_owner is None or owner is None:
        return "yes"
    found = current_owner(ask)
    return "yes" if found == owner else "nobody" if found is None else "another"
