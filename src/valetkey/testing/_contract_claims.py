"""The store contract: claims, and the writes that depend on them."""
# ruff: noqa: PLR2004, S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.model.connections import Claim, Expect, Identity
from valetkey.model.ports import Store
from valetkey.testing._contract_base import (
    LIFE,
    ContractBase,
    at,
    at_once,
    blank,
    connected,
    held,
    seen,
    successor,
)


class Claims(ContractBase):
    """Claim before spending (DESIGN section 6, R3)."""

    def test_a_free_record_is_claimed(self, store: Store) -> None:
        record = connected(store)
        claimed = held(store, record, "holder-1", spending="fingerprint")
        assert claimed.claim is not None
        assert (claimed.claim.holder, claimed.claim.spending, claimed.claim.expired) == (
            "holder-1",
            "fingerprint",
            False,
        )
        assert seen(store, record) == claimed

    def test_a_claim_changes_neither_version_nor_anything_else(self, store: Store) -> None:
        record = connected(store)
        assert replace(held(store, record), claim=None) == record

    def test_a_claimed_record_is_not_claimed_again(self, store: Store) -> None:
        record = connected(store)
        claimed = held(store, record)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="") is None
        assert store.claim(claimed, holder="holder-2", life=LIFE, spending="") is None
        assert seen(store, record) == claimed

    def test_of_eight_threads_one_claims(self, store: Store) -> None:
        record = connected(store)
        works = [lambda n=n: store.claim(record, holder=f"holder-{n}", life=LIFE, spending="") for n in range(8)]
        won = [claimed for claimed in at_once(*works) if claimed is not None]
        assert len(won) == 1
        assert seen(store, record) == won[0]

    def test_a_stale_version_is_not_claimed(self, store: Store) -> None:
        record = connected(store)
        assert store.swap(successor(record, 2), expect=Expect.of(record)) is not None
        assert store.claim(record, holder="holder-1", life=LIFE, spending="") is None

    def test_a_stale_incarnation_is_not_claimed(self, store: Store) -> None:
        record = connected(store)
        assert store.swap(replace(record, incarnation=2), expect=Expect.of(record)) is not None
        assert store.claim(record, holder="holder-1", life=LIFE, spending="") is None

    def test_a_record_that_is_gone_is_not_claimed(self, store: Store) -> None:
        record = connected(store)
        assert store.delete(record)
        assert store.claim(record, holder="holder-1", life=LIFE, spending="") is None

    def test_a_claim_runs_out_by_the_stores_clock(self, store: Store) -> None:
        record = held(store, connected(store), life=LIFE)
        assert record.claim is not None
        assert not record.claim.expired
        self.pass_time(LIFE + 1)
        now = seen(store, record).claim
        assert now == replace(record.claim, expired=True)

    def test_setting_the_wall_clock_does_not_free_a_claim(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.clock.set(self.clock.now() + 10 * LIFE)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="", over="holder-1") is None

    def test_a_claim_that_has_run_out_is_taken_over_only_by_its_name(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="") is None
        assert store.claim(record, holder="holder-2", life=LIFE, spending="", over="somebody") is None
        taken = store.claim(record, holder="holder-2", life=LIFE, spending="", over="holder-1")
        assert taken is not None
        assert taken.claim is not None
        assert (taken.claim.holder, taken.claim.expired) == ("holder-2", False)
        assert seen(store, record) == taken

    def test_a_claim_that_has_not_run_out_is_not_taken_over(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE / 2)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="", over="holder-1") is None

    def test_the_claim_of_a_dead_holder_is_taken_over_before_it_runs_out(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1", spending="fp")
        self.pass_time(LIFE / 2)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="fp", over="holder-3", dead=True) is None
        taken = held(store, record, "holder-2", spending="fp", over="holder-1", dead=True)
        assert taken.claim is not None
        assert (taken.claim.holder, taken.doubt) == ("holder-2", 1)
        assert seen(store, record) == taken

    def test_a_free_record_is_claimed_whatever_over_says(self, store: Store) -> None:
        record = connected(store)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="", over="holder-1") is not None

    def test_of_two_that_take_over_one_wins(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        works = [
            lambda n=n: store.claim(record, holder=f"later-{n}", life=LIFE, spending="", over="holder-1")
            for n in range(4)
        ]
        assert sum(taken is not None for taken in at_once(*works)) == 1

    @pytest.mark.parametrize(
        ("spent_by_first", "spent_by_second", "doubt"),
        [
            pytest.param("fp-1", "fp-1", 1, id="the same token counts one more doubt"),
            pytest.param("fp-1", "fp-2", 0, id="another token counts none"),
            pytest.param("", "", 0, id="no token counts none"),
        ],
    )
    def test_taking_over_counts_doubt(
        self, store: Store, spent_by_first: str, spent_by_second: str, doubt: int
    ) -> None:
        record = held(store, connected(store), "holder-1", spending=spent_by_first)
        self.pass_time(LIFE + 1)
        taken = held(store, record, "holder-2", spending=spent_by_second, over="holder-1")
        assert taken.doubt == doubt
        assert seen(store, record).doubt == doubt

    def test_a_holder_that_takes_over_its_own_claim_counts_no_doubt(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1", spending="fp")
        self.pass_time(LIFE + 1)
        assert held(store, record, "holder-1", spending="fp", over="holder-1").doubt == 0

    def test_doubt_adds_up_and_stays_when_a_claim_is_given_back(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1", spending="fp")
        for number in (2, 3):
            self.pass_time(LIFE + 1)
            record = held(store, record, f"holder-{number}", spending="fp", over=f"holder-{number - 1}")
        assert store.swap(record, expect=Expect.of(record, holder="holder-3")) is not None
        assert seen(store, record).doubt == 2
        assert held(store, record, "holder-4", spending="fp").doubt == 2

    # -- renewing

    def test_the_holder_prolongs_its_claim(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1", life=LIFE)
        self.pass_time(LIFE - 1)
        assert store.renew(record, holder="holder-1", life=LIFE)
        self.pass_time(LIFE - 1)
        claim = seen(store, record).claim
        assert claim is not None
        assert not claim.expired

    def test_the_holder_prolongs_a_claim_that_has_run_out_and_that_nobody_took(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        assert store.renew(record, holder="holder-1", life=LIFE)
        assert store.claim(record, holder="holder-2", life=LIFE, spending="", over="holder-1") is None

    def test_nobody_else_prolongs_a_claim(self, store: Store) -> None:
        record = connected(store)
        assert not store.renew(record, holder="holder-1", life=LIFE)
        held(store, record, "holder-1")
        assert not store.renew(record, holder="holder-2", life=LIFE)

    def test_a_claim_of_an_older_incarnation_is_not_prolonged(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        reconnected = store.swap(replace(record, incarnation=2), expect=Expect.of(record))
        assert reconnected is not None
        assert not store.renew(record, holder="holder-1", life=LIFE)
        held(store, reconnected, "holder-1")
        assert not store.renew(record, holder="holder-1", life=LIFE)
        assert store.renew(reconnected, holder="holder-1", life=LIFE)

    def test_a_claim_that_was_taken_over_is_not_prolonged(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        held(store, record, "holder-2", over="holder-1")
        assert not store.renew(record, holder="holder-1", life=LIFE)


class Swaps(ContractBase):
    """Compare and swap (DESIGN section 6, R6)."""

    def test_a_record_as_expected_is_replaced(self, store: Store) -> None:
        record = connected(store)
        new = successor(record, 2)
        assert store.swap(new, expect=Expect.of(record)) == new
        assert seen(store, record) == new
        assert store.load(record.key) == new

    @pytest.mark.parametrize(
        "stale", [pytest.param({"version": 7}, id="version"), pytest.param({"incarnation": 7}, id="incarnation")]
    )
    def test_a_record_that_moved_on_is_left_alone(self, store: Store, stale: dict[str, Any]) -> None:
        record = connected(store)
        expect = Expect.of(replace(record, **stale), spent=record.refresh_fp)
        assert store.swap(successor(record, 2), expect=expect) is None
        assert seen(store, record) == record

    def test_a_record_that_is_gone_is_not_brought_back(self, store: Store) -> None:
        record = connected(store)
        assert store.delete(record)
        assert store.swap(successor(record, 2), expect=Expect.of(record)) is None
        assert store.find(record.id) is None

    def test_the_holder_of_the_claim_writes_and_the_claim_is_cleared(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        stored = store.swap(successor(record, 2), expect=Expect.of(record, holder="holder-1"))
        assert stored is not None
        assert stored.claim is None
        assert seen(store, record) == stored

    def test_the_claim_of_the_new_record_is_ignored(self, store: Store) -> None:
        record = connected(store)
        new = replace(successor(record, 2), claim=Claim(holder="somebody", until=1e12))
        assert store.swap(new, expect=Expect.of(record)) == replace(new, claim=None)

    def test_without_the_claim_a_holder_does_not_write(self, store: Store) -> None:
        record = connected(store)
        expect = Expect.of(record, holder="holder-1")
        assert store.swap(successor(record, 2), expect=expect) is None
        claimed = held(store, record, "holder-2")
        assert store.swap(successor(record, 2), expect=expect) is None
        assert seen(store, record) == claimed

    def test_a_claim_that_has_run_out_and_that_nobody_took_still_counts(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        assert store.swap(successor(record, 2), expect=Expect.of(record, holder="holder-1")) is not None

    def test_who_expects_no_holder_writes_over_any_claim(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        stored = store.swap(replace(record, incarnation=2), expect=Expect.of(record))
        assert stored is not None
        assert stored.claim is None

    def test_a_successor_is_stored_without_the_claim_while_its_parent_is_there(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        self.pass_time(LIFE + 1)
        held(store, record, "holder-2", over="holder-1")
        expect = Expect.of(record, holder="holder-1", spent=record.refresh_fp)
        stored = store.swap(successor(record, 2), expect=expect)
        assert stored is not None
        assert seen(store, record) == stored

    def test_a_successor_heals_a_record_that_was_marked_dead_meanwhile(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        dead = replace(record, state="needs_reauth", reason="revoked")
        assert store.swap(dead, expect=Expect.of(record, holder="holder-1")) is not None
        expect = Expect.of(record, holder="holder-1", spent=record.refresh_fp)
        assert store.swap(successor(record, 2), expect=expect) is not None
        assert seen(store, record).state == "connected"

    def test_a_successor_of_another_token_is_not_stored(self, store: Store) -> None:
        record = connected(store)
        for expect in (Expect.of(record, spent="other"), Expect.of(record, holder="holder-1", spent="other")):
            assert store.swap(successor(record, 2), expect=expect) is None
        assert seen(store, record) == record

    def test_of_eight_writers_one_writes(self, store: Store) -> None:
        record = connected(store)
        works = [lambda n=n: store.swap(successor(record, n), expect=Expect.of(record)) for n in range(10, 18)]
        won = [stored for stored in at_once(*works) if stored is not None]
        assert len(won) == 1
        assert seen(store, record) == won[0]

    def test_a_grant_can_be_erased(self, store: Store) -> None:
        record = connected(store)
        gone = replace(record, incarnation=2, state="disconnected", sealed=None, access_fp="", refresh_fp="")
        assert store.swap(gone, expect=Expect.of(record)) == gone
        assert seen(store, record) == gone

    def test_a_rename_meanwhile_is_kept(self, store: Store) -> None:
        record = held(store, connected(store), "holder-1")
        assert store.rename(record, at("github", "ada"), "renamed")
        stored = store.swap(successor(record, 2), expect=Expect.of(record, holder="holder-1"))
        assert stored is not None
        assert (stored.key, stored.secret_id) == (at("github", "ada"), "renamed")
        assert store.load(at("github", "ada")) == stored
        assert store.load(record.key) is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("tags", {"plan": "pro"}, id="tags"),
            pytest.param("params", {"shop": "hats"}, id="params"),
            pytest.param("identity", Identity(subject="7", email="ada@example.org"), id="identity"),
            pytest.param("last_used_at", 1234.5, id="last use"),
            pytest.param("learnt_lifetime", 600.0, id="learnt lifetime"),
        ],
    )
    def test_what_is_noted_during_a_refresh_outlives_it(self, store: Store, name: str, value: object) -> None:
        record = held(store, connected(store), "holder-1")
        assert store.note(record.id, incarnation=record.incarnation, changes={name: value})
        stored = store.swap(successor(record, 2), expect=Expect.of(record, holder="holder-1"))
        assert getattr(stored, name) == value
        assert seen(store, record) == stored

    def test_a_new_incarnation_has_side_facts_of_its_own(self, store: Store) -> None:
        record = connected(store, tags={"plan": "pro"})
        new = replace(successor(record, 2), incarnation=record.incarnation + 1, tags={"plan": "free"})
        stored = store.swap(new, expect=Expect.of(record))
        assert stored is not None
        assert stored.tags == {"plan": "free"}
        assert seen(store, record) == stored

    def test_a_cool_down_outlives_the_writes_of_its_grant_and_ends_with_the_next(self, store: Store) -> None:
        record = connected(store)
        assert store.note(record.id, incarnation=record.incarnation, changes={"cooldown_until": 99.0})
        failing = store.swap(replace(record, failures=1), expect=Expect.of(record))
        assert failing is not None
        assert failing.cooldown_until == 99.0
        renewed = store.swap(successor(record, 2), expect=Expect.of(record))
        assert renewed is not None
        assert renewed.cooldown_until is None
        assert seen(store, record) == renewed

    def test_a_record_that_was_never_connected_gets_its_first_grant(self, store: Store) -> None:
        record = store.create(blank())
        assert store.swap(successor(record, 1), expect=Expect.of(record)) is not None
        assert seen(store, record).access_fp == successor(record, 1).access_fp
