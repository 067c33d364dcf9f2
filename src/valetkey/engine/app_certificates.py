"""When the certificate of an app ends (RFC 8705): said in the log, as an event, and to those who look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from valetkey.engine.app_facts import CertificateTold, Facts, change, facts_for
from valetkey.engine.app_secrets import tell_app
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.logs import get_logger
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.certificates import read_certificate, uses_certificate

_log = get_logger("apps")
DAY: Final = 86400.0
WARN_DAYS: Final = (30, 7, 1)
"""How many days before its end somebody is told of a secret or a certificate, once each."""
_logged: Final[dict[str, int]] = {}
"""Thumbprint -> of how few days before its end the log of this process has told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInUse:
    """An app's certificate: whom it names, its ``x5t#S256``, and until when it is good (Unix seconds)."""

    subject: str
    thumbprint: str
    ends_at: float


def days_left(ends_at: float | None, now: float) -> int | None:
    """Return the least of `WARN_DAYS` that what ends then has left at most; None: it has more, or no end."""
    left = None if ends_at is None else (ends_at - now) / DAY
    return None if left is None else min((days for days in WARN_DAYS if left <= days), default=None)


def certificate_in_use(credential: OAuth2Credential, app: AppCredentials) -> CertificateInUse | None:
    """Return an app's certificate; None where it uses none, or none that can be read: other looks tell of that."""
    if not uses_certificate(credential):
        return None
    try:
        found = read_certificate(credential, app)
    except ConfigurationError:
        return None
    return CertificateInUse(subject=found.subject, thumbprint=found.thumbprint, ends_at=found.not_after)


def log_end(credential: OAuth2Credential, app: AppCredentials, now: float) -> None:
    """Say in the log that an app's certificate ends soon, 30, 7 and 1 days ahead and when it has, once each."""
    found = certificate_in_use(credential, app)
    if found is None:
        return
    days = 0 if found.ends_at <= now else days_left(found.ends_at, now)
    if days is None or _logged.get(found.thumbprint, days + 1) <= days:
        return
    _logged[found.thumbprint] = days
    how = "has ended" if not days else f"ends in {max(1, round((found.ends_at - now) / DAY))} d"
    _log.warning("the certificate of the app of %r %s: replace it (%s)", credential.name, how, found.subject)


def warn_of_certificate(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Write an event where an app's certificate ends soon, once 30, 7 and 1 days ahead."""
    found = certificate_in_use(credential, app)
    days = days_left(found.ends_at, world.clock.now()) if found is not None else None
    if found is None or days is None:
        return

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        told = facts.certificate
        if told is not None and told.thumbprint == found.thumbprint and told.warned <= days:
            return None
        return replace(facts, certificate=CertificateTold(thumbprint=found.thumbprint, warned=days))

    if change(world, env, credential.name, step) is not None:
        tell_app(world, env, credential, "app_certificate_ends_soon", ends_at=found.ends_at)
