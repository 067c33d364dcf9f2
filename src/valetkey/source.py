"""The hot path: a valid token is answered from memory, with no I/O, no lock and no coroutine (R0, R1).

A `TokenSource` belongs to one connection of one valet; clients of the same connection share it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from valetkey.engine.lifecycle import Want, by_hand, obtain, read
from valetkey.engine.windows import DEADLINE
from valetkey.errors import HostNotAllowed, RefreshBusy, StoreUnavailable, ValetkeyError
from valetkey.forks import late_imports
from valetkey.hooks import HOP
from valetkey.hops import Hops
from valetkey.model.connections import ConnectionKey, Record
from valetkey.narrowed import Narrowed
from valetkey.protocol.urls import host_allowed, join, shown
from valetkey.tokens import Token

if TYPE_CHECKING:
    from concurrent.futures import Future

    from valetkey.core import Core
    from valetkey.engine.lifecycle import Held
    from valetkey.protocol.introspection import Introspection

Start = Callable[[], "Future[Token]"] | Callable[[], "Future[Token | None]"]
LOOK_LOCAL = 0.25
"""Seconds between looks at a store on this host (R0)."""
LOOK_REMOTE = 5.0
"""Seconds between looks at a store elsewhere (R0)."""
USED_EVERY = 60.0
"""Seconds between notes of the last use."""
GRACE = 1.0
"""Seconds for which an old token is served before the store that does not answer is asked again."""
USABLE = Want()
"""What most callers want: a token that works."""
ROUNDS = 4
"""How many flights of others a caller joins before it gives up on finding what it needs."""


class TokenSource:
    """Where the clients of one connection get their token.

    Those who want it for one resource (RFC 8707) have a source of their own; it hears what its connection's hears.
    """

    __slots__ = (
        *("__weakref__", "_connection", "_core", "_heard", "_narrowed", "_news", "_noted_at", "_usable"),
        *("key", "now", "resource", "token"),
    )

    def __init__(
        self, core: Core, key: ConnectionKey, resource: str = "", connection: TokenSource | None = None
    ) -> None:
        self._core = core
        self._connection = connection  # it is what hears, so it must live as long as this does
        self._narrowed: Narrowed | None = connection._narrowed if connection else None  # noqa: SLF001 - its own kind
        self._usable = Want(resource=resource) if resource else USABLE
        self.resource = resource
        self.now = core.ticks
        self._noted_at = 0.0
        self._heard: object = None
        self._news: Record | None = None
        self.key = key
        self.token: Token | None = None

    def narrowed(
        self, resource: str, lock: AbstractContextManager[object], keep: Callable[[TokenSource], None]
    ) -> TokenSource:
        """Return the source of this connection's tokens for one resource; one that is new is handed to `keep`."""

        def make() -> TokenSource:
            made = TokenSource(self._core, self.key, resource, self)
            keep(made)
            return made

        with lock:  # of two that are made at once one would hear nothing
            if self._narrowed is None:
                self._narrowed = Narrowed()
            return self._narrowed.source(resource, make)

    @property
    def follows(self) -> bool:
        """Whether API requests follow redirects unless told otherwise."""
        return self._core.http.follows

    def after_fork(self) -> None:
        """Start anew in a forked child: look again, and wait for nobody who is not here."""
        self.expire()
        if self._narrowed is not None:
            self._narrowed.after_fork()

    # -- getting a token

    def get(self) -> Token:
        """Return a valid token; blocks while it is being refreshed."""
        token = self.token
        if token is not None and self.now() < token.until:
            return token
        return self._still_good() or self._landed(self._usable)

    async def aget(self, actor: str = "") -> Token:
        """Do what `get` does without blocking the event loop; `actor` asks, where it is not this face as such."""
        token = self.token
        if token is not None and self.now() < token.until:
            return token
        return self._still_good(actor) or await self._alanded(self._usable, actor)

    def heal(self, refused: str, *, explicit: bool) -> Token | None:
        """Return the token to retry with after a 401, or None to let the 401 stand (R11)."""
        return self._joined(self._heal_flight(refused, explicit=explicit), Want(refused=refused))

    async def aheal(self, refused: str, *, explicit: bool) -> Token | None:
        """Do what `heal` does without blocking the event loop."""
        return await self._ajoined(self._heal_flight(refused, explicit=explicit), Want(refused=refused))

    def refresh(self, actor: str = "") -> Token:
        """Refresh now, by hand, unless somebody else has just done so; `actor` asks, as in `aget`."""
        return self._landed(self._by_hand(), actor)

    async def arefresh(self, actor: str = "") -> Token:
        """Do what `refresh` does without blocking the event loop."""
        return await self._alanded(await self._core.in_flight(self._by_hand), actor)

    def introspect(self) -> Introspection:
        """Ask the server what the token is."""
        with late_imports:
            from valetkey.engine.introspecting import introspect  # noqa: PLC0415 - requests are made more often

        return introspect(self._core.world, self.key, self.resource)

    def expire(self) -> None:
        """Look whether the token still is the current one before it is used again."""
        if self.token is not None:
            self.token.until = 0.0
        if self._narrowed is not None and self._connection is None:
            self._narrowed.expire()

    def hear(self, record: Record | None = None) -> None:
        """Read the store before the token is used again: the connection has changed (R0).

        `record` is what this process itself has written.
        """
        self._news, self._heard = record, object()
        self.expire()
        if self._narrowed is not None and self._connection is None:
            self._narrowed.hear(record)

    def prepare(self, url: str, options: dict[str, Any], token: Token) -> str:
        """Return the absolute URL, and have the host rule checked on each hop of a request that follows redirects.

        Raises:
            HostNotAllowed: The URL is relative and nobody knows to what.
        """
        if options.get("follow_redirects", self.follows):
            self.watch_hops(options, token)
        if url.startswith(("https://", "http://")):
            return url
        if not token.base:
            self._refuse(url, f'write the whole URL, or declare api_base_url="https://..." for {self.key.credential!r}')
        return join(token.base, url)

    def watch_hops(self, options: dict[str, Any], token: Token) -> None:
        """Have each hop of a request looked at that follows redirects."""
        given = options.get("extensions")
        options["extensions"] = {**given, HOP: Hops(self, token)} if given else {HOP: Hops(self, token)}

    def ensure_allowed(self, url: str, token: Token) -> None:
        """Check that the token may be sent to this URL.

        Raises:
            HostNotAllowed: It may not; the hint has the line to add.
        """
        if not host_allowed(url, token.hosts):
            host = url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]
            hosts = tuple(dict.fromkeys((*token.hosts, host)))
            hint = f"if it is meant: wire_oauth2_credential({self.key.credential!r}, api_hosts={[*hosts]!r})"
            if token.home:
                hint = f"it is for {token.home} alone; another one: valet.client({self.key.credential!r}, resource=...)"
            self._refuse(url, hint, hosts)

    def _refuse(self, url: str, hint: str, hosts: tuple[str, ...] = ()) -> NoReturn:
        msg = f"the token of {self.key} may not be sent to {shown(url)!r}; nothing was sent"
        raise HostNotAllowed(msg, credential=self.key.credential, hosts=hosts, hint=hint)

    # -- the slower ways

    def _still_good(self, actor: str = "") -> Token | None:
        """Return the token in memory if the store did not change and it is not due; look no more often than R0 says."""
        token = self.token
        try:
            if token is None or token.heard is not self._heard or not self._core.unchanged(token.mark):
                return None
        except StoreUnavailable as error:
            return self._meanwhile(error, Want())
        now = self._core.clock.now()
        if (token.due is not None and now >= token.due) or now >= token.read_again:
            return None
        limit = token.due
        if token.soft is not None and not self._core.one_shot:
            if now >= token.soft:
                self._refresh_ahead(actor)
            else:
                limit = token.soft
        self._prolong(token, None if limit is None else limit - now, self._core.look_again_in(self._look_every()))
        return token

    def _look_every(self) -> float:
        return LOOK_LOCAL if self._core.store.local else LOOK_REMOTE

    def _prolong(self, token: Token, left: float | None, look: float) -> None:
        now = self.now()
        token.until = now + (look if left is None else min(look, left))
        if now - self._noted_at > USED_EVERY:
            self._noted_at = now
            self._core.flights.run(("used", self.key), self._note_use)

    def _refresh_ahead(self, actor: str) -> None:
        self._run(replace(self._usable, ahead=True), actor)

    def _ahead(self, token: Token, actor: str) -> Token:
        """Have a token that was just read refreshed ahead: a store that changes all the time is read at every look."""
        now = self._core.clock.now()
        in_window = token.soft is not None and now >= token.soft and (token.due is None or now < token.due)
        if in_window and not self._core.one_shot:
            self._refresh_ahead(actor)
        return token

    def _run(self, want: Want, actor: str) -> tuple[Future[Token], bool]:
        """Start a flight that brings what is wanted, or join the one of its kind that is under way.

        Who only needs a usable token must not share the fate of a refresh ahead of time or by hand: the claim keeps
        them to one request, as it does between processes.
        """
        kind = "ahead" if want.ahead else "by hand" if want.manual else ""
        key = (kind, self._flight) if kind else self._flight
        return self._core.flights.run(key, lambda: self._fly(want, actor), lane=self.key.credential)

    def _begun(self, want: Want, actor: str) -> Future[Token] | None:
        """Start a flight for a usable token if it can begin at once: it looks first, and so needs nobody to do so."""
        if not self._may_do(want):
            return None
        return self._core.flights.start(self._flight, lambda: self._fly(want, actor), lane=self.key.credential)

    @property
    def _flight(self) -> object:
        """What flights of this source are known by."""
        return (self.key, self.resource) if self.resource else self.key

    def _glance(self) -> Token | None:
        """Read the record, in a flight that waits for no provider; None where its token will not do."""
        world = self._core.world
        heard, mark = self._heard, world.store.change_mark()
        held = read(world, self.key, self._usable)
        return None if held is None else self._remember(held, mark, heard)

    def _may_do(self, want: Want) -> bool:
        """Whether the token that is stored may be what is wanted: not where it is known to be due."""
        if want is not self._usable:
            return False
        token = self.token
        return token is None or token.due is None or self._core.clock.now() < token.due

    def _glancing(self) -> Future[Token | None]:
        return self._core.flights.run(("look", self._flight), self._glance)[0]

    def _fly(self, want: Want, actor: str) -> Token:
        """Run as a flight, in a thread of the valet; those who join it later are not who asked for it."""
        world = self._core.acting(actor)
        with self._turn(want):
            heard, mark = self._heard, world.store.change_mark()
            return self._remember(obtain(world, self.key, want), mark, heard)

    def _turn(self, want: Want) -> AbstractContextManager[None]:
        """Wait for others who spend this grant here, but with an old token that serves meanwhile."""
        lives = self.token is not None and not want.manual and not want.refused and not self._ended(self.token)
        return nullcontext() if self._narrowed is None or lives else self._narrowed.turn()

    def _remember(self, held: Held, mark: object, heard: object) -> Token:
        if self._news is held.record:
            heard = self._heard  # it is our own news
        token = Token(self._core, held, mark, heard, self.resource)
        now = self._core.clock.now()
        limit = token.due if token.soft is None or self._core.one_shot or now >= token.soft else token.soft
        if limit is not None and limit <= now:  # an old token that serves while its successor is under way
            limit = min(now + LOOK_LOCAL, token.end or now)
        if held.record.last_used_at is not None:  # noted a moment ago, by whomever: that costs a look and a write
            self._noted_at = max(self._noted_at, self.now() - max(now - held.record.last_used_at, 0.0))
        self._prolong(token, None if limit is None else limit - now, self._look_every())
        self.token = token
        if heard is not self._heard:  # there was news while the record was being read
            token.until = 0.0
        return token

    def _note_use(self) -> None:
        record = self._core.store.load(self.key)
        now = self._core.clock.now()
        if record is not None and now - (record.last_used_at or 0.0) > USED_EVERY:
            self._core.store.note(record.id, incarnation=record.incarnation, changes={"last_used_at": now})

    def _by_hand(self) -> Want:
        """Say what a refresh by hand wants: any token but the one that is stored as the person asks."""
        return by_hand(self._core.world, self.key, self._usable)

    def _heal_flight(self, refused: str, *, explicit: bool) -> Callable[[], Future[Token | None]]:
        def fly() -> Token | None:
            with late_imports:
                from valetkey.engine.renewal import heal  # noqa: PLC0415 - a valid token needs none of it

            world = self._core.world
            with self._turn(Want(refused=refused)):
                heard, mark = self._heard, world.store.change_mark()
                held = heal(world, self.key, refused, explicit=explicit, resource=self.resource)
                return None if held is None else self._remember(held, mark, heard)

        return lambda: self._core.flights.run(("heal", self._flight, refused), fly, lane=self.key.credential)[0]

    def _landed(self, want: Want, actor: str = "") -> Token:
        """Wait for a flight that brings what is wanted, own or another's."""
        begun = self._begun(want, actor)
        if begun is None and self._may_do(want) and (found := self._joined(self._glancing, want)) is not None:
            return self._ahead(found, actor)
        for _ in range(ROUNDS):
            (future, own), begun = (begun, True) if begun is not None else self._run(want, actor), None
            token = self._joined(lambda: future, want)  # noqa: B023 - called at once
            if token is not None and (own or not want.refused or token.fingerprint != want.refused):
                return self._ahead(token, actor)
        raise self._busy()

    async def _alanded(self, want: Want, actor: str = "") -> Token:
        begun = self._begun(want, actor)
        if begun is None and self._may_do(want) and (found := await self._ajoined(self._glancing, want)) is not None:
            return self._ahead(found, actor)
        for _ in range(ROUNDS):
            (future, own), begun = (begun, True) if begun is not None else self._run(want, actor), None
            token = await self._ajoined(lambda: future, want)  # noqa: B023 - called at once
            if token is not None and (own or not want.refused or token.fingerprint != want.refused):
                return self._ahead(token, actor)
        raise self._busy()

    def _joined(self, start: Start, want: Want) -> Token | None:
        """Wait for a flight.  Time-outs and interrupts of this caller do not touch it (R2)."""
        future = start()
        try:
            with suppress(TimeoutError):
                return future.result(DEADLINE)
            return future.result() if future.done() else self._meanwhile(self._busy(), want)
        except StoreUnavailable as error:
            return self._meanwhile(error, want)
        except ValetkeyError as error:
            raise self._core.told(self.key, error) from None

    async def _ajoined(self, start: Start, want: Want) -> Token | None:
        with late_imports:
            from asyncio import timeout  # noqa: PLC0415 - only programs that have an event loop pay for it

            from valetkey.bridge import landing  # noqa: PLC0415

        future: Future[Any] = start()
        try:
            with suppress(TimeoutError):
                async with timeout(DEADLINE):
                    await landing(future)
            if not future.done():
                return self._meanwhile(self._busy(), want)
            return cast("Token | None", future.result())
        except StoreUnavailable as error:
            return self._meanwhile(error, want)
        except ValetkeyError as error:
            raise await self._core.atold(self.key, error) from None

    def _meanwhile(self, error: ValetkeyError, want: Want) -> Token:
        """Serve the old token until its true end while its successor or the store is not to be had (R5).

        But not to those to whom it is of no use: the API refused it, or a person asked for a new one.
        """
        token = self.token
        if token is None or want.manual or token.fingerprint == (want.refused or None) or self._ended(token):
            raise copy.copy(error) from error
        token.until = self.now() + GRACE
        return token

    def _ended(self, token: Token) -> bool:
        return token.end is not None and self._core.clock.now() >= token.end

    def _busy(self) -> RefreshBusy:
        msg = f"{self.key} is being refreshed and the provider has not answered within {DEADLINE:.0f} s"
        return RefreshBusy(msg, hint="try again in a few seconds; the answer is still being waited for")
