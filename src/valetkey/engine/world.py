"""What the engine sees of the outside: one frozen value of protocols, handed to every function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from valetkey.engine.lookout import Lookout
from valetkey.engine.servers import Servers
from valetkey.errors import ConfigurationError, DecryptionFailed
from valetkey.forks import late_imports
from valetkey.model.connections import ConnectionKey, Event, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.ports import Clock, Fate, Label, Sealer, Store, TokenEndpoint
from valetkey.model.secret_names import read_only
from valetkey.values import Secret, Value

if TYPE_CHECKING:
    from valetkey.model.journals import Journal, JournalEntry, JournalState

Pulse = Callable[[float, Callable[[], object]], AbstractContextManager[object]]


class NoJournal:
    """The journal of a store that is itself on this host, and syncs each commit to disk."""

    def write(self, entry: JournalEntry) -> JournalEntry:
        """Keep nothing."""
        return entry

    def settle(self, entry: JournalEntry) -> None:
        """Do nothing."""

    def leave(self, entry: JournalEntry) -> None:
        """Do nothing."""

    def entries(self, connection_id: str) -> Sequence[JournalEntry]:  # noqa: ARG002 - a `Journal` is told
        """Return nothing."""
        return ()

    def unsettled(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def erase(self, connection_id: str) -> None:
        """Do nothing."""

    def state(self) -> JournalState:
        """Return that nothing waits."""
        with late_imports:
            from valetkey.model.journals import JournalState  # noqa: PLC0415 - one-shot programs ask no journal

        return JournalState()


NO_JOURNAL = NoJournal()


def _read_only(credential: OAuth2Credential, _app: AppCredentials) -> None:
    """Refuse to store app credentials: nobody said where."""
    raise read_only(credential.secret_id, "what holds the app credentials", "store them where they are kept")


def _declared_document(credential: OAuth2Credential) -> str:
    """Return the declared one: nobody serves any."""
    return credential.client_id_metadata_url


def _no_assertion(credential: OAuth2Credential, _key: ConnectionKey) -> Secret:
    """Refuse: nobody said where assertions come from."""
    msg = f"nobody gives the assertion that tokens of {credential.name!r} are asked for with"
    raise ConfigurationError(
        msg, code="assertion_missing", hint=f"valetkey secret set {credential.assertion_secret_id}"
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class World(Value):
    """Everything outside that the engine touches.

    Attributes:
        store: Where records are.
        sealer: What seals and opens grants.
        endpoint: The way to authorization servers.
        clock: Time.
        credential: Finds a declared credential by name; raises ConfigurationError (``credential_unknown``).
        app: Reads the app credentials of a credential, anew each time; raises ConfigurationError (``app_missing``).
        nonce: Makes a name for the holder of a claim: 128 random bits in hex, and how this host finds its process.
        pulse: ``with pulse(seconds, beat):`` calls `beat` every so many seconds until the block ends.
        actor: Which face acts, for events: ``library``, ``command``...
        changed: Told of every connection whose grant or state this process changed.
        fate: Tells whether the process behind a claim lives, by the name of its holder (R10).
        journal: What this host remembers of answers that may not have reached the store (R6).
        lookout: What this process has seen of left claims and of a store that was away.
        servers: What this process has read of authorization servers.
        keep_app: Stores the app credentials of a credential where `app` reads them.
        client_document: The URL of the document that describes the app of a credential; empty: there is none.
        assertion: Reads the assertion that somebody else makes for a connection of a credential, anew each time.
        secret: Reads a secret by its id, anew each time; None: there is none.
    """

    store: Store
    sealer: Sealer
    endpoint: TokenEndpoint
    clock: Clock
    credential: Callable[[str], OAuth2Credential]
    app: Callable[[OAuth2Credential], AppCredentials]
    nonce: Callable[[], str]
    pulse: Pulse
    actor: str = "library"
    changed: Callable[[Record], None] = field(default=lambda _record: None)
    fate: Callable[[str], Fate] = field(default=lambda _holder: "unknown")
    journal: Journal = NO_JOURNAL
    lookout: Lookout = field(default_factory=Lookout)
    servers: Servers = field(default_factory=Servers)
    keep_app: Callable[[OAuth2Credential, AppCredentials], object] = field(default=_read_only)
    client_document: Callable[[OAuth2Credential], str] = field(default=_declared_document)
    assertion: Callable[[OAuth2Credential, ConnectionKey], Secret] = field(default=_no_assertion)
    secret: Callable[[str], str | None] = field(default=lambda _secret_id: None)

    def in_child(self, pulse: Pulse) -> World:
        """Return the world of a forked child, which has other threads and holds none of the parent's locks."""
        return replace(self, pulse=pulse, servers=Servers())


def grant_label(key: ConnectionKey, connection_id: str, incarnation: int, version: int) -> Label:
    """Return what a sealed grant is bound to."""
    return Label("grant", key.env, connection_id, incarnation, version)


def open_grant(world: World, record: Record) -> Grant | None:
    """Open the grant of a record, None where it holds none.

    Raises:
        DecryptionFailed: It cannot be opened with the keys at hand; or it is damaged, or no grant (``sealed_broken``).
    """
    if record.sealed is None:
        return None
    label = grant_label(record.key, record.id, record.incarnation, record.version)
    try:
        return Grant.from_json(world.sealer.open(record.sealed, label))
    except DecryptionFailed as error:
        if error.code != "sealed_broken":
            raise
        raise _broken(record, str(error)) from error
    except ValueError:
        raise _broken(record, "what is stored is no token object") from None


def _broken(record: Record, problem: str) -> DecryptionFailed:
    with late_imports:
        from valetkey.engine.trouble import broken_grant  # noqa: PLC0415 - a grant that opens needs none of it

    return broken_grant(record.key, problem)


def emit(world: World, kind: str, record: Record, **detail: object) -> None:
    """Append an event about a connection."""
    world.store.append_event(event_about(world, kind, record, **detail))


def event_about(world: World, kind: str, record: Record, **detail: object) -> Event:
    """Return an event about a connection, to be appended now or with the write that it tells of."""
    key = record.key
    return Event(
        kind=kind,
        at=world.clock.now(),
        env=key.env,
        connection_id=record.id,
        credential=key.credential,
        owner=key.owner,
        account=key.account,
        actor=world.actor,
        detail=detail,
    )
