"""For `requests`: ``requests.get(url, auth=RequestsAuth(github))``, or ``session.auth = RequestsAuth(github)``."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from valetkey.adapters._given import given, missing
from valetkey.client import OAuth2Client
from valetkey.protocol.urls import stays
from valetkey.road import CHALLENGE, REFUSING, Road
from valetkey.tokens import PROOF

try:
    from requests import PreparedRequest, Response
    from requests.auth import AuthBase
    from requests.structures import CaseInsensitiveDict
except ImportError as error:
    raise missing("requests", error) from error

if TYPE_CHECKING:
    from valetkey.tokens import Token

    _Dict = CaseInsensitiveDict[str]
else:
    _Dict = CaseInsensitiveDict  # no generic class before requests 2.34


class RequestsAuth(Road, AuthBase):
    """Authorizes the requests of any `requests.Session` as one connection.

    The token goes only to the credential's hosts, and never across an origin when a redirect is followed.  A 401 that
    speaks of the token is answered by one refresh and one retry, never for a body that cannot be sent twice; a 401
    that asks for a stronger sign-in raises `StepUpRequired`.

    Args:
        client: Whose connection it is: ``valet.client("github")``, of a `Valet`.

    Raises:
        ConfigurationError: It is no such client.
    """

    def __init__(self, client: OAuth2Client) -> None:
        super().__init__(*given("RequestsAuth", client, OAuth2Client), sees_hops=True)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the token on a request that is being prepared, and have each of its answers looked at."""
        token = self._source.get()
        self.dress(r, token)
        r.register_hook("response", _Exchange(self, r, token))  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        return r

    def dress(self, request: PreparedRequest, token: Token) -> None:
        """Put the token and the provider's own headers on a request."""
        url = request.url or ""
        parts = urlsplit(url)
        self._put_on(request.headers, token, request.method or "", url, (parts.scheme, parts.netloc, None))

    def wants_nonce(self, response: Response, token: Token) -> bool:
        """Take the nonce that an answer gives; whether it wants the same again with it."""
        request, said = response.request, response.headers.get(CHALLENGE)
        asked = (request.method or "", response.url, request.headers)
        challenges = () if said is None else (said,)
        return self._wants_another_proof(token, asked, response.headers, response.status_code, challenges)

    def newer(self, response: Response, token: Token) -> Token | None:
        """Return the token to retry with after an answer that refuses this one, else None."""
        sent = response.request.headers.get(token.carrier)
        said = response.headers.get(CHALLENGE)
        explicit = self._refused(token, response.status_code, sent, () if said is None else (said,))
        return None if explicit is None else self._source.heal(token.fingerprint, explicit=explicit)


class _Exchange:
    """One request on its way, as its response hook: called for the answer of each hop, before the next one is made.

    `requests` makes the request of the next hop from a copy of this one, hooks included, and goes on with the request
    that it first sent even where the hook returns the answer to another one.  So a retry sends that same request.
    """

    __slots__ = ("_auth", "_began", "_nonced", "_position", "_retried", "_token")

    def __init__(self, auth: RequestsAuth, request: PreparedRequest, token: Token) -> None:
        self._auth = auth
        self._began = weakref.ref(request)
        self._token = token
        self._position = _position(request.body)
        self._retried = self._nonced = False

    def __call__(self, response: Response, **options: Any) -> Response:
        if response.request is self._began():  # the first hop, also where a prepared request is sent once more
            self._retried = self._nonced = False
        response = self._with_nonce(response, options)
        if response.status_code in REFUSING and not self._retried:
            response = self._healed(response, options)
        if response.is_redirect:
            self._led_on(response)
        return response

    def _with_nonce(self, response: Response, options: dict[str, Any]) -> Response:
        if self._auth.wants_nonce(response, self._token) and not self._nonced and self._rewound(response.request.body):
            self._nonced = True
            response = self._sent_again(response, self._token, options)
            self._auth.wants_nonce(response, self._token)  # it may give the next one
        return response

    def _healed(self, response: Response, options: dict[str, Any]) -> Response:
        try:
            newer = self._auth.newer(response, self._token)
        except BaseException:
            response.close()
            raise
        request = response.request
        if newer is None or not self._rewound(request.body):
            return response
        self._retried, self._nonced = True, False
        self._token = newer
        return self._with_nonce(self._sent_again(response, newer, options), options)

    def _sent_again(self, response: Response, token: Token, options: dict[str, Any]) -> Response:
        """Send the request of an answer once more, which stays on record, with `token` on it."""
        request = response.request
        try:
            response.content  # noqa: B018 - read to its end, so that the connection is used again
        finally:
            response.close()
        response.request = request.copy()  # what was sent stays on record
        self._auth.dress(request, token)
        answer: Response = response.connection.send(request, **options)
        answer.history.append(response)
        return answer

    def _rewound(self, body: Any) -> bool:
        """Whether the body can be sent a second time; a file is put back to where it was read from."""
        if body is None or isinstance(body, bytes | bytearray | str):
            return True
        if self._position is None:
            return False
        try:
            body.seek(self._position)
        except (AttributeError, OSError, ValueError):
            return False
        return True

    def _led_on(self, response: Response) -> None:
        """Let what is ours stay behind where a redirect leads to another origin."""
        location = response.headers["location"]
        if location and not stays(response.url, location):
            token = self._token
            names = (token.carrier, PROOF, *token.guarded, *(name for name, _ in token.extra))
            ours = {name.lower() for name in names}
            response.request.headers = _Headers(response.request.headers, ours)


class _Headers(_Dict):
    """Headers of a request that was sent; the next copy, which is for the next hop, lacks what is left behind."""

    def __init__(self, headers: Mapping[str, str], left_behind: set[str]) -> None:
        super().__init__(headers)
        self._left_behind = left_behind

    def copy(self) -> _Dict:
        names, self._left_behind = self._left_behind, set[str]()
        return _Dict((name, text) for name, text in self.items() if name.lower() not in names)


def _position(body: Any) -> int | None:
    """Return where a file is read from; None for what is no file, or cannot tell."""
    try:
        position = body.tell()
    except (AttributeError, OSError, ValueError):
        return None
    return position if isinstance(position, int) else None
