"""The store contract: counts by credential and state, who wants attention, and events read backwards."""
# ruff: noqa: S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from dataclasses import replace
from typing import Any

from valetkey.model.connections import SOON, Event, Expect, Query, Record, StoredState, attention_at
from valetkey.model.ports import FORGOTTEN, Store
from valetkey.model.troubles import Group, Trouble
from valetkey.testing._contract_base import ENV, ContractBase, at, blank, every_page, ids, with_grant

_NOW = 1_000_000_000.0


class Counted(ContractBase):
    """Counts agree with the rows at every moment."""

    def _in_state(self, store: Store, number: int, state: StoredState, credential: str = "github") -> Record:
        record = store.create(blank(number, key=at(credential, f"owner{number}")))
        stored = store.swap(replace(record, state=state), expect=Expect.of(record))
        assert stored is not None
        return stored

    def test_connections_are_counted_by_credential_and_state(self, store: Store) -> None:
        assert store.counts(env=ENV, now=_NOW) == {}
        states: tuple[StoredState, ...] = ("needs_reauth", "refresh_failing", "refresh_failing", "disconnected")
        for number, state in enumerate(states):
            self._in_state(store, number, state)
        self._in_state(store, 9, "refresh_failing", "slack")
        store.create(blank(10, key=at("github", env="other")))
        assert store.counts(env=ENV, now=_NOW) == {
            ("github", "needs_reauth"): 1,
            ("github", "refresh_failing"): 2,
            ("github", "disconnected"): 1,
            ("slack", "refresh_failing"): 1,
        }
        assert store.counts(env="other", now=_NOW) == {("github", "pending"): 1}

    def test_counts_follow_changes_renames_and_deletions(self, store: Store) -> None:
        record = self._in_state(store, 1, "refresh_failing")
        dead = store.swap(replace(record, state="needs_reauth"), expect=Expect.of(record))
        assert dead is not None
        assert store.counts(env=ENV, now=_NOW) == {("github", "needs_reauth"): 1}
        assert store.rename(dead, at("slack", "bob"), "other-place")
        assert store.counts(env=ENV, now=_NOW) == {("slack", "needs_reauth"): 1}
        moved = store.find(dead.id)
        assert moved is not None
        assert store.delete(moved)
        assert store.counts(env=ENV, now=_NOW) == {}

    def test_why_connections_are_not_well_is_summed(self, store: Store) -> None:
        facts: list[dict[str, Any]] = [
            {"reason": "revoked", "error": "invalid_grant", "expires_at": _NOW + 9},
            {"reason": "revoked", "error": "invalid_grant", "expires_at": _NOW + 3, "next_try_at": _NOW + 5},
            {"reason": "expired", "error": "invalid_grant"},
        ]
        for number, fact in enumerate(facts):
            record = self._in_state(store, number, "needs_reauth")
            assert store.swap(replace(record, **fact), expect=Expect.of(record)) is not None
        self._in_state(store, 7, "needs_reauth", "slack")
        self._in_state(store, 8, "refresh_failing")
        first = Trouble(credential="github", reason="revoked", error="invalid_grant", n=2)
        assert sorted(store.troubles(env=ENV, state="needs_reauth"), key=lambda one: (one.credential, one.reason)) == [
            Trouble(credential="github", reason="expired", error="invalid_grant"),
            replace(first, ends_at=_NOW + 3, next_try_at=_NOW + 5),
            Trouble(credential="slack"),
        ]
        assert sum(one.n for one in store.troubles(env=ENV, state="needs_reauth", limit=2)) == 2  # noqa: PLR2004
        assert not store.troubles(env="other", state="needs_reauth")

    def test_all_connections_of_a_credential_are_summed_in_groups_that_are_alike(self, store: Store) -> None:
        facts: list[dict[str, Any]] = [
            {"expires_at": _NOW + 60, "refreshable": True},
            {"expires_at": _NOW + 90, "refreshable": True},
            {"expires_at": _NOW - 5, "refreshable": True},
            {"expires_at": None, "refreshable": True},
            {"expires_at": _NOW + 60, "refreshable": False},
            {
                "state": "refresh_failing",
                "error": "http_503",
                "failures": 2,
                "expires_at": _NOW + 9,
                "refreshable": True,
            },
            {"state": "needs_reauth", "reason": "revoked", "error": "invalid_grant"},
            {"state": "disconnected", "sealed": None},
        ]
        for number, fact in enumerate(facts):
            record = store.create(blank(number, key=at("github", f"owner{number // 2}", str(number))))
            grown = replace(with_grant(record, number), **{"refresh_expires_at": None, "state": "connected", **fact})
            assert store.swap(grown, expect=Expect.of(record)) is not None
        self._in_state(store, 20, "needs_reauth", "slack")
        store.create(blank(21, key=at("github", "none")))

        told = store.standings(env=ENV, credential="github", now=_NOW)
        connected, failing = Group(state="connected", held=True), "refresh_failing"
        expected = {
            replace(connected, alive="ends", n=2, first_end=_NOW + 60, last_end=_NOW + 90),
            replace(connected, alive="ended", first_end=_NOW - 5, last_end=_NOW - 5),
            replace(connected, alive="unknown"),
            replace(connected, alive="ends", soon=True, first_end=_NOW + 60, last_end=_NOW + 60),
            Group(state=failing, error="http_503", held=True, alive="ends", first_end=_NOW + 9, last_end=_NOW + 9),
        }
        assert expected <= set(told.groups), told.groups
        rest = {(one.state, one.reason, one.held, one.n) for one in set(told.groups) - expected}
        assert rest == {("needs_reauth", "revoked", True, 1), ("disconnected", "", False, 1), ("pending", "", False, 1)}
        assert (told.owners, told.unread) == (4, 0)
        assert not store.standings(env="other", credential="github", now=_NOW).groups

    def test_a_write_that_does_not_happen_counts_for_nothing(self, store: Store) -> None:
        record = self._in_state(store, 1, "refresh_failing")
        stale = replace(record, version=record.version + 7)
        assert store.swap(replace(stale, state="needs_reauth"), expect=Expect.of(stale)) is None
        assert store.create(blank(2, key=record.key)).id == record.id
        assert store.counts(env=ENV, now=_NOW) == {("github", "refresh_failing"): 1}

    def _connected(self, store: Store, number: int, **facts: Any) -> Record:
        return store.create(replace(with_grant(blank(number), number), **facts))

    def test_what_cannot_renew_itself_is_counted_and_listed_when_it_ends_within_a_week(self, store: Store) -> None:
        short = self._connected(store, 1, refreshable=False, expires_at=_NOW + SOON - 10)
        self._connected(store, 2, refreshable=False, expires_at=_NOW + SOON + 10)
        self._connected(store, 3, refreshable=True, expires_at=_NOW)
        self._connected(store, 4, refreshable=False, expires_at=None)
        self._agree(store, _NOW, [short])
        assert store.swap(replace(short, state="needs_reauth"), expect=Expect.of(short)) is not None
        self._agree(store, _NOW, [])

    def test_the_end_of_the_refresh_token_counts_in_the_last_fifth_of_its_life(self, store: Store) -> None:
        day = 86400.0
        times: dict[str, Any] = {"obtained_at": _NOW, "expires_at": _NOW + 60}
        week = self._connected(store, 1, refresh_expires_at=_NOW + 5 * day, **times)
        year = self._connected(store, 2, refresh_expires_at=_NOW + 365 * day, **times)
        self._agree(store, _NOW + 3.9 * day, [])
        self._agree(store, _NOW + 4.1 * day, [week])
        self._agree(store, _NOW + 359 * day, [week, year])

    def test_a_sign_in_that_is_due_counts_however_often_the_grant_is_refreshed(self, store: Store) -> None:
        day = 86400.0
        times: dict[str, Any] = {"obtained_at": _NOW - 60, "expires_at": _NOW + 3540}
        due = self._connected(store, 1, refresh_expires_at=_NOW + 6 * day, sign_in_due_at=_NOW - day, **times)
        self._connected(store, 2, refresh_expires_at=_NOW + 9 * day, sign_in_due_at=_NOW + 2 * day, **times)
        first = self._connected(store, 3, refresh_expires_at=_NOW + 100, sign_in_due_at=_NOW + 2 * day, **times)
        alone = self._connected(store, 4, refresh_expires_at=None, sign_in_due_at=_NOW - 1, **times)
        self._connected(store, 5, refreshable=False, expires_at=None, sign_in_due_at=_NOW - 1)
        self._agree(store, _NOW, [due, alone])
        self._agree(store, _NOW + 69, [due, first, alone])
        groups = store.standings(env=ENV, credential="github", now=_NOW).groups
        assert sum(one.n for one in groups if one.soon) == len([due, alone])
        refreshed = store.swap(replace(due, sign_in_due_at=_NOW + 80 * day), expect=Expect.of(due))
        assert refreshed is not None
        self._agree(store, _NOW, [alone])

    def test_what_wants_attention_is_listed_page_by_page(self, store: Store) -> None:
        made = [
            self._connected(store, number, refreshable=False, expires_at=_NOW + 7 - number) for number in range(1, 6)
        ]
        query = Query(env=ENV, attention_by=_NOW)
        assert [ids(page) for page in every_page(store, query, 2)] == [
            ids(made[:2]),
            ids(made[2:4]),
            ids(made[4:]),
        ]
        assert ids(store.list(replace(query, credential="slack")).items) == []
        assert ids(store.list(replace(query, search="account-3")).items) == [made[2].id]

    def _agree(self, store: Store, now: float, wanted: list[Record]) -> None:
        """Count, list and rule tell the same."""
        page = store.list(Query(env=ENV, attention_by=now))
        assert [record.id for record in page.items] == [record.id for record in wanted]
        every = store.list(Query(env=ENV, state="connected")).items
        assert [r.id for r in every if (attention_at(r) or now) < now] == [record.id for record in wanted]
        counts = store.counts(env=ENV, now=now)
        assert sum(n for (_, state), n in counts.items() if state == "expires_soon") == len(wanted)
        assert sum(n for (_, state), n in counts.items() if state == "connected") == len(every) - len(wanted)


class Backwards(ContractBase):
    """Events read page by page, the newest first."""

    def test_events_before_a_number_are_read_backwards(self, store: Store) -> None:
        numbers = [store.append_event(Event(kind=f"k{n}", at=1.0, env=ENV)) for n in range(7)]
        seen: list[int] = []
        before: int | None = None
        while page := store.list_events(env=ENV, before=before, limit=3, newest_first=True):
            seen += [event.seq for event in page]
            before = page[-1].seq
        assert seen == numbers[::-1]
        assert [e.seq for e in store.list_events(env=ENV, after=numbers[0], before=numbers[3])] == numbers[1:3]

    def test_nothing_is_left_of_a_forgotten_owner_in_the_events(self, store: Store) -> None:
        def about(owner: str | None, env: str = ENV) -> int:
            return store.append_event(
                Event(kind="k", at=1.0, env=env, connection_id="con_1", owner=owner, account=f"of {owner}",
                      detail={"who": f"{owner}"})
            )  # fmt: skip

        kept = [about("bob"), about(None), about("adam")]
        gone = [about("ada"), about("ada")]
        elsewhere = about("ada", env="other")
        assert store.forget_events(env=ENV, owner="ada") == len(gone)
        for events in (store.list_events(env=ENV), store.list_events(env=ENV, connection_id="con_1")):
            assert [e.seq for e in events if e.detail != FORGOTTEN] == kept
            assert all((e.owner, e.account) == (None, "") for e in events if e.detail == FORGOTTEN)
        assert [e.owner for e in store.list_events(env="other") if e.seq == elsewhere] == ["ada"]
        assert store.forget_events(env=ENV, owner="ada") == 0
