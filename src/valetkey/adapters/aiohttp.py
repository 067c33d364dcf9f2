"""For `aiohttp`: ``aiohttp.ClientSession(middlewares=(middleware(github),))``."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from valetkey.adapters._given import given, missing
from valetkey.client import AsyncOAuth2Client
from valetkey.protocol.urls import stays
from valetkey.road import CHALLENGE, REFUSING, Road
from valetkey.tokens import Token

try:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, MultipartWriter
    from aiohttp.payload import BytesPayload, IOBasePayload
    from yarl import URL
except ImportError as error:
    raise missing("aiohttp", error) from error

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TELLING: Final = REFUSING | _REDIRECTS


def middleware(client: AsyncOAuth2Client) -> ConnectionMiddleware:
    """Return a client middleware that authorizes the requests of a session, or of one call, as one connection.

    The token goes only to the credential's hosts, and never across an origin when a redirect is followed.  A 401 that
    speaks of the token is answered by one refresh and one retry, never for a body that cannot be sent twice; a 401
    that asks for a stronger sign-in raises `StepUpRequired`.  Nothing of it blocks the event loop.

    Args:
        client: Whose connection it is: ``valet.client("github")``, of an `AsyncValet`.

    Raises:
        ConfigurationError: It is no such client.
    """
    return ConnectionMiddleware(*given("middleware", client, AsyncOAuth2Client), sees_hops=True)


@dataclass(frozen=True, slots=True)
class _Lead:
    """Where an answer of this task leads to, and what is to be known of the way when the next request goes there.

    A session follows redirects in the task that sent the request, and calls the middleware for each hop as if it were
    a request of its own.  What hops share is the `call`; the program's own request of that address, where it had the
    session not follow the redirect, is another call.
    """

    owner: ConnectionMiddleware
    call: object
    url: URL
    carries: bool
    retried: bool


_LEAD: Final[ContextVar[_Lead | None]] = ContextVar("valetkey.adapters.aiohttp.lead", default=None)


class ConnectionMiddleware(Road):
    """Authorizes requests as one connection; made by `middleware`."""

    __slots__ = ()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send one hop of a request: without the token once a redirect has led to another origin."""
        lead = _LEAD.get()
        if lead is not None and (lead.owner is not self or lead.url != request.url or lead.call is not _call(request)):
            lead = None
        token = None
        if lead is None or lead.carries:
            source = self._source
            token = source.token
            if token is None or source.now() >= token.until:  # what `aget` does, without its coroutine
                token = await source.aget()
            self._dress(request, token)
        response = await handler(request)
        if token is not None and token.proofs is not None:
            response = await self._with_nonce(request, handler, response, token)
        if response.status in _TELLING:
            return await self._answered(request, handler, response, token, lead)
        if lead is not None:
            _LEAD.set(None)  # not where it failed: then the session may try this hop anew
        return response

    async def _answered(
        self,
        request: ClientRequest,
        handler: ClientHandlerType,
        response: ClientResponse,
        token: Token | None,
        lead: _Lead | None,
    ) -> ClientResponse:
        retried = lead is not None and lead.retried
        if response.status in REFUSING and token is not None and not retried:
            again = await self._again(request, handler, response, token)
            if again is not None:
                response, retried = again, True
        _LEAD.set(None)
        if response.status in _REDIRECTS:
            self._note(request, response, carries=token is not None, retried=retried)
        return response

    async def _with_nonce(
        self, request: ClientRequest, handler: ClientHandlerType, response: ClientResponse, token: Token
    ) -> ClientResponse:
        """Take the nonce of an answer; send the request once more where the answer wants it with that nonce."""
        asked, said = (request.method, str(request.url), request.headers), response.headers.getall(CHALLENGE, [])
        again = self._wants_another_proof(token, asked, response.headers, response.status, said)
        if not again or not _replayable(request.body):
            return response
        answer = await self._sent_again(request, handler, response, token)
        self._hear(request, answer, token)
        return answer

    @staticmethod
    def _hear(request: ClientRequest, response: ClientResponse, token: Token) -> None:
        if token.proofs is not None:
            token.proofs.hear(str(request.url), response.headers)

    async def _again(
        self, request: ClientRequest, handler: ClientHandlerType, response: ClientResponse, token: Token
    ) -> ClientResponse | None:
        """Send a request that was refused a second time; None: the answer it got is the caller's."""
        try:
            newer = await self._newer(request, response, token)
        except BaseException:
            response.close()
            raise
        if newer is None or not _replayable(request.body):
            return None
        answer = await self._sent_again(request, handler, response, newer)
        return answer if newer.proofs is None else await self._with_nonce(request, handler, answer, newer)

    async def _sent_again(
        self, request: ClientRequest, handler: ClientHandlerType, response: ClientResponse, token: Token
    ) -> ClientResponse:
        """Send a request once more, with `token` on it; its first answer is read to the end."""
        try:
            await response.content.read()  # to its end, so that the connection is used again
        finally:
            response.release()
        await request.close()  # until whatever still sends the first try has stopped
        request.update_expect_continue()  # a server that was asked before the body is asked again
        self._dress(request, token)
        return await handler(request)

    def _dress(self, request: ClientRequest, token: Token) -> None:
        url = request.url
        place = (url.scheme, url.raw_authority, None)  # its host and port would have to be taken apart
        self._put_on(request.headers, token, request.method, url, place)

    async def _newer(self, request: ClientRequest, response: ClientResponse, token: Token) -> Token | None:
        sent, said = request.headers.get(token.carrier), response.headers.getall(CHALLENGE, [])
        explicit = self._refused(token, response.status, sent, said)
        return None if explicit is None else await self._source.aheal(token.fingerprint, explicit=explicit)

    def _note(self, request: ClientRequest, response: ClientResponse, *, carries: bool, retried: bool) -> None:
        """Keep in mind where a redirect leads to, worked out as the session does it."""
        location = response.headers.get("Location") or response.headers.get("URI")
        if not location:
            return
        try:
            target = request.url.join(URL(location, encoded=not request.session.requote_redirect_url))
            url = target.with_user(None).with_fragment(None)
        except ValueError:
            return  # the session does not follow it either
        _LEAD.set(_Lead(self, _call(request), url, carries and stays(str(request.url), str(url)), retried))


def _call(request: ClientRequest) -> object:
    """Return what stands for the call of the session that a request belongs to: the list of its traces.

    It is made for each call and given to each of its hops, also where nothing is traced, and nothing else tells hops
    apart from requests.  An aiohttp that has it no more gives None for all: then the address alone decides, and the
    token rather stays behind.
    """
    return getattr(request, "_traces", None)


def _replayable(body: object) -> bool:
    """Whether a body that was sent can be sent a second time: bytes can, files that can seek, and forms of these."""
    if isinstance(body, bytes | BytesPayload):
        return True
    if isinstance(body, IOBasePayload):
        return not body.consumed and _seekable(getattr(body, "_value", None))
    if isinstance(body, MultipartWriter):
        return not body.consumed and all(_replayable(part) for part, _, _ in body)
    return False


def _seekable(file: object) -> bool:
    try:
        return bool(file.seekable())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
