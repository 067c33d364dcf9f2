"""What a valet keeps about this host alone: lock files of its processes, and the journal of a store elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from valetkey.engine.hosts import EVERY, PROGRAM, Reporter
from valetkey.engine.world import NO_JOURNAL
from valetkey.errors import ConfigurationError, StoreUnavailable, ValetkeyError
from valetkey.holders import FileHolders
from valetkey.logs import get_logger
from valetkey.model.journals import Journal
from valetkey.model.ports import Clock, KeyProvider, Store

_log = get_logger("host")
PAUSE: Final = 1.0
"""Seconds between two tries to bring what waits in the journal."""
_LEAVE: Final = 5.0


def open_holders(store: Store, *, clock: Clock) -> FileHolders:
    """Return what names claims on `store`.

    Lock files lie beside an embedded one, in a folder named after it as its other files are; else in this user's
    folder.
    """
    path: Path | None = getattr(store, "path", None)
    if path is not None:
        return FileHolders(path.with_name(f"{path.name}-holders"), clock=clock)
    folder = None if store.local else _folder()  # in memory: no other process has it
    return FileHolders(None if folder is None else folder / "holders", clock=clock)


def open_journal(
    store: Store, ledger: Store, keys: KeyProvider, *, clock: Clock, left: Callable[[], object]
) -> Journal:
    """Return the journal of `store`: none for one that is itself on this host.

    `ledger` is where its data keys are, `keys` where its master keys are; `left` is called when an answer is left in
    the journal because the store does not answer.
    """
    folder = None if store.local else _folder()
    if folder is None:
        return NO_JOURNAL
    from valetkey.journal import FileJournal  # noqa: PLC0415 - only stores elsewhere need one
    from valetkey.model.data_keys import establish  # noqa: PLC0415
    from valetkey.model.journal_sealing import MasterSealer  # noqa: PLC0415

    def sealer(store_id: str) -> MasterSealer:
        return MasterSealer(store_id, keys, lambda: establish(ledger, keys))

    return FileJournal(folder / "journal", store.store_id, sealer, clock=clock, left=left)


def open_presence(
    store: Store, keys: KeyProvider, journal: Journal, *, clock: Clock, run: Callable[[Callable[[], None]], object]
) -> Callable[[], None]:
    """Return what has a program say how it is, at most every few seconds; `run` does so beside what is going on.

    Where the store is on this host alone, nobody else need know.
    """
    if store.local:
        return lambda: None
    reporter = Reporter(store, keys, journal, what=PROGRAM)
    told_at = float("-inf")

    def tell() -> None:
        try:
            reporter.tell()
        except ValetkeyError as error:  # the next one says it
            _log.debug("the store was not told how this process is: %s", error)

    def beat() -> None:
        nonlocal told_at
        now = clock.monotonic()
        if now - told_at >= EVERY:
            told_at = now
            run(tell)

    return beat


class Bringer:
    """Goes on bringing what waits in the journal while the store is away.

    It does so in a thread that ends as soon as the store has answered, and that keeps no interpreter alive: what was
    not brought is brought by the next process.

    Args:
        bring: Brings all that waits; raises StoreUnavailable where it has to be called again.
        pause: Seconds between two tries.
    """

    def __init__(self, bring: Callable[[], object], *, pause: float = PAUSE) -> None:
        self._bring = bring
        self._pause = pause
        self.reset()

    def reset(self) -> None:
        """Start without a thread, as in a forked child."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._closing = threading.Event()

    def start(self) -> None:
        """Have it brought from now on."""
        with self._lock:
            self._wanted = True
            if self._thread is None:
                self._closing.clear()
                thread = threading.Thread(target=self._run, name="valetkey-journal", daemon=True)
                with suppress(RuntimeError):  # the interpreter is on its way out
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """End the thread, and wait for it."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closing.set()
        if thread is not None:
            thread.join(_LEAVE)

    def _run(self) -> None:
        while self._is_wanted() and not self._closing.wait(self._pause):
            with self._lock:
                self._wanted = False
            try:
                self._bring()
            except StoreUnavailable:
                with self._lock:
                    self._wanted = True
            except Exception as error:  # noqa: BLE001 - whatever it is, the next call must start another thread
                _log.warning("what waits in the journal was not brought: %s", error)

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._wanted and not self._closing.is_set():
                self._thread = None
            return self._wanted


def _folder() -> Path | None:
    """Return this user's folder on this host; None where there is no home."""
    from valetkey.stores import default_path  # noqa: PLC0415 - a store at a path of its own needs no home

    try:
        return default_path().parent
    except ConfigurationError as error:
        _log.warning("nothing is kept on this host beside the store, which is elsewhere: %s", error)
        return None
