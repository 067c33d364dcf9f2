"""A whole OAuth provider to practise on: authorization server and notes API, in memory, on 127.0.0.1."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from valetkey.model.ports import Clock
from valetkey.testing import _authorization_server as front
from valetkey.testing import _token_endpoint as back
from valetkey.testing._consents import Consents
from valetkey.testing._faults import OMIT
from valetkey.testing._grant_types import ALL_GRANT_TYPES
from valetkey.testing._http import Call, LoopbackServer, Reply
from valetkey.testing._ledger import NOTES_SCOPES, Client, ClientAuth, Ledger, OnReuse, Rules
from valetkey.testing._more_grants import MoreGrants, backchannel_authentication
from valetkey.testing._notes_api import NotesApi, echoed
from valetkey.testing._person import answer_consent, answer_device
from valetkey.testing._proofs import Proofs
from valetkey.testing._signing import SigningKeys
from valetkey.testing._site import Site, id_token
from valetkey.testing._tally import SeenRequest, Tally, seen

DEFAULT_CLIENT_ID: Final = "practice-app"
DEFAULT_CLIENT_SECRET: Final = "s3cret: 100% of +/&= odd~characters"  # noqa: S105 - of a provider that guards nothing
DEFAULT_REDIRECT_URIS: Final = (
    "http://127.0.0.1/callback",
    "http://127.0.0.1/callback/notes",
    "http://127.0.0.1/callback/practice",
)

__all__ = ["DEFAULT_CLIENT_ID", "DEFAULT_CLIENT_SECRET", "DEFAULT_REDIRECT_URIS", "OMIT", "PracticeProvider"]

Route = tuple[str, tuple[str, ...], Callable[[Call], Reply]]


class PracticeProvider(MoreGrants):
    """An authorization server and a small API, honest about the RFCs until it is told to misbehave.

    It knows one client from the start: `DEFAULT_CLIENT_ID` with `DEFAULT_CLIENT_SECRET`, which has odd characters on
    purpose, redirect URIs on loopback and every grant type.  All of it is in memory and on 127.0.0.1.

    >>> with PracticeProvider() as provider:
    ...     provider.url.startswith("http://127.0.0.1:")
    True

    Beside what is described here it has all switches of `Faults`, and what `MoreGrants` knows, as its own methods.

    Args:
        clock: Where it takes the time from; None: the system's clock.
        port: The port on 127.0.0.1; 0 takes a free one.
        issuer_path: A path for the issuer and its endpoints, such as ``"/tenant"``; the API stays at the root.
        access_token_lifetime: See `Rules`, as for all that follows.  They can be changed later in `rules`.
        rotate: Whether refresh tokens rotate.
        on_reuse: What happens when a spent refresh token comes back.
        grace: Seconds, for ``on_reuse="grace"``.
        refresh_ends_access_tokens: Whether a refresh ends older access tokens.
        requires_pkce: Whether PKCE is demanded.
        auto_approve: Whether the person says yes without being asked.
        sends_iss: Whether authorization answers carry ``iss``.
        code_lifetime: Seconds.
        device_code_lifetime: Seconds.
        device_interval: Seconds.
    """

    rules: Rules
    """How it behaves; may be changed at any time."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        issuer_path: str = "",
        access_token_lifetime: float = 3600,
        refresh_token_lifetime: float | None = None,
        rotate: bool = True,
        repeat_refresh_token: bool = False,
        on_reuse: OnReuse = "revoke",
        grace: float = 30,
        refresh_ends_access_tokens: bool = False,
        requires_pkce: bool = True,
        auto_approve: bool = True,
        sends_iss: bool = True,
        code_lifetime: float = 60,
        device_code_lifetime: float = 600,
        device_interval: float = 5,
    ) -> None:
        super().__init__()
        self.rules = Rules(
            access_token_lifetime=access_token_lifetime,
            refresh_token_lifetime=refresh_token_lifetime,
            code_lifetime=code_lifetime,
            device_code_lifetime=device_code_lifetime,
            device_interval=device_interval,
            rotate=rotate,
            repeat_refresh_token=repeat_refresh_token,
            on_reuse=on_reuse,
            grace=grace,
            refresh_ends_access_tokens=refresh_ends_access_tokens,
            requires_pkce=requires_pkce,
            auto_approve=auto_approve,
            sends_iss=sends_iss,
        )
        real = clock.now if clock is not None else time.time
        self._now: Callable[[], float] = lambda: real() + self.rules.clock_offset
        self._wanted_port = port
        self._issuer_path = issuer_path.rstrip("/")
        self._tally = Tally()
        self._ledger = Ledger(self.rules, self._tally, self._now)
        proofs = Proofs(self._ledger)
        self._site = Site(ledger=self._ledger, consents=Consents(self._ledger), faults=self, proofs=proofs)
        self._ledger.sign = lambda family, access_token: id_token(self._site, family, access_token)
        self._routes = _routes(self._site, self._issuer_path)
        self._server: LoopbackServer | None = None
        self.register_client(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)

    # -- running

    def start(self) -> Self:
        """Listen; returns itself.  Starting it twice changes nothing.

        Raises:
            OSError: The port is taken.
        """
        if self._server is None:
            self._server = LoopbackServer(self._wanted_port, self._answer, self._now)
            self._site.url = f"http://127.0.0.1:{self._server.port}"
            self._site.issuer = self._site.url + self._issuer_path
        return self

    def stop(self) -> None:
        """Let go what is held, close all connections, and wait for all threads.  What it counted stays to be read."""
        server, self._server = self._server, None
        if server is not None:
            self.reset_faults()
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its origin, without a slash at the end: the base URL of the API."""
        return self._site.url

    @property
    def issuer(self) -> str:
        """Its issuer identifier: the base of the authorization server's endpoints."""
        return self._site.issuer

    @property
    def keys(self) -> SigningKeys:
        """What its id tokens are signed with, and how wrongly: they come where the scope ``openid`` is asked for."""
        return self._site.keys

    def credential_fields(self, *, discover: bool = False) -> dict[str, Any]:
        """Return the keywords by which a program declares this provider: ``wire_oauth2_credential("notes", **...)``.

        Scopes are left to the program; the default client may ask for ``notes.read`` and ``notes.write``, and for
        ``openid``, ``profile`` and ``email``.  With `discover` its URLs are left to its metadata.
        """
        api = {"api_hosts": [self.url.removeprefix("http://")], "api_base_url": self.url}
        identity = {"subject": "sub", "login": "login", "name": "name", "email": "email"}
        if discover:
            return {"issuer": self.issuer, "identity": identity, **api}
        return {
            "authorization_url": f"{self.issuer}/authorize",
            "token_url": f"{self.issuer}/token",
            "revocation_url": f"{self.issuer}/revoke",
            "device_authorization_url": f"{self.issuer}/device_authorization",
            "userinfo_url": f"{self.issuer}/userinfo",
            "issuer": self.issuer,
            "iss_advertised": self.rules.sends_iss,
            "jwks_url": f"{self.issuer}/jwks",
            "identity": identity,
            **api,
        }

    # -- clients

    def register_client(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        auth: ClientAuth | None = None,
        redirect_uris: Sequence[str] = DEFAULT_REDIRECT_URIS,
        grant_types: Sequence[str] = ALL_GRANT_TYPES,
        public_key: Mapping[str, Any] | None = None,
        scopes: Sequence[str] = NOTES_SCOPES,
        loopback_any_port: bool = True,
    ) -> None:
        """Register a client, in the place of one with the same id; grants of that id live on.

        Args:
            client_id: Its id.
            client_secret: Its secret; None for a public client.
            auth: Its one authentication method; None: ``client_secret_basic`` with a secret, ``private_key_jwt`` with
                a key, else ``none``.
            public_key: The JWK that its assertions are signed for.
            redirect_uris: Compared byte for byte.
            grant_types: What it may ask for at the token endpoint.
            scopes: What it may ask for, and gets when it names none.
            loopback_any_port: Whether loopback redirect URIs stand for any port (RFC 8252 section 7.3).

        Raises:
            ValueError: Secret and method do not fit each other.
        """
        usual: ClientAuth = "none" if public_key is None else "private_key_jwt"
        method = auth or (usual if client_secret is None else "client_secret_basic")
        if (method == usual) != (client_secret is None):
            msg = f"{method} and {'no ' if client_secret is None else 'a '}client secret do not go together"
            raise ValueError(msg)
        self._ledger.clients[client_id] = Client(
            client_id=client_id,
            client_secret=client_secret,
            auth=method,
            redirect_uris=tuple(redirect_uris),
            grant_types=tuple(grant_types),
            scopes=tuple(scopes),
            public_key=public_key,
            loopback_any_port=loopback_any_port,
        )

    def allow_redirect(self, uri: str, *, client_id: str = DEFAULT_CLIENT_ID) -> None:
        """Register one more redirect URI for a client.

        Raises:
            KeyError: There is no such client.
        """
        client = self._ledger.clients[client_id]
        self._ledger.clients[client_id] = replace(client, redirect_uris=(*client.redirect_uris, uri))

    def add_secret(self, client_secret: str, *, client_id: str = DEFAULT_CLIENT_ID) -> None:
        """Let a client use one more secret beside those that it has.  Raises KeyError where there is no such client."""
        self._ledger.add_secret(client_id, client_secret)

    def remove_secret(self, client_secret: str, *, client_id: str = DEFAULT_CLIENT_ID) -> None:
        """Take a secret from a client.  Raises ValueError where it does not have it, or has no other."""
        self._ledger.remove_secret(client_id, client_secret)

    # -- the person

    def approve_as(self, login: str) -> None:
        """Let this person sit in front of the browser from now on, where nobody else is named."""
        self._site.login = login

    def approve(self, authorization_url: str, *, login: str | None = None) -> str:
        """Play the person who says yes; return the callback URL, which is not called.

        Raises:
            ValueError: The URL is not one of this provider.
            ConsentRefused: The provider showed an error page.
        """
        return answer_consent(self.url, authorization_url, approve=True, login=login)

    def deny(self, authorization_url: str, *, login: str | None = None) -> str:
        """Play the person who says no; return the callback URL, which is not called.  Raises as `approve` does."""
        return answer_consent(self.url, authorization_url, approve=False, login=login)

    def enter_user_code(self, user_code: str, *, approve: bool = True, login: str | None = None) -> None:
        """Play the person who types the code that a device shows.

        Raises:
            LookupError: No device waits under this code.
        """
        answer_device(f"{self.issuer}/device", user_code, approve=approve, login=login)

    def revoke(self, login: str | None = None, *, refresh_token: str | None = None) -> int:
        """Let the person take the grant back; return how many grants ended.

        Args:
            login: Whose grants; None: of all.
            refresh_token: Only the grant of this refresh token, spent or not.
        """
        return self._ledger.end_where(login, refresh_token)

    def expire_access_tokens(self) -> None:
        """Refuse every access token of now with 401, though its time has not run out; refresh tokens live on."""
        self._ledger.kill_access_tokens()

    # -- looking

    @property
    def refreshes(self) -> int:
        """How many refreshes it granted, those included whose answer was lost."""
        return self._tally.count("refreshes")

    @property
    def refresh_requests(self) -> int:
        """How many token requests with ``grant_type=refresh_token`` came in, whatever became of them."""
        return self._tally.count("refresh_requests")

    @property
    def token_requests(self) -> int:
        """How many requests came in at the token endpoint, whatever became of them."""
        return self._tally.count("token_requests")

    @property
    def reuses(self) -> int:
        """How often a spent refresh token came back."""
        return self._tally.count("reuses")

    @property
    def double_sends(self) -> int:
        """How often a refresh token came in that had come in before: also after a failure, also without rotation."""
        return self._tally.count("double_sends")

    @property
    def revocations(self) -> int:
        """How many revocation requests it accepted."""
        return self._tally.count("revocations")

    @property
    def api_requests(self) -> int:
        """How many requests came in at the API, refused ones included."""
        return self._tally.count("api_requests")

    @property
    def live_grants(self) -> int:
        """How many grants of persons are not ended."""
        return self._ledger.live_grants()

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The last requests, without bodies and values, in the order in which they were answered."""
        return self._tally.requests()

    def is_live(self, token: str) -> bool:
        """Whether this access or refresh token would be taken now."""
        return self._ledger.is_live(token)

    def tokens_ever_issued(self) -> frozenset[str]:
        """Return every access token, refresh token, code and device code that it ever gave out: for canary tests."""
        return self._ledger.issued()

    def reset_counters(self) -> None:
        """Count from nothing again, and forget `requests`; grants and tokens stay."""
        self._tally.reset()

    # -- answering

    def _answer(self, call: Call) -> Reply | None:
        endpoint, methods, work = self._routes.get(call.path, _NOT_FOUND)
        self._count(endpoint, call)
        if call.method in methods or not methods:
            reply = self._site.proofs.stamped(self.around(endpoint, lambda: work(call)))
        else:
            reply = Reply(405, b"", {"Allow": ", ".join(methods)})
        status = None if reply is None else reply.status
        self._tally.remember(seen(call, endpoint=endpoint, status=status, at=self._now()))
        return reply

    def _count(self, endpoint: str, call: Call) -> None:
        self._tally.add(f"{endpoint}_requests")
        form = dict(call.form_pairs()) if endpoint == "token" else {}
        if form.get("grant_type") == "refresh_token":
            self._tally.add("refresh_requests")
            self._ledger.note_sending(form.get("refresh_token", ""))


def _not_found(call: Call) -> Reply:
    return Reply.of_json(404, {"error": "not_found", "path": call.path})


_NOT_FOUND: Route = ("", (), _not_found)


def _routes(site: Site, at: str) -> dict[str, Route]:
    """Return what is answered where: path -> (endpoint, methods, answer); no methods mean all."""
    authorization, api = front.Authorization(site), NotesApi(site)
    look, send, both = ("GET", "HEAD"), ("POST",), ("GET", "HEAD", "POST")
    return {
        "/": ("pages", look, lambda _: front.welcome(site, DEFAULT_CLIENT_ID)),
        f"/.well-known/oauth-authorization-server{at}": ("discovery", look, lambda call: front.metadata(site, call)),
        f"{at}/.well-known/openid-configuration": ("discovery", look, lambda call: front.metadata(site, call)),
        f"{at}/jwks": ("jwks", look, lambda call: front.jwks(site, call)),
        f"{at}/authorize": ("authorization", both, authorization.authorize),
        f"{at}/consent": ("pages", send, authorization.consent),
        f"{at}/device": ("pages", both, lambda call: front.device_page(site, call)),
        f"{at}/token": ("token", send, lambda call: back.token(site, call)),
        f"{at}/revoke": ("revocation", send, lambda call: back.revoke(site, call)),
        f"{at}/introspect": ("introspection", send, lambda call: back.introspect(site, call)),
        f"{at}/device_authorization": ("device_authorization", send, lambda c: back.device_authorization(site, c)),
        f"{at}/bc-authorize": ("ciba", send, lambda call: backchannel_authentication(site, call)),
        f"{at}/userinfo": ("userinfo", both, lambda call: front.userinfo(site, call)),
        "/notes": ("api", both, api.notes),
        "/me": ("api", look, api.me),
        "/echo": ("api", (), api.echo),
        "/redirect": ("api", (), api.redirect),
        "/stream": ("api", look, api.stream),
        "/open": ("pages", (), echoed),
    }
