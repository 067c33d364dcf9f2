"""The app's own certificate: it proves the app by TLS, and binds tokens to itself (RFC 8705)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.values import Secret

if TYPE_CHECKING:
    from cryptography.x509 import Name

BY_CERTIFICATE: Final = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})
"""The ways to prove an app by its certificate (RFC 8705 section 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCertificate:
    """What stands in an app's certificate, for people.

    Attributes:
        subject: Whom it names, as RFC 4514 writes it.
        issuer: Who signed it.
        thumbprint: ``x5t#S256``, as tokens that are bound to it have it (RFC 8705 section 3.1).
        not_before: Unix seconds from which it is good.
        not_after: Unix seconds until which it is good.
        pem: The certificate with those above it, and its private key, as one PEM text.
    """

    subject: str
    issuer: str
    thumbprint: str
    not_before: float
    not_after: float
    pem: Secret = field(repr=False)

    @property
    def self_signed(self) -> bool:
        """Whether it is signed with its own key."""
        return self.subject == self.issuer


def uses_certificate(credential: OAuth2Credential) -> bool:
    """Whether requests to the server carry the app's certificate: they prove the app by it, or bind tokens to it."""
    return credential.carries_certificate


def certificate_of(credential: OAuth2Credential, app: AppCredentials) -> Secret | None:
    """Return what the TLS connections of an app carry; None where they carry nothing.

    Raises:
        ConfigurationError: See `read_certificate`.
    """
    return read_certificate(credential, app).pem if uses_certificate(credential) else None


def read_certificate(credential: OAuth2Credential, app: AppCredentials) -> AppCertificate:
    """Return the app's certificate with its key.

    Raises:
        ConfigurationError: ``certificate_missing``, ``certificate_unreadable``; ``certificate_unfit``: its key is
            another one.
    """
    name, add = credential.name, f"valetkey app add {credential.name} --certificate-file CERT --private-key-file KEY"
    if not app.certificate or not (app.certificate_key or "PRIVATE KEY-----" in app.certificate.reveal()):
        thing = "private key of its certificate" if app.certificate else "certificate"
        msg = f"the app of {credential.display_name or name} has no {thing}, and its TLS connections need one"
        raise ConfigurationError(msg, code="certificate_missing", hint=add)
    try:
        return _read(app.certificate, app.certificate_key)
    except _Unreadable as error:
        msg = f"{name}: {error}"
        raise ConfigurationError(msg, code="certificate_unreadable", hint=f"give both as PEM: {add}") from None
    except _Unfit as error:
        msg = f"{name}: {error}"
        raise ConfigurationError(
            msg, code="certificate_unfit", hint=f"give the two that belong together: {add}"
        ) from None


def belong_together(certificate: str, key: str = "") -> bool:
    """Whether two PEM texts are a certificate and its private key, which may stand in the first too."""
    try:
        _read(Secret(certificate), Secret(key) if key else None)
    except (_Unreadable, _Unfit):
        return False
    return True


class _Unreadable(Exception):
    """Why a text is no certificate or key; nothing of it."""


class _Unfit(Exception):
    """Why the two do not go together."""


@functools.lru_cache(maxsize=64)
def _read(certificate: Secret, key: Secret | None) -> AppCertificate:
    with late_imports:
        from base64 import urlsafe_b64encode  # noqa: PLC0415 - all of it only for those who have a certificate

        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    text = certificate.reveal()
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise _Unreadable("certificate holds no readable certificate") from None
    key_text = key.reveal() if key else text
    try:
        private = serialization.load_pem_private_key(_key_part(key_text), password=None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise _Unreadable("certificate_key holds no readable private key, or one with a password") from None
    first = chain[0]
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    theirs = first.public_key().public_bytes(serialization.Encoding.DER, spki)
    if private.public_key().public_bytes(serialization.Encoding.DER, spki) != theirs:
        raise _Unfit("certificate_key is not the key of the certificate")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    whole = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain) + plain
    return AppCertificate(
        subject=_shown(first.subject),
        issuer=_shown(first.issuer),
        thumbprint=urlsafe_b64encode(first.fingerprint(hashes.SHA256())).rstrip(b"=").decode(),
        not_before=first.not_valid_before_utc.timestamp(),
        not_after=first.not_valid_after_utc.timestamp(),
        pem=Secret(whole.decode()),
    )


def _key_part(text: str) -> bytes:
    """Return the private key of a PEM text that may hold certificates too."""
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if "PRIVATE KEY-----" in line and "BEGIN" in line), None)
    if start is None:
        raise ValueError
    end = next((at for at, line in enumerate(lines[start:], start) if line.startswith("-----END")), len(lines) - 1)
    return "\n".join(lines[start : end + 1]).encode()


def _shown(name: Name) -> str:
    return name.rfc4514_string()
