"""For `httpx`: ``httpx.Client(auth=HttpxAuth(github))``, and the same with `httpx.AsyncClient`."""

from __future__ import annotations

from typing import ClassVar

from valetkey.adapters._given import given, missing
from valetkey.client import AsyncOAuth2Client, OAuth2Client
from valetkey.road import Flow

try:
    import httpx
except ImportError as error:
    raise missing("httpx", error) from error


class HttpxAuth(Flow, httpx.Auth):
    """Authorizes the requests of any `httpx.Client` or `httpx.AsyncClient` as one connection.

    The token goes only to the credential's hosts.  A 401 that speaks of the token is answered by one refresh and one
    retry, never for a body that cannot be sent twice; a 401 that asks for a stronger sign-in raises `StepUpRequired`.

    Args:
        client: Whose connection it is: ``valet.client("github")``, of a `Valet` or an `AsyncValet`.

    A token whose header is one of the provider's own (`OAuth2Credential.token_header`) is refused when a request is
    about to be sent, for it would go along where a redirect leads (``token_header_unguarded``).

    Raises:
        ConfigurationError: It is no such client.
    """

    __slots__ = ()
    _in_memory: ClassVar[type] = httpx.ByteStream

    def __init__(self, client: OAuth2Client | AsyncOAuth2Client) -> None:
        super().__init__(*given("HttpxAuth", client, OAuth2Client, AsyncOAuth2Client))
