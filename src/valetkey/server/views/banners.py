"""What stands on top of a connection that is not well: the cause, how sure that is, what it means, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Event, Record, Status
from valetkey.server.times import Moment, length, until
from valetkey.server.views.connections import Act
from valetkey.server.views.reasons import OURS, app_reason, failing_reason, next_try

_LONGEST: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The banner of one connection.

    Attributes:
        tone: The class of the note.
        icon: Its symbol.
        title: What is the matter.
        text: The likely cause, and why retrying helps or does not.
        next_try: When it is tried again: the end of that text, before its full stop; None where it is not.
        calls: What calls do now.
        raises: The error that calls get; empty where they go on.
        said: The provider's own words, quoted as theirs; empty where it said nothing.
        code: The provider's error code.
        at: When it said so; empty where that is not known.
        act: The one thing to do.
    """

    tone: str
    icon: str
    title: str
    text: str
    calls: str
    next_try: Moment | None = None
    raises: str = ""
    said: str = ""
    code: str = ""
    at: str = ""
    act: Act = ""
    theirs: bool = True
    """Whether code and words are the provider's, not those of whoever could not reach it."""


_CAUSES: Final = {
    "revoked": "Most likely the account holder removed the app at {name}, changed the password, or an administrator"
    " blocked the app.",
    "idle_expired": "{name} ends grants that nobody uses for a time, and this one was not used.",
    "policy_changed": "A rule of {name} or of its administrator ended it: a new session policy, say.",
    "no_refresh_token": "The access token has ended, and {name} gave no refresh token with which it could be renewed.",
    "lost_in_rotation": "{name}'s answer to an earlier refresh was lost on its way, and with it the only new token.",
    "reuse_detected": "{name} saw a refresh token a second time, took it for stolen, and ended the grant.",
    "identity_changed": "The id token in {name}'s answer to a refresh spoke of somebody else than who connected."
    " Nothing of that answer was used.",
    "key_lost": "The key with which the token was sealed here is lost. {name} knows nothing of it.",
    "row_corrupt": "The row in the store is damaged. A backup may hold it whole.",
    "unknown": "{name} did not say why. Often the account holder removed the app, or changed the password.",
}


def banner(status: Status, record: Record, events: Iterable[Event], provider: str, now: float) -> Banner | None:
    """Return the banner; None where all is well."""
    if status.state == "needs_reauth":
        return _needs_reauth(status, record, events, provider)
    if status.state == "app_error":
        return Banner(
            tone="note-bad",
            icon="broken",
            title=f"{provider} cannot be used with this app: {app_reason(status.reason)}",
            text="This is about the app, not about this connection: signing in again cannot repair it. Once the app's"
            " credentials are right, all its connections go on by themselves.",
            calls=_until_end(record, now),
            raises="ClientRejected" if status.reason != "app_missing" else "ConfigurationError",
            code=clean(status.reason, 100),
            act="fix",
        )
    if status.state == "refresh_failing":
        what = failing_reason(record.error)
        return Banner(
            tone="note-warn",
            icon="retry",
            title=f"{provider} does not refresh the token: {what}",
            text="Nothing to do: the connection is kept, whatever happens there."
            f" It was tried {_times(record.failures)} and is tried again",
            next_try=next_try(status, record, now),
            calls=_until_end(record, now),
            raises="ProviderUnavailable",
            said=clean(record.error_text, _LONGEST),
            code=clean(record.error, 100),
            act="retry",
            theirs=record.error not in OURS,
        )
    if status.state == "expires_soon":
        return _expires_soon(status, record, provider, now)
    return None


def _needs_reauth(status: Status, record: Record, events: Iterable[Event], provider: str) -> Banner:
    cause = _CAUSES.get(status.reason, _CAUSES["unknown"]).format(name=provider)
    refused = status.reason not in {"no_refresh_token", "identity_changed", "key_lost", "row_corrupt"}
    when = next((event.at for event in events if event.kind == "needs_reauth"), None)
    code = clean(record.error, 100) if refused else ""
    return Banner(
        tone="note-bad",
        icon="broken",
        title=f"{provider} no longer accepts this connection\u2019s refresh token"
        if refused
        else "A person must sign in again",
        text=f"{cause} Retrying cannot fix this, so it is not tried any more." if refused else cause,
        calls="Calls made with this connection now fail with",
        raises="ReauthorizationRequired",
        said=clean(record.error_text, _LONGEST),
        code=code,
        at=until(when, when, never="").exact if when is not None else "",
        act="reauthorize",
    )


def _expires_soon(status: Status, record: Record, provider: str, now: float) -> Banner:
    end = status.refresh_expires_at if status.refreshable else status.expires_at
    left = length((end or now) - now)
    return Banner(
        tone="note-warn",
        icon="clock",
        title=f"This connection ends in {left}",
        text=f"{provider} gave no refresh token, so nothing can renew it."
        if not record.refreshable
        else f"Its refresh token itself ends then; {provider} gives a new one only when somebody signs in.",
        calls="Calls go on as they are until then.",
        act="reauthorize",
    )


def _until_end(record: Record, now: float) -> str:
    end = record.expires_at
    if record.sealed is not None and (end is None or end > now):
        left = "" if end is None else f" for {length(end - now)}"
        return f"The access token at hand still works{left}; calls go on with it. After that they fail with"
    return "Calls made with this connection now fail with"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
