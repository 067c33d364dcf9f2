"""From what an operator says to a secret service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from valetkey.errors import ConfigurationError
from valetkey.model.plugins import plugged
from valetkey.model.ports import SecretService
from valetkey.secret_services.dotenv import DotenvSecrets
from valetkey.secret_services.environment import EnvSecrets
from valetkey.secret_services.keyring import KeyringSecrets
from valetkey.secret_services.memory import MemorySecrets

GROUP: Final = "valetkey.secret_services"


def open_secrets(choice: str) -> SecretService:
    """Return the secret service that `choice` names.

    ``memory:``, ``env:`` or ``env:PREFIX_``, ``dotenv:path``, ``keyring`` or ``keyring:service``; any other
    ``name:rest`` is the entry point `name` of ``valetkey.secret_services``, called with ``rest``.

    Raises:
        ConfigurationError: There is no service of that name (``secret_service_unknown``).
    """
    name, _, rest = choice.partition(":")
    built_in: dict[str, Callable[[], SecretService]] = {
        "memory": MemorySecrets,
        "env": lambda: EnvSecrets(rest),
        "dotenv": lambda: DotenvSecrets(rest or ".env"),
        "keyring": lambda: KeyringSecrets(rest or "valetkey"),
    }
    return built_in[name]() if name in built_in else _plugged(name, rest)


def _plugged(name: str, rest: str) -> SecretService:
    make = plugged(GROUP, name)
    if make is None:
        msg = f"there is no secret service named {name!r}"
        hint = f"use env:, dotenv:PATH or keyring, or install the package that brings it (entry point {GROUP})"
        raise ConfigurationError(msg, code="secret_service_unknown", hint=hint)
    service: SecretService = make(rest)
    return service
