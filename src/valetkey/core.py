"""What both valets hold together: store, sealing, secrets, declarations, HTTP, flights and the token sources."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from valetkey.clock import SystemClock
from valetkey.engine.world import World
from valetkey.errors import AmbiguousAccount, ConfigurationError, NotConnected, ReauthorizationRequired, ValetkeyError
from valetkey.flights import Flights
from valetkey.http import Http, HttpEndpoint
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Document, Page, Query, Record, Status
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.names import DEFAULT_ENV
from valetkey.model.ports import Clock, Sealer, SecretService, Store
from valetkey.model.wiring import (
    Wiring,
    current_env,
    default_wiring,
    find_credential,
    from_declaration,
    to_declaration,
)
from valetkey.source import LOOK_LOCAL, TokenSource

if TYPE_CHECKING:
    import httpx2

    from valetkey.engine.disconnect import Disconnected
    from valetkey.model.secrets import SecretDeclaration
T = TypeVar("T")
_log = get_logger("core")
DECLARATION = "declaration"
KEPT = 1024
"""How many token sources stay in memory although no client holds them."""
Where = str | os.PathLike[str] | Store | SecretService | None
OnReauthorize = Callable[[ReauthorizationRequired], Any]


class Core:
    """The inside of a valet.  Building it costs no I/O; the store is opened when it is first needed."""

    def __init__(
        self,
        store: Where = None,
        *,
        env: str | None = None,
        secrets: SecretService | None = None,
        wiring: Wiring | None = None,
        key: object = None,
        base_url: str | None = None,
        http: httpx2.Client | httpx2.AsyncClient | None = None,
        on_reauthorize: OnReauthorize | None = None,
        clock: Clock | None = None,
        actor: str = "library",
        one_shot: bool = False,
        app_credentials: AppCredentials | None = None,
    ) -> None:
        self.env = current_env(env)
        self.clock: Clock = clock or SystemClock()
        self.base_url = base_url
        self.one_shot = one_shot
        self.flights = Flights()
        self.http = Http(http)
        self._where = store
        self._key_choice = key
        self._given_secrets = secrets
        self._wiring = wiring
        self._file: Wiring | None = None
        self._app_credentials = app_credentials
        self._on_reauthorize = on_reauthorize
        self._actor = actor
        self._lock = threading.RLock()
        self._world: World | None = None
        self._stored: dict[str, OAuth2Credential] = {}
        self._sources: weakref.WeakValueDictionary[ConnectionKey, TokenSource] = weakref.WeakValueDictionary()
        self._kept: dict[int, TokenSource] = {}
        self._looked: tuple[float, object] = (float("-inf"), None)
        self._told: dict[str, tuple[int, int, str]] = {}
        _cores.add(self)

    @classmethod
    def of_one(
        cls,
        app_credentials: AppCredentials,
        credential: OAuth2Credential,
        secret_service: SecretService | Store,
        token_secret_id: str,
    ) -> Core:
        """Return a core for one credential over a secret service of the program's own."""
        wiring = Wiring()
        wiring.add(replace(credential, token_secret_id=token_secret_id))
        return cls(secret_service, wiring=wiring, app_credentials=app_credentials)

    # -- the outside world, opened when first needed

    @property
    def world(self) -> World:
        """The engine's world."""
        return self._world or self._open()

    @property
    def store(self) -> Store:
        """The store."""
        return self.world.store

    @property
    def sealer(self) -> Sealer:
        """What seals and opens grants."""
        return self.world.sealer

    def _open(self) -> World:
        from valetkey.keys import open_keys  # noqa: PLC0415 - a valet that is only declared opens nothing
        from valetkey.model.sealing import ServiceSealer, Vault  # noqa: PLC0415
        from valetkey.stores import open_store  # noqa: PLC0415

        with self._lock:
            if self._world is not None:
                return self._world
            store = open_store(self._place(), clock=self.clock)
            sealed = getattr(store, "seals", True)
            ledger = store if sealed else getattr(store, "ledger", store)
            self.keys = open_keys(self._key_choice, store=ledger)
            self.vault = Vault(ledger, self.keys, clock=self.clock)
            sealer = self.vault if sealed else ServiceSealer(self.vault)
            self._record_declarations(store)
            self._world = World(
                store=store,
                sealer=sealer,
                endpoint=HttpEndpoint(self.http, self.clock),
                clock=self.clock,
                credential=self.credential,
                app=self.app,
                nonce=lambda: os.urandom(16).hex(),
                pulse=self.flights.pulse,
                actor=self._actor,
                changed=self._changed,
            )
            return self._world

    def _place(self) -> Where:
        """Return where the store is: the embedded one has a folder, and so a master key, for each environment."""
        if self._where is not None or self.env == DEFAULT_ENV:
            return self._where
        from urllib.parse import quote  # noqa: PLC0415

        from valetkey.stores import default_path  # noqa: PLC0415

        usual = default_path()
        return usual.parent / "environments" / quote(self.env, safe="") / usual.name

    @property
    def wiring(self) -> Wiring:
        """What the program declares in code: the registry that was given, else the default one."""
        return default_wiring() if self._wiring is None else self._wiring

    @property
    def file(self) -> Wiring:
        """What ``valetkey.toml`` declares; nothing where the program brought a registry of its own."""
        if self._file is None:
            from valetkey.model.wiring_files import find_wiring_file, load_wiring_file  # noqa: PLC0415

            path = find_wiring_file() if self._wiring is None else None
            self._file = load_wiring_file(path, env=self.env) if path else Wiring()
        return self._file

    def _declared(self) -> dict[str, OAuth2Credential]:
        """Return what code and file declare, by name: code goes before file."""
        return {c.name: c for wiring in (self.file, self.wiring) for c in wiring.credentials()}

    def _record_declarations(self, store: Store) -> None:
        """Let the store know what the program declares, so that command and console do too."""
        for credential in self._declared().values():
            body = {"source": credential.source, "fields": to_declaration(credential)}
            known = store.get_document(DECLARATION, credential.name, env=self.env)
            if known is None or dict(known.body) != body:
                store.put_document(Document(kind=DECLARATION, env=self.env, id=credential.name, body=body))

    # -- declarations and app credentials

    def credential(self, name: str) -> OAuth2Credential:
        """Return the declared credential with that name: code, then ``valetkey.toml``, then the store.

        Raises:
            ConfigurationError: Nobody declared it (``unknown_credential``); the nearest name is suggested.
        """
        return self.wiring.get(name) or self.file.get(name) or self._stored.get(name) or self._from_store(name)

    def _from_store(self, name: str) -> OAuth2Credential:
        store = self.store
        document = store.get_document(DECLARATION, name, env=self.env)
        if document is None:
            raise find_credential(name, (credential.name for credential in self.credentials()))
        credential = from_declaration(name, dict(document.body["fields"]), source=document.body.get("source", "code"))
        self._stored[name] = credential
        return credential

    def credentials(self) -> tuple[OAuth2Credential, ...]:
        """Return all declared credentials, by name."""
        declared = self._declared()
        for document in self.store.list_documents(DECLARATION, env=self.env):
            if document.id not in declared:
                declared[document.id] = self._from_store(document.id)
        return tuple(declared[name] for name in sorted(declared))

    def forget_declaration(self, name: str) -> None:
        """Drop what this process remembers of a stored declaration."""
        self._stored.pop(name, None)

    @property
    def secret_service(self) -> SecretService:
        """Where app credentials and other secrets are: the service that was given, then the sealed store."""
        from valetkey.engine.secrets import ChainSecrets, StoreSecrets  # noqa: PLC0415

        self._open()
        ledger = getattr(self.store, "ledger", self.store)
        own = StoreSecrets(ledger, self.vault, self.env)
        return own if self._given_secrets is None else ChainSecrets(self._given_secrets, own)

    def secret_declaration(self, secret_id: str) -> SecretDeclaration | None:
        """Return what was declared about a secret, by its id or its name; of an app's secret, what is usual."""
        declared = [secret for wiring in (self.wiring, self.file) for secret in wiring.secrets()]
        for secret in (
            *(s for s in declared if s.secret_id == secret_id),
            *(s for s in declared if s.name == secret_id),
        ):
            return secret
        credential = next((c for c in self.credentials() if c.secret_id == secret_id), None)
        return None if credential is None else self.wiring.app_secret(credential)

    def app(self, credential: OAuth2Credential) -> AppCredentials:
        """Read the app credentials of a credential, anew each time."""
        if self._app_credentials is not None:
            return self._app_credentials
        from valetkey.engine.secrets import resolve_app  # noqa: PLC0415

        return resolve_app(credential, services=(self.secret_service,), environ=os.environ)

    # -- tokens

    def source(self, key: ConnectionKey) -> TokenSource:
        """Return the token source of a connection; clients of the same connection share it."""
        source = self._sources.get(key)
        if source is None:
            source = self._sources.setdefault(key, TokenSource(self, key))
            self._keep(source)
        return source

    def _keep(self, source: TokenSource) -> None:
        """Keep the latest sources alive: a web application makes its clients anew for each request."""
        self._kept[id(source)] = source
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def unchanged(self, mark: object) -> bool:
        """Whether nothing was committed since `mark`.  The store itself is asked four times a second at most (R0)."""
        now = self.clock.monotonic()
        at, seen = self._looked
        if now - at >= LOOK_LOCAL:
            seen = self.store.change_mark()
            self._looked = (now, seen)
        return seen == mark

    def _changed(self, record: Record) -> None:
        """Have whoever holds the token of a connection that this process changed look again."""
        self._looked = (float("-inf"), None)
        source = self._sources.get(record.key)
        if source is not None:
            source.expire()

    def own_source(self, credential: str) -> TokenSource:
        """Return the token source of the program's own default account."""
        return self.source(ConnectionKey(self.env, credential))

    def async_client(self) -> httpx2.AsyncClient:
        """Return the shared HTTP client of the running event loop."""
        from asyncio import get_running_loop  # noqa: PLC0415 - only programs that have an event loop pay for it

        return self.http.client_of(get_running_loop())

    # -- what faces ask for

    def status(self, key: ConnectionKey) -> Status:
        """Return how a connection is."""
        return self._status(key, self.store.load(key))

    def statuses(self, query: Query, cursor: str | None, limit: int) -> Page:
        """Return a page of connections."""
        page = self.store.list(query, cursor=cursor, limit=limit)
        return Page(tuple(self._status(record.key, record) for record in page.items), page.cursor)

    def _status(self, key: ConnectionKey, record: Record | None) -> Status:
        from valetkey.engine.status import status_of  # noqa: PLC0415 - tokens are asked for more often

        credential = self.credential(key.credential)
        return status_of(key, record, credential, now=self.clock.now(), app_error=self._app_error(credential))

    def _app_error(self, credential: OAuth2Credential) -> str:
        """Return why the app cannot be used, empty when it can."""
        try:
            app = self.app(credential)
        except ConfigurationError as error:
            return error.code
        from valetkey.engine.apps import app_state  # noqa: PLC0415

        state = app_state(self.world, self.env, credential)
        if state is None or state.body.get("fingerprint") != app.fingerprint():
            return ""
        return str(state.body.get("error") or "client_rejected")

    def disconnect(self, key: ConnectionKey) -> Disconnected:
        """Disconnect one connection and tell what happened."""
        from valetkey.engine.disconnect import disconnect  # noqa: PLC0415

        return disconnect(self.world, self.credential(key.credential), key)

    # -- errors on their way to the caller

    def told(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Return the error as this caller gets it, after `on_reauthorize` was called where it is news."""
        mine = self._for_caller(key, error)
        if self._is_news(mine):
            with self._callback_guarded():
                self._tell(mine)
        return mine

    async def atold(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Do what `told` does off the event loop, and await what the callback returns."""
        mine, news = await self.in_flight(lambda: self._with_news(self._for_caller(key, error)))
        if news:
            with self._callback_guarded():
                answer = self._tell(mine)
                if hasattr(answer, "__await__"):
                    await answer
        return mine

    def _tell(self, error: ValetkeyError) -> Any:
        return self._on_reauthorize(error) if self._on_reauthorize is not None else None  # type: ignore[arg-type]

    @contextmanager
    def _callback_guarded(self) -> Generator[None]:
        """Keep a callback that fails from hiding the error that it was told of."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is the program's own code
            _log.warning(
                "on_reauthorize raised %s; the connection's error is raised all the same", type(error).__name__
            )

    def _with_news(self, error: ValetkeyError) -> tuple[ValetkeyError, bool]:
        return error, self._is_news(error)

    def _for_caller(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Return a copy (the flight's own is raised in many threads); say so if accounts exist and none was named."""
        mine = copy.copy(error)
        if isinstance(mine, NotConnected) and not key.account and (accounts := self._accounts(key)):
            named = ", ".join(repr(account) for account in accounts)
            return AmbiguousAccount(
                f"{key} has the accounts {named} and the call named none",
                accounts=accounts,
                hint=f"name one: valet.client({key.credential!r}, account={accounts[0]!r})",
            )
        return mine

    def _accounts(self, key: ConnectionKey) -> tuple[str, ...]:
        query = Query(env=key.env, credential=key.credential, owner=key.owner, own=key.owner is None)
        page = self.store.list(query, limit=20)
        return tuple(record.key.account for record in page.items if record.sealed is not None and record.key.account)

    def _is_news(self, error: ValetkeyError) -> bool:
        """Whether this is a change that was not told yet: once per connection, incarnation and version."""
        if self._on_reauthorize is None or not isinstance(error, ReauthorizationRequired):
            return False
        connection_id = str(getattr(error.connection, "id", ""))
        found = self.store.find(connection_id) if connection_id else None
        if found is None:
            return False
        change = (found.incarnation, found.version, error.reason)
        with self._lock:
            news = self._told.get(found.id) != change
            self._told[found.id] = change
        return news

    # -- flights

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in a flight and wait: it goes on if this thread is interrupted."""
        return self.flights.call(function).result()

    async def in_flight(self, function: Callable[[], T]) -> T:
        """Run a blocking function in a flight and await it: it goes on if this task is cancelled."""
        from valetkey.bridge import landing  # noqa: PLC0415 - only programs that have an event loop pay for it

        return await landing(self.flights.call(function))

    async def beside(self, function: Callable[[], T]) -> T:
        """Run a function that waits for a person in a thread which does not hold up the end of the interpreter."""
        from valetkey.bridge import landing  # noqa: PLC0415

        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)

        threading.Thread(target=run, name="valetkey-person", daemon=True).start()
        return await landing(future)

    async def in_background(self, function: Callable[[], T]) -> T:
        """Run a blocking function in the loop's own threads: for what waits for the flights themselves."""
        from asyncio import to_thread  # noqa: PLC0415

        return await to_thread(function)

    def close(self) -> None:
        """Wait for the flights under way, and let go of clients and handles.  Using the valet opens them again."""
        self.flights.close()
        self.http.close()
        if self._world is not None:
            self._world.store.close()

    def after_fork(self) -> None:
        """Start anew in a forked child: nothing inherited is used or closed (store handles see to themselves)."""
        self._lock = threading.RLock()
        self._looked = (float("-inf"), None)
        self._world = None if self._world is None else _with_pulse(self._world, self.flights)
        self.http.reset()
        for source in list(self._sources.values()):
            source.expire()


def _with_pulse(world: World, flights: Flights) -> World:
    return replace(world, pulse=flights.pulse)


_cores: weakref.WeakSet[Core] = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_cores):
        core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
