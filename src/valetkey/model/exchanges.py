"""What a token was exchanged for (RFC 8693): kept with the connection, so that it can be exchanged again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self, cast

PARAM: Final = "exchange"
"""Under which name of a connection's params it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Whose token is exchanged, and for what.

    Attributes:
        subject: The id of the connection whose token it is; empty: it was a given token, which nobody here can renew.
        subject_type: The type of that token (RFC 8693 section 3).
        actor: The id of the connection that acts, where one does.
        actor_type: The type of its token.
        audience: The names of the services that the new token is for.
        resource: Their addresses (RFC 8707).
        requested_type: The type that is asked for; empty: the server's choice.
    """

    subject: str = ""
    subject_type: str = ""
    actor: str = ""
    actor_type: str = ""
    audience: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    requested_type: str = ""

    def as_param(self) -> str:
        """Return it as the text that is kept."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Self | None:
        """Read it from a connection's params; None where nothing was exchanged."""
        text = params.get(PARAM, "")
        members: Any = None
        try:
            members = json.loads(text) if text else None
        except ValueError:
            members = None
        if not isinstance(members, dict):
            return None
        found = cast("dict[str, Any]", members)
        values: dict[str, Any] = {}
        for part in fields(cls):
            value = found.get(part.name)
            if value:
                values[part.name] = (
                    tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
                )
        return cls(**values)


def renews(params: Mapping[str, str]) -> bool:
    """Whether a connection can have its token exchanged again: it is another connection's, and no other acts."""
    found = Exchange.of(params) if PARAM in params else None
    return found is not None and bool(found.subject) and bool(found.actor) == bool(found.actor_type)
