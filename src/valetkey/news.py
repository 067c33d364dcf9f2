"""Errors on their way from a flight to its callers, and the one call that tells the program of them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from valetkey.errors import AmbiguousAccount, NotConnected, ReauthorizationRequired, ValetkeyError
from valetkey.model.connections import ConnectionKey, Query
from valetkey.model.ports import Store

OnReauthorize = Callable[[ReauthorizationRequired], Any]


class News:
    """Gives each caller an error of its own, and calls `on_reauthorize` once for each change.

    Args:
        on_reauthorize: The program's callback, or None.
        store: Returns the store.
    """

    def __init__(self, on_reauthorize: OnReauthorize | None, store: Callable[[], Store]) -> None:
        self.on_reauthorize = on_reauthorize
        self._store = store
        self._told: dict[str, tuple[int, int, str]] = {}
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Start with a lock of the child's own."""
        self._lock = threading.Lock()

    def prepared(self, key: ConnectionKey, error: ValetkeyError) -> tuple[ValetkeyError, bool]:
        """Return the error for one caller, and whether it is news.  Reads the store."""
        mine = self._for_caller(key, error)
        return mine, self._is_news(mine)

    def tell(self, error: ValetkeyError) -> Any:
        """Call the callback; returns what it returned.  What it raises is logged: it must not hide the error."""
        with self._guarded():
            return self.on_reauthorize(error) if self.on_reauthorize is not None else None  # type: ignore[arg-type]

    async def atell(self, error: ValetkeyError) -> None:
        """Call the callback, and await it where it is to be awaited."""
        answer = self.tell(error)
        if hasattr(answer, "__await__"):
            with self._guarded():
                await answer

    @contextmanager
    def _guarded(self) -> Generator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is the program's own code
            from valetkey.logs import get_logger  # noqa: PLC0415 - only where there is trouble

            get_logger("news").warning(
                "on_reauthorize raised %s; the connection's own error is raised", type(error).__name__
            )

    def _for_caller(self, key: ConnectionKey, error: ValetkeyError) -> ValetkeyError:
        """Return a copy (the flight's own is raised in many threads); say so if accounts exist and none was named."""
        if isinstance(error, NotConnected) and not key.account and (accounts := self._accounts(key)):
            named = ", ".join(repr(account) for account in accounts)
            whose = f"owner={key.owner!r}, " if key.owner is not None else ""
            return AmbiguousAccount(
                f"{key} has the accounts {named} and the call named none",
                accounts=accounts,
                hint=f"name one: valet.client({key.credential!r}, {whose}account={accounts[0]!r})",
            )
        return copy.copy(error)

    def _accounts(self, key: ConnectionKey) -> tuple[str, ...]:
        query = Query(env=key.env, credential=key.credential, owner=key.owner, own=key.owner is None)
        page = self._store().list(query, limit=20)
        return tuple(record.key.account for record in page.items if record.sealed is not None and record.key.account)

    def _is_news(self, error: ValetkeyError) -> bool:
        """Whether this is a change that was not told yet: once per connection, incarnation and version."""
        if self.on_reauthorize is None or not isinstance(error, ReauthorizationRequired):
            return False
        connection_id = str(getattr(error.connection, "id", ""))
        found = self._store().find(connection_id) if connection_id else None
        if found is None:
            return False
        change = (found.incarnation, found.version, error.reason)
        with self._lock:
            news = self._told.get(found.id) != change
            self._told[found.id] = change
        return news
