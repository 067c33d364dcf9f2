"""A store made of a plain secret service, which can only get, set and delete, and a ledger on this host."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

from valetkey.clock import SystemClock
from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import (
    ConnectionKey,
    Counts,
    Event,
    Expect,
    Query,
    Record,
    RecordPage,
    Sealed,
    StoredState,
)
from valetkey.model.ports import Clock, SecretService, Store
from valetkey.model.troubles import Standings, Trouble
from valetkey.stores import _rules, _tokens
from valetkey.stores._ledger import LedgerPart
from valetkey.stores._turns import Turns

LOOK_AGAIN: Final = 5.0
"""Seconds after which `change_mark` differs in any case: a plain service tells nobody of its changes (R0)."""

_LOOK: Final = 1.0
"""Seconds between two looks into the service of one who waits for a change."""


class SecretServiceStore(LedgerPart):
    """Keeps each grant as a token object in a plain `SecretService`, and everything else in a ledger.

    Claims, versions, states, documents and events are rows of the ledger, so exactly one process *of this host*
    refreshes.  A plain service cannot keep two hosts apart: for that use a store that they share.

    **The service is the truth for the grant.**  Where it holds another access token than the row tells of, somebody
    else wrote it (another host, or another program that uses the same secret): the row moves on to it, a version
    further, connected.  Where the secret is gone, the connection counts as disconnected.  A row that is created over
    a secret which is there already takes it over.

    **Order of writes.**  A new grant goes into the service first and into the ledger after it; a disconnect deletes
    from the service first.  A crash between the two leaves a row that disagrees with the service, and the next look
    heals it by the rule above, in favour of the newer grant.  The other order would leave a row that tells of a
    grant which nobody has: the successor of a spent refresh token, lost.

    **Turns.**  Check, service and ledger are three steps.  Those who change a secret take turns by a lease in the
    ledger, so that of a refresh and a disconnect on this host one comes after the other, and one that reads in
    between waits a moment instead of taking half a write for somebody else's.  A lease ends by itself after 10 s, so
    a process that dies in its turn holds up nobody for longer; whoever is slower than that is still fenced by the
    ledger, which is swapped under the expectation as it was.

    Args:
        service: Where the token objects are, as JSON, under each record's `secret_id`.
        ledger: A store on this host for everything else.
        clock: Time; the system's clock by default.
    """

    seals: bool = False
    """Token objects lie in the service as they are: what guards them is the service."""
    local: bool = False

    def __init__(self, service: SecretService, ledger: Store, *, clock: Clock | None = None) -> None:
        super().__init__(ledger)
        self.service: SecretService = service
        self.url: str = f"secrets:{type(service).__name__}+{ledger.url}"
        self._clock = clock or SystemClock()
        self._turns = Turns(ledger, self._clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.service).__name__}, {self.ledger!r})"

    def change_mark(self) -> object:
        """Return the mark of the ledger, and one that changes every 5 s for what the service does not tell."""
        return self.ledger.change_mark(), self._clock.monotonic() // LOOK_AGAIN

    # -- reading

    def load(self, key: ConnectionKey) -> Record | None:
        """Return the record under `key` with the grant that the service holds now, or None."""
        return self._true(self.ledger.load(_tokens.ledger_key(key)))

    def find(self, connection_id: str) -> Record | None:
        """Return the record with that id, or None."""
        return self._true(self._row(connection_id))

    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        """Return one page, in the order of (credential, owner, account, id).

        A record whose token object cannot be read is listed with the error ``row_corrupt``.
        """
        asked = replace(query, env=_tokens.ledger_env(query.env))
        page = self.ledger.list(asked, cursor=cursor, limit=limit, backwards=backwards)
        found = [self._listed(row) for row in page.items]
        items = tuple(r for r in found if r is not None and _rules.matches(r, query))
        return RecordPage(items, page.cursor, page.before)

    def due(self, *, env: str, until: float, limit: int = 100) -> Sequence[Record]:
        """Return up to `limit` records whose `due_at` is not later than `until`, the most urgent first."""
        rows = self.ledger.due(env=_tokens.ledger_env(env), until=until, limit=limit)
        return tuple(record for row in rows if (record := self._listed(row)) is not None)

    def counts(self, *, env: str, now: float) -> Counts:
        """Return how many connections the ledger knows of, by credential and state."""
        return self.ledger.counts(env=_tokens.ledger_env(env), now=now)

    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        """Return why connections are in a state, as the ledger knows: the first `limit` of them, summed."""
        return self.ledger.troubles(env=_tokens.ledger_env(env), state=state, limit=limit)

    def searches_anywhere(self, search: str = "") -> bool:  # noqa: ARG002 - the protocol's
        """Return True: a search finds any part of a text."""
        return True

    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        """Return how all connections of a credential are, as the ledger knows, in groups that are alike."""
        return self.ledger.standings(env=_tokens.ledger_env(env), credential=credential, now=now)

    def watch(self, tell: Callable[[ConnectionKey | None], None]) -> None:
        """Do nothing: a plain service tells nobody of changes."""

    def listens(self) -> bool:
        """Return False: whoever wants to know of changes looks."""
        return False

    def holds(self, secret_id: str) -> bool:
        """Whether the service holds a token object under that id, whoever put it there."""
        return self._get(secret_id) is not None

    def wait_for_change(self, record: Record, timeout: float) -> bool:
        """Return True as soon as the row differs from `record` or is gone, False after `timeout` s.

        What others write into the service is seen within a second.
        """
        left = timeout
        while True:
            if self._get(record.secret_id) != _tokens.plain_text(record.sealed):
                return True
            part = min(left, _LOOK)
            if self.ledger.wait_for_change(_tokens.to_row(record), part):
                return True
            left -= part
            if left <= 0:
                return False

    # -- writing

    def create(self, record: Record) -> Record:
        """Store a new record; where its key is taken already, return the one that is there, unchanged.

        Where the service already holds a token object under its `secret_id`, it is taken over.
        """
        with self._turns.at(record.secret_id):
            row = self.ledger.load(_tokens.ledger_key(record.key)) or self._create(record)
        created = self._true(row)
        return created or replace(record, claim=None)

    def _create(self, record: Record) -> Record:
        text = _tokens.plain_text(record.sealed)
        if text is not None:
            self._put(record.secret_id, text)
        return self.ledger.create(_tokens.to_row(record))

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        """Claim the right to spend the grant of `record` (R3); not where the service holds another one by now."""
        seen = self.find(record.id)
        if seen is None:
            return None
        row = self.ledger.claim(
            _tokens.to_row(record), holder=holder, life=life, spending=spending, over=over, dead=dead
        )
        return None if row is None else _tokens.joined(row, _tokens.plain_text(seen.sealed))

    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        """Prolong the claim of `holder` on the record's incarnation to `life` seconds from now.  False: not held."""
        return self.ledger.renew(_tokens.to_row(record), holder=holder, life=life)

    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        """Replace the row of ``new.id`` and its token object, if both are still as expected; clears the claim.

        Without a grant in `new`, the secret is deleted.
        """
        text = _tokens.plain_text(new.sealed)
        with self._turn_of(new.id) as row:
            if row is None or not _rules.as_expected(row, expect) or self._overtaken(row, new):
                return None
            return self._swap(row, new, text, expect, event)

    def _overtaken(self, row: Record, new: Record) -> bool:
        """Whether the service holds neither what the row tells of, nor what is being written: then move the row on.

        It holds what is being written when the service took it and the ledger failed, so that it is tried again.
        """
        text = self._get(row.secret_id)
        if _tokens.agrees(row, text) or (text is not None and _tokens.agrees(new, text)):
            return False
        self._move_on(row, text)
        return True

    def _swap(self, row: Record, new: Record, text: str | None, expect: Expect, event: Event | None) -> Record | None:
        stored = _rules.swapped(row, _tokens.to_row(new))
        self._put(stored.secret_id, text)
        swapped = self.ledger.swap(stored, expect=expect, event=event)
        if swapped is None:
            return None
        if text is None or row.secret_id != stored.secret_id:
            self._put(row.secret_id, None)
        return _tokens.joined(swapped, text)

    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        """Change side facts of that incarnation, whoever holds the claim.  False: that incarnation is gone."""
        return self._row(connection_id) is not None and self.ledger.note(
            connection_id, incarnation=incarnation, changes=changes
        )

    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:  # noqa: ARG002 - the protocol's signature
        """Do nothing and return 0: token objects are not sealed."""
        return 0

    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Give the connection another key, and move its token object.  False: the key is taken, or the row is gone."""
        row = self._row(record.id)
        if row is None or secret_id == row.secret_id:
            return row is not None and self.ledger.rename(row, _tokens.ledger_key(key), secret_id)
        with ExitStack() as turns:
            for name in sorted((row.secret_id, secret_id)):
                turns.enter_context(self._turns.at(name))
            return self._move(row, key, secret_id)

    def _move(self, row: Record, key: ConnectionKey, secret_id: str) -> bool:
        """Copy, rename, delete: at each step one of the two places that the row may name holds the token object."""
        if self._get(secret_id) is not None:
            return False
        text = self._get(row.secret_id)
        self._put(secret_id, text)
        renamed = self.ledger.rename(row, _tokens.ledger_key(key), secret_id)
        if text is not None:
            self._put(row.secret_id if renamed else secret_id, None)
        return renamed

    def delete(self, record: Record) -> bool:
        """Erase the row with that id and incarnation, and its token object."""
        with self._turn_of(record.id) as row:
            if row is None or row.incarnation != record.incarnation:
                return False
            self._put(row.secret_id, None)
            return self.ledger.delete(row)

    # -- row and token object

    def _row(self, connection_id: str) -> Record | None:
        row = self.ledger.find(connection_id)
        return row if _tokens.is_row(row) else None

    def _true(self, row: Record | None) -> Record | None:
        """Return the record that the row and the service make, after moving the row on where they disagree."""
        if row is None:
            return None
        text = self._get(row.secret_id)
        if _tokens.agrees(row, text):
            return _tokens.joined(row, text)
        with self._turns.at(row.secret_id, needed=False):
            return self._settle(row.id)

    def _settle(self, connection_id: str) -> Record | None:
        """Look again, now that nobody of this host is between two steps; move the row on if it is still so."""
        while True:
            row = self._row(connection_id)
            if row is None:
                return None
            text = self._get(row.secret_id)
            if not _tokens.agrees(row, text):
                row = self._move_on(row, text)
            if row is not None:
                return _tokens.joined(row, text)

    def _move_on(self, row: Record, text: str | None) -> Record | None:
        new = _tokens.vanished(row) if text is None else _tokens.taken_over(row, text, self._clock.now())
        return self.ledger.swap(new, expect=Expect.of(row))

    def _listed(self, row: Record) -> Record | None:
        try:
            return self._true(row)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return replace(_tokens.joined(row, None), error=error.code, error_text=str(error))

    # -- the service

    def _get(self, secret_id: str) -> str | None:
        return (self.service.get(secret_id) or None) if secret_id else None

    def _put(self, secret_id: str, text: str | None) -> None:
        if text is not None and not secret_id:
            msg = "A record without secret_id has no place in a secret service."
            raise StoreError(msg, code="secret_id_missing", hint="Declare the credential with a token_secret_id.")
        if text == self._get(secret_id):
            return
        if text is None:
            self.service.delete(secret_id)
        else:
            self.service.set(secret_id, text)

    # -- turns

    @contextmanager
    def _turn_of(self, connection_id: str) -> Generator[Record | None]:
        """Run the block in the turn of a connection's secret, with its row as it is then, None where it is gone."""
        while True:
            before = self._row(connection_id)
            if before is None:
                yield None
                return
            with self._turns.at(before.secret_id):
                row = self._row(connection_id)
                if row is None or row.secret_id == before.secret_id:  # else it was renamed meanwhile
                    yield row
                    return
