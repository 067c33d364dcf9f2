"""Secrets as they were declared: values are checked against their schema when they are set and when they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from valetkey.engine.schemas import decode_secret, encode_secret
from valetkey.errors import ConfigurationError
from valetkey.model.ports import SecretService
from valetkey.model.secrets import SecretDeclaration


class DeclaredSecrets:
    """A secret service that knows what the program declared with `wire_secret`.

    An id is that of the secret service, or the name of a declared secret.  Undeclared ids pass through unchecked.

    Args:
        service: Where the values are.
        declaration: Returns what was declared under an id or name, or None.
    """

    def __init__(self, service: SecretService, declaration: Callable[[str], SecretDeclaration | None]) -> None:
        self._service = service
        self._declaration = declaration

    def get(self, secret_id: str) -> str | None:
        """Return the value as text, or None when there is none.

        Raises:
            ConfigurationError: It does not fit its schema (``secret_invalid``).
        """
        found = self._find(secret_id)
        text = self._service.get(found.secret_id)
        if text is not None:
            decode_secret(found.schema, text, name=found.name)
        return text

    def set(self, secret_id: str, value: str) -> None:
        """Store the value, given as text.

        Raises:
            ConfigurationError: It does not fit its schema (``secret_invalid``); nothing was stored.
        """
        found = self._find(secret_id)
        decode_secret(found.schema, value, name=found.name)
        self._service.set(found.secret_id, value)

    def delete(self, secret_id: str) -> None:
        """Remove the value; no error when there was none."""
        self._service.delete(self._find(secret_id).secret_id)

    def read(self, secret_id: str) -> Any:
        """Return the value as an instance of its schema; as text where no schema was declared.

        Raises:
            ConfigurationError: There is none (``secret_missing``), or it does not fit (``secret_invalid``).
        """
        found = self._find(secret_id)
        text = self._service.get(found.secret_id)
        if text is None:
            msg = f"there is no secret {found.name!r}"
            raise ConfigurationError(msg, code="secret_missing", hint=f"run: valetkey secret set {found.name}")
        return decode_secret(found.schema, text, name=found.name)

    def write(self, secret_id: str, value: object) -> None:
        """Store an instance of the schema, or a mapping with its members.

        Raises:
            ConfigurationError: It does not fit its schema (``secret_invalid``); nothing was stored.
        """
        found = self._find(secret_id)
        self._service.set(found.secret_id, encode_secret(found.schema, value, name=found.name))

    def _find(self, secret_id: str) -> SecretDeclaration:
        found = self._declaration(secret_id)
        return found or SecretDeclaration(name=secret_id, display_name=secret_id, secret_id=secret_id)
