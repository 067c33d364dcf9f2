"""The credential ``practice``: declared while a practice provider runs, and gone with it.

All that a practice provider knows is in memory, so what was connected to an earlier one is of no use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Query
from valetkey.model.credentials import AppCredentials, OAuth2Credential, Source
from valetkey.model.registry import declare

NAME: Final = "practice"
SCOPES: Final = ("notes.read", "notes.write")


def is_free(core: Core) -> bool:
    """Whether the name is free for it: a credential that the program itself declares stays as it is."""
    try:
        known = core.credential(NAME)
    except ConfigurationError as error:
        if error.code != "credential_unknown":
            raise
        return True
    return known.source in {"command", "console"}


def declare_practice(
    core: Core, provider_fields: Mapping[str, Any], app: AppCredentials, *, source: Source
) -> OAuth2Credential:
    """Declare the credential of a practice provider and store its app."""
    fields = {**provider_fields, "display_name": "The practice provider", "scopes": list(SCOPES)}
    credential = declare(NAME, fields, source=source)
    Desk(core).save_app(credential, app)
    return credential


def erase_connections(core: Core) -> None:
    """Disconnect and erase what was connected to a practice provider."""
    while True:
        page = core.store.list(Query(env=core.env, credential=NAME), limit=200)
        for record in page.items:
            core.disconnect(record.key)
            gone = core.store.find(record.id)
            if gone is not None:
                core.store.delete(gone)
        if not page.items:
            return


def erase(core: Core) -> None:
    """Take the credential away, with its app and its connections."""
    from valetkey.declarations import DECLARATION  # noqa: PLC0415

    credential = core.credential(NAME)
    erase_connections(core)
    core.secret_service.delete(credential.secret_id)
    core.store.delete_document(DECLARATION, NAME, env=core.env)
