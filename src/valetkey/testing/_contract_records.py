"""The store contract: creating, noting, renaming, erasing, sealing anew."""
# ruff: noqa: S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Identity, Record, Sealed
from valetkey.model.ports import KeyRetired, Store
from valetkey.testing._contract_base import (
    ENV,
    ContractBase,
    at,
    at_once,
    blank,
    connected,
    data_key,
    held,
    ids,
    seen,
    successor,
    with_grant,
)

FULL: dict[str, Any] = {
    "incarnation": 3,
    "version": 7,
    "doubt": 1,
    "state": "refresh_failing",
    "reason": "unknown",
    "error": "provider_unavailable",
    "error_text": "503 \N{SNOWMAN} 'quoted' \"text\"",
    "failures": 4,
    "next_try_at": 1700000001.25,
    "cooldown_until": 1700000002.5,
    "expires_at": 1700000003.125,
    "refresh_expires_at": 1700000004.0,
    "sign_in_due_at": 1699900004.5,
    "obtained_at": 1700000005.0,
    "learnt_lifetime": 3599.5,
    "granted": ("read", "write:all"),
    "requested": ("read", "write:all", "admin"),
    "identity": Identity(
        subject="42", email="ada@example.com", name="Ada \N{LATIN SMALL LETTER O WITH DIAERESIS}", login="ada"
    ),
    "params": {"shop": "one.example", "quote": '"'},
    "tags": {"team": "blue"},
    "client_id": "client",
    "issuer": "https://issuer.example",
    "token_origin": "https://token.example",
    "refreshable": True,
    "created_at": 1600000000.5,
    "connected_at": 1650000000.5,
    "last_refresh_at": 1660000000.5,
    "last_used_at": 1670000000.5,
    "due_at": 1680000000.5,
}
"""A value other than the default for every member of a record that is not about key, claim or grant."""

_OTHERS = {"id", "key", "claim", "access_fp", "refresh_fp", "secret_id", "sealed"}


class Records(ContractBase):
    """Records as wholes."""

    def test_the_contract_knows_every_member_of_a_record(self) -> None:
        assert {field.name for field in fields(Record)} == set(FULL) | _OTHERS

    def test_every_member_comes_back_as_it_was(self, store: Store) -> None:
        record = replace(with_grant(blank(1, key=at("github", "ada", "work")), 1), **FULL)
        assert store.create(record) == record
        assert store.load(record.key) == record
        assert store.find(record.id) == record

    def test_every_member_is_replaced(self, store: Store) -> None:
        record = connected(store)
        new = replace(with_grant(record, 2), **FULL)
        assert store.swap(new, expect=Expect.of(record)) == new
        assert seen(store, record) == new
        assert store.swap(record, expect=Expect.of(new)) == record
        assert seen(store, record) == record

    def test_the_event_of_a_swap_is_appended_with_it(self, store: Store) -> None:
        record = connected(store)
        told = Event(kind="refreshed", at=1.0, env=ENV, connection_id=record.id, detail={"rotated": True})
        assert store.swap(successor(record, 2), expect=Expect.of(record), event=told) is not None
        assert [replace(event, seq=0) for event in store.list_events(env=ENV)] == [told]

    def test_the_event_of_a_swap_that_does_not_happen_is_not_appended(self, store: Store) -> None:
        record = connected(store)
        told = Event(kind="refreshed", at=1.0, env=ENV, connection_id=record.id)
        stale = Expect.of(replace(record, version=record.version + 1))
        assert store.swap(successor(record, 2), expect=stale, event=told) is None
        assert tuple(store.list_events(env=ENV)) == ()

    def test_a_record_that_is_not_there_is_none(self, store: Store) -> None:
        assert store.load(at("github")) is None
        assert store.find("con_none") is None

    def test_what_is_handed_out_is_not_what_is_kept(self, store: Store) -> None:
        tags = {"team": "blue"}
        record = store.create(blank(1, tags=tags))
        tags["team"] = "red"
        found = seen(store, record)
        assert found.tags == {"team": "blue"}
        if isinstance(found.tags, dict):
            found.tags["team"] = "green"
        assert seen(store, record).tags == {"team": "blue"}

    # -- creating

    @pytest.mark.parametrize(
        "key",
        [
            pytest.param(at("github"), id="no owner"),
            pytest.param(at("github", "ada"), id="owner"),
            pytest.param(at("github", "ada", "work"), id="owner and account"),
            pytest.param(at("github", None, "work"), id="account without owner"),
        ],
    )
    def test_where_the_key_is_taken_the_record_that_is_there_is_returned(
        self, store: Store, key: ConnectionKey
    ) -> None:
        first = connected(store, 1, key=key)
        assert store.create(blank(2, key=key)) == first
        assert store.find("con_0002") is None
        assert store.load(key) == first

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(at("github", "ada", "work"), id="account"),
            pytest.param(at("github", "bob"), id="owner"),
            pytest.param(at("github"), id="no owner"),
            pytest.param(at("slack", "ada"), id="credential"),
            pytest.param(at("github", "ada", env="other"), id="environment"),
            pytest.param(at("github", ""), id="an empty owner is not no owner"),
            pytest.param(at("github", "None"), id="an owner called None"),
        ],
    )
    def test_keys_that_differ_in_one_member_are_different(self, store: Store, other: ConnectionKey) -> None:
        keys = [at("github", "ada"), other, at("github", None, "x"), at("github", "=", "")]
        made = [store.create(blank(number, key=key)) for number, key in enumerate(keys)]
        assert [store.load(key) for key in keys] == made

    def test_of_eight_that_create_the_same_key_all_get_the_same_record(self, store: Store) -> None:
        works = [lambda n=n: store.create(blank(n, key=at("github"))) for n in range(8)]
        assert len({record.id for record in at_once(*works)}) == 1

    # -- noting

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("tags", {"team": "red"}, id="tags"),
            pytest.param("last_used_at", 1700000000.0, id="last_used_at"),
            pytest.param("identity", Identity(subject="7", email="bob@example.com"), id="identity"),
            pytest.param("identity", None, id="no identity"),
            pytest.param("params", {"shop": "two.example"}, id="params"),
            pytest.param("cooldown_until", 1700000000.5, id="cooldown_until"),
            pytest.param("learnt_lifetime", 600.0, id="learnt_lifetime"),
        ],
    )
    def test_a_side_fact_is_noted_and_nothing_else_changes(self, store: Store, name: str, value: Any) -> None:
        record = store.create(replace(with_grant(blank(), 1), **FULL))
        claimed = held(store, record)
        assert store.note(record.id, incarnation=record.incarnation, changes={name: value})
        assert seen(store, record) == replace(claimed, **{name: value})

    def test_several_side_facts_are_noted_at_once(self, store: Store) -> None:
        record = connected(store)
        changes = {"tags": {"a": "b"}, "last_used_at": 5.0}
        assert store.note(record.id, incarnation=1, changes=changes)
        assert seen(store, record) == replace(record, tags={"a": "b"}, last_used_at=5.0)

    def test_nothing_is_noted_on_another_incarnation_or_on_nothing(self, store: Store) -> None:
        record = connected(store)
        assert not store.note(record.id, incarnation=2, changes={"last_used_at": 5.0})
        assert not store.note("con_none", incarnation=1, changes={"last_used_at": 5.0})
        assert seen(store, record) == record

    # -- renaming and erasing

    def test_a_renamed_record_is_found_by_its_new_key_only(self, store: Store) -> None:
        record = held(store, connected(store, 1, key=at("github")))
        assert store.rename(record, at("github", "ada", "work"), "elsewhere")
        renamed = replace(record, key=at("github", "ada", "work"), secret_id="elsewhere")  # noqa: S106 - an id
        assert store.load(renamed.key) == renamed
        assert store.find(record.id) == renamed
        assert store.load(record.key) is None

    def test_a_key_that_is_taken_is_not_given_away(self, store: Store) -> None:
        first, second = connected(store, 1), connected(store, 2)
        assert not store.rename(first, second.key, second.secret_id)
        assert (store.load(first.key), store.load(second.key)) == (first, second)

    def test_the_key_that_a_rename_left_is_free(self, store: Store) -> None:
        first = connected(store, 1)
        assert store.rename(first, at("slack"), "elsewhere")
        second = connected(store, 2, key=first.key)
        assert store.load(first.key) == second
        assert second.id == "con_0002"

    def test_a_rename_to_the_same_key_is_no_collision(self, store: Store) -> None:
        record = connected(store)
        assert store.rename(record, record.key, record.secret_id)
        assert store.load(record.key) == record

    def test_a_record_that_is_gone_is_not_renamed(self, store: Store) -> None:
        record = connected(store)
        assert store.delete(record)
        assert not store.rename(record, at("slack"), "elsewhere")

    def test_an_erased_record_is_gone_and_its_key_is_free(self, store: Store) -> None:
        record = connected(store, 1)
        other = connected(store, 2)
        assert store.delete(record)
        assert (store.find(record.id), store.load(record.key)) == (None, None)
        assert not store.delete(record)
        assert store.find(other.id) == other
        again = connected(store, 3, key=record.key)
        assert store.load(record.key) == again

    def test_only_the_incarnation_that_was_seen_is_erased(self, store: Store) -> None:
        record = connected(store)
        stored = store.swap(replace(record, incarnation=2), expect=Expect.of(record))
        assert stored is not None
        assert not store.delete(record)
        assert seen(store, record) == stored


class DataKeys(ContractBase):
    """Sealing with data keys that come and go."""

    @pytest.fixture
    def sealing(self, store: Store) -> Store:
        """Return the store, where it keeps grants sealed."""
        if not self.seals:
            pytest.skip("this store keeps grants unsealed")
        return store

    def test_a_grant_sealed_with_a_key_of_the_store_is_stored(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        record = sealing.create(with_grant(blank(), 1, key_id="dk_1"))
        new = with_grant(record, 2, key_id="dk_1")
        assert sealing.swap(new, expect=Expect.of(record)) == new

    def test_a_grant_sealed_with_a_key_that_is_gone_is_refused_and_nothing_is_written(self, sealing: Store) -> None:
        record = connected(sealing)
        with pytest.raises(KeyRetired):
            sealing.swap(with_grant(record, 2, key_id="dk_gone"), expect=Expect.of(record))
        assert seen(sealing, record) == record
        with pytest.raises(KeyRetired):
            sealing.create(with_grant(blank(2), 2, key_id="dk_gone"))
        assert sealing.find("con_0002") is None

    def test_a_document_sealed_with_a_key_that_is_gone_is_refused_and_nothing_is_written(self, sealing: Store) -> None:
        with pytest.raises(KeyRetired):
            sealing.put_document(Document(kind="secret", id="s", sealed=Sealed(b"...", "dk_gone")))
        assert sealing.get_document("secret", "s") is None

    def test_a_data_key_itself_is_sealed_with_a_key_that_the_store_does_not_have(self, sealing: Store) -> None:
        stored = sealing.put_document(Document(kind="data_key", id="dk_1", sealed=Sealed(b"wrapped", "master")))
        assert stored is not None
        assert sealing.get_document("data_key", "dk_1") == stored

    def test_a_grant_is_sealed_anew_without_a_new_version(self, sealing: Store) -> None:
        record = held(sealing, connected(sealing))
        data_key(sealing, "dk_1")
        assert sealing.rekey([(record, Sealed(b"anew", "dk_1"))]) == 1
        assert seen(sealing, record) == replace(record, sealed=Sealed(b"anew", "dk_1"))

    def test_a_grant_that_moved_on_is_not_sealed_anew(self, sealing: Store) -> None:
        record = connected(sealing)
        data_key(sealing, "dk_1")
        stale = [
            successor(record, 1),
            replace(record, incarnation=2),
            replace(record, sealed=Sealed(b"other", "")),
            replace(record, sealed=None),
            replace(record, id="con_none"),
        ]
        assert [sealing.rekey([(seen_before, Sealed(b"anew", "dk_1"))]) for seen_before in stale] == [0] * 5
        assert seen(sealing, record) == record

    def test_of_many_grants_those_that_stand_still_are_sealed_anew(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        records = [connected(sealing, number) for number in range(1, 6)]
        moved = replace(records[2], version=records[2].version + 1)
        anew = [replace(record, sealed=Sealed(record.id.encode(), "dk_1")) for record in records[:2]]
        handed = [(record, Sealed(record.id.encode(), "dk_1")) for record in (*records[:2], moved)]
        assert sealing.rekey(handed) == len(anew)
        assert [seen(sealing, record) for record in records] == [*anew, *records[2:]]
        assert sorted(ids(sealing.sealed_with("dk_1")[0])) == ids(anew)
        assert sealing.rekey([]) == 0

    def test_of_those_who_seal_the_same_grants_anew_at_once_one_does(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        records = [connected(sealing, number) for number in range(1, 21)]

        def rekey(order: int, by: bytes) -> Callable[[], int]:
            return lambda: sealing.rekey([(record, Sealed(by, "dk_1")) for record in records[::order]])

        assert sum(at_once(rekey(1, b"one"), rekey(-1, b"two"), rekey(1, b"three"))) == len(records)

    def test_a_grant_is_not_sealed_anew_with_a_key_that_is_gone(self, sealing: Store) -> None:
        record = connected(sealing)
        with pytest.raises(KeyRetired):
            sealing.rekey([(record, Sealed(b"anew", "dk_gone"))])
        assert seen(sealing, record) == record

    def test_what_is_sealed_with_a_key_is_found(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        data_key(sealing, "dk_2")
        record = sealing.create(with_grant(blank(1), 1, key_id="dk_1"))
        sealing.create(with_grant(blank(2), 2, key_id="dk_2"))
        document = sealing.put_document(Document(kind="secret", id="s", sealed=Sealed(b"...", "dk_1")))
        assert sealing.sealed_with("dk_1") == ((record,), (document,))
        assert sealing.sealed_with("dk_3") == ((), ())
        sealing.put_document(Document(kind="secret", env="e", id="s", sealed=Sealed(b"...", "dk_1")))
        sealing.put_document(Document(kind="flow", id="f", sealed=Sealed(b"...", "dk_1"), expires_at=sealing.now() - 1))
        assert sealing.count_sealed("dk_1") == {"connection": 1, "secret": 2}
        assert sealing.count_sealed("dk_3") == {}

    def test_no_more_than_the_limit_is_found(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        for number in range(5):
            sealing.create(with_grant(blank(number), number, key_id="dk_1"))
            sealing.put_document(Document(kind="secret", id=str(number), sealed=Sealed(b"...", "dk_1")))
        records, documents = sealing.sealed_with("dk_1", limit=3)
        assert (len(records), len(documents)) == (3, 3)

    def test_a_key_is_retired_only_when_nothing_is_sealed_with_it(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        record = sealing.create(with_grant(blank(), 1, key_id="dk_1"))
        sealing.put_document(Document(kind="secret", id="s", sealed=Sealed(b"...", "dk_1")))
        assert not sealing.retire_key("dk_1")
        assert sealing.delete_document("secret", "s")
        assert not sealing.retire_key("dk_1")
        assert sealing.rekey([(record, Sealed(b"anew", ""))])
        assert sealing.get_document("data_key", "dk_1") is not None
        assert sealing.retire_key("dk_1")
        assert sealing.get_document("data_key", "dk_1") is None
        assert not sealing.retire_key("dk_1")

    def test_what_has_expired_does_not_keep_a_key(self, sealing: Store) -> None:
        data_key(sealing, "dk_1")
        expires = sealing.now() + 10
        sealing.put_document(Document(kind="flow", id="f", sealed=Sealed(b"...", "dk_1"), expires_at=expires))
        assert not sealing.retire_key("dk_1")
        self.pass_time(11)
        assert sealing.sealed_with("dk_1") == ((), ())
        assert sealing.retire_key("dk_1")

    def test_a_grant_is_never_stored_with_a_key_that_is_retired_at_the_same_time(self, sealing: Store) -> None:
        for number in range(8):
            key_id = f"dk_{number}"
            data_key(sealing, key_id)
            record = sealing.create(blank(number))

            def write(record: Record = record, key_id: str = key_id) -> bool:
                try:
                    return sealing.swap(with_grant(record, 1, key_id=key_id), expect=Expect.of(record)) is not None
                except KeyRetired:
                    return False

            def retire(key_id: str = key_id) -> bool:
                return sealing.retire_key(key_id)

            written, retired = at_once(write, retire)
            assert written != retired
