"""The one road of API requests: an `httpx2.Auth` that puts the token on, and answers a 401 with one refresh (R11)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import httpx2

from valetkey.errors import StepUpRequired
from valetkey.source import Token, TokenSource


class ConnectionAuth(httpx2.Auth):
    """Authorizes requests as one connection.  Hand it to any `httpx2.Client` or `httpx2.AsyncClient`.

    The token goes only to the credential's hosts.  A 401 that speaks of the token is answered by one refresh and one
    retry, never for a body that cannot be sent twice; a 401 that asks for a stronger sign-in raises `StepUpRequired`.
    """

    __slots__ = ("_scopes", "_source")

    def __init__(self, source: TokenSource, *, scopes: tuple[str, ...] = ()) -> None:
        self._source = source
        self._scopes = scopes

    def __repr__(self) -> str:
        return f"ConnectionAuth({str(self._source.key)!r})"

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Run by `httpx2.Client`."""
        token = self._source.get()
        self._put_on(request, token)
        response = yield request
        if response.status_code in {401, 403} and (explicit := self._refused(response, token)) is not None:
            newer = self._source.heal(token.fingerprint, explicit=explicit)
            if newer is not None and replayable(request):
                self._put_on(request, newer)
                yield request

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Run by `httpx2.AsyncClient`."""
        token = self._source.token
        if token is None or self._source.now() >= token.until:  # what `aget` does, without its coroutine
            token = await self._source.aget()
        self._put_on(request, token)
        response = yield request
        if response.status_code in {401, 403} and (explicit := self._refused(response, token)) is not None:
            newer = await self._source.aheal(token.fingerprint, explicit=explicit)
            if newer is not None and replayable(request):
                self._put_on(request, newer)
                yield request

    def _put_on(self, request: httpx2.Request, token: Token) -> None:
        if self._scopes:
            token.demand(self._scopes)
        url = request.url
        place = (url.scheme, url.host, url.port)
        if place not in token.places:  # known from an earlier request: a look-up instead of a parser
            self._source.ensure_allowed(str(url), token)
            token.places.add(place)
        request.headers["Authorization"] = token.header
        for name, value in token.extra:
            request.headers.setdefault(name, value)

    def _refused(self, response: httpx2.Response, token: Token) -> bool | None:
        """Whether a 401 speaks of our token: True in RFC 6750's word, False without a word, None: not of our token.

        Only the final hop counts, and only if it carried our token (R11).
        """
        if response.request.headers.get("Authorization") != token.header:
            return None
        from valetkey.protocol.bearer import judge, parse_challenges  # noqa: PLC0415 - only for answers that refuse

        challenges = parse_challenges(response.headers.get_list("WWW-Authenticate"))
        verdict = judge(response.status_code, challenges, refresh_on_403=token.refresh_on_403)
        if verdict.kind == "step_up":
            raise StepUpRequired(
                f"the API asks for a stronger sign-in than the token of {self._source.key} stands for",
                acr_values=verdict.acr_values,
                max_age=verdict.max_age,
                hint="let the person sign in again with these acr_values",
            )
        if verdict.kind != "renew":
            return None
        return any(challenge.params.get("error") == "invalid_token" for challenge in challenges)


def replayable(request: httpx2.Request) -> bool:
    """Whether the request's body can be sent a second time: it is in memory, not a stream."""
    return isinstance(request.stream, httpx2.ByteStream)
