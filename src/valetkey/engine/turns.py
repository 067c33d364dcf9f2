"""Sign-ins and revocations take turns where a revocation ends everything of a user (R14).

At a provider whose revocation reaches all that a user gave to a client (`revocation_reach` is ``user``), a revocation
that arrives between the sale of a grant and its row ends that grant too, and nobody sees it coming: the row that would
have warned is not written yet.  So each side leaves a note in the store first and looks for the other's then; of two
at the same time at least one sees the other.  Who finds a revocation under way takes its note back and waits before it
spends its code.  Who finds a sign-in under way waits for its row, which says then what a revocation would end.
The notes are the provider's, not a credential's: one app there can be declared as several.

Notes are leases: those of a process that died run out.  At other providers there are none, and no call to the store.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from valetkey.engine.leases import KIND
from valetkey.engine.world import World
from valetkey.errors import StoreError
from valetkey.model.connections import ConnectionKey, Document
from valetkey.model.credentials import OAuth2Credential

Deed = Literal["buying", "revoking"]
LIVES: Final[dict[Deed, float]] = {"buying": 60.0, "revoking": 40.0}
"""Seconds that a note lives: what it announces is over by then."""
MARGIN: Final = 5.0
"""Seconds before the end of its note at which a revocation must be over."""
SIGN_IN_WAITS: Final = 45.0
"""Seconds that a sign-in waits at most: longer than the note of a revocation whose process died."""
REVOCATION_WAITS: Final = 10.0
"""Seconds that a revocation waits for sign-ins at most; then it leaves the tokens to their end."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_PAGE: Final = 500


def takes_turns(credential: OAuth2Credential) -> bool:
    """Whether a revocation at that provider may end a grant that is being bought."""
    return credential.revocation_reach == "user" and bool(credential.revocation_url)


class Buying:
    """The time from before a code is spent until its grant is in the row.  Use it in a ``with`` block; `end` ends it.

    Entering waits while a revocation is under way that would end the grant: not for ever, for many revocations one
    after the other must not make signing in impossible.
    """

    def __init__(self, world: World, credential: OAuth2Credential, key: ConnectionKey) -> None:
        self._world = world
        self._credential = credential
        self._key = key
        self._note: Document | None = None

    def __enter__(self) -> Self:
        if takes_turns(self._credential):
            try:
                self._begin()
            except BaseException:
                self.end()  # there is no `__exit__`, and a revocation would wait for a sign-in that is none
                raise
        return self

    def _begin(self) -> None:
        give_up_at = self._world.clock.monotonic() + SIGN_IN_WAITS
        while True:
            self._note = _leave(self._world, self._credential, self._key, "buying")
            if not _others(self._world, self._credential, self._key, "revoking"):
                return
            if self._world.clock.monotonic() >= give_up_at:
                return
            self.end()
            _wait(self._world, self._credential, self._key, "revoking", until=give_up_at)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Take the note back."""
        note, self._note = self._note, None
        if note is not None:
            _take_back(self._world, note)


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of a revocation.

    Attributes:
        free: Whether no sign-in is under way that it would undo.
        until: When it must be over, on the monotonic clock.
    """

    free: bool
    until: float


@contextmanager
def revoking(world: World, credential: OAuth2Credential, key: ConnectionKey | None) -> Generator[Turn]:
    """Announce a revocation for what `key` held, and wait for the sign-ins that it would undo.

    A sign-in of another owner that takes long may be of the same person, but then nothing says so: only one of the
    same owner stops the revocation.

    Raises:
        StoreError: The store does not answer; nothing may be revoked.
    """
    began = world.clock.monotonic()
    if key is None or not takes_turns(credential):
        yield Turn(free=True, until=float("inf"))
        return
    note = _leave(world, credential, key, "revoking")
    try:
        left = _wait(world, credential, key, "buying", until=began + REVOCATION_WAITS)
        free = not any(other.body.get("owner") == key.owner for other in left)
        yield Turn(free=free, until=began + LIVES["revoking"] - MARGIN)
    finally:
        _take_back(world, note)


def _wait(
    world: World, credential: OAuth2Credential, key: ConnectionKey, deed: Deed, *, until: float
) -> list[Document]:
    """Wait until nobody does that, or until then; returns the notes that are left."""
    pause = _FIRST_PAUSE
    while (others := _others(world, credential, key, deed)) and world.clock.monotonic() < until:
        world.clock.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return others


def _others(world: World, credential: OAuth2Credential, key: ConnectionKey, deed: Deed) -> list[Document]:
    """Return the notes of that kind; not one that ends further ahead than it can: the clock was set back since."""
    prefix = _prefix(credential, deed)
    latest = world.store.now() + 2 * LIVES[deed]
    page = world.store.list_documents(KIND, env=key.env, after=prefix, limit=_PAGE)
    return [note for note in page if note.id.startswith(prefix) and (note.expires_at or 0.0) <= latest]


def _leave(world: World, credential: OAuth2Credential, key: ConnectionKey, deed: Deed) -> Document:
    note = Document(
        kind=KIND,
        id=_prefix(credential, deed) + world.nonce(),
        env=key.env,
        body={"owner": key.owner},
        expires_at=world.store.now() + LIVES[deed],
    )
    world.store.put_document(note)
    return note


def _take_back(world: World, note: Document) -> None:
    """Take a note back.  A store that does not answer is left to let it run out."""
    with suppress(StoreError):
        world.store.delete_document(KIND, note.id, env=note.env)


def _prefix(credential: OAuth2Credential, deed: Deed) -> str:
    return f"{deed}/{urlsplit(credential.revocation_url).netloc}/"
