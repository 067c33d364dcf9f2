"""What a connect link is: a page of ours where one account holder connects one account, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY
from valetkey.values import Secret

State = Literal["not_opened", "opened", "at_provider", "to_confirm", "used", "declined", "expired", "withdrawn"]
OPEN: Final[frozenset[State]] = frozenset({"not_opened", "opened", "at_provider", "to_confirm", "declined"})
"""States from which a link can still come to a connection; a person who declined may think again."""
Tried = Literal["", "connected", "scopes_missing", "denied", "approval_pending", "error", "other_account", "declined"]
Outcome = Literal[Tried, "unconfirmed", "wrong_user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A connect link as it is now.

    Attributes:
        id: What it is called in lists; it opens nothing.
        key: What it connects.
        state: Where it stands; ``expired`` depends on the clock.
        scopes: What is asked for, beside what is declared; with `only`, instead.
        only: See `scopes`.
        return_to: Where the person goes afterwards; empty for nowhere.
        confirm: Whether the application confirms who came back before the connection becomes live.
        made_with: The id of the API key that it was made with; empty where it was another face.
        created_at: Unix seconds.
        created_by: Who made it.
        ends_at: Unix seconds at which it ends.
        opened_at: When it was first looked at.
        left_at: When the person left for the provider last.
        ended_at: When it was used, or withdrawn.
        outcome: What the last try came to.
        request_id: What names the last failure.
        connection_id: The connection that came of it.
        held: What waits to be confirmed, as `deciding` calls it.
        held_until: Unix seconds until which that can be confirmed.
        params: What of the connection's own params it carries; the page asks for what is left.
        answers: What the person said to that when they left for the provider last.
        version: Of its document.
    """

    id: str
    key: ConnectionKey
    state: State
    scopes: tuple[str, ...] = ()
    only: bool = False
    return_to: str = ""
    confirm: bool = False
    made_with: str = ""
    created_at: float = 0.0
    created_by: str = ""
    ends_at: float = 0.0
    opened_at: float | None = None
    left_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome = ""
    request_id: str = ""
    connection_id: str = ""
    held: str = ""
    held_until: float | None = None
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    answers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    browser: str = field(default="", repr=False)
    """The hash of what the browser that it is bound to keeps."""
    token: str = field(default="", repr=False)
    """The hash of the token."""
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it can still come to a connection."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that was just made; its token exists here alone."""

    link: Link
    token: Secret
