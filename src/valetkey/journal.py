"""The journal: answers that cost a refresh token, on this host's disk before they go to a store elsewhere (R6).

One file per answer, sealed, in a folder per store and connection::

    journal/<store id>/<connection id>/<incarnation>.<version>.<fingerprint>.json     waits for the store
    journal/<store id>/<connection id>/<incarnation>.<version>.<fingerprint>.done     the store has it

A file is written beside its place, synced, and moved there, so there is never half of one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from valetkey.errors import ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Sealed
from valetkey.model.ports import Clock, JournalEntry, Label, Sealer

_log = get_logger("journal")
KEPT: Final = 600.0
"""Seconds for which an entry is kept that the store has: a failover may take the commit back."""
FORGOTTEN: Final = 30 * 86400.0
"""Seconds after which an entry goes that no store ever took."""
_FORMAT: Final = 1
_WAITS, _DONE = ".json", ".done"


class FileJournal:
    """The journal of one store on this host.  Implements `Journal`; safe for threads and processes.

    Args:
        folder: Where the journals of all stores are.
        store_id: Asks the store for its id.
        sealer: Returns what seals the entries.
        clock: Time.
    """

    def __init__(
        self, folder: Path, store_id: Callable[[], str], sealer: Callable[[], Sealer], *, clock: Clock
    ) -> None:
        self._place = folder
        self._store_id = store_id
        self._sealer = sealer
        self._clock = clock
        self._warned = False

    @cached_property
    def folder(self) -> Path:
        """Where the entries of this store are."""
        return self._place / self._store_id()

    def write(self, entry: JournalEntry) -> JournalEntry:
        """Keep it, durably, before this returns."""
        place = self.folder / entry.connection_id
        name = f"{entry.incarnation}.{entry.version}.{hashlib.sha256(entry.grant).hexdigest()[:12]}{_WAITS}"
        try:
            sealed = self._sealer().seal(entry.grant, _label(entry))
            _write(place, name, _text(entry, sealed), entry.at)
        except (OSError, ValetkeyError) as error:
            self._warn("an answer could not be kept on this host until the store has it: %s", error)
            return entry
        return replace(entry, place=str(place / name))

    def settle(self, entry: JournalEntry) -> None:
        """Note that the store has it, or has no use for it; and clear away what was settled long ago."""
        if entry.place.endswith(_WAITS):
            now = self._clock.now()
            with suppress(OSError):
                os.utime(entry.place, (now, now))
                Path(entry.place).rename(entry.place.removesuffix(_WAITS) + _DONE)
        self._sweep(self.folder / entry.connection_id)

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:
        """Return what is kept of a connection, settled or not, oldest first.  What cannot be read stays, unread."""
        found = [entry for path in _files(self.folder / connection_id) if (entry := self._read(path)) is not None]
        return sorted(found, key=lambda entry: (entry.incarnation, entry.version, entry.at))

    def unsettled(self) -> Sequence[str]:
        """Return the ids of the connections with entries that nobody settled."""
        with suppress(OSError):
            return [place.name for place in self.folder.iterdir() if any(place.glob(f"*{_WAITS}"))]
        return []

    def erase(self, connection_id: str) -> None:
        """Remove all that is kept of a connection."""
        place = self.folder / connection_id
        for path in _files(place):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            place.rmdir()

    def _read(self, path: Path) -> JournalEntry | None:
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
            entry = JournalEntry(
                env=str(kept["env"]),
                connection_id=path.parent.name,
                incarnation=int(kept["incarnation"]),
                version=int(kept["version"]),
                spent=str(kept["spent"]),
                at=float(kept["at"]),
                grant=b"",
                settled=path.suffix == _DONE,
                place=str(path),
            )
            sealed = Sealed(base64.b64decode(kept["sealed"]), str(kept["key_id"]))
            return replace(entry, grant=self._sealer().open(sealed, _label(entry)))
        except FileNotFoundError:
            return None  # settled or swept at this moment
        except (OSError, ValueError, KeyError, TypeError, ValetkeyError) as error:
            self._warn("the journal's entry %s cannot be read and is left alone: %s", path, error)
            return None

    def _sweep(self, place: Path) -> None:
        """Remove what needs no keeping any more, by the age that its file has."""
        now = self._clock.now()
        for path in _files(place):
            with suppress(OSError):
                age = now - path.stat().st_mtime
                if age > (KEPT if path.suffix == _DONE else FORGOTTEN):
                    path.unlink()
        with suppress(OSError):
            place.rmdir()  # only where it is empty

    def _warn(self, words: str, *about: object) -> None:
        """Warn once per journal: whoever cannot write one file cannot write the next."""
        if not self._warned:
            self._warned = True
            _log.warning(words, *about)


def _label(entry: JournalEntry) -> Label:
    return Label("journal", entry.env, entry.connection_id, entry.incarnation, entry.version)


def _text(entry: JournalEntry, sealed: Sealed) -> bytes:
    kept = {
        "format": _FORMAT,
        "env": entry.env,
        "incarnation": entry.incarnation,
        "version": entry.version,
        "spent": entry.spent,
        "at": entry.at,
        "key_id": sealed.key_id,
        "sealed": base64.b64encode(sealed.blob).decode(),
    }
    return json.dumps(kept).encode()


def _files(place: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [path for path in place.iterdir() if path.suffix in {_WAITS, _DONE}]


def _write(place: Path, name: str, text: bytes, at: float) -> None:
    """Write, sync, move into place, sync the folder: after this a power cut takes nothing away."""
    _make(place)
    beside = place / f".{secrets.token_hex(8)}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.utime(file.fileno(), (at, at))  # the age that it is cleared away by, on the clock of the valet
            os.fsync(file.fileno())
        beside.rename(place / name)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync(place)


def _make(folder: Path) -> None:
    """Make a folder and those above it, for this user only, and have each in the folder above for good."""
    if folder.exists():
        return
    _make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
