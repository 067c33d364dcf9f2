"""Secrets in memory: for tests and for programs that bring their own at start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn


class MemorySecrets:
    """Keeps secrets in this process only.  Their values do not show in its repr, and it cannot be pickled.

    >>> secrets = MemorySecrets({"github-app": '{"client_id": "abc"}'})
    >>> secrets.get("github-app")
    '{"client_id": "abc"}'
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none."""
        return self._values.get(secret_id)

    def set(self, secret_id: str, value: str) -> None:
        """Store the value, replacing any other."""
        self._values[secret_id] = value

    def delete(self, secret_id: str) -> None:
        """Remove the value; no error when there was none."""
        self._values.pop(secret_id, None)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "MemorySecrets are not pickled or copied: their values would stand there in clear"
        raise TypeError(msg)
