"""The access token as callers use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from valetkey.engine.windows import windows
from valetkey.errors import ConfigurationError, ScopesMissing
from valetkey.forks import late_imports
from valetkey.model.app_headers import of_app
from valetkey.model.credentials import EMPTY
from valetkey.model.placing import names_later, placed
from valetkey.model.resources import home
from valetkey.protocol.bearer import AUTHORIZATION, carrier
from valetkey.protocol.urls import allowed_hosts, hosts_of

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.engine.lifecycle import Held
    from valetkey.model.connections import Record
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.model.grants import Grant
    from valetkey.proofs import Proofs
    from valetkey.values import Secret

Place = tuple[str, str, int | None]
"""Scheme, host and port; or scheme, authority and None, where an HTTP client has host and port in one."""
READ_AGAIN: Final = 300.0
"""Seconds for which secrets of the app that go with calls are kept in memory."""
PROOF: Final = "DPoP"
"""The header of proofs (RFC 9449 section 4), whose module is loaded for those who have some."""


class Token:
    """An access token as callers use it: immutable but for `until`, up to which nobody need look anywhere.

    Attributes:
        until: On the monotonic clock: before this the token is good and the store need not be looked at.
        carrier: The name of the header that carries it: ``Authorization``, or the provider's own.
        header: The value of that header.
        form: That header as it is declared, with ``{token}`` for the token: no secret.
        guarded: The names of headers that HTTP clients would take along to another origin, for they know
            ``Authorization`` alone: the provider's own for the token, and those with secrets of the app.
        strays: Whether there are such.
        apart: Whether API requests with it go a way of their own: it strays, or is bound to a certificate.
        watched: Whether answers to it are looked at: it strays, or is bound to a key.
        secret: The access token.
        fingerprint: Its fingerprint.
        heard: What its source had last heard of changes by others before it was read.
        soft: Unix seconds from which it is refreshed in the background, or None.
        due: Unix seconds from which it counts as expired, or None.
        end: Unix seconds at which it ends, or None.
        granted: The scopes granted.
        home: The one resource that it is for (RFC 8707), empty where it is for several or nobody knows.
        hosts: The hosts that may see it.
        base: What relative URLs are joined to; empty where nobody knows.
        extra: Headers that this provider wants on every API call, unless the caller sets them.
        secrets: The same for those with secrets of the app.
        lacking: Why such headers cannot be sent, by name.
        read_again: Unix seconds from which those secrets are read anew: nobody tells when one is replaced.
        places: Scheme, host and port of requests that were found allowed.
        certificate: The certificate that it is bound to (RFC 8705), with its key, else None.
        proofs: What signs its requests where it is bound to a key, else None.
        mark: The store's change mark before it was read.
        refresh_on_403: Whether this provider says 403 where it means an invalid token.
    """

    __slots__ = (
        "apart",
        "base",
        "carrier",
        "certificate",
        "due",
        "end",
        "extra",
        "fingerprint",
        "form",
        "granted",
        "guarded",
        "header",
        "heard",
        "home",
        "hosts",
        "lacking",
        "mark",
        "places",
        "proofs",
        "read_again",
        "refresh_on_403",
        "secret",
        "secrets",
        "soft",
        "strays",
        "until",
        "watched",
    )

    def __init__(self, core: Core, held: Held, mark: object, heard: object, resource: str = "") -> None:
        record, grant = held.facts, held.grant
        declared = core.credential(record.key.credential)
        credential = placed(declared, record.params)
        moments = windows(record, credential)
        instance = "" if "instance_url" in names_later(declared) else record.params.get("instance_url", "")
        self.until = 0.0
        self.secret = grant.access_token
        self.carrier, value = carrier(credential, bound=grant.dpop_key is not None)
        self.header = value.replace("{token}", grant.access_token.reveal())
        self.form = f"{self.carrier}: {value}"
        self._take_headers(core, credential, record)
        own = () if self.carrier == AUTHORIZATION else (self.carrier,)
        self.guarded = (*own, *(name for name, _ in self.secrets), *self.lacking)
        self.strays = bool(self.guarded)
        self.proofs = None if grant.dpop_key is None else _proofs(grant, grant.dpop_key, core)
        self.certificate = _certificate(core, credential) if credential.sender_constraint == "mtls" else None
        self.apart = self.strays or self.certificate is not None
        self.watched = self.strays or self.proofs is not None
        self.fingerprint = record.access_fp
        self.soft, self.due, self.end = moments.soft, moments.due, moments.end
        self.granted = record.granted
        self.home = home(credential, resource)
        self.hosts = hosts_of((self.home,)) or (*allowed_hosts(credential), *hosts_of((instance,)))
        self.base = _base(instance or _whole(credential.api_base_url), self.home)
        self.mark = mark
        self.heard = heard
        self.places: set[Place] = set()
        self.refresh_on_403 = credential.refresh_on_403

    def _take_headers(self, core: Core, credential: OAuth2Credential, record: Record) -> None:
        """Take what calls carry beside the token.  What is missing is told by a call, not by who wants the token."""
        self.secrets: tuple[tuple[str, Secret], ...] = ()
        self.lacking: Mapping[str, ConfigurationError] = EMPTY
        self.read_again = inf
        headers = credential.api_headers
        if of_app(credential):
            with late_imports:
                from valetkey.engine.api_headers import api_headers  # noqa: PLC0415 - only for those who have such

            found = api_headers(core.world, credential, record.key.env, record.client_id)
            headers, self.secrets, self.lacking = found.plain, tuple(found.secret.items()), found.missing
            if self.lacking or self.secrets:
                self.read_again = 0.0 if self.lacking else core.clock.now() + READ_AGAIN
        self.extra = tuple(headers.items())

    def demand(self, scopes: Sequence[str]) -> None:
        """Check that these scopes were granted.

        Raises:
            ScopesMissing: Some were not.
        """
        missing = tuple(scope for scope in scopes if scope not in self.granted)
        if missing:
            raise ScopesMissing(
                f"the account holder did not grant: {', '.join(missing)}",
                granted=self.granted,
                missing=missing,
                hint="connect again and ask for them: valet.connect(..., scopes=[...])",
            )

    def ensure_bearer(self) -> None:
        """Check that who has the token can use it as it is, without the key or certificate that stays here.

        Raises:
            ConfigurationError: It is bound to one (``token_bound``).
        """
        if self.proofs is None and self.certificate is None:
            return
        what = "a key (DPoP)" if self.certificate is None else "the app's certificate (mTLS)"
        raise ConfigurationError(
            f"this access token is bound to {what} that stays here: by itself it is of no use to anybody",
            code="token_bound",
            hint="call the API through valetkey: valetkey request, or valet.client(...)",
        )

    def __repr__(self) -> str:
        return "Token(****)"


def _whole(base: str) -> str:
    """Return the base of the API, empty where the connection does not say all of it."""
    return "" if "{" in base else base


def _base(base: str, resource: str) -> str:
    """Return what relative URLs are joined to: the base of the API, unless a resource elsewhere is meant."""
    theirs = hosts_of((resource,))
    return resource if theirs and theirs != hosts_of((base,)) else base


def _certificate(core: Core, credential: OAuth2Credential) -> Secret:
    with late_imports:
        from valetkey.protocol.certificates import read_certificate  # noqa: PLC0415 - only for tokens bound to one

    return read_certificate(credential, core.app(credential)).pem


def _proofs(grant: Grant, key: Secret, core: Core) -> Proofs:
    with late_imports:
        from valetkey.proofs import NONCES, Proofs  # noqa: PLC0415 - only for tokens that are bound to a key
        from valetkey.protocol.signing import read_key  # noqa: PLC0415

    return Proofs(
        read_key(key, what="the DPoP key", name="this connection"), grant.access_token, NONCES, core.clock.now
    )
