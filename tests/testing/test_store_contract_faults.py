"""The store contract finds what is wrong with a store: for each fault, a test of it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from valetkey.model.connections import (
    ConnectionKey,
    Document,
    Event,
    Expect,
    Query,
    Record,
    RecordPage,
    Sealed,
    StoredState,
)
from valetkey.model.ports import Clock, Store
from valetkey.model.troubles import Standings, Trouble
from valetkey.stores import _cursor, _rules
from valetkey.stores.memory import MemoryStore
from valetkey.testing.clock import FakeClock
from valetkey.testing.store_contract import StoreContract


class ReadThenWrite(MemoryStore):
    """Decides on a claim before it takes the lock."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self.all_decided = threading.Barrier(8)

    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None, dead: bool = False
    ) -> Record | None:
        row = self.find(record.id)
        self.all_decided.wait(10)
        new = _rules.claimed(row, record, holder=holder, until=life + 1e6, spending=spending, over=over, dead=dead)
        return None if new is None else self._put(new)


class AnyoneTakesOver(MemoryStore):
    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None
    ) -> Record | None:
        row = self.find(record.id)
        free = row is not None and row.claim is not None and row.claim.expired
        over = row.claim.holder if free and row is not None and row.claim else over
        return super().claim(record, holder=holder, life=life, spending=spending, over=over)


class AnyVersion(MemoryStore):
    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None
    ) -> Record | None:
        return super().claim(self.find(record.id) or record, holder=holder, life=life, spending=spending, over=over)


class NoDoubt(MemoryStore):
    def claim(
        self, record: Record, *, holder: str, life: float, spending: str, over: str | None = None
    ) -> Record | None:
        claimed = super().claim(record, holder=holder, life=life, spending=spending, over=over)
        return None if claimed is None else self._put(replace(claimed, doubt=0))


class ByTheWallClock(MemoryStore):
    def _row(self, connection_id: str) -> Record | None:
        row = super()._row(connection_id)
        if row is None or row.claim is None:
            return row
        late = self.now() - self._clock.monotonic() > 1_800_000_000.0 - 1000.0
        return replace(row, claim=replace(row.claim, expired=row.claim.expired or late))


class AnyoneRenews(MemoryStore):
    def renew(self, record: Record, *, holder: str, life: float) -> bool:
        row = self.find(record.id)
        holder = row.claim.holder if row and row.claim else ""
        return super().renew(record, holder=holder, life=life)


class TellsNothing(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:  # noqa: ARG002
        return super().swap(new, expect=expect)


class TellsWhatDidNotHappen(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        if event is not None:
            self.append_event(event)
        return super().swap(new, expect=expect)


class KeepsTheClaim(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        before = self.find(new.id)
        stored = super().swap(new, expect=expect, event=event)
        return None if stored is None or before is None else self._put(replace(stored, claim=before.claim))


class AnyHolderWrites(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        return super().swap(new, expect=replace(expect, holder=None), event=event)


class OnlyHoldersWrite(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        return super().swap(new, expect=replace(expect, spent=None), event=event)


class UndoesRenames(MemoryStore):
    def swap(self, new: Record, *, expect: Expect, event: Event | None = None) -> Record | None:
        stored = super().swap(new, expect=expect, event=event)
        return None if stored is None else self._put(replace(stored, key=new.key))


class ForgetsAMember(MemoryStore):
    def _put(self, record: Record) -> Record:
        return super()._put(replace(record, learnt_lifetime=None))


class CreateReplaces(MemoryStore):
    def create(self, record: Record) -> Record:
        return self._put(record)


class NotesAreVersions(MemoryStore):
    def note(self, connection_id: str, *, incarnation: int, changes: Mapping[str, Any]) -> bool:
        row = self.find(connection_id)
        noted = super().note(connection_id, incarnation=incarnation, changes=changes)
        if noted and row is not None:
            self._put(replace(row, version=row.version + 1, **changes))
        return noted


class RenamesOver(MemoryStore):
    def rename(self, record: Record, key: ConnectionKey, secret_id: str) -> bool:
        self._ids.pop(key, None)
        return super().rename(record, key, secret_id)


class ErasesAnyIncarnation(MemoryStore):
    def delete(self, record: Record) -> bool:
        return super().delete(self.find(record.id) or record)


class SharesItsMappings(MemoryStore):
    def _put(self, record: Record) -> Record:
        self._records[record.id], self._ids[record.key] = record, record.id
        return record


class ForgetsKeys(MemoryStore):
    def _demand_key(self, sealed: Sealed | None, kind: str = "") -> None:
        """Find nothing wrong."""


class RetiresKeysInUse(MemoryStore):
    def retire_key(self, key_id: str) -> bool:
        return self.delete_document("data_key", key_id)


class RekeysAnything(MemoryStore):
    def rekey(self, anew: Sequence[tuple[Record, Sealed]]) -> int:
        for record, sealed in anew:
            self._put(replace(record, sealed=sealed))
        return len(anew)


class PagesOverlap(MemoryStore):
    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        page = super().list(query, cursor=cursor, limit=limit, backwards=backwards)
        if page.cursor is None or len(page.items) < 2:
            return page
        return replace(page, cursor=_cursor.encode(_rules.sort_key(page.items[-2].key)))


class PagesByNumber(MemoryStore):
    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        whole = super().list(query, limit=10**6, backwards=backwards).items
        start = int(cursor or 0)
        more = len(whole) > start + limit
        return RecordPage(whole[start : start + limit], str(start + limit) if more else None)


class BackUpsideDown(MemoryStore):
    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        page = super().list(query, cursor=cursor, limit=limit, backwards=backwards)
        return replace(page, items=page.items[::-1]) if backwards else page


class NothingBefore(MemoryStore):
    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        page = super().list(query, cursor=cursor, limit=limit, backwards=backwards)
        return page if backwards else replace(page, before=None)


class LastTrouble(MemoryStore):
    def troubles(self, *, env: str, state: StoredState, limit: int = 200) -> Sequence[Trouble]:
        return [replace(one, next_try_at=None) for one in super().troubles(env=env, state=state, limit=limit)]


class LastOfStandings(MemoryStore):
    def standings(self, *, env: str, credential: str, now: float) -> Standings:
        told = super().standings(env=env, credential=credential, now=now)
        return replace(told, groups=tuple(replace(one, first_end=one.last_end) for one in told.groups))


class OwnersFirst(MemoryStore):
    def list(self, query: Query, *, cursor: str | None = None, limit: int = 100, backwards: bool = False) -> RecordPage:
        page = super().list(query, cursor=cursor, limit=limit, backwards=backwards)
        return replace(page, items=tuple(sorted(page.items, key=lambda r: (r.key.credential, r.key.owner is None))))


class OverlooksClaims(MemoryStore):
    def wait_for_change(self, record: Record, timeout: float) -> bool:
        row = self.find(record.id)
        return row is None or replace(row, claim=None) != replace(record, claim=None) or timeout < 0


class RunningOutIsChange(MemoryStore):
    def wait_for_change(self, record: Record, timeout: float) -> bool:
        changed = super().wait_for_change(record, timeout)
        return changed or self.find(record.id) != record


class MarksNothing(MemoryStore):
    def change_mark(self) -> object:
        return "the same as ever"


class TakersShare(MemoryStore):
    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        return self.get_document(kind, document_id, env=env)


class NothingExpires(MemoryStore):
    def now(self) -> float:
        return 0.0


class ExpectsNothing(MemoryStore):
    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:  # noqa: ARG002
        return super().put_document(document)


class CountsAnew(MemoryStore):
    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        if self.get_document(document.kind, document.id, env=document.env) is None:
            self._documents.pop((document.kind, document.env, document.id), None)
        return super().put_document(document, expect=expect)


class NumbersByConnection(MemoryStore):
    def append_event(self, event: Event) -> int:
        super().append_event(event)
        return len([e for e in self._events if e.connection_id == event.connection_id])


class AlwaysOldestFirst(MemoryStore):
    def list_events(
        self,
        *,
        env: str,
        connection_id: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest_first: bool = False,  # noqa: ARG002
    ) -> Sequence[Event]:
        return super().list_events(env=env, connection_id=connection_id, after=after, limit=limit)


FAULTS: dict[type[MemoryStore], str] = {
    ReadThenWrite: "test_of_eight_threads_one_claims",
    AnyoneTakesOver: "test_a_claim_that_has_run_out_is_taken_over_only_by_its_name",
    AnyVersion: "test_a_stale_version_is_not_claimed",
    NoDoubt: "test_doubt_adds_up_and_stays_when_a_claim_is_given_back",
    ByTheWallClock: "test_setting_the_wall_clock_does_not_free_a_claim",
    AnyoneRenews: "test_nobody_else_prolongs_a_claim",
    TellsNothing: "test_the_event_of_a_swap_is_appended_with_it",
    TellsWhatDidNotHappen: "test_the_event_of_a_swap_that_does_not_happen_is_not_appended",
    KeepsTheClaim: "test_the_holder_of_the_claim_writes_and_the_claim_is_cleared",
    AnyHolderWrites: "test_without_the_claim_a_holder_does_not_write",
    OnlyHoldersWrite: "test_a_successor_is_stored_without_the_claim_while_its_parent_is_there",
    UndoesRenames: "test_a_rename_meanwhile_is_kept",
    ForgetsAMember: "test_every_member_comes_back_as_it_was",
    CreateReplaces: "test_of_eight_that_create_the_same_key_all_get_the_same_record",
    NotesAreVersions: "test_several_side_facts_are_noted_at_once",
    RenamesOver: "test_a_key_that_is_taken_is_not_given_away",
    ErasesAnyIncarnation: "test_only_the_incarnation_that_was_seen_is_erased",
    SharesItsMappings: "test_what_is_handed_out_is_not_what_is_kept",
    ForgetsKeys: "test_a_grant_sealed_with_a_key_that_is_gone_is_refused_and_nothing_is_written",
    RetiresKeysInUse: "test_a_key_is_retired_only_when_nothing_is_sealed_with_it",
    RekeysAnything: "test_a_grant_that_moved_on_is_not_sealed_anew",
    PagesOverlap: "test_what_is_added_between_two_pages_repeats_nothing",
    PagesByNumber: "test_what_is_erased_between_two_pages_hides_nothing_else",
    BackUpsideDown: "test_a_page_tells_whether_another_is_before_it",
    NothingBefore: "test_a_page_tells_whether_another_is_before_it",
    LastOfStandings: "test_all_connections_of_a_credential_are_summed_in_groups_that_are_alike",
    LastTrouble: "test_why_connections_are_not_well_is_summed",
    OwnersFirst: "test_connections_are_listed_by_credential_then_owner_none_first_then_account",
    OverlooksClaims: "test_a_renewed_claim_is_a_change",
    RunningOutIsChange: "test_that_a_claim_runs_out_is_no_change",
    MarksNothing: "test_the_mark_differs_when_the_store_was_closed_in_between_or_nothing_was_missed",
    TakersShare: "test_of_eight_takers_one_gets_it",
    NothingExpires: "test_an_expired_document_counts_as_absent",
    ExpectsNothing: "test_of_eight_that_expect_the_same_version_one_writes",
    CountsAnew: "test_an_expired_document_can_be_put_anew_and_its_old_version_does_not_come_back",
    NumbersByConnection: "test_numbers_only_grow",
    AlwaysOldestFirst: "test_the_newest_come_first_where_that_is_asked",
}


def contract_test(make: Callable[..., Store], name: str) -> Callable[[], None]:
    """Return one test of the contract, ready to run over a store."""

    class Contract(StoreContract):
        def make_store(self, clock: Clock) -> Store:
            return make(clock=clock)

    contract = Contract()
    contract.clock = FakeClock()
    test: Callable[..., None] = getattr(contract, name)
    if test.__code__.co_argcount == 1:  # makes its own store
        return test
    return lambda: test(contract.make_store(contract.clock))


@pytest.mark.parametrize(("faulty", "name"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_faulty_store_fails_the_contract(faulty: type[MemoryStore], name: str) -> None:
    contract_test(MemoryStore, name)()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        contract_test(faulty, name)()


def test_a_contract_that_is_not_told_how_to_make_the_store_says_so() -> None:
    with pytest.raises(NotImplementedError, match="def make_store"):
        StoreContract().make_store(FakeClock())
