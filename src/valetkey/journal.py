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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from valetkey.errors import ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Sealed
from valetkey.model.journals import JournalEntry, JournalState
from valetkey.model.ports import Clock, Label, Sealer

_log = get_logger("journal")
KEPT: Final = 600.0
"""Seconds for which an entry is kept that the store has: a failover may take the commit back."""
FORGOTTEN: Final = 30 * 86400.0
"""Seconds after which an entry goes that no store ever took."""
_FORMAT: Final = 1
_WAITS, _DONE = ".json", ".done"
_HALF: Final = "."
"""What the name of a file begins with that is being written; when that began follows."""
_ENTRIES: Final = frozenset({_WAITS, _DONE})
_TRIES: Final = 5


class FileJournal:
    """The journal of one store on this host.  Implements `Journal`; safe for threads and processes.

    Args:
        folder: Where the journals of all stores are.
        store_id: Asks the store for its id.
        sealer: Returns what seals the entries of the store with that id.
        clock: Time.
        left: Called when an answer is left here because the store does not answer.
    """

    def __init__(
        self,
        folder: Path,
        store_id: Callable[[], str],
        sealer: Callable[[str], Sealer],
        *,
        clock: Clock,
        left: Callable[[], object] = lambda: None,
    ) -> None:
        self._place = folder
        self._ask_store = store_id
        self._make_sealer = sealer
        self._clock = clock
        self._left = left
        self._warned: set[str] = set()
        self._swept_at = float("-inf")

    @cached_property
    def _store_id(self) -> str:
        """The store's id.

        It is asked for once, when the journal is first read: that is before anything is spent.  When an answer is
        written, the store may be down.
        """
        return self._ask_store()

    @cached_property
    def _sealer(self) -> Sealer:
        return self._make_sealer(self._store_id)

    @cached_property
    def folder(self) -> Path:
        """Where the entries of this store are."""
        return self._place / _as_name(self._store_id)

    def write(self, entry: JournalEntry) -> JournalEntry:
        """Keep it, durably, before this returns."""
        name = f"{entry.incarnation}.{entry.version}.{hashlib.sha256(entry.grant).hexdigest()[:12]}{_WAITS}"
        try:
            place = self._of(entry.connection_id)
            sealed = self._sealer.seal(_inside(entry), _label(entry))
            _write(place, name, _outside(entry, sealed), entry.at)
        except (OSError, ValetkeyError) as error:
            self._warn("write", "an answer could not be kept on this host until the store has it: %s", error)
            return entry
        self._warned.discard("write")
        return replace(entry, place=str(place / name))

    def settle(self, entry: JournalEntry) -> None:
        """Note that the store has it, or has no use for it; and clear away what was settled long ago.

        One that was settled before is removed: it has served twice.
        """
        if not entry.place:
            return
        with suppress(OSError):
            self._settle(Path(entry.place))
        now = self._clock.monotonic()
        if now - self._swept_at >= KEPT:
            self._swept_at = now
            self.unsettled()

    def _settle(self, path: Path) -> None:
        if path.suffix == _DONE:
            path.unlink()
            return
        now = self._clock.now()
        os.utime(path, (now, now))
        path.replace(path.with_suffix(_DONE))

    def leave(self, entry: JournalEntry) -> None:
        """Note that the store does not answer: it is brought as soon as it does."""
        if entry.place:
            self._left()

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:
        """Return what is kept of a connection, settled or not, oldest first.  What cannot be read stays, unread."""
        paths = [path for path in _files(self._of(connection_id)) if _is_entry(path) and not self._over(path)]
        found = [entry for path in paths if (entry := self._read(path, connection_id)) is not None]
        return sorted(found, key=lambda entry: (entry.incarnation, entry.version, entry.at))

    def unsettled(self) -> Sequence[str]:
        """Return the ids of the connections with entries that nobody settled; clears away what is over on the way."""
        found: list[str] = []
        for place in self._places():
            self._sweep(place)
            if any(path.suffix == _WAITS for path in _files(place)):
                found.append(unquote(place.name))
        return found

    def erase(self, connection_id: str) -> None:
        """Remove all that is kept of a connection, half written files too."""
        place = self._of(connection_id)
        try:
            for path in _files(place):
                path.unlink(missing_ok=True)
            if place.exists():
                place.rmdir()
        except OSError as error:
            _log.warning("the journal of %s could not be erased: %s", connection_id, error)

    def state(self) -> JournalState:
        """Return how many answers wait, since when, and which master keys they are sealed with."""
        waiting = [path for place in self._places() for path in _files(place) if path.suffix == _WAITS]
        written: list[float] = []
        masters: Counter[str] = Counter()
        for path in waiting:
            with suppress(OSError, ValueError, KeyError, TypeError):
                written.append(path.stat().st_mtime)
                masters[str(json.loads(path.read_bytes())["key_id"])] += 1
        return JournalState(
            waiting=len(waiting), oldest=min(written, default=None), sealed_with=dict(masters), place=str(self._place)
        )

    def _of(self, connection_id: str) -> Path:
        return self.folder / _as_name(connection_id)

    def _places(self) -> Iterator[Path]:
        """Yield the folders of connections; the store is not asked for its id where no journal was ever written."""
        with suppress(OSError):
            if self._place.is_dir():
                yield from list(self.folder.iterdir())

    def _read(self, path: Path, connection_id: str) -> JournalEntry | None:
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
            if kept["format"] != _FORMAT:
                msg = f"its format is {kept['format']!r}"
                raise ValueError(msg)  # noqa: TRY301 - one way of telling for all that is wrong with it
            entry = JournalEntry(
                env=str(kept["env"]),
                connection_id=connection_id,
                incarnation=int(kept["incarnation"]),
                version=int(kept["version"]),
                spent="",
                at=0.0,
                grant=b"",
                settled=path.suffix == _DONE,
                place=str(path),
            )
            sealed = Sealed(base64.b64decode(kept["sealed"]), str(kept["key_id"]))
            inside: dict[str, Any] = json.loads(self._sealer.open(sealed, _label(entry)))
            return replace(entry, spent=inside["spent"], at=inside["at"], grant=inside["grant"].encode())
        except FileNotFoundError:
            return None  # settled or swept at this moment
        except (OSError, ValueError, KeyError, TypeError, ValetkeyError) as error:
            shut = isinstance(error, ValetkeyError) and error.code == "key_missing"
            about = "key" if shut else path.name  # without the key there may be thousands, and one thing to mend
            self._warn(about, "the journal's entry %s cannot be read and is left alone: %s", path, error)
            return None

    def _over(self, path: Path) -> bool:
        """Whether a file needs no keeping any more, by its age: what is half written goes as soon as what is done."""
        try:
            begun = float(path.name.split(".")[1]) if path.name.startswith(_HALF) else path.stat().st_mtime
        except (OSError, ValueError):
            return False
        return self._clock.now() - begun > (FORGOTTEN if path.suffix == _WAITS else KEPT)

    def _sweep(self, place: Path) -> None:
        for path in _files(place):
            if self._over(path):
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            place.rmdir()  # only where it is empty

    def _warn(self, about: str, words: str, *details: object) -> None:
        """Warn once about each: whoever cannot write one file cannot write the next."""
        if about not in self._warned:
            self._warned.add(about)
            _log.warning(words, *details)


def _as_name(text: str) -> str:
    """Return an id as the name of a folder, whatever a store may have for one; `unquote` turns it back."""
    return quote(text, safe="").replace(".", "%2E")


def _label(entry: JournalEntry) -> Label:
    return Label("journal", entry.env, entry.connection_id, entry.incarnation, entry.version)


def _inside(entry: JournalEntry) -> bytes:
    """Return what is sealed: with what it was bought, too, for that decides over what it may be put."""
    return json.dumps({"spent": entry.spent, "at": entry.at, "grant": entry.grant.decode()}).encode()


def _outside(entry: JournalEntry, sealed: Sealed) -> bytes:
    kept = {
        "format": _FORMAT,
        "env": entry.env,
        "incarnation": entry.incarnation,
        "version": entry.version,
        "key_id": sealed.key_id,
        "sealed": base64.b64encode(sealed.blob).decode(),
    }
    return json.dumps(kept).encode()


def _files(place: Path) -> Sequence[Path]:
    try:
        return list(place.iterdir())
    except OSError:
        return ()


def _is_entry(path: Path) -> bool:
    return path.suffix in _ENTRIES


def _write(place: Path, name: str, text: bytes, at: float) -> None:
    """Write, sync, move into place, sync the folder: after this a power cut takes nothing away."""
    beside, descriptor, above = _begin(place, f"{_HALF}{at:.0f}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.utime(beside, (at, at))  # the age that it is cleared away by, on the clock of the valet
            os.fsync(file.fileno())
        beside.replace(place / name)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    for folder in (place, *above):
        _sync(folder)


def _begin(place: Path, name: str) -> tuple[Path, int, list[Path]]:
    """Make a file to write into; returns it, open, and the folders in which folders had to be made for it.

    Whoever clears away at this very moment may remove the folder while it is empty: then it is made again.
    """
    above: list[Path] = []
    tries = 0
    while True:
        above += _make(place)
        try:
            return place / name, os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), above
        except FileNotFoundError:
            tries += 1
            if tries == _TRIES:
                raise


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it, for this user only; returns those in which one was made."""
    if folder.exists():
        return []
    above = _make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    return [folder.parent, *above]


def _sync(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and need not be
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
