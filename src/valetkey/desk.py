"""What the methods of both valets do, in blocking functions: arguments are checked here, at the edge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from valetkey.errors import ConfigurationError, ReauthorizationRequired, StoreError
from valetkey.linking import Linking
from valetkey.model.connections import (
    Connection,
    ConnectionKey,
    Event,
    Page,
    Query,
    Record,
    State,
    Status,
)
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.names import check_named, listed
from valetkey.model.resources import check_resource
from valetkey.model.secret_names import token_secret_id
from valetkey.model.wiring import check_account, check_owner
from valetkey.paging import check_state, page_of
from valetkey.source import TokenSource
from valetkey.values import Secret

if TYPE_CHECKING:
    from concurrent.futures import Future

    from valetkey.engine.connect import AuthorizationStart
    from valetkey.engine.declared import DeclaredSecrets
    from valetkey.engine.disconnect import Disconnected
    from valetkey.engine.transfer import ImportReport
    from valetkey.engine.workplan import Happening, WorkerSummary
    from valetkey.interaction import Interaction
    from valetkey.model.credentials import AppCredentials
    from valetkey.protocol.authentication_request import AuthenticationRequest
    from valetkey.protocol.ciba import BackchannelRequest
    from valetkey.trading import Wish

How = Literal["browser", "device", "paste", "ciba"]
ANY = OAuth2Credential(name="any")
"""Stands for whichever credential where an owner is checked without one."""


class Desk(Linking):
    """Takes what callers ask for, checks it, and hands it to the engine."""

    def key(self, credential: str | Connection, owner: object, account: str) -> ConnectionKey:
        """Return the key that the arguments name, checked."""
        if isinstance(credential, Connection):
            return credential.key
        name = check_named(credential)
        declared = self.core.declarations.wiring.get(name) or OAuth2Credential(name=name)
        return ConnectionKey(self.core.env, name, check_owner(owner, declared), check_account(account))

    def source(self, credential: str, owner: object, account: str, resource: str | None = None) -> TokenSource:
        """Return the token source that the arguments name; a `resource` is checked at once where code declares it."""
        key = self.key(credential, owner, account)
        declared = self.core.declarations.wiring.get(key.credential)
        if resource is not None and (declared is not None or not resource):  # an empty one means no other token either
            check_resource(declared or ANY, resource)
        return self.core.source(key, resource or "")

    def secrets(self) -> DeclaredSecrets:
        """Return the secrets of this environment, token objects among them."""
        from valetkey.engine.declared import DeclaredSecrets  # noqa: PLC0415
        from valetkey.engine.secrets import TokenSecrets  # noqa: PLC0415

        core = self.core
        names = {c.token_secret_id: c.name for c in core.credentials()}
        service = TokenSecrets(
            core.store, core.sealer, core.env, core.secret_service, credential_by_token_secret_id=names.get
        )
        return DeclaredSecrets(service, core.declarations.secret)

    def save_app(self, credential: OAuth2Credential, app: AppCredentials) -> None:
        """Store app credentials, sealed, and the declaration where it is not code or a file that declares.

        Raises:
            ConfigurationError: They do not fit what was declared about them, or the place is read-only.
        """
        from valetkey.apps import keep  # noqa: PLC0415
        from valetkey.engine.app_replacing import forget_secrets  # noqa: PLC0415

        keep(self.core, credential, app)
        forget_secrets(self.core.world, self.core.env, credential)
        self.save_declaration(credential)

    def save_declaration(self, credential: OAuth2Credential) -> None:
        """Record a declaration of the command or the console; those of code and file are recorded by themselves."""
        if credential.source in {"command", "console"}:
            self.core.declarations.put(self.core.store, credential)

    # -- connecting

    def connect(
        self,
        credential: str,
        owner: object,
        account: str,
        scopes: Sequence[str],
        how: How,
        port: int | None,
        *,
        request: BackchannelRequest | AuthenticationRequest | None = None,
        params: Mapping[str, str] = EMPTY,
        interaction: Interaction | None = None,
        timeout: float = 300.0,
    ) -> Status:
        """Connect with the person at this machine."""
        from valetkey import connecting  # noqa: PLC0415 - a person is slower than an import
        from valetkey.engine.connect import connect_app  # noqa: PLC0415
        from valetkey.interaction import TerminalInteraction  # noqa: PLC0415
        from valetkey.protocol.authentication_request import NOTHING_SPECIAL, AuthenticationRequest  # noqa: PLC0415
        from valetkey.protocol.ciba import BackchannelRequest  # noqa: PLC0415

        named, key = self._declared(credential, owner, account)
        declared = self.own(named, key, params)
        if how not in {"browser", "device", "paste", "ciba"}:
            msg = f"how={how!r} is no way to connect"
            raise ConfigurationError(msg, code="how_unknown", hint='use how="browser", "device", "paste" or "ciba"')
        connecting.ensure_suitable(how, request)
        if declared.by_itself:
            return self._status(connect_app(self.core.world, declared, key, scopes=listed(scopes)))
        talk, wanted = interaction or TerminalInteraction(), listed(scopes)
        world, run = self.core.world, self.core.call
        special = request if isinstance(request, AuthenticationRequest) else NOTHING_SPECIAL
        if how == "browser":
            record = connecting.connect_browser(
                world,
                declared,
                key,
                scopes=wanted,
                port=port,
                interaction=talk,
                timeout=timeout,
                run=run,
                wants=special,
            )
        elif how == "device":
            record = connecting.connect_device(world, declared, key, scopes=wanted, interaction=talk)
        elif how == "ciba":
            asked = request if isinstance(request, BackchannelRequest) else BackchannelRequest()
            record = connecting.connect_backchannel(world, declared, key, scopes=wanted, wants=asked, interaction=talk)
        else:
            record = connecting.connect_paste(
                world, declared, key, scopes=wanted, interaction=talk, run=run, wants=special
            )
        return self._status(record)

    def authorize(
        self,
        credential: str,
        owner: object,
        account: str,
        scopes: Sequence[str],
        redirect_uri: str | None,
        *,
        only: bool = False,
        errand: Mapping[str, str] = EMPTY,
        wants: AuthenticationRequest | None = None,
        params: Mapping[str, str] = EMPTY,
    ) -> AuthorizationStart:
        """Begin a sign-in for a web application; `only`, `errand` and `wants` as in `start_authorization`."""
        from valetkey.engine.connect import start_authorization  # noqa: PLC0415
        from valetkey.protocol.authentication_request import NOTHING_SPECIAL  # noqa: PLC0415

        declared, key = self._declared(credential, owner, account)
        declared = self.own(declared, key, params)
        uri = redirect_uri or declared.redirect_uri or self.public_callback(declared)
        world, asked, special = self.core.world, listed(scopes), wants or NOTHING_SPECIAL
        return start_authorization(
            world,
            declared,
            key,
            scopes=asked,
            redirect_uri=uri,
            only=only,
            errand=errand,
            wants=special,
        )

    def connect_link(
        self,
        credential: str,
        owner: object,
        account: str,
        scopes: Sequence[str],
        return_to: str | None,
        expires_in: float,
        *,
        confirm: bool = False,
        params: Mapping[str, str] = EMPTY,
    ) -> str:
        """Make a page of ours where one person connects one account; see `Valet.connect_link`."""
        from valetkey.engine.public import addresses  # noqa: PLC0415

        core = self.core
        where = core.server_url or core.base_url or addresses(core.store, core.env).public
        if not where:
            raise ConfigurationError(
                "a connect link leads to a page of the server, and nobody said where that is",
                code="server_url_missing",
                hint='Valet(base_url="https://..."), the public address of create_app() or valetkey serve',
            )
        more: dict[str, Any] = {"confirm": confirm, "params": params, "by_program": True}
        made = self.new_link(self._declared(credential, owner, account)[1], scopes, return_to, expires_in, **more)
        return f"{where.rstrip('/')}/connect/{made.token.reveal()}"

    def confirm_link(self, link_id: str, code: Secret | str, owner: object) -> Status:
        """Let what came of a link become live; see `Valet.confirm_link`."""
        from valetkey.engine.confirming import confirm_link  # noqa: PLC0415

        said = code if isinstance(code, Secret) else Secret(code)
        return self._status(confirm_link(self.core.world, self.core.env, link_id, said, check_owner(owner, ANY)))

    def finish(self, callback_url: str, binding: Secret | str | None, owner: object) -> Status:
        """Finish a sign-in of a web application."""
        from valetkey.engine.connect import finish_authorization  # noqa: PLC0415

        whose = check_owner(owner, ANY)
        return self._status(finish_authorization(self.core.world, callback_url, binding=binding, owner=whose))

    def exchange(
        self, credential: str, subject: object, actor: object, wish: Wish, owner: object, account: str
    ) -> ConnectionKey:
        """Exchange a token; see `Valet.exchange`."""
        from valetkey.trading import exchange  # noqa: PLC0415

        return exchange(self.core, self.core.credential(check_named(credential)), subject, actor, wish, owner, account)

    # -- looking

    def connections(
        self,
        credential: str | None,
        owner: object,
        state: State | None,
        missing_scope: str | None,
        search: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Return a page of connections."""
        if not 1 <= limit <= 1000:  # noqa: PLR2004 - said in the message
            msg = f"limit={limit} is out of range"
            raise ConfigurationError(msg, code="limit_invalid", hint="use a limit from 1 to 1000")
        self._known(credential)
        check_state(state)
        query = Query(
            env=self.core.env,
            credential=credential,
            owner=check_owner(owner, ANY, kept=True),
            missing_scope=missing_scope,
            search=search,
        )
        return page_of(self.core, query, state, cursor, limit)

    def events(self, connection: Connection | str | None, after: int, limit: int) -> tuple[Event, ...]:
        """Return events, oldest first."""
        wanted = connection.id if isinstance(connection, Connection) else connection
        if limit < 1:  # some stores would take it for "none", others for "all"
            msg = f"limit={limit} is out of range"
            raise ConfigurationError(msg, code="limit_invalid", hint="use a limit of 1 or more, such as limit=100")
        return tuple(self.core.store.list_events(env=self.core.env, connection_id=wanted, after=after, limit=limit))

    # -- changing

    def disconnect(self, credential: str | Connection, owner: object, account: str) -> Disconnected:
        """Disconnect one connection."""
        return self.core.disconnect(self._declared(credential, owner, account)[1])

    def rename(self, credential: str | Connection, owner: object, account: str, to: str) -> Status:
        """Give a connection another account label."""
        declared, key = self._declared(credential, owner, account)
        record = self.core.store.load(key)
        if record is None:
            msg = f"there is no connection {key}"
            raise ConfigurationError(msg, code="connection_unknown", hint="see: valetkey connections")
        new = ConnectionKey(key.env, key.credential, key.owner, check_account(to))
        secret_id = token_secret_id(declared.token_secret_id, new.owner, new.account)
        if new != key and not self.core.store.rename(record, new, secret_id):
            msg = f"{key} cannot be renamed: {new} exists already"
            raise ConfigurationError(
                msg, code="account_taken", hint="disconnect the other one first, or choose a label"
            )
        self.core.source(key).expire()
        return self.core.status(new)

    def forget(self, owner: object, *, actor: str = "") -> tuple[Disconnected, ...]:
        """Revoke and erase everything of an owner; `actor` asked for it, where it is not this face as such."""
        from valetkey.engine.disconnect import forget  # noqa: PLC0415

        whose = check_owner(owner, ANY, kept=True)
        if whose is None:
            msg = "forget() needs an owner: the program's own connections are disconnected one by one"
            raise ConfigurationError(msg, code="owner_required", hint="valet.disconnect(credential)")
        return tuple(forget(self.core.acting(actor), whose, self.core.env))

    def import_grants(
        self, rows: Iterable[Mapping[str, Any]], *, dry_run: bool, on_conflict: Literal["skip", "newer"]
    ) -> ImportReport:
        """Take over grants from elsewhere."""
        from valetkey.engine.transfer import import_grants  # noqa: PLC0415

        return import_grants(self.core.world, self.core.env, rows, dry_run=dry_run, on_conflict=on_conflict)

    def export(self, credential: str | None, owner: object, *, include_tokens: bool) -> Iterator[dict[str, Any]]:
        """Return connections as rows."""
        from valetkey.engine.transfer import export_grants  # noqa: PLC0415

        self._known(credential)
        return export_grants(
            self.core.world,
            self.core.env,
            credential=credential,
            owner=check_owner(owner, ANY, kept=True),
            include_tokens=include_tokens,
        )

    # -- working

    def run_worker(
        self,
        once: bool,
        concurrency: int,
        per_host: int,
        stop: threading.Event | None,
        *,
        leave: threading.Event | None = None,
        tell: Callable[[Happening], object] | None = None,
        on_dead: Callable[[ConnectionKey, ReauthorizationRequired], object] | None = None,
    ) -> WorkerSummary:
        """Work until `stop` or `leave` is set; `tell` stands in for the log, `on_dead` for `Core.told`."""
        from valetkey.working import run_worker  # noqa: PLC0415 - most valets are no workers

        return run_worker(
            self.core,
            once=once,
            concurrency=concurrency,
            per_host=per_host,
            stops=[event for event in (stop, leave) if event is not None],
            tell=tell,
            on_dead=on_dead or self.core.told,
        )

    async def arun_worker(
        self, once: bool, concurrency: int, per_host: int, stop: threading.Event | None
    ) -> WorkerSummary:
        """Do what `run_worker` does in a thread; a cancelled task ends it, and refreshes under way are finished."""
        import asyncio  # noqa: PLC0415 - only programs that have an event loop pay for it

        from valetkey.working import not_told  # noqa: PLC0415 - most valets are no workers

        loop, leave = asyncio.get_running_loop(), threading.Event()
        telling: list[Future[None]] = []

        async def tell(key: ConnectionKey, error: ReauthorizationRequired) -> None:
            try:
                await self.core.atold(key, error)
            except StoreError as trouble:
                not_told(key, trouble)

        def on_dead(key: ConnectionKey, error: ReauthorizationRequired) -> None:
            told = tell(key, error)
            try:
                telling.append(asyncio.run_coroutine_threadsafe(told, loop))
            except RuntimeError:  # the loop is closed: the task was cancelled, and nobody listens any more
                told.close()

        def run() -> WorkerSummary:
            return self.run_worker(once, concurrency, per_host, stop, leave=leave, on_dead=on_dead)

        try:
            summary = await self.core.beside(run)
        finally:
            leave.set()
        await asyncio.gather(*map(asyncio.wrap_future, telling))
        return summary

    def _known(self, credential: str | None) -> None:
        """Refuse to filter by a credential that is not declared: a typing mistake must not look like "nothing"."""
        if credential is not None:
            self.core.credential(credential)

    def _declared(
        self, credential: str | Connection, owner: object, account: str
    ) -> tuple[OAuth2Credential, ConnectionKey]:
        """Return the declaration and the key, with the declaration's own rules about owners checked."""
        key = self.key(credential, owner, account)
        declared = self.core.credential(key.credential)
        check_owner(key.owner, declared, kept=True)  # one that was given by name is checked
        return declared, key

    def _status(self, record: Record) -> Status:
        return self.core.status(record.key)
