"""The HTTP clients of a valet, which share one TLS context: that of token endpoints, and those of API calls.

`httpx2` is imported here on first use: a token that is valid needs none of it.
"""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

from valetkey.errors import ConfigurationError, clean
from valetkey.forks import late_imports
from valetkey.hooks import ENDPOINT, alook_at_hop, look_at_hop, prepare
from valetkey.logs import QueryHider
from valetkey.model.ports import Clock, InDoubt, NotSent, TooLate
from valetkey.tls import load_certificate
from valetkey.values import Request, Response, Secret

if TYPE_CHECKING:
    import asyncio
    import ssl
    from http.cookiejar import Cookie, CookieJar

    import httpx2

BODY_LIMIT = 1 << 20
"""Bytes of an authorization server's answer that are read at most."""
CONNECT_TIMEOUT = 10.0
API_TIMEOUT = 30.0
USER_AGENT = "valetkey"
_MOST_CERTIFICATES = 64


class Http:
    """Makes HTTP clients when they are first needed and shares them.

    `given` is a client of the program's own: a sync one serves token endpoints and API calls, an async one API calls.
    Its event hooks see API calls only: what goes to token endpoints is between us and them.

    After a fork the child makes new clients; the inherited ones are kept, never closed: their sockets are the parent's.
    A client that was given cannot be made anew, so in the child it is refused.

    `certificate` is what its connections carry, with its key, as PEM.
    """

    def __init__(
        self, given: httpx2.Client | httpx2.AsyncClient | None = None, *, certificate: Secret | None = None
    ) -> None:
        self._certificate = certificate
        self._given_async = given if given is not None and hasattr(given, "aclose") else None
        self._given: Any = None if self._given_async is not None else given
        self._running_loop: Callable[[], asyncio.AbstractEventLoop] = self._first_loop
        self._inherited: list[object] = []
        self.follows = bool(given is not None and given.follow_redirects)
        """Whether the client in use follows redirects unless told otherwise."""
        self._forked = False
        if self._given is not None:
            from valetkey.deadlines import heed_deadlines  # noqa: PLC0415 - it needs the network library

            heed_deadlines(cast("httpx2.Client", self._given))
        if given is not None:
            prepare(given, alook_at_hop if self._given_async is not None else look_at_hop)
        self.reset()

    def after_fork(self) -> None:
        """Start anew in a forked child."""
        self._forked = True
        self.reset()

    def reset(self) -> None:
        """Start without clients of our own."""
        self._inherited.append(self.__dict__.copy())
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._client: httpx2.Client | None = None if self._forked else self._given
        self._for_endpoints: httpx2.Client | None = self._client
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )
        self._latest: tuple[Callable[[], object], httpx2.AsyncClient | None] = (_nothing, None)
        self._certified: dict[Secret, Http] = {}

    def carrying(self, certificate: Secret | None) -> Http:
        """Return what makes the clients whose connections carry `certificate` (RFC 8705); None: itself.

        One for each certificate, with a TLS context of its own; all who carry it share it.

        Raises:
            ConfigurationError: A client was given, and nobody but its maker can have it carry one
                (``http_certificate``).
        """
        if certificate is None:
            return self
        if self._given is not None or self._given_async is not None:
            msg = "the HTTP client that this valet was given cannot carry the certificate that the provider asks for"
            hint = "make the valet without http=; SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are heeded"
            raise ConfigurationError(msg, code="http_certificate", hint=hint)
        found = self._certified.get(certificate)
        if found is None:
            while len(self._certified) >= _MOST_CERTIFICATES:  # rotated ones; who still uses one holds it
                self._certified.pop(next(iter(self._certified)), None)
            found = self._certified.setdefault(certificate, Http(certificate=certificate))
        return found

    @property
    def client(self) -> httpx2.Client:
        """The shared blocking client of API calls.

        Raises:
            ConfigurationError: A client was given, and this is a forked child (``http_forked``).
        """
        return self._client or self._make_client()

    @property
    def for_endpoints(self) -> httpx2.Client:
        """The client of authorization servers, which heeds deadlines: that would slow down API calls by two per cent.

        Raises:
            ConfigurationError: A client was given, and this is a forked child (``http_forked``).
        """
        return self._for_endpoints or self._make_client_for_endpoints()

    def _make_client(self) -> httpx2.Client:
        with late_imports, self._lock:
            if self._client is None:
                self._client = self._made()
            return self._client

    def _make_client_for_endpoints(self) -> httpx2.Client:
        with late_imports, self._lock:
            if self._for_endpoints is None:
                from valetkey.deadlines import heed_deadlines  # noqa: PLC0415

                made = self._made()
                heed_deadlines(made)
                self._for_endpoints = made
            return self._for_endpoints

    def _made(self) -> httpx2.Client:
        if self._given is not None:
            self._refuse_forked()
        import httpx2  # noqa: PLC0415 - heavy, and not needed while the token is valid

        return httpx2.Client(**self._options(look_at_hop))

    def _first_loop(self) -> asyncio.AbstractEventLoop:
        from asyncio import get_running_loop  # noqa: PLC0415 - only programs that have an event loop pay for it

        self._running_loop = get_running_loop
        return get_running_loop()

    def client_here(self) -> httpx2.AsyncClient:
        """Return the async client of the running event loop: each has its own connections; the TLS context is shared.

        Raises:
            RuntimeError: No event loop is running.
        """
        if self._given_async is not None:
            if self._forked:
                self._refuse_forked()
            return self._given_async  # type: ignore[return-value]
        loop = self._running_loop()
        latest, client = self._latest  # most programs have one loop; the dictionary costs 1 % of a request
        return client if client is not None and latest() is loop else self._client_of(loop)

    def _client_of(self, loop: asyncio.AbstractEventLoop) -> httpx2.AsyncClient:
        client = self._by_loop.get(loop)
        if client is None:
            client = self._make_async_client(loop)
        self._latest = weakref.ref(loop), client
        return client

    def _make_async_client(self, loop: asyncio.AbstractEventLoop) -> httpx2.AsyncClient:
        with late_imports, self._lock:
            import httpx2  # noqa: PLC0415

            client = httpx2.AsyncClient(**self._options(alook_at_hop))
            return self._by_loop.setdefault(loop, client)

    def _refuse_forked(self) -> NoReturn:
        msg = "the HTTP client that this valet was given was made before the fork: its connections are the parent's"
        hint = "make the valet, or at least the client for its http=, in the child; without http= a valet may be forked"
        raise ConfigurationError(msg, code="http_forked", hint=hint)

    def _options(self, hook: Callable[[httpx2.Request], object]) -> dict[str, Any]:
        import httpx2  # noqa: PLC0415

        if self._context is None:
            context = httpx2.create_ssl_context()
            if self._certificate is not None:
                load_certificate(context, self._certificate)
            self._context = context
        return {
            "verify": self._context,
            "timeout": httpx2.Timeout(API_TIMEOUT, connect=CONNECT_TIMEOUT),
            "limits": httpx2.Limits(max_connections=200, max_keepalive_connections=50),
            "headers": {"User-Agent": USER_AGENT},
            "cookies": _no_cookies(),
            "event_hooks": {"request": [hook]},
        }

    def close(self) -> None:
        """Close the blocking clients if they are ours; a later call makes new ones."""
        given = None if self._forked else self._given
        with self._lock:
            clients = self._client, self._for_endpoints
            self._client = self._for_endpoints = given
            certified = list(self._certified.values())
        for client in clients:
            if client is not None and client is not self._given:
                client.close()
        for one in certified:
            one.close()

    async def aclose(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the async client of that loop if it is ours."""
        self._latest = (_nothing, None)
        client = self._by_loop.pop(loop, None)
        if client is not None:
            await client.aclose()
        for one in list(self._certified.values()):
            await one.aclose(loop)


def _nothing() -> None:
    """Stand for a weak reference to nothing."""


def _no_cookies() -> CookieJar:
    """Return a jar that keeps nothing: one client serves many people, and their cookies must not mix."""
    from http.cookiejar import CookieJar  # noqa: PLC0415

    class NoCookies(CookieJar):
        def extract_cookies(self, response: object, request: object) -> None:
            """Keep none."""

        def __iter__(self) -> Iterator[Cookie]:
            return iter(())

    return NoCookies()


class HttpEndpoint:
    """Sends one request to an authorization server: no redirects, no cookies, bounded in size and time."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    def send(self, request: Request, *, deadline: float) -> Response:
        """Send and read the whole answer; `deadline` is on the clock's `monotonic`.

        Raises:
            NotSent: The request certainly did not reach the server; `TooLate` where it was not to be sent any more.
            InDoubt: It may have, and no readable answer came; the connection is closed.
        """
        with late_imports:
            import httpx2  # noqa: PLC0415

            from valetkey.deadlines import within  # noqa: PLC0415

        client = self._http.carrying(request.certificate).for_endpoints
        url = request.url
        if request.query:
            url += f"{'&' if '?' in url else '?'}{request.query}"
        left = deadline - self._clock.monotonic()
        if left <= 0:
            msg = "no time was left to send it"
            raise NotSent(msg)
        try:
            built = httpx2.Request(  # not client.build_request: nothing of the client's own defaults goes along
                request.method,
                url if "?" in url else _parsed(url),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers},
                content=request.body or None,
                extensions={"timeout": _timeout(left), ENDPOINT: True},
            )
            silence = _query_hider() if request.query else nullcontext()
            with within(left, lambda: self._in_time(request)), silence, _sent(client, built) as response:
                return self._read(response, deadline)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise NotSent(_why(error)) from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError) as error:
            raise NotSent(_why(error)) from error
        except (httpx2.HTTPError, httpx2.StreamError, zlib.error) as error:
            raise InDoubt(_why(error)) from error
        except RuntimeError as error:  # httpx2's word for a client that was closed; anybody else's may come too late
            raise (NotSent if client.is_closed else InDoubt)(_why(error)) from error

    def _in_time(self, request: Request) -> None:
        if request.send_by is not None and self._clock.monotonic() > request.send_by:
            msg = "the moment to send it had passed before the connection was there"
            raise TooLate(msg)

    def _read(self, response: httpx2.Response, deadline: float) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body, late = b"", False
        for chunk in _decoded(response.iter_raw(), headers.get("content-encoding", "").lower()):
            if late:  # looked at when more comes: a whole answer is worth having, however late it is read
                msg = "the answer did not end in time"
                raise InDoubt(msg)
            body += chunk
            if len(body) > BODY_LIMIT:
                msg = "the answer is longer than 1 MiB"
                raise InDoubt(msg)
            late = self._clock.monotonic() > deadline
        return Response(status=response.status_code, headers=headers, body=body)


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx2.URL:
    """Return the address of an endpoint, parsed once.  What has a query may hold a secret, and is not kept."""
    import httpx2  # noqa: PLC0415

    return httpx2.URL(url)


@lru_cache(maxsize=1)
def _query_hider() -> QueryHider:
    return QueryHider("httpx2")


def _timeout(left: float) -> dict[str, float]:
    soon = min(CONNECT_TIMEOUT, left)
    return {"connect": soon, "pool": soon, "read": left, "write": left}


def _sent(client: httpx2.Client, request: httpx2.Request) -> AbstractContextManager[httpx2.Response]:
    # No auth of the client's own, and no redirects: what is in this request is for this server alone.
    from contextlib import closing  # noqa: PLC0415

    return closing(client.send(request, stream=True, auth=None, follow_redirects=False))


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo gzip or deflate with bounded output: identity was asked for, but not every server listens."""
    if encoding in {"", "identity"}:
        yield from chunks
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        msg = f"the answer is encoded as {clean(encoding, 20)}, which was not asked for"
        raise InDoubt(msg)
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    for chunk in chunks:
        yield inflate.decompress(chunk, BODY_LIMIT + 1)
        if inflate.unconsumed_tail:
            msg = "the answer is longer than 1 MiB"
            raise InDoubt(msg)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {clean(error, 120)}" if str(error) else type(error).__name__
