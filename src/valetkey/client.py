"""The clients: one connection, used.  `OAuth2Client` blocks, `AsyncOAuth2Client` awaits; otherwise they are twins."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from valetkey.asked import ensure_sendable, is_ready
from valetkey.core import Core
from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.connections import Status
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.names import listed
from valetkey.model.ports import SecretService, Store
from valetkey.values import Secret
from valetkey.verifying import verify

if TYPE_CHECKING:
    import httpx2

    from valetkey.auth import ConnectionAuth
    from valetkey.engine.disconnect import Disconnected
    from valetkey.engine.probing import Probe
    from valetkey.http import Http
    from valetkey.protocol.introspection import Introspection
    from valetkey.source import TokenSource
    from valetkey.tokens import Token

F = TypeVar("F", bound=Callable[..., Any])


def like(twin: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method the documentation of its twin."""

    def decorate(method: F) -> F:
        method.__doc__ = twin.__doc__
        return method

    return decorate


class _Client:
    """What both clients are: a connection's token source and the scopes that every use demands."""

    __slots__ = ("_auth", "_core", "_scopes", "_source")

    _auth: ConnectionAuth | None
    _core: Core
    _scopes: tuple[str, ...]
    _source: TokenSource

    def __init__(
        self,
        app_credentials: AppCredentials,
        oauth_config: OAuth2Credential,
        secret_service: SecretService | Store,
        token_secret_id: str,
    ) -> None:
        """Own the token life cycle of the program's own connection.

        Args:
            app_credentials: The app as it is registered at the provider.
            oauth_config: The declared credential.
            secret_service: Where the token object is kept.  A plain service cannot claim: claims then live in the
                embedded SQLite of this host, which makes one refresh per host.
            token_secret_id: Under which id the token object is kept.

        Raises:
            TypeError: The arguments are others, or in another order.
        """
        given: dict[type, Any] = {AppCredentials: app_credentials, OAuth2Credential: oauth_config}
        if not all(isinstance(value, kind) for kind, value in given.items()):  # callers need not be typed
            msg = "the arguments are AppCredentials, OAuth2Credential, a secret service, and the id of its secret"
            raise TypeError(msg)
        core = Core.of_one(app_credentials, oauth_config, secret_service, token_secret_id)
        self._begin(core, core.own_source(oauth_config.name), ())

    def _begin(self, core: Core, source: TokenSource, scopes: tuple[str, ...]) -> None:
        self._core = core
        self._source = source
        self._scopes = scopes
        self._auth = None

    @property
    def auth(self) -> ConnectionAuth:
        """An `httpx2.Auth` for clients of your own: ``httpx2.Client(auth=github.auth)``."""
        if self._auth is None:
            self._auth = self._auth_for(None)
        return self._auth

    def _way_of(self, token: Token) -> tuple[Http, ConnectionAuth]:
        """Return the HTTP clients for a token, which may be bound to a certificate, and what puts it on."""
        auth = self._auth_for(token.certificate, sees_hops=True) if token.apart else self.auth
        return self._core.http.carrying(token.certificate), auth

    def _auth_for(self, certificate: Secret | None, *, sees_hops: bool = False) -> ConnectionAuth:
        with late_imports:
            from valetkey.auth import ConnectionAuth  # noqa: PLC0415 - it needs httpx2
        return ConnectionAuth(self._source, self._scopes, carries=certificate, sees_hops=sees_hops)

    def _left_over(self, error: ConfigurationError, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the request that was not sent because its token goes another way by now, and how to send it."""
        with late_imports:
            from valetkey.auth import unsent  # noqa: PLC0415 - loaded by then
        return unsent(error), {name: value for name, value in options.items() if name == "follow_redirects"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._source.key)!r})"


C = TypeVar("C", bound=_Client)


def client_of(cls: type[C], core: Core, source: TokenSource, scopes: Sequence[str] = ()) -> C:
    """Return a client over a valet's core: what ``valet.client(...)`` does, at the cost of one object.

    Raises:
        ConfigurationError: `scopes` is one string (``scopes_not_a_list``).
    """
    client = cls.__new__(cls)
    client._begin(core, source, listed(scopes) if scopes else ())  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - a constructor
    return client


def parts_of(client: OAuth2Client | AsyncOAuth2Client) -> tuple[TokenSource, tuple[str, ...]]:
    """Return a client's token source and the scopes that it demands: what the adapters of other HTTP clients need."""
    return client._source, client._scopes  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - its own module


def core_of(client: OAuth2Client | AsyncOAuth2Client) -> Core:
    """Return the inside of a client's valet: what an adapter needs that has people sign in."""
    return client._core  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - its own module


class OAuth2Client(_Client):
    """Calls an API as one connection: the token is found, refreshed in time, and put on.

    Get one from a valet, ``valet.client("github")``, or build one over a secret service of your own.  It costs next to
    nothing, needs no closing, and may be shared by threads.
    """

    __slots__ = ("__weakref__",)

    def get_access_token(self) -> Secret:
        """Return a valid access token, refreshed if need be.

        One that is bound to a key or a certificate (`OAuth2Credential.sender_constraint`) is of no use by itself: call
        the API with `request`.

        Raises:
            NotConnected: Nobody has connected the account.
            ReauthorizationRequired: A person must sign in again.
            ProviderUnavailable: The provider does not answer, and the old token has ended.
        """
        source = self._source
        token = source.token
        if token is None or source.now() >= token.until:
            token = source.get()
        if self._scopes:
            token.demand(self._scopes)
        return token.secret

    def request(self, method: str, url: str = "", **options: Any) -> httpx2.Response:
        """Send a request to the API and return its response.

        Every keyword of `httpx2.Client.request` passes through, and its errors are httpx2's own.  A relative URL is
        joined to the provider's API base.  A 401 that means the token is answered by one refresh and one retry.

        Raises:
            HostNotAllowed: The URL's host is not one that this token may be sent to.
            ReauthorizationRequired: A person must sign in again.
            StepUpRequired: The API asks for a stronger sign-in.
        """
        return self._send(method, url, options)

    @contextlib.contextmanager
    def stream(self, method: str, url: str = "", **options: Any) -> Generator[httpx2.Response]:
        """Send a request and give its response before the body is read; use it in a ``with`` block."""
        ensure_sendable(method, url, options)
        address = self._address(url, options)
        http, auth = self._way()
        with contextlib.ExitStack() as stack:
            try:
                response = stack.enter_context(http.client.stream(method, address, auth=auth, **options))
            except ConfigurationError as other:
                response = self._resend(other, options, stream=True)
                stack.callback(response.close)
            yield response

    def get(self, url: str, **options: Any) -> httpx2.Response:
        """Send a GET request."""
        return self._send("GET", url, options)

    def options(self, url: str, **options: Any) -> httpx2.Response:
        """Send an OPTIONS request."""
        return self._send("OPTIONS", url, options)

    def head(self, url: str, **options: Any) -> httpx2.Response:
        """Send a HEAD request."""
        return self._send("HEAD", url, options)

    def post(self, url: str, **options: Any) -> httpx2.Response:
        """Send a POST request."""
        return self._send("POST", url, options)

    def put(self, url: str, **options: Any) -> httpx2.Response:
        """Send a PUT request."""
        return self._send("PUT", url, options)

    def patch(self, url: str, **options: Any) -> httpx2.Response:
        """Send a PATCH request."""
        return self._send("PATCH", url, options)

    def delete(self, url: str, **options: Any) -> httpx2.Response:
        """Send a DELETE request."""
        return self._send("DELETE", url, options)

    def status(self) -> Status:
        """Return how the connection is.  Looking changes nothing, and a connection that is not well raises nothing."""
        return self._core.status(self._source.key)

    def refresh(self) -> Status:
        """Refresh now, by hand; where somebody else refreshes at this moment, that counts.

        Raises:
            ReauthorizationRequired: A person must sign in again.
            ProviderError: The provider did not give a new token; the old one is kept.
            ConfigurationError: There is no refresh token, and the access token still works (``grant_not_refreshable``).
        """
        self._source.refresh()
        return self.status()

    def introspect(self) -> Introspection:
        """Ask the server what the access token is (RFC 7662): active or not, whose, for how long.

        Raises:
            ConfigurationError: Nobody knows where to ask (``introspection_missing``).
            ProviderError: The server does not answer, does not let the app ask, or says nothing that can be used.
        """
        return self._core.call(self._source.introspect)

    def verify(self) -> Probe:
        """Ask the provider's API whether it takes the token, by one harmless call; a refusal raises nothing.

        Raises:
            ReauthorizationRequired: There is no token to ask with.
            ProviderError: It had to be refreshed first, and the provider did not do that.
        """
        return self._core.call(lambda: verify(self._core, self._source.key))

    def disconnect(self) -> Disconnected:
        """Clear the stored tokens, revoke them where the provider can, and say truthfully what happened."""
        return self._core.call(lambda: self._core.disconnect(self._source.key))

    def _send(self, method: str, url: str, options: dict[str, Any]) -> httpx2.Response:
        if not is_ready(self._source, method, url, options):
            return self._send_prepared(method, url, options)
        http, auth = self._core.http, self._auth or self.auth
        if options:
            return http.client.request(method, url, auth=auth, **options)
        return http.client.request(method, url, auth=auth)  # ** costs 1 % of a request also with nothing in it

    def _send_prepared(self, method: str, url: str, options: dict[str, Any]) -> httpx2.Response:
        address = self._address(url, options)
        http, auth = self._way()
        try:
            return http.client.request(method, address, auth=auth, **options)
        except ConfigurationError as other:
            return self._resend(other, options)

    def _resend(self, error: ConfigurationError, options: dict[str, Any], *, stream: bool = False) -> httpx2.Response:
        request, how = self._left_over(error, options)
        http, auth = self._way()
        return http.client.send(request, stream=stream, auth=auth, **how)

    def _way(self) -> tuple[Http, ConnectionAuth]:
        return self._way_of(self._source.get())

    def _address(self, url: str, options: dict[str, Any]) -> str:
        return self._source.prepare(str(url), options, self._source.get())


class AsyncOAuth2Client(_Client):
    """Calls an API as one connection, in async programs: the token is found, refreshed in time, and put on.

    Get one from a valet, ``valet.client("github")``.  It may be used from any task and any event loop; a cancelled
    caller never costs the grant.
    """

    __slots__ = ("__weakref__",)

    @like(OAuth2Client.get_access_token)
    async def get_access_token(self) -> Secret:
        source = self._source
        token = source.token
        if token is None or source.now() >= token.until:
            token = await source.aget()
        if self._scopes:
            token.demand(self._scopes)
        return token.secret

    @like(OAuth2Client.request)
    async def request(self, method: str, url: str = "", **options: Any) -> httpx2.Response:
        return await self._send(method, url, options)

    @like(OAuth2Client.stream)
    @contextlib.asynccontextmanager
    async def stream(self, method: str, url: str = "", **options: Any) -> AsyncGenerator[httpx2.Response]:
        ensure_sendable(method, url, options)
        address = await self._address(url, options)
        http, auth = await self._way()
        async with contextlib.AsyncExitStack() as stack:
            try:
                streaming = http.client_here().stream(method, address, auth=auth, **options)
                response = await stack.enter_async_context(streaming)
            except ConfigurationError as other:
                response = await self._resend(other, options, stream=True)
                stack.push_async_callback(response.aclose)
            yield response

    @like(OAuth2Client.get)
    async def get(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("GET", url, options)

    @like(OAuth2Client.options)
    async def options(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("OPTIONS", url, options)

    @like(OAuth2Client.head)
    async def head(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("HEAD", url, options)

    @like(OAuth2Client.post)
    async def post(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("POST", url, options)

    @like(OAuth2Client.put)
    async def put(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("PUT", url, options)

    @like(OAuth2Client.patch)
    async def patch(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("PATCH", url, options)

    @like(OAuth2Client.delete)
    async def delete(self, url: str, **options: Any) -> httpx2.Response:
        return await self._send("DELETE", url, options)

    @like(OAuth2Client.status)
    async def status(self) -> Status:
        return await self._core.in_flight(lambda: self._core.status(self._source.key))

    @like(OAuth2Client.refresh)
    async def refresh(self) -> Status:
        await self._source.arefresh()
        return await self.status()

    @like(OAuth2Client.introspect)
    async def introspect(self) -> Introspection:
        return await self._core.in_flight(self._source.introspect)

    @like(OAuth2Client.verify)
    async def verify(self) -> Probe:
        return await self._core.in_flight(lambda: verify(self._core, self._source.key))

    @like(OAuth2Client.disconnect)
    async def disconnect(self) -> Disconnected:
        return await self._core.in_flight(lambda: self._core.disconnect(self._source.key))

    def _send(self, method: str, url: str, options: dict[str, Any]) -> Awaitable[httpx2.Response]:
        if not is_ready(self._source, method, url, options):
            return self._send_prepared(method, url, options)  # a coroutine of our own only where one is needed
        http, auth = self._core.http, self._auth or self.auth
        if options:
            return http.client_here().request(method, url, auth=auth, **options)
        return http.client_here().request(method, url, auth=auth)

    async def _send_prepared(self, method: str, url: str, options: dict[str, Any]) -> httpx2.Response:
        address = await self._address(url, options)
        http, auth = await self._way()
        try:
            return await http.client_here().request(method, address, auth=auth, **options)
        except ConfigurationError as other:
            return await self._resend(other, options)

    async def _resend(
        self, error: ConfigurationError, options: dict[str, Any], *, stream: bool = False
    ) -> httpx2.Response:
        request, how = self._left_over(error, options)
        http, auth = await self._way()
        return await http.client_here().send(request, stream=stream, auth=auth, **how)

    async def _way(self) -> tuple[Http, ConnectionAuth]:
        return self._way_of(await self._source.aget())

    async def _address(self, url: str, options: dict[str, Any]) -> str:
        return self._source.prepare(str(url), options, await self._source.aget())
