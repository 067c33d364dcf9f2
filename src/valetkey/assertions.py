"""Where assertions come from that somebody else makes: from the program, or from a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from valetkey.errors import ConfigurationError
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.model.connections import ConnectionKey
    from valetkey.model.credentials import OAuth2Credential

Supplier = Callable[["str | None", str], "Secret | str"]
"""Makes an assertion for the connection of an owner and an account."""


def assertion_for(core: Core, credential: OAuth2Credential, key: ConnectionKey) -> Secret:
    """Return the assertion for a connection, made or read anew.

    Raises:
        ConfigurationError: There is none (``assertion_missing``).
    """
    supply = core.suppliers.get(credential.name)
    given = supply(key.owner, key.account) if supply else core.secret_service.get(credential.assertion_secret_id)
    if not given:
        msg = f"there is no assertion for {key}: nothing supplies it, and it is no secret"
        hint = f"valetkey secret set {credential.assertion_secret_id}, or valet.supply_assertions(...)"
        raise ConfigurationError(msg, code="assertion_missing", hint=hint)
    return given if isinstance(given, Secret) else Secret(given)
