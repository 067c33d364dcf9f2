"""The one road of API requests, whichever HTTP client drives on it: which token, to which hosts, what a 401 means.

No HTTP library is known here.  What is for one library alone stands in ``auth.py`` and in ``adapters/``; the rules
themselves are pure functions of the protocol layer: `protocol.urls.host_allowed`, `protocol.bearer.refusal`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, MutableMapping, Sequence
from copy import copy
from typing import Any, ClassVar, Final

from valetkey.errors import ConfigurationError, StepUpRequired
from valetkey.protocol.bearer import refusal
from valetkey.protocol.urls import stays
from valetkey.source import TokenSource
from valetkey.tokens import PROOF, Place, Token
from valetkey.values import Secret

REFUSING: Final = frozenset({401, 403})
"""The statuses that may speak of the token."""
CHALLENGE: Final = "WWW-Authenticate"
ANYTHING: Final = "*/*"
"""What HTTP clients accept where nobody says it: a provider's own ``Accept`` goes before that."""


class Road:
    """One connection, as HTTP clients use it.

    The token goes only to the credential's hosts.  A 401 that speaks of the token is answered by one refresh and one
    retry of the very request that was refused, never for a body that cannot be sent twice; a 401 that asks for a
    stronger sign-in raises `StepUpRequired`.
    """

    __slots__ = ("_carries", "_scopes", "_sees_hops", "_source")

    def __init__(
        self,
        source: TokenSource,
        scopes: tuple[str, ...] = (),
        *,
        carries: Secret | None = None,
        sees_hops: bool = False,
    ) -> None:
        self._source = source
        self._sees_hops = sees_hops
        """Whether somebody looks at each hop of a redirect, so that a header of the provider's own stays behind."""
        self._scopes = scopes
        self._carries = carries
        """The certificate that the HTTP client's connections carry; those of others carry none that we know of."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._source.key)!r})"

    def _put_on(self, headers: MutableMapping[str, str], token: Token, method: str, url: object, place: Place) -> None:
        """Put the token and the provider's own headers on a request.

        Args:
            headers: The request's headers.
            token: What to put on.
            method: The request's method.
            url: Where it goes.
            place: Scheme, host and port of `url`, as the HTTP client has them at hand: a place that was found allowed
                is looked up, not parsed again.

        Raises:
            HostNotAllowed: The token may not go there.
            ScopesMissing: The account holder did not grant what this client demands.
            ConfigurationError: The token is bound to a certificate, and the client that sends it has another
                (``client_certificate``); its header, or one with a secret of the app, is one that this client would
                take along to another origin (``token_header_unguarded``); such a secret is missing
                (``header_secret_missing``).
        """
        if token.certificate is not self._carries and token.certificate != self._carries:
            raise OtherCertificate(self._source)
        if self._scopes:
            token.demand(self._scopes)
        if place not in token.places:
            self._source.ensure_allowed(str(url), token)
            if token.strays:
                self._guard(headers, token)
            else:
                token.places.add(place)
        headers[token.carrier] = token.header
        for name, value in token.extra:
            if headers.get(name, ANYTHING) == ANYTHING:
                headers[name] = value
        if token.proofs is not None:
            token.proofs.put_on(headers, method, str(url))

    def _guard(self, headers: MutableMapping[str, str], token: Token) -> None:
        """Put on the headers with secrets of the app, but for those that the caller has set, as with `_put_on`."""
        own = [name for name in token.guarded if name == token.carrier or name not in headers]
        if own and not self._sees_hops:
            raise Straying(self._source, own[0])
        for name in own:
            if name in token.lacking:
                raise copy(token.lacking[name])
        for name, value in token.secrets:
            if name in own:
                headers[name] = value.reveal()

    def _wants_another_proof(
        self,
        token: Token,
        asked: tuple[str, str, Mapping[str, str]],
        headers: Mapping[str, str],
        status: int,
        challenges: Sequence[str],
    ) -> bool:
        """Take the nonce of an answer; whether it wants the same again with another proof; see `_refused`.

        Another proof is one with that nonce (RFC 9449 section 9), by the clock of that server, or for what a redirect
        led to (section 7.3): HTTP clients go on there with the proof of before.  That is no refusal of the token, and
        does not use up the one retry after a 401.  `asked` are method, URL and headers of the request that was
        answered, which may be a later hop; the names of `headers`, which are the answer's, do not mind their case.
        """
        if token.proofs is None:
            return False
        method, url, with_it = asked
        token.proofs.hear(url, headers)
        if status not in REFUSING:
            return False
        sent = with_it.get(token.carrier)
        verdict = refusal(status, challenges, carried=sent == token.header, refresh_on_403=False)
        if verdict.kind in {"renew", "dpop_proof"} and not token.proofs.made_for(with_it.get(PROOF), method, url):
            return True
        return verdict.kind == "dpop_nonce" or (verdict.kind == "dpop_proof" and token.proofs.learn_clock(url, headers))

    def _refused(self, token: Token, status: int, sent: str | None, challenges: Sequence[str]) -> bool | None:
        """Whether an answer refuses our token: True in RFC 6750's word, False without a word, None: it does not.

        Args:
            token: What was put on.
            status: Of the answer.
            sent: What the request that was answered, which may be a later hop, had in the header of the token.
            challenges: The ``WWW-Authenticate`` headers of the answer.

        Raises:
            StepUpRequired: The token is fine; the API asks for a stronger or fresher sign-in.
        """
        carried = sent == token.header
        verdict = refusal(status, challenges, carried=carried, refresh_on_403=token.refresh_on_403)
        if verdict.kind == "step_up":
            raise StepUpRequired(
                f"the API asks for a stronger sign-in than the token of {self._source.key} stands for",
                acr_values=verdict.acr_values,
                max_age=verdict.max_age,
                scopes=verdict.scopes,
                hint="let the person sign in again with these acr_values",
            )
        return verdict.explicit if verdict.kind == "renew" else None


class Unsent(ConfigurationError):
    """The token may not be sent by this HTTP client.

    Attributes:
        request: What was about to be sent, without the token: another client can send it.
    """

    request: Any = None


class Straying(Unsent):
    """A secret goes in a header of the provider's own, which this HTTP client would take along wherever it is led."""

    def __init__(self, source: TokenSource, header: str) -> None:
        key = source.key
        super().__init__(
            f"calls with the token of {key} carry a secret in the header {header}, which this HTTP client would take "
            "along when a redirect leads to another origin; nothing was sent",
            code="token_header_unguarded",
            hint=f"call the API with valet.client({key.credential!r}).request(...), which leaves it behind there",
        )


class OtherCertificate(Unsent):
    """The token is bound to a certificate that the HTTP client does not carry: it was replaced, or never chosen."""

    def __init__(self, source: TokenSource) -> None:
        key = source.key
        super().__init__(
            f"the token of {key} is bound to the app's certificate, which this HTTP client does not carry",
            code="client_certificate",
            hint=f"call the API with valet.client({key.credential!r}).request(...), which chooses the certificate",
        )


class Flow(Road):
    """The auth flow of ``httpx2`` and of its twin ``httpx``, to be mixed with the ``Auth`` of either.

    These clients follow redirects between two steps of the flow, and take ``Authorization`` off where another origin
    begins; what the flow sees is the answer of the last hop, and the request that was answered.
    """

    __slots__ = ()
    _in_memory: ClassVar[type]
    """The library's class of bodies that are in memory, and so can be sent a second time; all others are streams."""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Run by the blocking client."""
        token = self._source.get()
        self._dress(request, token)
        response = yield request
        if token.watched and self._again_with_nonce(response, token):
            response = yield response.request
            self._hear(response, token)
        if response.status_code in REFUSING and (explicit := self._refuses(response, token)) is not None:
            newer = self._source.heal(token.fingerprint, explicit=explicit)
            if newer is not None and isinstance(response.request.stream, self._in_memory):
                self._dress(response.request, newer)
                response = yield response.request
                if newer.watched and self._again_with_nonce(response, newer):
                    response = yield response.request
                    self._hear(response, newer)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Run by the asynchronous client."""
        token = self._source.token
        if token is None or self._source.now() >= token.until:  # what `aget` does, without its coroutine
            token = await self._source.aget()
        self._dress(request, token)
        response = yield request
        if token.watched and self._again_with_nonce(response, token):
            response = yield response.request
            self._hear(response, token)
        if response.status_code in REFUSING and (explicit := self._refuses(response, token)) is not None:
            newer = await self._source.aheal(token.fingerprint, explicit=explicit)
            if newer is not None and isinstance(response.request.stream, self._in_memory):
                self._dress(response.request, newer)
                response = yield response.request
                if newer.watched and self._again_with_nonce(response, newer):
                    response = yield response.request
                    self._hear(response, newer)

    def _dress(self, request: Any, token: Token) -> None:
        url = request.url
        try:
            self._put_on(request.headers, token, request.method, url, (url.scheme, url.host, url.port))
        except Unsent as other:
            other.request = request
            raise

    def _again_with_nonce(self, response: Any, token: Token) -> bool:
        """Take the nonce of an answer, and put it on the request where it is to be sent once more.

        A redirect that is not followed has a next request that is ready to be sent: the token is not in it, where it
        leads to another origin.
        """
        further = response.next_request if token.strays else None
        if further is not None and not stays(str(response.request.url), str(further.url)):
            for name in token.guarded:
                further.headers.pop(name, None)
        request, said = response.request, response.headers.get_list(CHALLENGE)
        asked = (request.method, str(request.url), request.headers)
        again = self._wants_another_proof(token, asked, response.headers, response.status_code, said)
        if again and (again := isinstance(response.request.stream, self._in_memory)):
            self._dress(response.request, token)
        return again

    def _hear(self, response: Any, token: Token) -> None:
        if token.proofs is not None:
            token.proofs.hear(str(response.request.url), response.headers)

    def _refuses(self, response: Any, token: Token) -> bool | None:
        sent = response.request.headers.get(token.carrier)
        return self._refused(token, response.status_code, sent, response.headers.get_list(CHALLENGE))
