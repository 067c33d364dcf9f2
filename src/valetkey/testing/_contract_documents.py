"""The store contract: documents and events."""
# ruff: noqa: PLR2004, S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from typing import Any

import pytest

from valetkey.model.connections import Document, Event, Sealed
from valetkey.model.ports import Store
from valetkey.testing._contract_base import ContractBase, at_once


def _document(document_id: str = "d", kind: str = "flow", env: str = "", **body: object) -> Document:
    return Document(kind=kind, id=document_id, env=env, body=body)


class Documents(ContractBase):
    """Documents: put, taken, expired."""

    def test_a_document_comes_back_as_it_was(self, store: Store) -> None:
        body: dict[str, Any] = {"text": "\N{SNOWMAN} '\"", "list": [1, 2.5, None, True], "nested": {"a": {"b": []}}}
        document = Document(
            kind="secret", id="some/id%2F", env="prod", body=body, sealed=Sealed(b"\x00\xff", ""), expires_at=2e9
        )
        stored = store.put_document(document)
        assert stored is not None
        assert stored.version == 1
        assert store.get_document("secret", "some/id%2F", env="prod") == stored
        assert (stored.body, stored.sealed, stored.expires_at) == (body, document.sealed, 2e9)

    def test_kind_environment_and_id_tell_documents_apart(self, store: Store) -> None:
        documents = [_document("a"), _document("b"), _document("a", kind="app"), _document("a", env="prod")]
        stored = [store.put_document(document) for document in documents]
        found = [store.get_document(d.kind, d.id, env=d.env) for d in documents]
        assert found == stored
        assert store.get_document("flow", "a", env="other") is None

    def test_what_is_handed_out_is_not_what_is_kept(self, store: Store) -> None:
        inner = {"n": 1}
        body = {"inner": inner}
        store.put_document(Document(kind="flow", id="d", body=body))
        inner["n"] = 2
        found = store.get_document("flow", "d")
        assert found is not None
        assert found.body == {"inner": {"n": 1}}
        found.body["inner"]["n"] = 3
        again = store.get_document("flow", "d")
        assert again is not None
        assert again.body == {"inner": {"n": 1}}

    def test_writes_are_counted(self, store: Store) -> None:
        versions = [getattr(store.put_document(_document(n=n)), "version", None) for n in range(3)]
        assert versions == [1, 2, 3]

    @pytest.mark.parametrize("there", [0, 1, 2])
    @pytest.mark.parametrize("expect", [0, 1, 2, 3])
    def test_a_write_expects_a_version(self, store: Store, there: int, expect: int) -> None:
        for n in range(there):
            store.put_document(_document(n=n))
        before = store.get_document("flow", "d")
        stored = store.put_document(_document(n="new"), expect=expect)
        if expect == there:
            assert stored is not None
            assert (stored.version, stored.body) == (there + 1, {"n": "new"})
        else:
            assert stored is None
            assert store.get_document("flow", "d") == before

    def test_of_eight_that_expect_the_same_version_one_writes(self, store: Store) -> None:
        works = [lambda n=n: store.put_document(_document(n=n), expect=0) for n in range(8)]
        won = [stored for stored in at_once(*works) if stored is not None]
        assert len(won) == 1
        assert store.get_document("flow", "d") == won[0]

    def test_a_document_is_taken_once(self, store: Store) -> None:
        stored = store.put_document(_document(n=1))
        assert store.take_document("flow", "d", env="other") is None
        assert store.take_document("flow", "d") == stored
        assert store.take_document("flow", "d") is None
        assert store.get_document("flow", "d") is None

    def test_of_eight_takers_one_gets_it(self, store: Store) -> None:
        stored = store.put_document(_document(n=1))
        taken = at_once(*[lambda: store.take_document("flow", "d")] * 8)
        assert [document for document in taken if document is not None] == [stored]

    def test_a_deleted_document_is_gone(self, store: Store) -> None:
        store.put_document(_document())
        assert not store.delete_document("flow", "d", env="other")
        assert store.delete_document("flow", "d")
        assert not store.delete_document("flow", "d")
        assert store.get_document("flow", "d") is None

    def test_an_expired_document_counts_as_absent(self, store: Store) -> None:
        def put(document_id: str) -> None:
            document = Document(kind="flow", id=document_id, expires_at=store.now() + 10)
            assert store.put_document(document) is not None

        for name in ("get", "take", "delete", "list"):
            put(name)
        assert store.get_document("flow", "get") is not None
        self.pass_time(11)
        assert store.get_document("flow", "get") is None
        assert store.take_document("flow", "take") is None
        assert not store.delete_document("flow", "delete")
        assert store.list_documents("flow") == ()

    def test_an_expired_document_can_be_put_anew_and_its_old_version_does_not_come_back(self, store: Store) -> None:
        lease = Document(kind="lease", id="l", expires_at=store.now() + 10)
        first = store.put_document(lease, expect=0)
        assert first is not None
        assert store.put_document(lease, expect=0) is None
        self.pass_time(11)
        assert store.put_document(lease, expect=first.version) is None
        assert store.put_document(_document("other")) is not None  # a store may tidy up while it writes
        later = Document(kind="lease", id="l", expires_at=store.now() + 10)
        second = store.put_document(later, expect=0)
        assert second is not None
        assert second.version > first.version
        assert store.put_document(later, expect=first.version) is None

    def test_documents_are_listed_in_order_and_after_an_id(self, store: Store) -> None:
        for document in (_document("c"), _document("a"), _document("b"), _document("x", kind="app")):
            store.put_document(document)
        assert [d.id for d in store.list_documents("flow")] == ["a", "b", "c"]
        assert [d.id for d in store.list_documents("flow", limit=2)] == ["a", "b"]
        assert [d.id for d in store.list_documents("flow", after="b")] == ["c"]
        assert [d.id for d in store.list_documents("flow", after="bb", limit=1)] == ["c"]

    def test_documents_of_one_environment_or_of_all_are_listed(self, store: Store) -> None:
        for env, document_id in (("prod", "a"), ("", "b"), ("dev", "c")):
            store.put_document(_document(document_id, env=env))
        assert [d.id for d in store.list_documents("flow")] == ["b"]
        assert [d.id for d in store.list_documents("flow", env="prod")] == ["a"]
        assert [d.id for d in store.list_documents("flow", env=None)] == ["b", "c", "a"]


class Events(ContractBase):
    """Events: numbered, in order."""

    def _append(self, store: Store, *connections: str, env: str = "prod") -> list[int]:
        return [store.append_event(Event(kind="refreshed", at=1.0, env=env, connection_id=c)) for c in connections]

    def test_an_event_comes_back_as_it_was(self, store: Store) -> None:
        event = Event(
            kind="connected",
            at=1700000000.25,
            env="prod",
            connection_id="con_1",
            credential="github",
            owner="ada",
            account="work",
            actor="library",
            detail={"granted": ["read"], "note": "\N{SNOWMAN}"},
        )
        nobody = Event(kind="connected", at=2.0, env="prod", owner=None)
        numbers = [store.append_event(event), store.append_event(nobody)]
        first, second = store.list_events(env="prod")
        assert (first.seq, second.seq) == tuple(numbers)
        assert (first.kind, first.at, first.connection_id, first.credential) == (
            "connected",
            1700000000.25,
            "con_1",
            "github",
        )
        assert (first.owner, first.account, first.actor, first.detail) == ("ada", "work", "library", event.detail)
        assert second.owner is None

    def test_numbers_only_grow(self, store: Store) -> None:
        numbers = self._append(store, "a", "b", "a") + self._append(store, "a", env="dev")
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0

    def test_eight_threads_get_eight_numbers(self, store: Store) -> None:
        works = [lambda n=n: self._append(store, f"con_{n}")[0] for n in range(8)]
        assert len(set(at_once(*works))) == 8

    def test_events_are_listed_by_environment_and_connection(self, store: Store) -> None:
        numbers = self._append(store, "a", "b", "a")
        other = self._append(store, "a", env="dev")
        assert [e.seq for e in store.list_events(env="prod")] == numbers
        assert [e.seq for e in store.list_events(env="prod", connection_id="a")] == [numbers[0], numbers[2]]
        assert [e.seq for e in store.list_events(env="dev", connection_id="a")] == other
        assert store.list_events(env="prod", connection_id="c") == ()

    def test_events_are_paged_forwards(self, store: Store) -> None:
        numbers = self._append(store, *"abcde")
        first = store.list_events(env="prod", limit=2)
        second = store.list_events(env="prod", after=first[-1].seq, limit=2)
        third = store.list_events(env="prod", after=second[-1].seq, limit=2)
        assert [[e.seq for e in page] for page in (first, second, third)] == [numbers[:2], numbers[2:4], numbers[4:]]

    def test_the_newest_come_first_where_that_is_asked(self, store: Store) -> None:
        numbers = self._append(store, *"abcde")
        newest = store.list_events(env="prod", newest_first=True, limit=3)
        assert [e.seq for e in newest] == numbers[:1:-1]
        assert [e.seq for e in store.list_events(env="prod", newest_first=True, after=numbers[3])] == numbers[4:]
