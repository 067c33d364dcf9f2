"""How a sign-in ended, for the page that waits for it in another tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.core import Core
from valetkey.model.connections import Document

KIND: Final = "sign_in_end"
KEPT: Final = 900.0
"""Seconds that it is remembered."""


@dataclass(frozen=True, slots=True)
class End:
    """How a sign-in ended: its state (``done``, ``failed``) and the page that goes on, where there is one."""

    state: str
    to: str


def end(core: Core, flow_id: str, state: str, to: str = "") -> None:
    """Remember how a sign-in ended."""
    body = {"state": state, "to": to}
    core.store.put_document(
        Document(kind=KIND, id=flow_id, env=core.env, body=body, expires_at=core.store.now() + KEPT)
    )


def end_of(core: Core, flow_id: str) -> End | None:
    """Return how a sign-in ended; None while it is under way, and where nobody remembers."""
    found = core.store.get_document(KIND, flow_id, env=core.env)
    return None if found is None else End(str(found.body["state"]), str(found.body["to"]))
