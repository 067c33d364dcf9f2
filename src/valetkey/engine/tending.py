"""One connection in a worker's hands: refresh it if it is due, and say what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.windows import windows
from valetkey.engine.world import World
from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    ProviderError,
    ReauthorizationRequired,
    RefreshBusy,
    StoreUnavailable,
    ValetkeyError,
)
from valetkey.logs import get_logger
from valetkey.model.connections import Record
from valetkey.model.ports import InDoubt, NotSent, TokenEndpoint
from valetkey.protocol.bodies import retry_after
from valetkey.values import Request, Response

Kind = Literal["refreshed", "kept_alive", "failed", "needs_reauth", "skipped", "app", "problem", "store"]
Host = Literal["silent", "well", "busy", "unwell"]

DUE: Final = Want(due=True)
_log = get_logger("worker")
_BUSY: Final = frozenset({429, 503})
_SERVER_ERROR: Final = 500
_OF_THE_ROW: Final = frozenset({"owner_required", "owner_invalid", "account_invalid"})
"""What is wrong with one connection, where all other mistakes of the set-up concern a whole credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one connection.

    Attributes:
        kind: ``refreshed``; ``kept_alive``: refreshed although its access token was good for longer; ``failed``: the
            grant is kept and tried again; ``needs_reauth``: this worker marked it; ``skipped``: others had done it or
            are at it; ``app``: its app is not accepted; ``problem``: it cannot be refreshed before somebody mends
            something; ``store``: the store did not answer.
        record: The connection as this worker left it, or as it was found.
        error: Why it was not refreshed.
        whole: Whether a ``problem`` concerns all connections of the credential.
        sent: How many requests went to the token endpoint.
        host: What they tell about the host: nothing (none was sent), that it answers, that it asks for patience, that
            it does not answer.
        wait: Seconds for which the host asks to be left alone.
    """

    kind: Kind
    record: Record
    error: ValetkeyError | None = None
    whole: bool = False
    sent: int = 0
    host: Host = "silent"
    wait: float = 0.0


class _Witness:
    """A token endpoint that remembers how the host behaved."""

    def __init__(self, inner: TokenEndpoint, world: World) -> None:
        self._inner = inner
        self._now = world.clock.now
        self.sent = 0
        self.host: Host = "silent"
        self.wait = 0.0

    def send(self, request: Request, *, deadline: float) -> Response:
        """Send, and look at what comes back."""
        self.sent += 1
        try:
            response = self._inner.send(request, deadline=deadline)
        except (NotSent, InDoubt):
            self.host = "unwell"
            raise
        down = response.status >= _SERVER_ERROR
        self.host = "busy" if response.status in _BUSY else "unwell" if down else "well"
        self.wait = (retry_after(response.headers, self._now()) or 0.0) if self.host != "well" else 0.0
        return response


def tend(world: World, record: Record, want: Want = DUE) -> Outcome:
    """Refresh the connection of a record, unless somebody else has done so or is at it.  Never raises.

    `want`: by default it is refreshed if it is due.
    """
    left: list[Record] = []

    def changed(new: Record) -> None:
        left.append(new)
        world.changed(new)

    witness = _Witness(world.endpoint, world)
    error: ValetkeyError | None = None
    whole = False
    try:
        early = _early(world, record)
        obtain(replace(world, endpoint=witness, changed=changed), record.key, want)
        kind: Kind = "skipped"
        if left and left[-1].state == "connected":
            kind = "kept_alive" if early else "refreshed"
    except ValetkeyError as raised:
        error = raised
        kind, whole = _kind(raised, left, sent=witness.sent > 0)
    except Exception as raised:  # noqa: BLE001 - one connection must not take the others along
        _log.debug("a mistake of valetkey itself with %s", record.key, exc_info=raised)
        kind = "problem"
        error = ValetkeyError(f"a mistake of valetkey itself ({type(raised).__name__})", code="internal")
    return Outcome(
        kind=kind,
        record=left[-1] if left else record,
        error=error,
        whole=whole,
        sent=witness.sent,
        host=witness.host,
        wait=witness.wait,
    )


def _early(world: World, record: Record) -> bool:
    """Whether the access token is good for longer, and it is the refresh token that would die of disuse."""
    if record.refresh_expires_at is None:
        return False
    soft = windows(record, world.credential(record.key.credential)).soft
    return soft is None or world.clock.now() < soft


def _kind(error: ValetkeyError, left: list[Record], *, sent: bool) -> tuple[Kind, bool]:
    """Sort an error: the outcome that it means, and whether it concerns a whole credential."""
    if isinstance(error, ReauthorizationRequired):
        ours = bool(left) and left[-1].state == "needs_reauth"
        return ("needs_reauth" if ours else "skipped"), False
    if isinstance(error, ClientRejected):
        return ("problem" if error.code == "client_changed" else "app"), False
    if isinstance(error, ProviderError):
        return ("failed" if sent else "skipped"), False
    if isinstance(error, ConfigurationError):
        return "problem", error.code not in _OF_THE_ROW
    if isinstance(error, StoreUnavailable):
        return "store", False
    return ("skipped" if isinstance(error, RefreshBusy) else "problem"), False
