"""What two stores must answer alike, whatever is asked of them in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from valetkey.model.connections import Document, Event, Expect, Identity, Query, Record, Sealed, StoredState
from valetkey.model.ports import KeyRetired, Store
from valetkey.stores.memory import MemoryStore
from valetkey.testing._contract_base import ENV, at, blank, data_key, every_page, with_grant
from valetkey.testing.clock import FakeClock

NUMBERS = st.integers(0, 3)
HOLDERS = st.sampled_from(["holder-1", "holder-2", "holder-3"])
KEYS = st.builds(
    at,
    credential=st.sampled_from(["github", "slack"]),
    owner=st.sampled_from([None, "", "ada", "Bob", "\N{LATIN SMALL LETTER E WITH ACUTE}%_"]),
    account=st.sampled_from(["", "work"]),
)
SCOPES = st.lists(st.sampled_from(["read", "write", "admin"]), max_size=3).map(tuple)
STATES = st.sampled_from(["pending", "connected", "needs_reauth"])
QUERIES = st.builds(
    Query,
    env=st.just(ENV),
    credential=st.sampled_from([None, None, "github"]),
    owner=st.sampled_from([None, None, "ada", ""]),
    own=st.sampled_from([False, False, True]),
    state=st.sampled_from([None, None, "connected"]),
    missing_scope=st.sampled_from([None, None, "write"]),
    search=st.sampled_from([None, None, "", "A", "\N{LATIN CAPITAL LETTER E WITH ACUTE}", "%", "hub"]),
)
KEY_IDS = st.sampled_from(["", "dk_1", "dk_2"])


class Alike(RuleBasedStateMachine):
    """Does everything twice: with the store in memory, and with another one."""

    def open_other(self, clock: FakeClock) -> Store:
        """Return an empty store that goes by `clock`, however it does that."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.clock = FakeClock(now=FakeClock().monotonic())  # for stores that have but one clock
        self.memory = MemoryStore(clock=self.clock)
        self.other = self.open_other(self.clock)
        self.seen: dict[int, Record] = {}
        self.both(lambda store: data_key(store, "dk_1"))

    def teardown(self) -> None:
        if hasattr(self, "other"):
            self.other.close()

    def both(self, work: Callable[[Store], Any]) -> Any:
        """Do it with both, and demand the same answer."""

        def answer(store: Store) -> Any:
            try:
                return work(store)
            except KeyRetired:
                return KeyRetired

        first, second = answer(self.memory), answer(self.other)
        assert first == second
        return first

    def last_seen(self, number: int) -> Record:
        """Return a record as it was read some time ago; it may be stale, and need not exist."""
        return self.seen.get(number) or blank(number)

    @rule(number=NUMBERS)
    def look(self, number: int) -> None:
        found = self.both(lambda store: store.find(f"con_{number:04}"))
        if found is not None:
            self.seen[number] = found

    @rule(number=NUMBERS, key=KEYS, requested=SCOPES, granted=SCOPES, state=STATES)
    def create(self, number: int, key: Any, requested: Any, granted: Any, state: StoredState) -> None:
        if self.both(lambda store: store.find(f"con_{number:04}")) is None:
            record = blank(number, key=key, requested=requested, granted=granted, state=state)
            self.both(lambda store: store.create(record))

    @rule(number=NUMBERS, holder=HOLDERS, over=st.none() | HOLDERS, spending=st.sampled_from(["", "a", "b"]))
    def claim(self, number: int, holder: str, over: str | None, spending: str) -> None:
        record = self.last_seen(number)
        self.both(lambda store: store.claim(record, holder=holder, life=30.0, spending=spending, over=over))

    @rule(number=NUMBERS, holder=HOLDERS)
    def renew(self, number: int, holder: str) -> None:
        record = self.last_seen(number)
        self.both(lambda store: store.renew(record, holder=holder, life=30.0))

    @rule(
        number=NUMBERS,
        token=st.integers(0, 2),
        holder=st.none() | HOLDERS,
        spent=st.booleans(),
        key_id=KEY_IDS,
        incarnation=st.booleans(),
        granted=SCOPES,
    )
    def swap(
        self, number: int, token: int, holder: str | None, *, spent: bool, key_id: str, incarnation: bool, granted: Any
    ) -> None:
        record = self.last_seen(number)
        new = with_grant(record, token, key_id=key_id, version=record.version + 1)
        new = replace(new, incarnation=record.incarnation + incarnation, granted=granted)
        expect = Expect.of(record, holder=holder, spent=record.refresh_fp if spent else None)
        self.both(lambda store: store.swap(new, expect=expect))

    @rule(number=NUMBERS, name=st.sampled_from(["ada", "\N{LATIN SMALL LETTER E WITH ACUTE}", "100%"]))
    def note(self, number: int, name: str) -> None:
        record = self.last_seen(number)
        changes = {"identity": Identity(login=name), "tags": {"n": name}}
        self.both(lambda store: store.note(record.id, incarnation=record.incarnation, changes=changes))

    @rule(number=NUMBERS, key=KEYS)
    def rename(self, number: int, key: Any) -> None:
        record = self.last_seen(number)
        self.both(lambda store: store.rename(record, key, f"secret-{key}"))

    @rule(number=NUMBERS, key_id=KEY_IDS)
    def rekey(self, number: int, key_id: str) -> None:
        record = self.last_seen(number)
        self.both(lambda store: store.rekey([(record, Sealed(b"anew", key_id))]))

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        record = self.last_seen(number)
        self.both(lambda store: store.delete(record))

    @rule(seconds=st.sampled_from([1.0, 15.0, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(query=QUERIES, limit=st.integers(1, 4))
    def pages(self, query: Query, limit: int) -> None:
        self.both(lambda store: every_page(store, query, limit))

    @rule(
        name=st.sampled_from("ab"), expect=st.none() | st.integers(0, 2), life=st.none() | st.just(20.0), key_id=KEY_IDS
    )
    def put_document(self, name: str, expect: int | None, life: float | None, key_id: str) -> None:
        expires_at = None if life is None else self.clock.now() + life
        document = Document(kind="flow", id=name, body={"n": 1}, expires_at=expires_at, sealed=Sealed(b"x", key_id))
        self.both(lambda store: store.put_document(document, expect=expect))

    @rule(name=st.sampled_from("ab"), take=st.booleans())
    def remove_document(self, name: str, *, take: bool) -> None:
        self.both(lambda s: s.take_document("flow", name) if take else s.delete_document("flow", name))

    @rule(key_id=KEY_IDS)
    def retire(self, key_id: str) -> None:
        def found(store: Store) -> Any:
            records, documents = store.sealed_with(key_id)
            return sorted(record.id for record in records), documents

        self.both(found)
        self.both(lambda store: store.retire_key(key_id))

    @rule(connection=st.sampled_from(["con_0001", "con_0002"]))
    def append_event(self, connection: str) -> None:
        self.both(lambda store: store.append_event(Event(kind="k", at=1.0, env=ENV, connection_id=connection)))

    @rule(
        connection=st.none() | st.just("con_0001"),
        after=st.integers(0, 3),
        limit=st.integers(1, 3),
        newest=st.booleans(),
    )
    def events(self, connection: str | None, after: int, limit: int, *, newest: bool) -> None:
        self.both(
            lambda store: store.list_events(
                env=ENV, connection_id=connection, after=after, limit=limit, newest_first=newest
            )
        )

    @invariant()
    def the_same_is_stored(self) -> None:
        self.both(lambda store: store.list(Query(env=ENV)))
        self.both(lambda store: store.list_documents("flow"))
