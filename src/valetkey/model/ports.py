"""The protocols that the outside world fulfils: stores, secret services, key providers, clocks, token endpoints.

The engine knows only these.  Everything here is plain blocking code; a store is called from the flights of a valet
and from the threads of its callers, so it must be safe for threads, and it must be usable in a forked child.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, runtime_checkable

from valetkey.model.connections import (
    ConnectionKey,
    Counts,
    Document,
    Event,
    Expect,
    Query,
    Record,
    RecordPage,
    Sealed,
    StoredState,
)
from valetkey.values import Request, Response, Secret, Value

if TYPE_CHECKING:
    from valetkey.model.troubles import Standings, Trouble

FORGOTTEN: Final[Mapping[str, Any]] = {"forgotten": True}
"""The detail of an event about an owner who was forgotten."""


@runtime_checkable
class SecretService(Protocol):
    """Where secrets live.  Values are text; for structured secrets, JSON.

    An id is up to 512 characters.  Read-only services raise `ConfigurationError` (code ``place_read_only``) from `set`
    and `delete`; a service that does not answer raises `StoreUnavailable`.
    """

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none."""
        ...

    def set(self, secret_id: str, value: str) -> None:
        """Store the value, replacing any other."""
        ...

    def delete(self, secret_id: str) -> None:
        """Remove the value; no error when there was none."""
        ...


class Clock(Protocol):
    """Time, injectable."""

    def now(self) -> float:
        """Return Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back and run on while the machine sleeps (``CLOCK_BOOTTIME``)."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...

    def boot_id(self) -> str:
        """Return what names this boot of this machine: `monotonic` of two boots does not compare."""
        ...


@runtime_checkable
class Store(Protocol):
    """A place for connections, documents and events: it can compare-and-swap, claim, list and wait for change.

    Every write is one atomic, durable step.  Methods raise `StoreUnavailable` when the store does not answer (locked,
    full, read-only, down) and `StoreError` for anything else that is wrong with it; then nothing was written.

    `store_contract` in ``valetkey.testing`` is the suite that each store passes.
    """

    url: str
    """Where it is, for people: no password in it."""
    local: bool
    """Whether it lives on this host and syncs each commit to disk itself."""

    def store_id(self) -> str:
        """Return the id that the store got when it was made; it is part of what sealed data is bound to."""
        ...

    def now(self) -> float:
        """Return Unix seconds by the store's own clock."""
        ...

    def close(self) -> None:
        """Let go of all handles.  The store opens them again when it is used again."""
        ...

    # -- connections

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key`, read freshly (from the primary), or None."""
        ...

    def find(self, connection_id: str) -> Record | None:
        """Return the record with that id, or None."""
        ...

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged."""
        ...

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record`, in one atomic step, by the store's clock.

        It succeeds only where the row has still the record's incarnation and version and is not claimed, or its claim
        belongs to `over` and has run out; `dead`: or that holder is known to be dead (R10).  A claim taken `over` from
        another holder that was spending the same token counts one more doubt.  Returns the record as claimed, or None.
        """
        ...

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""
        ...

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` by `new`, if it is still as expected; clears the claim.

        The `event` that tells of it is appended in the same step, and only if it happens.  `new.claim` is ignored, and
        so is `new.key`: only `rename` changes it.  Within one incarnation side facts stay as the row has them: they are
        `note`'s, and what was noted since `new` was read must not be lost.  Where `new.sealed` names a data key that
        the store no longer has, `KeyRetired` is raised and nothing is written.  Returns the record as stored, or None
        when the row had moved on.
        """
        ...

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone.

        They are ``tags``, ``last_used_at``, ``identity``, ``params``, ``cooldown_until`` and ``learnt_lifetime``.
        """
        ...

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        """Put other sealings of the same grants in place, each where incarnation, version and old sealing still hold.

        Returns how many did.  Each is an atomic step; they are handed over together because a store may write them
        with one wait for its disk.  Where one names a data key that the store no longer has, `KeyRetired` is raised,
        and that one is not written; nothing is said about the others then, nor after any other error.
        """
        ...

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key.  False: the other key is taken, or the row is gone."""
        ...

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation."""
        ...

    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        """Return one page, in the order of (credential, owner, account, id).  A bad cursor is a ConfigurationError.

        It begins after the cursor.  With `backwards` it ends before it, in the same order; without a cursor it is the
        last page then.
        """
        ...

    def searches_anywhere(self, search: str = "") -> bool:
        """Whether `Query.search` finds any part of a text; else only what a line of it begins with.

        `search` is what is looked for: a store may find one or two letters at beginnings only.  Empty: a longer text.

        A store without an index for any part says False, rather than read through all there is: faces tell people.
        """
        ...

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections each credential has in each state, as of the last commit.

        Those that are connected and want attention before `now` (`attention_at`) count as ``expires_soon``; what is
        held against an app is not looked at.
        """
        ...

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state: the first `limit` of them, summed by credential, reason and error."""
        ...

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, in groups that are alike, as of the last commit.

        However many there are, all are counted.  A store that cannot sum by itself may leave some unread.
        """
        ...

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` (claim included) or is gone, False after `timeout` s."""
        ...

    def due(self, *, env: str, until: float, limit: int = 100) -> Sequence[Record]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        ...

    def change_mark(self) -> object:
        """Return a value that differs from an earlier one if anything was committed by anybody in between.

        Cheap: looked at up to four times a second.  A store that cannot tell cheaply returns one that always differs.
        """
        ...

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Call `tell`, from any thread, with the key of each connection that others change, as soon as it is known.

        None stands for all of them: some news may have been missed.  A rename is told for both keys.  A store that is
        not told of changes itself never calls.
        """
        ...

    def listens(self) -> bool:
        """Whether `watch` misses nothing at present, so that nobody need look for changes.

        It becomes true only after whoever watches was told None since the store began to listen.
        """
        ...

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        ...

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""
        ...

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""
        ...

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there."""
        ...

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        ...

    # -- data keys

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[Sequence[Record], Sequence[Document]]:
        """Return up to `limit` records and documents sealed with that data key."""
        ...

    def count_sealed(self, key_id: str) -> Mapping[str, int]:
        """Return how many connections (``connection``) and documents of each kind are sealed with that data key.

        What is none of either is left out.
        """
        ...

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically."""
        ...

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        ...

    def list_events(
        self,
        *,
        env: str,
        connection_id: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest_first: bool = False,
        before: int | None = None,
    ) -> Sequence[Event]:
        """Return events with a number above `after` and below `before`, oldest first unless `newest_first`."""
        ...

    def forget_events(self, *, env: str, owner: str) -> int:
        """Take owner, account and details out of all events about an owner, for good; returns of how many.

        Their kind, time, number and actor stay, with `FORGOTTEN` as detail.  A store whose log cannot be changed
        removes them instead.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MasterKey(Value):
    """A key that wraps data keys: 32 bytes, and an id of 8 hex digits made from them that tells nothing."""

    id: str
    secret: Secret
    """URL-safe base64 of the 32 bytes."""


class KeyProvider(Protocol):
    """Where master keys come from: a file, the environment, the OS keyring."""

    place: str
    """Where, for people and for the record in the store: ``file:/home/ada/.local/share/valetkey/key``."""
    can_create: bool
    """Whether valetkey may make a key here by itself, when the store is new."""

    def keys(self) -> Sequence[MasterKey]:
        """Return the keys, the current one first; none when the place is empty.

        Raises:
            ConfigurationError: The place is there and unreadable, or holds something that is no key.
        """
        ...

    def create(self) -> MasterKey:
        """Make the first key, atomically: of two that try, both get the same."""
        ...

    def add(self, key: MasterKey) -> None:
        """Put a new current key before the others."""
        ...

    def retire(self, key_id: str) -> None:
        """Remove a key that opens nothing any more."""
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Label(Value):
    """What a sealed text is bound to (its AAD, beside the store's id): it opens nowhere else."""

    purpose: str
    env: str
    id: str
    incarnation: int = 0
    version: int = 0


class Sealer(Protocol):
    """Seals and opens."""

    def seal(self, plain: bytes, label: Label) -> Sealed:
        """Seal with the current data key."""
        ...

    def open(self, sealed: Sealed, label: Label) -> bytes:
        """Open.

        Raises:
            DecryptionFailed: Missing key, wrong key, changed or moved bytes.
        """
        ...


class TokenEndpoint(Protocol):
    """The way to an authorization server: sends one request, follows no redirects, bounds size and time."""

    def send(self, request: Request, *, deadline: float) -> Response:
        """Send, and return the whole answer.

        `deadline` is on `Clock.monotonic`.

        Raises:
            NotSent: The request certainly did not reach the server (R8).
            InDoubt: It may have reached the server, and no readable answer came (R9).
        """
        ...


Fate = Literal["dead", "alive", "unknown"]
"""Of the process behind a claim; ``unknown`` where there is no proof either way (R10)."""


class NotSent(Exception):
    """The request certainly did not reach the server: DNS, connect, TLS, no free connection."""


class TooLate(NotSent):
    """The request was not sent, for its `send_by` had passed: connecting took too long, or the process stood still."""


class InDoubt(Exception):
    """The request may have reached the server; its connection is closed and no readable answer came."""


class KeyRetired(Exception):
    """The data key of a sealing is gone from the store: seal again with the current one."""
