"""Connections: their keys, their records in the store, and what is told about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from valetkey.model.credentials import EMPTY
from valetkey.values import Value

if TYPE_CHECKING:
    from valetkey.model.choices import Choice

State = Literal["pending", "connected", "expires_soon", "refresh_failing", "needs_reauth", "app_error", "disconnected"]
StoredState = Literal["pending", "connected", "refresh_failing", "needs_reauth", "disconnected"]
"""What a record holds.  ``expires_soon`` depends on the clock and ``app_error`` stands with the app: both are
worked out when a status is told."""

Reason = Literal[
    "revoked",
    "idle_expired",
    "policy_changed",
    "no_refresh_token",
    "lost_in_rotation",
    "reuse_detected",
    "identity_changed",
    "key_lost",
    "unknown",
]
REASONS: Final[tuple[Reason, ...]] = (
    "revoked",
    "idle_expired",
    "policy_changed",
    "no_refresh_token",
    "lost_in_rotation",
    "reuse_detected",
    "identity_changed",
    "key_lost",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class ConnectionKey:
    """What a connection is found by: environment, credential, owner (None: the program's own) and account label."""

    env: str
    credential: str
    owner: str | None = None
    account: str = ""

    def __str__(self) -> str:
        """As in messages: ``slack``, ``slack/ada``, ``slack/ada/work``; ``slack//work`` without owner.

        What cannot be seen, or turns the text around it, is escaped.
        """
        text = "/".join([self.credential, self.owner or "", self.account]).rstrip("/")
        return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Connection(Value):
    """Which connection: its id, which never changes, and its key.  A value: it can be kept, compared, sent."""

    id: str
    credential: str
    owner: str | None = None
    account: str = ""
    env: str = "default"

    @property
    def key(self) -> ConnectionKey:
        """The key under which the store finds it."""
        return ConnectionKey(self.env, self.credential, self.owner, self.account)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Identity(Value):
    """Who it is at the provider.  `subject` is the provider's stable id; the rest is for people."""

    subject: str = ""
    email: str = ""
    name: str = ""
    login: str = ""

    @property
    def title(self) -> str:
        """What a person reads: the e-mail, else the login, else the name, else the subject."""
        return self.email or self.login or self.name or self.subject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Claim(Value):
    """Somebody may be spending the refresh token.

    Attributes:
        holder: 128 random bits in hex, new for each claim.
        until: By the store's clock, when the claim runs out.
        spending: The fingerprint of the refresh token that is being spent.
        expired: Whether the store's clock was past `until` when the record was read.
    """

    holder: str
    until: float
    spending: str = ""
    expired: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sealed(Value):
    """Sealed bytes and the id of the data key that opens them."""

    blob: bytes = field(repr=False)
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Record(Value):
    """One connection as the store holds it: everything in clear but the grant.

    `version` counts grant changes only (not claims, states, tags, re-sealing); `incarnation` counts connects and
    disconnects.  Together they are what a writer must have seen to be allowed to write.  All times are Unix seconds.
    """

    id: str
    key: ConnectionKey
    incarnation: int = 1
    version: int = 0
    claim: Claim | None = None
    doubt: int = 0
    """How often the refresh token at hand was sent without a readable answer."""
    state: StoredState = "pending"
    reason: str = ""
    error: str = ""
    """The class of the last failure (an error code), empty when all is well."""
    error_text: str = ""
    failures: int = 0
    next_try_at: float | None = None
    cooldown_until: float | None = None
    """No refresh before this time: a token younger than a minute was refused (R11)."""
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    sign_in_due_at: float | None = None
    """From when on people are told that they must sign in again, however often the grant is refreshed."""
    obtained_at: float | None = None
    learnt_lifetime: float | None = None
    granted: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    identity: Identity | None = None
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    tags: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    client_id: str = ""
    issuer: str = ""
    token_origin: str = ""
    refreshable: bool = False
    access_fp: str = ""
    refresh_fp: str = ""
    secret_id: str = ""
    """The id of this connection's token object in the secret service."""
    sealed: Sealed | None = None
    created_at: float = 0.0
    connected_at: float | None = None
    last_refresh_at: float | None = None
    last_used_at: float | None = None
    due_at: float | None = None
    """When a worker should look at it: to refresh ahead of need, or to keep alive a grant that dies of disuse."""

    @property
    def connection(self) -> Connection:
        """Which connection this is the record of."""
        return Connection(self.id, self.key.credential, self.key.owner, self.key.account, self.key.env)


_WRITE: Final[Mapping[str, Callable[[Record, Any], None]]] = {
    part.name: getattr(Record, part.name).__set__ for part in fields(Record)
}
"""What sets a member of a record that nobody has seen yet."""
_WRITE_ALL: Final = tuple(_WRITE.values())
_read_all: Final = attrgetter(*_WRITE)


def altered(record: Record, **changes: Any) -> Record:
    """Return a copy of `record` with members changed: `dataclasses.replace` at less than half its cost.

    Each refresh makes half a dozen of them.
    """
    new = object.__new__(Record)
    for write, value in zip(_WRITE_ALL, _read_all(record), strict=True):
        write(new, value)
    for name, value in changes.items():
        _WRITE[name](new, value)
    return new


def assembled(members: Mapping[str, Any]) -> Record:
    """Return the record of these members, all of which must be there: ``Record(**members)`` at half its cost."""
    new = object.__new__(Record)
    for name, write in _WRITE.items():
        write(new, members[name])
    return new


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Expect(Value):
    """What a row must still be for a write to happen (rules R3 and R6).

    The row's incarnation and version must be these.  With `holder`, it must also hold the claim; or, where `spent` is
    given, still hold the refresh token with that fingerprint: an answer bought with that very token is its successor,
    whatever somebody did to claim or state meanwhile.
    """

    incarnation: int
    version: int
    holder: str | None = None
    spent: str | None = None

    @classmethod
    def of(cls, record: Record, *, holder: str | None = None, spent: str | None = None) -> Expect:
        """Expect the row to be as `record` was read."""
        return cls(incarnation=record.incarnation, version=record.version, holder=holder, spent=spent)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Query(Value):
    """Which connections to list.  A member that is None does not filter.

    `owner` filters by owner when it is a string; `own=True` asks for the program's own (those without owner).
    """

    env: str
    credential: str | None = None
    owner: str | None = None
    own: bool = False
    state: StoredState | None = None
    missing_scope: str | None = None
    search: str | None = None
    """Matches credential, owner, account and identity, without case; anywhere, or their beginnings only, as
    `Store.searches_anywhere` says."""
    attention_by: float | None = None
    """Only those that are connected and want a person's attention before this time (`attention_at`)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecordPage(Value):
    """One page of records, ordered by (credential, owner, account, id).

    Attributes:
        items: The records.
        cursor: Where the next page begins; None: there is none.
        before: Where the page before it ends, to be read backwards; None: there is none.
    """

    items: tuple[Record, ...]
    cursor: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Document(Value):
    """Anything else that the store keeps: flows, secrets, declarations, app states, data keys, leases.

    Attributes:
        kind: What it is: ``flow``, ``secret``, ``declaration``, ``app``, ``data_key``, ``lease``, ``meta``.
        env: Its environment; empty for what belongs to the whole store.
        id: Unique within kind and environment.
        body: JSON values in clear.
        sealed: Its secret part, sealed.
        expires_at: Unix seconds after which it counts as absent.
        version: Counts its writes; 0 for one that was never stored.
    """

    kind: str
    id: str
    env: str = ""
    body: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    sealed: Sealed | None = None
    expires_at: float | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Event(Value):
    """Something that happened: ``connected``, ``refreshed``, ``refresh_failed``, ``needs_reauth``, ``disconnected``...

    `seq` is given by the store and only grows; `at` is Unix seconds; `actor` says which face did it.
    """

    kind: str
    at: float
    env: str = ""
    connection_id: str = ""
    credential: str = ""
    owner: str | None = None
    account: str = ""
    actor: str = ""
    detail: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResourceTokenStatus(Value):
    """What is told of an access token for one resource (RFC 8707), which ends at `expires_at` (Unix seconds)."""

    resource: str
    fingerprint: str
    expires_at: float | None = None
    granted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Status(Value):
    """How a connection is.  States are data: looking never raises for a connection that is not well.

    Attributes:
        connection: Which one; its id is empty while nobody ever tried to connect it.
        state: One of the seven states.
        reason: Why, for ``needs_reauth`` and the failing states; else empty.
        hint: What to do next; empty when nothing needs doing.
        expires_at: Unix seconds at which the access token ends; None: unknown or never.
        refresh_expires_at: Unix seconds at which the refresh token itself ends, where known.
        granted: The scopes that the account holder gave.
        requested: The scopes that were asked for.
        missing: What was asked for and not given.
        identity: Who it is at the provider, where it could be read.
        params: Values that came with the connection.
        last_refresh_at: Unix seconds of the last successful refresh.
        last_used_at: Unix seconds, to the minute, of the last use.
        next_try_at: Unix seconds before which a failing refresh is not tried again.
        refreshable: Whether the connection can renew its access token by itself.
        resource_tokens: The access tokens for one resource each that the grant holds beside its own (RFC 8707).
        choices: What there is to choose from where several were looked up (tenants, sites), by the param of the choice.
    """

    connection: Connection
    state: State
    reason: str = ""
    hint: str = ""
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    granted: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    identity: Identity | None = None
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    last_refresh_at: float | None = None
    last_used_at: float | None = None
    next_try_at: float | None = None
    refreshable: bool = False
    resource_tokens: tuple[ResourceTokenStatus, ...] = ()
    choices: Mapping[str, tuple[Choice, ...]] = field(default_factory=lambda: EMPTY)

    @property
    def connection_id(self) -> str:
        """The connection's id (``con_...``), which never changes."""
        return self.connection.id


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Page(Value):
    """One page of statuses and the cursor of the next page, or None when this is the last."""

    items: tuple[Status, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[Status]:
        """Iterate over the statuses of this page."""
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


SOON: Final = 7 * 86400.0
"""Seconds before its end at which a connection that cannot renew itself counts as ``expires_soon``."""

Counts = Mapping[tuple[str, State], int]
"""How many connections there are, by credential and state; those that are none are left out."""


def attention_at(record: Record) -> float | None:
    """Return after which time a connected record counts as ``expires_soon``; None: never.

    It cannot renew itself and ends within a week, or its refresh token itself ends soon, or a person has to sign in
    again before long however often it is refreshed (`Record.sign_in_due_at`).  A refresh token that lives a
    week and is renewed by each use is no cause for alarm on its first day: only the last fifth of its life counts.
    """
    if record.state != "connected":
        return None
    if not record.refreshable:
        return None if record.expires_at is None else record.expires_at - SOON
    end, due = record.refresh_expires_at, record.sign_in_due_at
    by_itself = None if end is None else end - min(SOON, (end - (record.obtained_at or end)) / 5)
    return min((moment for moment in (by_itself, due) if moment is not None), default=None)
