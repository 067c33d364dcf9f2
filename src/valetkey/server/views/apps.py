"""Apps as pages show them: one for each credential, with its health in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential, Source
from valetkey.server.times import Moment, ago, until
from valetkey.server.views.providers import Provider, provider
from valetkey.server.words import Word

HEALTH: Final[dict[str, Word]] = {
    "working": Word("Working", "ok", "st-ok", "c-ok"),
    "fixing": Word("Needs fixing", "broken", "st-bad", "c-bad"),
    "missing": Word("No app credentials", "broken", "st-bad", "c-bad"),
    "unreadable": Word("Cannot be read", "broken", "st-bad", "c-bad"),
}
WHERE: Final[Mapping[Source, str]] = {
    "code": "declared in code",
    "file": "valetkey.toml",
    "command": "added by command",
    "console": "added here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppView:
    """One app.

    Attributes:
        name: The credential.
        provider: Its provider.
        health: The name of its health.
        why: More about it.
        client_id: The whole client id.
        short_id: Its ends.
        secret: The fingerprint of its client secret, in groups; empty where it has none.
        source: Who declared it, in words.
        read_only: Whether the declaration is changed elsewhere.
        next_try: When a rejected app is tried again.
        since: Since when it is rejected.
        said: The provider's words about it.
    """

    name: str
    provider: Provider
    health: str
    why: str
    client_id: str
    short_id: str
    secret: str
    source: str
    read_only: bool
    next_try: Moment | None
    since: Moment | None
    said: str

    @property
    def word(self) -> Word:
        """How its health is shown."""
        return HEALTH[self.health]


def app_view(
    credential: OAuth2Credential,
    app: AppCredentials | None,
    *,
    error: str,
    held: Document | None,
    fingerprint: str,
    now: float,
) -> AppView:
    """Return an app as it is shown.

    Args:
        credential: Whose.
        app: The app credentials; None where there are none to be read.
        error: Why not.
        held: What is held against it: the document of its breaker.
        fingerprint: That of its client secret, which two people can compare.
        now: Unix seconds.
    """
    rejected = held is not None and app is not None and held.body.get("fingerprint") == app.fingerprint()
    body: Mapping[str, object] = held.body if held is not None and rejected else {}
    health = "fixing" if rejected else "working" if app else "missing" if error == "app_missing" else "unreadable"
    why = {"fixing": clean(body.get("error") or "client rejected", 60).replace("_", " "), "missing": "never set up"}
    return AppView(
        name=credential.name,
        provider=provider(credential),
        health=health,
        why=why.get(health, clean(error, 120)),
        client_id=clean(app.client_id, 200) if app else "",
        short_id=shortened(clean(app.client_id, 200)) if app else "",
        secret=grouped(fingerprint),
        source=WHERE[credential.source],
        read_only=credential.source in {"code", "file"},
        next_try=_moment(body.get("next_try_at"), now, ahead=True),
        since=_moment(body.get("since"), now, ahead=False),
        said=clean(body.get("description") or ""),
    )


def _moment(value: object, now: float, *, ahead: bool) -> Moment | None:
    if not isinstance(value, int | float):
        return None
    return until(value, now, never="", over="due since") if ahead else ago(value, now)


def shortened(text: str) -> str:
    """Return the ends of a long id: "3f1c...90be"."""
    return text if len(text) <= 12 else f"{text[:4]}\u2026{text[-4:]}"  # noqa: PLR2004 - as long as its ends and dots


def grouped(fingerprint: str) -> str:
    """Return a fingerprint in groups of four, as two people read it out to each other."""
    return "\u00b7".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
