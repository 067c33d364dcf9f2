"""Apps as pages show them: one for each credential, with its health in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from valetkey.engine.app_certificates import CertificateInUse
from valetkey.engine.app_health import AppHealth
from valetkey.errors import clean
from valetkey.model.credentials import OAuth2Credential, Source
from valetkey.server.times import Moment, ago, length, until
from valetkey.server.views.providers import Provider, provider
from valetkey.server.views.reasons import app_reason, failing_reason
from valetkey.server.words import Word

HEALTH: Final[dict[str, Word]] = {
    "working": Word("Working", "ok", "st-ok", "c-ok"),
    "not_answering": Word("Not answering", "retry", "st-retry", "c-retry"),
    "ends_soon": Word("Secret ends soon", "clock", "st-warn", "c-warn"),
    "certificate_ends": Word("Certificate ends soon", "clock", "st-warn", "c-warn"),
    "fixing": Word("Needs fixing", "broken", "st-bad", "c-bad"),
    "missing": Word("No app credentials", "broken", "st-bad", "c-bad"),
    "unreadable": Word("Cannot be read", "broken", "st-bad", "c-bad"),
}
_TOLD: Final = 7 * 86400.0
"""Seconds for which a new secret that was not taken is told of."""
WHERE: Final[Mapping[Source, str]] = {
    "code": "declared in code",
    "file": "valetkey.toml",
    "command": "added by command",
    "console": "added here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretView:
    """One of an app's secrets: its fingerprint in groups, and what is said of it."""

    fingerprint: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedView:
    """A new secret that the provider did not take: when, who had stored it, and the provider's own words."""

    at: Moment
    by: str
    error: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """An app's certificate: whom it names, its ``x5t#S256``, and when it ends, in words."""

    subject: str
    thumbprint: str
    ends: str
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AppView:
    """One app.

    Attributes:
        name: The credential.
        provider: Its provider.
        health: The name of its health.
        why: More about it.
        error: The provider's error, or a code of ours.
        said: The provider's words about it.
        client_id: The whole client id.
        short_id: Its ends.
        secret: The fingerprint of its client secret, in groups; empty where it has none.
        ends: When that ends, in words; empty where nobody said so.
        ends_short: The same in few words.
        ends_on: The day, as a date field has it.
        ended: Whether it has ended.
        stored: Who stored it and when; empty where nobody knows.
        source: Who declared it, in words.
        read_only: Whether the declaration is changed elsewhere.
        next_try: When a rejected app is tried again.
        since: Since when it is rejected.
        new: A secret that waits to follow the one in use.
        old: Those that were in use before and are kept for a while.
        refused: The last new one, where the provider did not take it.
        leans: For how long yet one before it serves, where the provider refuses the secret in use; else empty.
        certificate: The certificate that its connections carry (mutual TLS), where they do.
    """

    name: str
    provider: Provider
    health: str
    why: str
    error: str
    said: str
    client_id: str
    short_id: str
    secret: str
    ends: str
    ends_short: str
    ends_on: str
    ended: bool
    stored: str
    source: str
    read_only: bool
    next_try: Moment | None
    since: Moment | None
    new: SecretView | None
    old: tuple[SecretView, ...]
    refused: RefusedView | None
    leans: str
    certificate: CertificateView | None

    @property
    def by_certificate(self) -> bool:
        """Whether it is its certificate, and not its secret, that ends soon."""
        return self.health == "ends_soon" and self.certificate is not None and not (self.leans or self.ends)

    @property
    def word(self) -> Word:
        """How its health is shown."""
        return HEALTH["certificate_ends" if self.by_certificate else self.health]


def app_view(credential: OAuth2Credential, found: AppHealth, now: float) -> AppView:
    """Return an app as it is shown, `now` being in Unix seconds."""
    client_id, secret = clean(found.client_id, 200), found.secret
    ends_at = secret.ends_at if secret else None
    ends = None if ends_at is None else until(ends_at, now, never="")
    ended = ends_at is not None and ends_at <= now
    return AppView(
        name=credential.name,
        provider=provider(credential),
        health=found.health,
        why=_why(found, now),
        error=clean(found.error, 100),
        said=clean(found.description),
        client_id=client_id,
        short_id=shortened(client_id),
        secret=grouped(secret.fingerprint) if secret else "",
        ends="" if ends is None else _end_words(ends),
        ends_short="" if ends is None else ends.said if ended else f"until {_date(ends)}",
        ends_on="" if ends is None else ends.iso[:10],
        ended=ended,
        stored=_stored(secret.stored_at, secret.stored_by, now) if secret else "",
        source=WHERE[credential.source],
        read_only=credential.source in {"code", "file"},
        next_try=None if found.next_try_at is None else until(found.next_try_at, now, never="", over="due since"),
        since=None if found.since is None else ago(found.since, now),
        new=_new(found, now),
        old=_old(found, now),
        refused=_refused(found, now),
        leans=_leans(found, now),
        certificate=_certificate(found.certificate, now),
    )


def _why(found: AppHealth, now: float) -> str:
    if found.health == "missing":
        return "never set up"
    if found.health == "fixing":
        return app_reason(found.error)
    if found.health == "not_answering":
        return f"{failing_reason(found.error)}, retrying"
    if found.health == "ends_soon":
        return _why_soon(found, now)
    return app_reason(found.error) if found.health == "unreadable" else ""


def _why_soon(found: AppHealth, now: float) -> str:
    if left := _leans(found, now):
        return f"refused; the one before it serves for {left}"
    of_secret = found.secret.ends_at if found.secret else None
    of_certificate = found.certificate.ends_at if found.certificate else None
    return f"in {length((of_secret or of_certificate or now) - now)}"


def _certificate(found: CertificateInUse | None, now: float) -> CertificateView | None:
    if found is None:
        return None
    subject, thumbprint = clean(found.subject, 200), clean(found.thumbprint, 100)
    return CertificateView(
        subject=subject,
        thumbprint=thumbprint,
        ends=_end_words(until(found.ends_at, now, never="")),
        ended=found.ends_at <= now,
    )


def _leans(found: AppHealth, now: float) -> str:
    if found.secret is None or not found.secret.refused:
        return ""
    return length(max((old.until for old in found.old_secrets), default=now) - now)


def _end_words(ends: Moment) -> str:
    return ends.said if ends.said.startswith("ended") else f"ends {ends.said}, on {_date(ends)}"


def _date(moment: Moment) -> str:
    """Return the day of a moment: "27 Jan 2027"."""
    return moment.exact[:11]


def _stored(at: float | None, by: str, now: float) -> str:
    if at is None:
        return ""
    return f"stored {ago(at, now).said}" + (f" by {clean(by, 100)}" if by else "")


def _new(found: AppHealth, now: float) -> SecretView | None:
    one = found.new_secret
    if one is None:
        return None
    said = _stored(one.stored_at, one.stored_by, now)
    what = f"refused so far, as the one in use ({clean(one.error, 100)})" if one.error else "not tried yet"
    return SecretView(fingerprint=grouped(one.fingerprint), said=f"{said}, {what}")


def _old(found: AppHealth, now: float) -> tuple[SecretView, ...]:
    return tuple(
        SecretView(fingerprint=grouped(old.fingerprint), said=f"erased in {length(old.until - now)}")
        for old in found.old_secrets
    )


def _refused(found: AppHealth, now: float) -> RefusedView | None:
    one = found.refused_secret
    if one is None or now - one.at > _TOLD:
        return None
    return RefusedView(
        at=ago(one.at, now), by=clean(one.by, 100), error=clean(one.error, 100), said=clean(one.description)
    )


def shortened(text: str) -> str:
    """Return the ends of a long id: "3f1c...90be"."""
    return text if len(text) <= 12 else f"{text[:4]}\u2026{text[-4:]}"  # noqa: PLR2004 - as long as its ends and dots


def grouped(fingerprint: str) -> str:
    """Return a fingerprint in groups of four, as two people read it out to each other."""
    return "\u00b7".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
