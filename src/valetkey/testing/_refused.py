"""Requests that are refused: the error, and what every form has to hold to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Refused(Exception):
    """The answer is an OAuth error (RFC 6749 section 5.2)."""

    def __init__(self, *, error: str, why: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.why = why
        self.status = status


REPEATED = "resource"
"""The one parameter that may come several times (RFC 8707 section 2)."""


def only_once(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return parameters by name; empty ones count as absent, repeated ones are refused (RFC 6749 section 3.1, 3.2).

    Only resources may come several times: they are joined by spaces, which no URI holds.

    Raises:
        Refused: A parameter came twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found and name != REPEATED:
            raise Refused(error="invalid_request", why="a parameter came more than once")
        found[name] = f"{found[name]} {value}".strip() if name in found else value
    return {name: value for name, value in found.items() if value}


def required(form: Mapping[str, str], name: str) -> str:
    """Return a parameter.

    Raises:
        Refused: It is missing.
    """
    if name not in form:
        raise Refused(error="invalid_request", why=f"{name} is missing")
    return form[name]
