"""The app that is registered at a provider, as it proves itself there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from valetkey.values import Secret, Value

SECRETS = ("client_secret", "private_key", "certificate", "certificate_key")
"""The fields of `AppCredentials` by which an app proves itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AppCredentials(Value):
    """The app that is registered at the provider: its client id and, unless it is public, its client secret or key.

    It is also the schema of the secret in which they are kept (`wire_secret(schema=AppCredentials)`).

    Attributes:
        client_id: Its client id.
        client_secret: Its client secret.
        private_key: Its private key, as PEM or as the JSON text of a JWK, for ``private_key_jwt`` and the grant
            ``jwt_bearer``.
        key_id: The id by which the provider knows that key (``kid``); empty: what the JWK says, else its thumbprint.
        client_auth: How it proves itself, where that was agreed on when it registered itself (RFC 7591 section 2,
            ``token_endpoint_auth_method``); empty: as its credential says.
        certificate: Its certificate, as PEM, those above it behind it, for TLS (RFC 8705).
        certificate_key: The private key of the certificate, as PEM; it may stand in `certificate` too.
    """

    client_id: str
    client_secret: Secret | None = None
    private_key: Secret | None = None
    key_id: str = ""
    client_auth: str = ""
    certificate: Secret | None = None
    certificate_key: Secret | None = None

    @classmethod
    def from_service_account(cls, text: str) -> AppCredentials:
        """Return the app of a service account's key file, as Google Cloud gives it out.

        Its ``client_email`` is who signs, and so the client id here; the ``private_key`` signs, under the name of its
        ``private_key_id``.  Its URLs are not used: where tokens come from says the declaration.

        Raises:
            ValueError: It is no such file.
        """
        try:
            read: object = json.loads(text)
        except ValueError:
            read = None
        members = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        if not is_service_account(members):
            msg = "it is no key file of a service account: JSON with type, client_email and private_key"
            raise ValueError(msg)
        found = service_account_members(members)
        return cls(
            client_id=found["client_id"], private_key=Secret(found["private_key"]), key_id=found.get("key_id", "")
        )

    def fingerprint(self) -> str:
        """Return a text that changes when the client id, the secret or the key changes, and tells none of them."""
        secret = self.client_secret.reveal() if self.client_secret else ""
        key = f":{len(secret)}:{self.private_key.reveal()}" if self.private_key else ""
        pair = (self.certificate, self.certificate_key) if self.certificate else ()
        tls = "".join(f":{len(part.reveal())}:{part.reveal()}" for part in pair if part)
        return Secret(f"{len(self.client_id)}:{self.client_id}:{secret}{key}{tls}").fingerprint()


def is_service_account(members: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a service account's key file."""
    texts = (members.get("client_email"), members.get("private_key"))
    return members.get("type") == "service_account" and all(isinstance(text, str) and text for text in texts)


def service_account_members(members: Mapping[str, Any]) -> dict[str, str]:
    """Return what a key file says, by the names of `AppCredentials`.  Its own ``client_id`` is a number of no use."""
    kept = {"client_id": "client_email", "private_key": "private_key", "key_id": "private_key_id"}
    return {name: str(members[theirs]) for name, theirs in kept.items() if members.get(theirs)}
