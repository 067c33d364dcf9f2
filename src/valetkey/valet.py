"""The valet: it holds store, key, declarations and HTTP client together.  This one blocks; see also `async_valet`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from valetkey._valet import BaseValet
from valetkey.apps import Apps
from valetkey.client import OAuth2Client, client_of
from valetkey.forks import late_imports
from valetkey.model.connections import Connection, Event, Page, State, Status
from valetkey.values import Secret

if TYPE_CHECKING:
    from types import TracebackType

    from valetkey.assertions import Supplier
    from valetkey.client import AsyncOAuth2Client
    from valetkey.engine.connect import AuthorizationStart
    from valetkey.engine.disconnect import Disconnected
    from valetkey.engine.transfer import ImportReport
    from valetkey.engine.workplan import WorkerSummary
    from valetkey.protocol.authentication_request import AuthenticationRequest
    from valetkey.protocol.ciba import BackchannelRequest

How = Literal["browser", "device", "paste", "ciba"]
Owner = Any
"""An owner: a non-empty string, an int or a UUID; None for the program's own."""


class Valet(BaseValet):
    """Keeps the connections of a program, and hands out clients for them.

    Safe at module level, for threads, and after a fork.  Use it in a ``with`` block or call `close` where you want to
    wait for refreshes under way; the interpreter waits for them in any case.
    """

    def client(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        resource: str | None = None,
    ) -> OAuth2Client:
        """Return a client for a connection.  It costs nothing: no I/O, nothing to close.

        Args:
            credential: The declared name.
            owner: Whose connection it is in your program; None for the program's own.
            account: The label of one of several accounts of that owner.
            scopes: Scopes that every use demands, or `ScopesMissing` is raised.
            resource: Which of the declared `resources` the tokens are to be for (RFC 8707): they come out of the same
                grant, and go to that resource's host alone.  None: the grant's own token.

        Raises:
            ConfigurationError: The owner is empty or of a wrong type, or one is required; or the declaration does not
                list the resource (``resource_undeclared``).
        """
        return client_of(OAuth2Client, self._core, self._desk.source(credential, owner, account, resource), scopes)

    def connect(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        how: How = "browser",
        port: int | None = None,
        request: BackchannelRequest | AuthenticationRequest | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Status:
        """Connect an account with the person at this machine, and return the connection's status.

        ``browser`` opens the browser and listens on 127.0.0.1 (RFC 8252), on `port` or any free one; ``device`` shows a
        code to enter anywhere (RFC 8628); ``paste`` shows an address to open anywhere and takes the address that the
        browser landed on; ``ciba`` has the person asked on another device, whom `request` names (OpenID CIBA Core).
        With ``browser`` and ``paste`` an `AuthenticationRequest` says how the person is to be asked.  `params` are
        this connection's own, where the declaration leaves them to it: ``{"shop": "acme"}``.
        A client-credentials credential needs no person and is connected at once.

        Raises:
            ConnectError: It did not end well; the code says why, the hint what to do.
            ProviderError: The provider does not answer, or does not accept the app.
        """
        own = params or {}
        return self._desk.connect(credential, owner, account, scopes, how, port, request=request, params=own)

    def exchange(
        self,
        credential: str,
        *,
        subject: OAuth2Client | AsyncOAuth2Client | Secret,
        audience: Sequence[str] = (),
        resource: Sequence[str] = (),
        scopes: Sequence[str] = (),
        subject_type: str = "access_token",
        actor: OAuth2Client | AsyncOAuth2Client | Secret | None = None,
        actor_type: str = "access_token",
        requested_type: str = "",
        owner: Owner = None,
        account: str = "",
    ) -> OAuth2Client:
        """Exchange a token for one that is for another service (RFC 8693), and return a client for it.

        What is got is a connection of its own, another for each subject, actor, audience, resource and scope, and is
        found again by the same call.  When its token has ended, the subject's is brought up to date and exchanged
        again; one that was exchanged for a given token ends with its own.

        Args:
            credential: The declared name; its grant is ``token_exchange``.
            subject: Whose token is exchanged: that of another client's connection, or a token.
            audience: The names of the services that it is for.
            resource: Their addresses, as absolute URIs (RFC 8707).
            scopes: What is asked for beside the declared scopes.
            subject_type: The type of the subject's token: ``access_token``, ``id_token``, ``jwt``, ... or a URI.
            actor: Who acts for the subject, as `subject`.
            actor_type: The type of that one's token.
            requested_type: The type that is asked for; empty: the server's choice.
            owner: Whose connection it is in your program; the subject's owner, when left out.
            account: A label of your own for it.

        Raises:
            ReauthorizationRequired: The subject's connection has no token.
            ConnectError: The server refused the target (``invalid_target``) or the token (``exchange_refused``).
            ProviderError: The provider does not answer, or does not accept the app.
        """
        with late_imports:
            from valetkey.trading import wish_of  # noqa: PLC0415 - most programs exchange nothing

        wish = wish_of(audience, resource, scopes, subject_type, actor, actor_type, requested_type)
        key = self._core.call(lambda: self._desk.exchange(credential, subject, actor, wish, owner, account))
        return client_of(OAuth2Client, self._core, self._core.source(key))

    def supply_assertions(self, credential: str, supply: Supplier) -> None:
        """Say what makes the assertions of a credential that has an ``assertion_secret_id``.

        `supply` is called with owner and account of a connection when it needs a token, in a thread of the valet; it
        returns a SAML assertion (RFC 7522) or a JWT (RFC 7523), which is passed on.  Without it they are read from the
        secret with that id.
        """
        self._core.suppliers[credential] = supply

    def connect_link(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        return_to: str | None = None,
        expires_in: float = 1800,
        confirm: bool = False,
        params: Mapping[str, str] | None = None,
    ) -> str:
        """Return the address of a page of ours where the account holder connects.  It can go into a chat, mail or JSON.

        It works once, for `expires_in` seconds, and only in the browser in which it is begun; the store holds its hash
        alone.  A new link withdraws the open one of the same connection.  It needs the server, and `base_url`.

        Args:
            credential: The declared name.
            owner: Whose connection it is in your program.
            account: The label of one of several accounts of that owner.
            scopes: What to ask for beside the declared scopes.
            return_to: Where the person goes afterwards, with ``valetkey_result=`` added: an address on the origin of
                `base_url`, or below one of ``create_app(return_urls=...)``.
            expires_in: Seconds, 60 to 30 days.
            confirm: Whether nothing becomes live before `confirm_link` has said who came back to `return_to`.
            params: This connection's own, as for `authorize`; the page asks the person for what is left out.

        Raises:
            ConfigurationError: There is no `base_url`, or an argument is not allowed; a param may not stand there
                (``param_invalid``), or names the host and is left out (``param_missing``).
        """
        link, own = self._desk.connect_link, params or {}
        return self._core.call(
            lambda: link(credential, owner, account, scopes, return_to, expires_in, confirm=confirm, params=own)
        )

    def confirm_link(self, session: str, code: Secret | str, *, owner: Owner) -> Status:
        """Confirm who came back from a connect link made with ``confirm=True``: the connection becomes live.

        Call it within ten minutes, for a browser that came back with ``valetkey_result=confirm``.  It has a code that
        no other browser can have, so whoever sent the link to somebody else cannot confirm it for them.

        Args:
            session: The parameter ``valetkey_session`` of the return address.
            code: Its parameter ``valetkey_confirm``.
            owner: Who is signed in to the application in that browser, from its session and from nowhere else.

        Raises:
            WrongUser: It is another owner than the link's; the new access was given back.
            StateMismatch: Nothing waits any more (``confirmation_over``, ``confirmation_repeated``), or the code is
                another's (``confirmation_mismatch``).
            ConfigurationError: There is no such link.
        """
        return self._core.call(lambda: self._desk.confirm_link(session, code, owner))

    def authorize(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        redirect_uri: str | None = None,
        request: AuthenticationRequest | None = None,
        params: Mapping[str, str] | None = None,
    ) -> AuthorizationStart:
        """Begin a sign-in for a web application: send the person to ``url``, set ``binding`` as a cookie.

        The redirect URI is the given one, else the declared one, else ``<base_url>/callback/<credential>``.  `request`
        says how the person is to be asked: once more, as somebody, or more strongly after `StepUpRequired`.  `params`
        are this connection's own, where the declaration leaves them to it (``{"shop": "acme"}``): they fill the URLs of
        its sign-in and of its whole life, by the rules of the declaration.

        Raises:
            ConfigurationError: A param is missing (``param_missing``) or may not stand there (``param_invalid``).
        """
        desk, own = self._desk, params or {}
        return self._core.call(
            lambda: desk.authorize(credential, owner, account, scopes, redirect_uri, wants=request, params=own)
        )

    def finish(self, callback_url: str, *, binding: Secret | str | None, owner: Owner = None) -> Status:
        """Finish a sign-in with the address that the provider sent the browser to, and the cookie's value.

        `binding` is mandatory; None stands for a browser that brought no cookie, which is refused.

        Raises:
            StateMismatch: The answer belongs to no sign-in, to another browser, or came twice.
            IssuerMismatch: Another server answered.
            AuthorizationDenied: Access was not given.
            WrongUser: `owner` is given and is not who began.
        """
        return self._core.call(lambda: self._desk.finish(callback_url, binding, owner))

    def connections(
        self,
        *,
        credential: str | None = None,
        owner: Owner = None,
        state: State | None = None,
        missing_scope: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Return a page of connections in the order of credential, owner and account; None does not filter.

        Where few of many are in the `state`, a page may hold fewer and others still come: go on until `cursor` is None.

        Raises:
            ConfigurationError: There is no such state (``state_unknown``); `limit` or `cursor` is none.
        """
        return self._desk.connections(credential, owner, state, missing_scope, search, cursor, limit)

    def look_up(
        self,
        credential: str | Connection,
        *,
        owner: Owner = None,
        account: str = "",
        choose: Mapping[str, str] | None = None,
    ) -> Status:
        """Ask the provider again what a connection needs to know of itself: its tenant, its site, its data centre.

        That happens by itself after each sign-in.  Where several were found, the first is used, and the status's
        `choices` name all; `choose` takes another: ``{"tenant_id": "..."}``.

        Raises:
            ConfigurationError: The declaration looks nothing up (``look_up_missing``), or there is no such choice.
        """
        return self._core.call(lambda: self._desk.look_up(self._desk.key(credential, owner, account), choose or {}))

    def disconnect(self, credential: str | Connection, *, owner: Owner = None, account: str = "") -> Disconnected:
        """Clear a connection's tokens, revoke them where the provider can, and say truthfully what happened."""
        return self._core.call(lambda: self._desk.disconnect(credential, owner, account))

    def rename(self, credential: str | Connection, *, to: str, owner: Owner = None, account: str = "") -> Status:
        """Give a connection another account label; its id stays.

        Raises:
            ConfigurationError: That label is taken (``account_taken``).
        """
        return self._core.call(lambda: self._desk.rename(credential, owner, account, to))

    def forget(self, owner: Owner) -> tuple[Disconnected, ...]:
        """Revoke and erase everything of an owner: tokens, identities, rows."""
        return self._core.call(lambda: self._desk.forget(owner))

    def import_grants(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        on_conflict: Literal["skip", "newer"] = "skip",
    ) -> ImportReport:
        """Take over grants from elsewhere.  Stop what refreshed them first: two refreshers kill a rotating grant."""
        return self._core.call(lambda: self._desk.import_grants(rows, dry_run=dry_run, on_conflict=on_conflict))

    def export(
        self, *, credential: str | None = None, owner: Owner = None, include_tokens: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Return the connections as rows for `import_grants`; with their tokens in clear only when asked to."""
        return self._desk.export(credential, owner, include_tokens=include_tokens)

    def events(
        self, *, connection: Connection | str | None = None, after: int = 0, limit: int = 100
    ) -> tuple[Event, ...]:
        """Return what happened, oldest first, from the event numbered `after` on (without it)."""
        return self._desk.events(connection, after, limit)

    def run_worker(
        self, *, once: bool = False, concurrency: int = 8, per_host: int = 4, stop: threading.Event | None = None
    ) -> WorkerSummary:
        """Refresh what is due although nobody asks, and keep alive what would die of disuse, until `stop` is set.

        Any number of workers may share a store.  Refreshes under way are finished before it returns.

        Args:
            once: Do what is due now, and return.
            concurrency: How many refreshes may be under way at once.
            per_host: How many of them at the host of one token endpoint.
            stop: Ends it, from another thread; None: it works on for ever.

        Raises:
            ConfigurationError: A number is out of range.
            StoreError: The store cannot be read when it begins; later it is waited for.
        """
        return self._desk.run_worker(once, concurrency, per_host, stop)

    @property
    def apps(self) -> Apps:
        """The apps that are registered at the providers: how they are, and a new secret for them."""
        return Apps(self._core)

    def close(self) -> None:
        """Wait for refreshes under way and let go of handles.  A later use opens them again."""
        self._core.close()

    def __enter__(self) -> Self:
        """Return the valet itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
