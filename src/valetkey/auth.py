"""The road of API requests for `httpx2`, which valetkey's own clients take too."""

from __future__ import annotations

from typing import ClassVar

import httpx2

from valetkey.errors import ConfigurationError
from valetkey.road import Flow, Unsent


class ConnectionAuth(Flow, httpx2.Auth):
    """Authorizes requests as one connection.  Hand it to any `httpx2.Client` or `httpx2.AsyncClient`.

    The token goes only to the credential's hosts.  A 401 that speaks of the token is answered by one refresh and one
    retry, never for a body that cannot be sent twice; a 401 that asks for a stronger sign-in raises `StepUpRequired`.

    A token whose header is one of the provider's own (`OAuth2Credential.token_header`) is refused when a client of the
    program's own is about to send it, for it would go along where a redirect leads (``token_header_unguarded``).
    """

    __slots__ = ()
    _in_memory: ClassVar[type] = httpx2.ByteStream


def unsent(error: ConfigurationError) -> httpx2.Request:
    """Return the request that was not sent because the token had got another way; raises all other errors on.

    Raises:
        ConfigurationError: `error`.
    """
    if not isinstance(error, Unsent) or error.request is None:
        raise error
    found: httpx2.Request = error.request
    return found
