"""What the practice provider remembers: clients, grants and their tokens, codes and device codes.

Plain decisions on values under one lock; the endpoints turn them into HTTP.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from valetkey.testing._grant_types import ALL_GRANT_TYPES
from valetkey.testing._refused import Refused
from valetkey.testing._signing import Sign
from valetkey.testing._tally import Tally

OnReuse = Literal["revoke", "deny", "grace", "none"]
ForOne = Literal["right", "refused", "refused_late", "another"]
ClientAuth = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]

NOTES_SCOPES = ("notes.read", "notes.write")

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Rules:
    """How this provider behaves, as its documentation would say.  May be changed while it runs.

    Attributes:
        access_token_lifetime: Seconds.
        refresh_token_lifetime: Seconds from the issue of each refresh token; None: without end.
        code_lifetime: Seconds that an authorization code lives.
        device_code_lifetime: Seconds that a device code lives.
        device_interval: Seconds to wait between two polls (RFC 8628 section 3.2).
        rotate: Whether a refresh answers with a new refresh token and spends the old one.
        repeat_refresh_token: Without rotation: whether a refresh answers with the same refresh token again.
        on_reuse: What happens when a spent refresh token comes back: ``revoke`` ends the whole grant, access tokens
            included (RFC 9700 section 4.14.2); ``deny`` refuses it and nothing more; ``grace`` takes it for `grace`
            seconds more and then revokes; ``none`` takes it for ever.
        grace: Seconds.
        refresh_ends_access_tokens: Whether a refresh ends the older access tokens of that grant at once.
        requires_pkce: Whether an authorization request without ``code_challenge`` is refused.
        auto_approve: Whether the person says yes without being asked.
        sends_iss: Whether authorization answers carry ``iss``, and the metadata says so (RFC 9207).
        dpop_nonces: Whether DPoP proofs need the nonce of the answer before (RFC 9449 sections 8 and 9).
        one_resource: Whether a request for a token that names several resources is refused (RFC 8707 section 2.2).
        for_one_resource: What comes of asking for a token for one resource: ``right``; ``refused``; ``refused_late``,
            when the refresh token is spent already; ``another``: a token for another resource.
        clock_offset: Seconds by which its clock is ahead of the right time.
    """

    access_token_lifetime: float = 3600
    refresh_token_lifetime: float | None = None
    code_lifetime: float = 60
    device_code_lifetime: float = 600
    device_interval: float = 5
    rotate: bool = True
    repeat_refresh_token: bool = False
    on_reuse: OnReuse = "revoke"
    grace: float = 30
    refresh_ends_access_tokens: bool = False
    requires_pkce: bool = True
    auto_approve: bool = True
    sends_iss: bool = True
    dpop_nonces: bool = False
    one_resource: bool = False
    for_one_resource: ForOne = "right"
    clock_offset: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client.

    Attributes:
        client_id: Its id.
        client_secret: Its secret; None for a public client.
        more_secrets: Others that it may use as well, while a secret is being replaced.
        auth: The one method by which it authenticates (RFC 7591 section 2, ``token_endpoint_auth_method``).
        redirect_uris: The redirect URIs that it may use, byte for byte.
        grant_types: What it may ask at the token endpoint.
        scopes: What it may ask for; also what it gets when it names none (RFC 6749 section 3.3).
        public_key: The JWK that its assertions are checked with, for ``private_key_jwt``.
        loopback_any_port: Whether a registered ``http://127.0.0.1`` or ``http://[::1]`` redirect URI stands for that
            URI on any port (RFC 8252 section 7.3).
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    more_secrets: tuple[str, ...] = field(default=(), repr=False)
    auth: ClientAuth = "client_secret_basic"
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ALL_GRANT_TYPES
    scopes: tuple[str, ...] = NOTES_SCOPES
    public_key: Mapping[str, Any] | None = None
    loopback_any_port: bool = True

    def takes_redirect(self, uri: str) -> bool:
        """Whether `uri` is a registered redirect URI."""
        if uri in self.redirect_uris:
            return True
        portless = _without_port(uri) if self.loopback_any_port else None
        return portless is not None and any(portless == _without_port(known) for known in self.redirect_uris)


def _without_port(uri: str) -> tuple[str, str] | None:
    """Return a loopback redirect URI as host and path, without the port; None when it is no such URI."""
    found = _LOOPBACK.fullmatch(uri)
    return (found[1], found[2]) if found else None


@dataclass(slots=True, eq=False)
class Family:
    """A grant: what one person (or none, for client credentials) gave one client, and all tokens of it."""

    client_id: str
    login: str
    scopes: tuple[str, ...]
    live: bool = True
    nonce: str = ""
    began_at: float = 0.0


@dataclass(slots=True)
class AccessToken:
    """An access token.

    `live` turns false when it dies before its time, `bound_to` is the thumbprint of its key, and `targets` are the
    resources that it is for, none where it is for all.
    """

    family: Family
    scopes: tuple[str, ...]
    expires_at: float
    live: bool = True
    bound_to: str = ""
    targets: tuple[str, ...] = ()

    def opens(self, url: str) -> bool:
        """Whether it is for that address."""
        return not self.targets or any(url == one or url.startswith(one.rstrip("/") + "/") for one in self.targets)


@dataclass(slots=True)
class RefreshToken:
    """A refresh token; `spent_at` is when it was first used up by rotation."""

    family: Family
    expires_at: float | None
    spent_at: float | None = None


class Ledger:
    """Grants and their tokens.  Safe for threads.

    Args:
        rules: How to behave; read at each step.
        tally: Where refreshes and reuses are counted.
        now: Unix time in seconds.
    """

    def __init__(self, rules: Rules, tally: Tally, now: Callable[[], float]) -> None:
        self.rules = rules
        self.tally = tally
        self.now = now
        self.lock = threading.RLock()
        self.clients: dict[str, Client] = {}
        self.sign: Sign | None = None
        self._families: list[Family] = []
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self._sent: set[str] = set()
        self._issued: set[str] = set()

    # -- issuing

    def mint(self, kind: str) -> str:
        """Return a new unguessable value of a kind (``at``, ``rt``, ``code``, ``dc``), and remember that it was."""
        return self.remembered(f"practice-{kind}-{secrets.token_urlsafe(24)}")

    def remembered(self, value: str) -> str:
        """Return a value that is given out, after remembering that it was."""
        with self.lock:
            self._issued.add(value)
        return value

    def open_family(self, client: Client, login: str, scopes: tuple[str, ...], nonce: str = "") -> Family:
        """Start a grant."""
        family = Family(client.client_id, login, scopes, nonce=nonce, began_at=self.now())
        with self.lock:
            self._families.append(family)
        return family

    def issue(self, family: Family, *, scopes: tuple[str, ...] | None = None, refresh: bool) -> dict[str, Any]:
        """Issue an access token, and with `refresh` a refresh token; return the members of the token answer."""
        scopes = family.scopes if scopes is None else scopes
        life = self.rules.access_token_lifetime
        access = self.mint("at")
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(life) if life == int(life) else life,
            "scope": " ".join(scopes),
        }
        with self.lock:
            self._access[access] = AccessToken(family, scopes, self.now() + life)
            if refresh:
                answer.update(self._issue_refresh_token(family))
        if self.sign is not None and family.login and "openid" in scopes:
            answer["id_token"] = self.sign(family, access)
        return answer

    def _issue_refresh_token(self, family: Family) -> dict[str, Any]:
        value, life = self.mint("rt"), self.rules.refresh_token_lifetime
        self._refresh[value] = RefreshToken(family, None if life is None else self.now() + life)
        return {"refresh_token": value} | ({} if life is None else {"refresh_token_expires_in": int(life)})

    def bind(self, answer: dict[str, Any], thumbprint: str) -> dict[str, Any]:
        """Bind the access token of a token answer to a key, where there is one (RFC 9449 section 5)."""
        if not thumbprint:
            return answer
        with self.lock:
            self._access[answer["access_token"]].bound_to = thumbprint
        return answer | {"token_type": "DPoP"}

    def aim(self, answer: dict[str, Any], targets: tuple[str, ...]) -> dict[str, Any]:
        """Let the access token of a token answer be for these resources alone (RFC 8707)."""
        if targets:
            with self.lock:
                self._access[answer["access_token"]].targets = targets
        return answer

    # -- refreshing

    def note_sending(self, value: str) -> None:
        """Count a double send when this refresh token was seen before."""
        with self.lock:
            if value in self._sent:
                self.tally.add("double_sends")
            self._sent.add(value)

    def refresh(self, client: Client, value: str, scope: str) -> dict[str, Any]:
        """Take a refresh token and return the members of the token answer (RFC 6749 section 6).

        Raises:
            Refused: It is unknown, another client's, expired, revoked or spent; or the scope is too wide.
        """
        with self.lock:
            token = self._refresh.get(value)
            if token is None or token.family.client_id != client.client_id:
                raise Refused(error="invalid_grant", why="unknown refresh token")
            if token.spent_at is not None:
                self._reused(token, token.spent_at)
            if not token.family.live:
                raise Refused(error="invalid_grant", why="the grant was revoked")
            if token.expires_at is not None and self.now() >= token.expires_at:
                raise Refused(error="invalid_grant", why="the refresh token has expired")
            scopes = within(scope, token.family.scopes)
            return self._renew(token, value, scopes)

    def _reused(self, token: RefreshToken, spent_at: float) -> None:
        self.tally.add("reuses")
        rule = self.rules.on_reuse
        if rule == "none" or (rule == "grace" and self.now() < spent_at + self.rules.grace):
            return
        if rule != "deny":
            self.end(token.family)
        raise Refused(error="invalid_grant", why="the refresh token was used before")

    def _renew(self, token: RefreshToken, value: str, scopes: tuple[str, ...]) -> dict[str, Any]:
        if self.rules.refresh_ends_access_tokens:
            self._kill_access(token.family)
        answer = self.issue(token.family, scopes=scopes, refresh=self.rules.rotate)
        if self.rules.rotate:
            token.spent_at = self.now() if token.spent_at is None else token.spent_at
        elif self.rules.repeat_refresh_token:
            answer["refresh_token"] = value
        self.tally.add("refreshes")
        return answer

    # -- looking

    def bearer(self, value: str) -> AccessToken | None:
        """Return the access token if it still opens the API."""
        with self.lock:
            token = self._access.get(value)
            usable = token and token.live and token.family.live and self.now() < token.expires_at
            return token if usable else None

    def is_live(self, value: str) -> bool:
        """Whether this token would be taken now: an access token by the API, a refresh token for a refresh."""
        with self.lock:
            token = self._refresh.get(value)
            if token is None:
                return self.bearer(value) is not None
            fresh = token.expires_at is None or self.now() < token.expires_at
            return token.family.live and token.spent_at is None and fresh

    def live_grants(self) -> int:
        """Return how many grants of persons are not ended."""
        with self.lock:
            return sum(family.live and bool(family.login) for family in self._families)

    def issued(self) -> frozenset[str]:
        """Return every token and code that was ever issued."""
        with self.lock:
            return frozenset(self._issued)

    # -- ending

    def end(self, family: Family) -> None:
        """End a grant: none of its tokens works from now on."""
        with self.lock:
            family.live = False

    def end_where(self, login: str | None, refresh_token: str | None) -> int:
        """End the live grants of `login`, or the one of `refresh_token`, or all; return how many."""
        with self.lock:
            token = self._refresh.get(refresh_token or "")
            chosen = [token.family] if token else [] if refresh_token else self._families
            ended = [family for family in chosen if family.live and login in {None, family.login}]
            for family in ended:
                self.end(family)
            return len(ended)

    def add_secret(self, client_id: str, secret: str) -> None:
        """Let a client use one more secret."""
        client = self.clients[client_id]
        self.clients[client_id] = replace(client, more_secrets=(*client.more_secrets, secret))

    def remove_secret(self, client_id: str, secret: str) -> None:
        """Take a secret from a client that has others."""
        client = self.clients[client_id]
        having = [one for one in (client.client_secret, *client.more_secrets) if one is not None]
        having.remove(secret)
        if not having:
            msg = "the client has no other secret"
            raise ValueError(msg)
        self.clients[client_id] = replace(client, client_secret=having[0], more_secrets=tuple(having[1:]))

    def active(self, client: Client, value: str) -> AccessToken | None:
        """Return an access token of this client if it works now."""
        token = self.bearer(value)
        return token if token is not None and token.family.client_id == client.client_id else None

    def revoke(self, client: Client, value: str) -> bool:
        """Revoke a token as its client asks (RFC 7009): a refresh token takes its whole grant along.

        Returns whether something ended; an unknown token is no error.

        Raises:
            Refused: It is another client's.
        """
        with self.lock:
            token = self._refresh.get(value) or self._access.get(value)
            if token is None:
                return False
            if token.family.client_id != client.client_id:
                raise Refused(error="invalid_grant", why="the token belongs to another client")
            if isinstance(token, AccessToken):
                was_live, token.live = token.live and token.family.live, False
            else:
                was_live, token.family.live = token.family.live, False
            return was_live

    def kill_access_tokens(self) -> None:
        """Make every access token of now be refused, though its time has not run out."""
        with self.lock:
            self._kill_access(None)

    def _kill_access(self, family: Family | None) -> None:
        for token in self._access.values():
            if family is None or token.family is family:
                token.live = False


def within(asked: str, allowed: tuple[str, ...], also: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the scopes that were asked for, all of `allowed` when none were; `also` may be asked for too.

    Raises:
        Refused: One of them is not allowed.
    """
    scopes = tuple(dict.fromkeys(asked.split()))
    if any(scope not in (*allowed, *also) for scope in scopes):
        raise Refused(error="invalid_scope", why="a scope is unknown, or more than was granted")
    return scopes or allowed
