"""Where the app of a credential comes from: what a person added, what registered itself, what a document describes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.credentials import AppCredentials, OAuth2Credential

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.model.ports import SecretService

DOCUMENTS: Final = "/oauth/clients"
"""Where the server publishes what its apps are: ``/oauth/clients/<credential>.json``."""


def app_of(core: Core, credential: OAuth2Credential, service: SecretService | None = None) -> AppCredentials:
    """Read the app of a credential: from the environment, its secret, else what registered itself.

    Args:
        core: Where.
        credential: Of which.
        service: Where secrets are read; by default the valet's own.

    Raises:
        ConfigurationError: There is none (``app_missing``), or its secret has ended (``app_ended``).
    """
    with late_imports:
        from valetkey.engine.secrets import resolve_app  # noqa: PLC0415

    try:
        environ = _environ(credential)
        app = resolve_app(credential, services=(service or core.secret_service,), environ=environ, env=core.env)
    except ConfigurationError as error:
        if error.code != "app_missing" or not may_register(core, credential):
            raise
        with late_imports:
            from valetkey.engine.registrations import registered_app  # noqa: PLC0415 - mostly somebody added it

        found = registered_app(core.world, core.env, credential)
        if found is None:
            raise
        return found
    if credential.carries_certificate:
        with late_imports:
            from valetkey.engine.app_certificates import log_end  # noqa: PLC0415 - only for those who have one

        log_end(credential, app, core.clock.now())
    return app


def secret_of(core: Core, secret_id: str) -> str | None:
    """Read a secret by its id: of the valet's secrets, else of the plain service that keeps its token objects."""
    text = core.secret_service.get(secret_id)
    service: SecretService | None = getattr(core.store, "service", None)
    return text if text is not None or service is None else service.get(secret_id)


def _environ(credential: OAuth2Credential) -> Mapping[str, str]:
    """Return the variables, with what the files hold that they name."""
    if not credential.carries_certificate:
        return os.environ
    with late_imports:
        from valetkey.app_files import with_files  # noqa: PLC0415 - only for those who have a certificate

    return with_files(os.environ, credential.name)


def may_register(core: Core, credential: OAuth2Credential) -> bool:
    """Whether a credential may do without an app that somebody adds."""
    return credential.registers or bool(client_document_url(core, credential))


def client_document_url(core: Core, credential: OAuth2Credential) -> str:
    """Return the URL of the document that describes the app: the declared one, or ours where we are public.

    It is of use where the answer comes to our own callback: that is what our document says.
    """
    if credential.client_id_metadata_url or not credential.registers:
        return credential.client_id_metadata_url
    home = (core.server_url or "").rstrip("/")
    return f"{home}{DOCUMENTS}/{credential.name}.json" if home.startswith("https://") else ""
