"""Secrets in the OS keyring, by choice."""

from __future__ import annotations

from valetkey.secret_services.os_keyring import OsKeyring


class KeyringSecrets:
    """Keeps each secret as one entry of the OS keyring, its id as the user name.

    Every method raises `ConfigurationError` where there is no keyring and `StoreUnavailable` where it is locked or
    denies access, both with code ``keyring_unavailable``.

    Args:
        service: The service under which the entries stand.
    """

    def __init__(self, service: str = "valetkey") -> None:
        self._entries = OsKeyring(service)

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none."""
        return self._entries.get(secret_id)

    def set(self, secret_id: str, value: str) -> None:
        """Store the value, replacing any other."""
        self._entries.set(secret_id, value)

    def delete(self, secret_id: str) -> None:
        """Remove the value; no error when there was none."""
        self._entries.delete(secret_id)
