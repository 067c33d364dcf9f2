"""What a redirect may take along: each hop of a request that follows redirects is looked at before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valetkey.protocol.bearer import AUTHORIZATION
from valetkey.protocol.urls import host_allowed, stays
from valetkey.tokens import PROOF, Token

if TYPE_CHECKING:
    import httpx2

    from valetkey.source import TokenSource


class Hops:
    """Looks at each hop of one request but the first, which the token was just put on for.

    httpx2 takes ``Authorization`` off where another origin begins, and knows nothing of other headers that carry a
    token or a secret of the app, of proofs, and of those of `api_headers`.
    """

    __slots__ = ("_began", "_source", "_token")

    def __init__(self, source: TokenSource, token: Token) -> None:
        self._source = source
        self._token = token
        self._began: httpx2.URL | None = None

    def __call__(self, request: httpx2.Request) -> None:
        """Take off what is not for where this hop goes.

        A hop is made of the one before it, so what was taken off once does not come back, wherever it leads then.

        Raises:
            HostNotAllowed: A body would go to where the token may not go.
        """
        if self._began is None:  # whoever put the token on has looked where this one goes
            self._began = request.url
            return
        token, url, headers = self._token, str(request.url), request.headers
        if token.strays and not stays(str(self._began), url):
            for name in token.guarded:
                headers.pop(name, None)
        if token.proofs is not None and AUTHORIZATION not in headers:
            headers.pop(PROOF, None)
        if not host_allowed(url, token.hosts):
            if request.method not in {"GET", "HEAD"}:
                self._source.ensure_allowed(url, token)
            for name, _ in token.extra:
                headers.pop(name, None)
