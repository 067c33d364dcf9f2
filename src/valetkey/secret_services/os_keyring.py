"""The OS keyring (Keychain, Secret Service, Credential Locker) by way of the ``keyring`` package, imported late."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from types import ModuleType

from valetkey.errors import ConfigurationError, StoreUnavailable, clean

_HINT = "pip install 'valetkey[keyring]', unlock the keyring, or use another place: a file works everywhere"


class OsKeyring:
    """The entries of one service in the OS keyring.  Its import costs 168 ms, and cron has none: by choice only."""

    def __init__(self, service: str) -> None:
        self.service = service

    def get(self, name: str) -> str | None:
        """Return an entry, or None."""
        with _answering() as keyring:
            value = keyring.get_password(self.service, name)
        return None if value is None else str(value)

    def set(self, name: str, value: str) -> None:
        """Store an entry, and look whether it is there: some back ends drop what they are given.

        Raises:
            ConfigurationError: It is not there (``keyring_unavailable``).
        """
        with _answering() as keyring:
            keyring.set_password(self.service, name, value)
        if self.get(name) != value:
            msg = "the OS keyring did not keep what it was given"
            raise ConfigurationError(msg, code="keyring_unavailable", hint=_HINT)

    def delete(self, name: str) -> None:
        """Remove an entry; no error when there was none."""
        if self.get(name) is not None:
            with _answering() as keyring:
                keyring.delete_password(self.service, name)


@contextlib.contextmanager
def _answering() -> Generator[ModuleType, None, None]:
    """Lend the keyring module and turn its errors into ours.

    Raises:
        ConfigurationError: There is no keyring here (``keyring_unavailable``).
        StoreUnavailable: There is one and it does not answer: it is locked, or access was denied.
    """
    try:
        import keyring  # noqa: PLC0415 - by choice only, and dear
        from keyring.errors import KeyringError, NoKeyringError  # noqa: PLC0415
    except ImportError as error:
        msg = "the package 'keyring' is not installed"
        raise ConfigurationError(msg, code="keyring_unavailable", hint=_HINT) from error
    try:
        yield keyring
    except NoKeyringError as error:
        msg = "this machine has no OS keyring that this process can reach"
        raise ConfigurationError(msg, code="keyring_unavailable", hint=_HINT) from error
    except (KeyringError, OSError, RuntimeError) as error:
        msg = f"the OS keyring does not answer: {clean(error, 120) or type(error).__name__}"
        raise StoreUnavailable(msg, code="keyring_unavailable", hint=_HINT) from error
