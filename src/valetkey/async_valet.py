"""The asynchronous valet: the twin of `Valet`, whose methods are awaited."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from valetkey._valet import BaseValet
from valetkey.apps import AsyncApps
from valetkey.client import AsyncOAuth2Client, client_of, like
from valetkey.forks import late_imports
from valetkey.model.connections import Connection, Event, Page, State, Status
from valetkey.values import Secret

if TYPE_CHECKING:
    from types import TracebackType

    from valetkey.assertions import Supplier
    from valetkey.client import OAuth2Client
    from valetkey.engine.connect import AuthorizationStart
    from valetkey.engine.disconnect import Disconnected
    from valetkey.engine.transfer import ImportReport
    from valetkey.engine.workplan import WorkerSummary
    from valetkey.protocol.authentication_request import AuthenticationRequest
    from valetkey.protocol.ciba import BackchannelRequest

from valetkey.valet import How, Owner, Valet


class AsyncValet(BaseValet):
    """Keeps the connections of an async program, and hands out clients for them.

    Safe at module level, for several event loops, and after a fork.  The blocking work runs in threads of its own,
    which a cancelled task does not touch.
    """

    @like(Valet.client)
    def client(
        self,
        credential: str,
        *,
        owner: Owner = None,
        account: str = "",
        scopes: Sequence[str] = (),
        resource: str | None = None,
    ) -> AsyncOAuth2Client:
        return client_of(AsyncOAuth2Client, self._core, self._desk.source(credential, owner, account, resource), scopes)

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
        request: BackchannelRequest | AuthenticationRequest | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Status:
        connect, own = self._desk.connect, params or {}
        return await self._core.beside(
            lambda: connect(credential, owner, account, scopes, how, port, request=request, params=own)
        )

    @like(Valet.exchange)
    async def exchange(
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
    ) -> AsyncOAuth2Client:
        with late_imports:
            from valetkey.trading import wish_of  # noqa: PLC0415 - most programs exchange nothing

        wish = wish_of(audience, resource, scopes, subject_type, actor, actor_type, requested_type)
        exchange = self._desk.exchange
        key = await self._core.in_flight(lambda: exchange(credential, subject, actor, wish, owner, account))
        return client_of(AsyncOAuth2Client, self._core, self._core.source(key))

    @like(Valet.supply_assertions)
    def supply_assertions(self, credential: str, supply: Supplier) -> None:
        self._core.suppliers[credential] = supply

    @like(Valet.connect_link)
    async def connect_link(
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
        link, own = self._desk.connect_link, params or {}
        return await self._core.in_flight(
            lambda: link(credential, owner, account, scopes, return_to, expires_in, confirm=confirm, params=own)
        )

    @like(Valet.confirm_link)
    async def confirm_link(self, session: str, code: Secret | str, *, owner: Owner) -> Status:
        return await self._core.in_flight(lambda: self._desk.confirm_link(session, code, owner))

    @like(Valet.authorize)
    async def authorize(
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
        desk = self._desk
        return await self._core.in_flight(
            lambda: desk.authorize(credential, owner, account, scopes, redirect_uri, wants=request, params=params or {})
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
        state: State | None = None,
        missing_scope: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        return await self._core.in_flight(
            lambda: self._desk.connections(credential, owner, state, missing_scope, search, cursor, limit)
        )

    @like(Valet.look_up)
    async def look_up(
        self,
        credential: str | Connection,
        *,
        owner: Owner = None,
        account: str = "",
        choose: Mapping[str, str] | None = None,
    ) -> Status:
        desk = self._desk
        return await self._core.in_flight(lambda: desk.look_up(desk.key(credential, owner, account), choose or {}))

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

    @property
    def apps(self) -> AsyncApps:
        """The apps that are registered at the providers: how they are, and a new secret for them."""
        return AsyncApps(self._core)

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
