"""Why a connection is not well, in few words: the second line of its state."""

from __future__ import annotations

from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Record, Status
from valetkey.server.times import Moment, due

_SHORT: Final = {
    "revoked": "access withdrawn at {name}",
    "idle_expired": "unused for too long",
    "policy_changed": "a rule of {name} ended it",
    "no_refresh_token": "ended, and there is no refresh token",
    "lost_in_rotation": "an answer of {name} was lost",
    "reuse_detected": "{name} saw a token twice",
    "identity_changed": "{name} spoke of somebody else",
    "key_lost": "the key of its token is lost",
    "row_corrupt": "its row in the store is damaged",
    "unknown": "no longer accepted at {name}",
}
_APP: Final = {
    "app_missing": "no app credentials",
    "invalid_client": "client id or secret refused",
    "client_rejected": "client id or secret refused",
    "unauthorized_client": "the app may not use this sign-in",
    "app_secret_ended": "client secret ended",
    "certificate_ended": "certificate ended",
    "client_changed": "the app is another one now",
}
_FAILING: Final = {"unreachable": "cannot be reached", "no_answer": "no readable answer"}
OURS: Final = frozenset(_FAILING)
"""What a refresh met that is no answer of the provider."""


def app_reason(error: str) -> str:
    """Return why an app cannot be used."""
    return _APP.get(error, clean(error, 100).replace("_", " "))


def failing_reason(error: str) -> str:
    """Return what a failing refresh met: "503", "cannot be reached"."""
    return _FAILING.get(error) or clean(error, 100).removeprefix("http_").replace("_", " ")


def person_reason(reason: str, provider: str) -> str:
    """Return why a person must sign in again."""
    return _SHORT.get(reason, _SHORT["unknown"]).format(name=provider)


def why(status: Status, record: Record, provider: str) -> str:
    """Return the second line of a state; empty where there is nothing to say.

    Where a refresh fails, when it is tried again follows (`next_try`).
    """
    if status.state == "app_error":
        return app_reason(status.reason)
    if status.state == "needs_reauth":
        return person_reason(status.reason, provider)
    if status.state == "refresh_failing":
        return f"{failing_reason(record.error)}, try {record.failures + 1}"
    if status.state == "expires_soon":
        return "its refresh token ends soon" if status.refreshable else "no refresh token"
    return ""


def next_try(status: Status, record: Record, now: float) -> Moment | None:
    """Return when a refresh that fails is tried again; None where none fails."""
    return due(record.next_try_at, now, idle="at its next use") if status.state == "refresh_failing" else None
