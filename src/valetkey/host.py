"""What a valet keeps about this host alone: lock files of its processes, and the journal of a store elsewhere."""

from __future__ import annotations

from pathlib import Path

from valetkey.engine.world import NO_JOURNAL
from valetkey.errors import ConfigurationError
from valetkey.holders import FileHolders
from valetkey.logs import get_logger
from valetkey.model.ports import Clock, Journal, KeyProvider, Store

_log = get_logger("host")


def open_holders(store: Store, *, clock: Clock) -> FileHolders:
    """Return what names claims on `store`: lock files lie beside an embedded one, else in this user's folder."""
    path: Path | None = getattr(store, "path", None)
    if path is None and store.local:
        return FileHolders(None, clock=clock)  # in memory: no other process has it
    folder = _folder() if path is None else path.parent
    return FileHolders(None if folder is None else folder / "holders", clock=clock)


def open_journal(store: Store, ledger: Store, keys: KeyProvider, *, clock: Clock) -> Journal:
    """Return the journal of `store`: none for one that is itself on this host.

    `ledger` is where its data keys are, `keys` where its master keys are.
    """
    folder = None if store.local else _folder()
    if folder is None:
        return NO_JOURNAL
    from valetkey.journal import FileJournal  # noqa: PLC0415 - only stores elsewhere need one
    from valetkey.model.journal_sealing import MasterSealer  # noqa: PLC0415

    def sealer() -> MasterSealer:
        return MasterSealer(ledger.store_id(), keys)

    return FileJournal(folder / "journal", store.store_id, sealer, clock=clock)


def _folder() -> Path | None:
    """Return this user's folder on this host; None where there is no home."""
    from valetkey.stores import default_path  # noqa: PLC0415 - a store at a path of its own needs no home

    try:
        return default_path().parent
    except ConfigurationError as error:
        _log.warning("nothing is kept on this host beside the store, which is elsewhere: %s", error)
        return None
