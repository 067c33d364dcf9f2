"""The valets: they hold store, key, declarations and HTTP client together.  `Valet` blocks, `AsyncValet` awaits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from valetkey.client import AsyncOAuth2Client, OAuth2Client, client_of, like
from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.errors import ReauthorizationRequired
from valetkey.model.connections import Connection, Event, Page, Status, StoredState
from valetkey.model.ports import Clock, KeyProvider, SecretService, Store
from valetkey.model.wiring import Wiring
from valetkey.values import Secret

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path
    from types import TracebackType

    import httpx2

    from valetkey.engine.connect import AuthorizationStart
    from valetkey.engine.declared import DeclaredSecrets
    from valetkey.engine.disconnect import Disconnected
    from valetkey.engine.transfer import ImportReport
    from valetkey.engine.workplan import WorkerSummary

How = Literal["browser", "device", "paste"]
Owner = Any
"""An owner: a non-empty string, an int or a UUID; None for the program's own."""


class _Valet:
    """What both valets are."""

    def __init__(
        self,
        store: str | PathLike[str] | Store | SecretService | None = None,
        *,
        env: str | None = None,
        secrets: SecretService | None = None,
        wiring: Wiring | None = None,
        key: str | bytes | Path | KeyProvider | None = None,
        base_url: str | None = None,
        http: httpx2.Client | httpx2.AsyncClient | None = None,
        on_reauthorize: Callable[[ReauthorizationRequired], Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up; nothing is opened before it is needed.

        Args:
            store: Where connections live: None for the embedded SQLite in the user's data folder (one file and one
                master key for each environment), a path, a URL, a store, or a plain secret service (whose claims then
                live in the embedded SQLite).
            env: The environment; default ``VALETKEY_ENV``, else ``default``.
            secrets: Where app credentials are looked for before the sealed store.
            wiring: A registry of your own instead of the default one and ``valetkey.toml``.
            key: The master key or where it is; default ``VALETKEY_KEY``, ``VALETKEY_KEY_FILE``, else a file beside
                the embedded store.
            base_url: The public address under which the application takes callbacks: ``.../callback/<credential>``.
            http: An HTTP client of your own for API calls (a blocking one also for token endpoints).
            on_reauthorize: Called once when a connection needs a person, with the error that tells why.
            clock: Time, for tests.
        """
        self._core = Core(
            store,
            env=env,
            secrets=secrets,
            wiring=wiring,
            key=key,
            base_url=base_url,
            http=http,
            on_reauthorize=on_reauthorize,
            clock=clock,
        )
        self._desk = Desk(self._core)

    @property
    def env(self) -> str:
        """The environment whose connections this valet holds."""
        return self._core.env

    @property
    def secrets(self) -> DeclaredSecrets:
        """The secrets of this environment: app credentials, declared secrets, and the token objects.

        A secret service whose values are checked against what `wire_secret` declared; its calls block.
        """
        return self._desk.secrets()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(env={self.env!r})"


class Valet(_Valet):
    """Keeps the connections of a program, and hands out clients for them.

    Safe at module level, for threads, and after a fork.  Use it in a ``with`` block or call `close` where you want to
    wait for refreshes under way; the interpreter waits for them in any case.
    """

    def client(
        self, credential: str, *, owner: Owner = None, account: str = "", scopes: Sequence[str] = ()
    ) -> OAuth2Client:
        """Return a client for a connection.  It costs nothing: no I/O, nothing to close.

        Args:
            credential: The declared name.
            owner: Whose connection it is in your program; None for the program's own.
            account: The label of one of several accounts of that owner.
            scopes: Scopes that every use demands, or `ScopesMissing` is raised.

        Raises:
            ConfigurationError: The owner is empty or of a wrong type, or one is required.
        """
        return client_of(OAuth2Client, self._core, self._desk.source(credential, owner, account), scopes)

    def connect(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        how: How = "browser",
        port: int | None = None,
    ) -> Status:
        """Connect an account with the person at this machine, and return the connection's status.

        ``browser`` opens the browser and listens on 127.0.0.1 (RFC 8252), on `port` or any free one; ``device`` shows a
        code to enter anywhere (RFC 8628); ``paste`` shows an address to open anywhere and takes the address that the
        browser landed on.  A client-credentials credential needs no person and is connected at once.

        Raises:
            ConnectError: It did not end well; the code says why, the hint what to do.
            ProviderError: The provider does not answer, or does not accept the app.
        """
        return self._desk.connect(credential, owner, account, scopes, how, port)

    def authorize(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        redirect_uri: str | None = None,
    ) -> AuthorizationStart:
        """Begin a sign-in for a web application: send the person to ``url``, set ``binding`` as a cookie.

        The redirect URI is the given one, else the declared one, else ``<base_url>/callback/<credential>``.
        """
        return self._core.call(lambda: self._desk.authorize(credential, owner, account, scopes, redirect_uri))

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
        state: StoredState | None = None,
        missing_scope: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Return a page of connections in the order of credential, owner and account; None does not filter."""
        return self._desk.connections(credential, owner, state, missing_scope, search, cursor, limit)

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


class AsyncValet(_Valet):
    """Keeps the connections of an async program, and hands out clients for them.

    Safe at module level, for several event loops, and after a fork.  The blocking work runs in threads of its own,
    which a cancelled task does not touch.
    """

    @like(Valet.client)
    def client(
        self, credential: str, *, owner: Owner = None, account: str = "", scopes: Sequence[str] = ()
    ) -> AsyncOAuth2Client:
        return client_of(AsyncOAuth2Client, self._core, self._desk.source(credential, owner, account), scopes)

    @like(Valet.connect)
    async def connect(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        how: How = "browser",
        port: int | None = None,
    ) -> Status:
        return await self._core.beside(lambda: self._desk.connect(credential, owner, account, scopes, how, port))

    @like(Valet.authorize)
    async def authorize(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        redirect_uri: str | None = None,
    ) -> AuthorizationStart:
        return await self._core.in_flight(
            lambda: self._desk.authorize(credential, owner, account, scopes, redirect_uri)
        )

    @like(Valet.finish)
    async def finish(self, callback_url: str, *, binding: Secret | str | None, owner: Owner = None) -> Status:
        return await self._core.in_flight(lambda: self._desk.finish(callback_url, binding, owner))

    @like(Valet.connections)
    async def connections(
        self,
        *,
        credential: str | None = None,
        owner: Owner = None,
        state: StoredState | None = None,
        missing_scope: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        return await self._core.in_flight(
            lambda: self._desk.connections(credential, owner, state, missing_scope, search, cursor, limit)
        )

    @like(Valet.disconnect)
    async def disconnect(self, credential: str | Connection, *, owner: Owner = None, account: str = "") -> Disconnected:
        return await self._core.in_flight(lambda: self._desk.disconnect(credential, owner, account))

    @like(Valet.rename)
    async def rename(self, credential: str | Connection, *, to: str, owner: Owner = None, account: str = "") -> Status:
        return await self._core.in_flight(lambda: self._desk.rename(credential, owner, account, to))

    @like(Valet.forget)
    async def forget(self, owner: Owner) -> tuple[Disconnected, ...]:
        return await self._core.in_flight(lambda: self._desk.forget(owner))

    @like(Valet.import_grants)
    async def import_grants(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        on_conflict: Literal["skip", "newer"] = "skip",
    ) -> ImportReport:
        return await self._core.in_flight(
            lambda: self._desk.import_grants(rows, dry_run=dry_run, on_conflict=on_conflict)
        )

    @like(Valet.export)
    async def export(
        self, *, credential: str | None = None, owner: Owner = None, include_tokens: bool = False
    ) -> Iterator[dict[str, Any]]:
        rows = await self._core.in_flight(
            lambda: list(self._desk.export(credential, owner, include_tokens=include_tokens))
        )
        return iter(rows)

    @like(Valet.events)
    async def events(
        self, *, connection: Connection | str | None = None, after: int = 0, limit: int = 100
    ) -> tuple[Event, ...]:
        return await self._core.in_flight(lambda: self._desk.events(connection, after, limit))

    @like(Valet.run_worker)
    async def run_worker(
        self, *, once: bool = False, concurrency: int = 8, per_host: int = 4, stop: threading.Event | None = None
    ) -> WorkerSummary:
        return await self._desk.arun_worker(once, concurrency, per_host, stop)

    @like(Valet.close)
    async def close(self) -> None:
        from asyncio import get_running_loop  # noqa: PLC0415

        await self._core.http.aclose(get_running_loop())
        await self._core.in_background(self._core.close)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """Serve as the lifespan of an ASGI application: it waits for refreshes under way before it closes."""
        try:
            yield
        finally:
            await self.close()

    async def __aenter__(self) -> Self:
        """Return the valet itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
