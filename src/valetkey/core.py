"""What both valets hold together: store, sealing, secrets, declarations, HTTP, flights and the token sources."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from valetkey.app_source import app_of, client_document_url, secret_of
from valetkey.assertions import Supplier, assertion_for
from valetkey.clock import SystemClock
from valetkey.declarations import Declarations
from valetkey.engine.world import World
from valetkey.errors import StoreUnavailable, ValetkeyError
from valetkey.flights import Flights
from valetkey.forks import late_imports
from valetkey.http import Http
from valetkey.model.connections import ConnectionKey, Page, Query, Record, Status
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.names import DEFAULT_ENV, current_env, folder_of_env
from valetkey.model.ports import Clock, Sealer, SecretService, Store
from valetkey.model.registry import Wiring
from valetkey.news import News, OnReauthorize
from valetkey.source import LOOK_LOCAL, TokenSource

if TYPE_CHECKING:
    import httpx2

    from valetkey.engine.disconnect import Disconnected

T = TypeVar("T")
KEPT = 1024
"""How many token sources stay in memory although no client holds them: web applications make clients per request."""
Where = str | os.PathLike[str] | Store | SecretService | None


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
        self.ticks: Callable[[], float] = getattr(self.clock, "ticks", self.clock.monotonic)
        self.base_url = base_url
        self.server_url: str | None = None  # these two are what `create_app` was told
        self.return_urls: tuple[str, ...] = ()
        self.one_shot = one_shot
        self.flights = Flights()
        self.http = Http(http)
        self._where = store
        self._key_choice = key
        self.given_secrets = secrets
        self.declarations = Declarations(self.env, wiring, lambda: self.store)
        self.given_app = app_credentials
        self.suppliers: dict[str, Supplier] = {}
        self.news = News(on_reauthorize, lambda: self.store)
        self._actor = actor
        self._lock = threading.RLock()
        self._world: World | None = None
        self._sources: weakref.WeakValueDictionary[ConnectionKey, TokenSource] = weakref.WeakValueDictionary()
        self._kept: deque[TokenSource] = deque(maxlen=KEPT)
        self._looked: tuple[float, object] = (float("-inf"), None)
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
        with self._lock:
            if self._world is not None:
                return self._world
            world = self._world = self._made()
        if not world.store.local:  # outside the lock: a flight has locks of its own
            self.flights.run(("replay", self.env), self._replay_at_start)
        return world

    def _made(self) -> World:
        """Make the world.  No I/O while imports are held up: a fork waits for those, and they would wait for it."""
        with late_imports:
            from valetkey import host  # noqa: PLC0415
            from valetkey.apps import keep  # noqa: PLC0415
            from valetkey.keys import open_keys  # noqa: PLC0415 - a valet that is only declared opens nothing
            from valetkey.model.sealing import ServiceSealer, Vault  # noqa: PLC0415
            from valetkey.stores import open_store  # noqa: PLC0415

            store = open_store(self._place(), clock=self.clock)
            sealed = getattr(store, "seals", True)
            ledger = store if sealed else getattr(store, "ledger", store)
            self.keys = open_keys(self._key_choice, store=ledger)
            self.vault = Vault(ledger, self.keys, clock=self.clock)
            self.holders = host.open_holders(store, clock=self.clock)
            self._bringer = host.Bringer(self._replay)
            journal = host.open_journal(store, ledger, self.keys, clock=self.clock, left=self._bringer.start)
        self.declarations.record(store)
        if not self.one_shot:  # one that lives for a moment need not hear what comes after, nor say how it is
            store.watch(self._heard)
            self.vault.looked = host.open_presence(store, self.keys, journal, clock=self.clock, run=self.flights.call)
        return World(
            store=store,
            sealer=self.vault if sealed else ServiceSealer(self.vault),
            endpoint=host.open_endpoint(self.http, self.clock),
            clock=self.clock,
            credential=self.credential,
            app=self.app,
            nonce=self.holders.name,
            pulse=self.flights.pulse,
            actor=self._actor,
            changed=self._changed,
            fate=self.holders.fate,
            journal=journal,
            keep_app=lambda credential, app: keep(self, credential, app),
            client_document=lambda credential: client_document_url(self, credential),
            assertion=lambda credential, key: assertion_for(self, credential, key),
            secret=lambda secret_id: secret_of(self, secret_id),
        )

    def _replay_at_start(self) -> None:
        """Bring what an earlier process of this host could not bring to the store any more."""
        try:
            self._replay()
        except StoreUnavailable:
            self._bringer.start()

    def _replay(self) -> None:
        with late_imports:
            from valetkey.engine.replay import replay_all  # noqa: PLC0415 - a store on this host needs none of it

        replay_all(self.world)

    def _place(self) -> Where:
        """Return where the store is: the embedded one has a folder, and so a master key, for each environment."""
        if self._where is not None or self.env == DEFAULT_ENV:
            return self._where
        with late_imports:
            from valetkey.stores import default_path  # noqa: PLC0415
        return (usual := default_path()).parent / "environments" / folder_of_env(self.env) / usual.name

    # -- declarations and app credentials

    def credential(self, name: str) -> OAuth2Credential:
        """Return the declared credential with that name.

        Raises:
            ConfigurationError: Nobody declared it (``credential_unknown``); the nearest name is suggested.
        """
        return self.declarations.find(name)

    def credentials(self) -> tuple[OAuth2Credential, ...]:
        """Return all declared credentials, by name."""
        return self.declarations.every()

    @property
    def secret_service(self) -> SecretService:
        """Where app credentials and other secrets are: the service that was given, then the sealed store."""
        self._open()
        return self.secrets_in(getattr(self.store, "ledger", self.store))

    def secrets_in(self, ledger: Store) -> SecretService:
        """Return the service that was given, then what is sealed in a store."""
        with late_imports:
            from valetkey.engine.secrets import ChainSecrets, StoreSecrets  # noqa: PLC0415

        own = StoreSecrets(ledger, self.vault, self.env)
        return own if self.given_secrets is None else ChainSecrets(self.given_secrets, own)

    def app(self, credential: OAuth2Credential) -> AppCredentials:
        """Read the app credentials of a credential, anew each time."""
        if self.given_app is not None:
            return self.given_app
        return app_of(self, credential)

    # -- tokens

    def source(self, key: ConnectionKey, resource: str = "") -> TokenSource:
        """Return the token source of a connection, or of its tokens for one resource; clients of the same share it."""
        source = self._sources.get(key)
        if source is None:
            source = self._sources.setdefault(key, TokenSource(self, key))
            self._kept.append(source)
        return source.narrowed(resource, self._lock, self._kept.append) if resource else source

    def unchanged(self, mark: object) -> bool:
        """Whether nothing was committed since `mark`.  The store itself is asked four times a second at most (R0).

        One that tells of changes by itself has told those whom they concern.
        """
        if self.store.listens():
            self._looked = (self.clock.monotonic(), mark)
            return True
        now = self.clock.monotonic()
        at, seen = self._looked
        if now - at >= LOOK_LOCAL:
            seen = self.store.change_mark()
            self._looked = (now, seen)
        return seen == mark

    def look_again_in(self, seconds: float) -> float:
        """Return how long what the last look at the store said may be relied on, `seconds` after it at most."""
        return self._looked[0] + seconds - self.clock.monotonic()

    def _changed(self, record: Record) -> None:
        """Have whoever holds the token of a connection that this process changed look again."""
        self._looked = (float("-inf"), None)
        source = self._sources.get(record.key)
        if source is not None:
            source.hear(record)

    def _heard(self, key: ConnectionKey | None) -> None:
        """Have whoever holds the token of a connection that others changed read it again; None: everybody."""
        for source in list(self._sources.values()) if key is None else (self._sources.get(key),):
            if source is not None:
                source.hear()

    def own_source(self, credential: str) -> TokenSource:
        """Return the token source of the program's own default account."""
        return self.source(ConnectionKey(self.env, credential))

    # -- what faces ask for

    def status(self, key: ConnectionKey) -> Status:
        """Return how a connection is."""
        record = self.store.load(key)
        return self._status(key, record, *self._apps_of((key.credential,))[key.credential])

    def statuses(self, query: Query, cursor: str | None, limit: int) -> Page:
        """Return a page of connections.  What stands with an app is read once, not for each of its connections."""
        page = self.store.list(query, cursor=cursor, limit=limit)
        apps = self._apps_of(record.key.credential for record in page.items)
        statuses = (self._status(record.key, record, *apps[record.key.credential]) for record in page.items)
        return Page(tuple(statuses), page.cursor)

    def _status(
        self, key: ConnectionKey, record: Record | None, credential: OAuth2Credential, app_error: str
    ) -> Status:
        with late_imports:
            from valetkey.engine.status import whole_status  # noqa: PLC0415 - tokens are asked for more often

        return whole_status(self.world, key, record, credential, app_error=app_error)

    def _apps_of(self, names: Iterable[str]) -> dict[str, tuple[OAuth2Credential, str]]:
        """Return credentials by name, each with why its app cannot be used."""
        declared = {name: self.credential(name) for name in dict.fromkeys(names)}
        errors = self.app_errors(declared.values())
        return {name: (one, errors.get(name, "")) for name, one in declared.items()}

    def app_errors(self, of: Iterable[OAuth2Credential] | None = None) -> dict[str, str]:
        """Return for each credential whose app cannot be used, why; of all that are declared by default."""
        with late_imports:
            from valetkey.apps import errors_of  # noqa: PLC0415 - tokens are asked for more often

        return errors_of(self, self.credentials() if of is None else tuple(of))

    def disconnect(self, key: ConnectionKey, *, actor: str = "") -> Disconnected:
        """Disconnect one connection and tell what happened; `actor` did it, where it is not this face as such."""
        with late_imports:
            from valetkey.engine.disconnect import disconnect  # noqa: PLC0415

        return disconnect(self.acting(actor), self.credential(key.credential), key)

    def acting(self, actor: str) -> World:
        """Return the world in which events name this actor; empty: this face."""
        return replace(self.world, actor=actor) if actor else self.world

    # -- errors on their way to the caller

    def told(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Return the error as this caller gets it, after `on_reauthorize` was called where it is news."""
        mine, news = self.news.prepared(key, error)
        if news:
            self.news.tell(mine)
        return mine

    async def atold(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Do what `told` does off the event loop, and await what the callback returns."""
        mine, news = await self.in_flight(lambda: self.news.prepared(key, error))
        if news:
            await self.news.atell(mine)
        return mine

    # -- flights

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in a flight and wait: it goes on if this thread is interrupted."""
        return self.flights.call(function).result()

    async def in_flight(self, function: Callable[[], T]) -> T:
        """Run a blocking function in a flight and await it: it goes on if this task is cancelled."""
        with late_imports:
            from valetkey.bridge import landing  # noqa: PLC0415 - only programs that have an event loop pay for it

        return await landing(self.flights.call(function))

    async def beside(self, function: Callable[[], T]) -> T:
        """Run a function that waits for a person in a thread which does not hold up the end of the interpreter."""
        with late_imports:
            from concurrent.futures import Future  # noqa: PLC0415 - as in `Flights`

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
        with late_imports:
            from asyncio import to_thread  # noqa: PLC0415

        return await to_thread(function)

    def close(self) -> None:
        """Wait for the flights under way, and let go of clients and handles.  Using the valet opens them again."""
        self.flights.close()
        if self._world is not None:
            self._bringer.close()
            self._world.store.close()
            self.holders.close()
        self.http.close()

    def after_fork(self) -> None:
        """Start anew in a forked child: nothing inherited is used or closed (store handles see to themselves)."""
        self._lock = threading.RLock()
        self.news.after_fork()
        self._looked = (float("-inf"), None)
        if self._world is not None:
            self._world = self._world.in_child(self.flights.pulse)
            self._bringer.reset()
        self.http.after_fork()
        for source in list(self._sources.values()):
            source.after_fork()


_cores: weakref.WeakSet[Core] = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_cores):
        core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
