"""What a sign-in that ended well still left to be desired."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.model.connections import Status
from valetkey.server.times import Moment, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Both may be empty: then all is well.

    Attributes:
        missing: Scopes that were asked for and not given.
        ends: When the connection ends, where it cannot renew itself; None where it can.
    """

    missing: tuple[str, ...] = ()
    ends: Moment | None = None

    @property
    def parts(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.missing or self.ends)

    @property
    def title(self) -> str:
        """The title of the page."""
        if self.missing:
            return "One permission is missing" if len(self.missing) == 1 else "Some permissions are missing"
        return f"Connected, but it will end {self.ends.said}" if self.ends else "Connected"


def outcome(status: Status, now: float) -> Outcome:
    """Look at a connection that was just made."""
    ends = not status.refreshable and status.expires_at is not None
    return Outcome(missing=status.missing, ends=until(status.expires_at, now, never="never") if ends else None)
