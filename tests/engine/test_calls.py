"""Calls of API keys: counted in memory, written down together, gone after a day and with their connection."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from valetkey.engine import calls as module
from valetkey.engine.calls import BY_KEY, HOUR, KIND, Calls, calls_by_key, calls_for, calls_of_app
from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Document
from valetkey.testing import Practice


class Desk:
    """Two processes that count, over the store of a practice."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.clock = practice.clock
        self.store: Any = practice.valet._core.store
        self.first, self.second = (Calls(practice.clock, "test") for _ in range(2))

    def connect(self, owner: str) -> str:
        return str(self.practice.connect("notes", owner=owner).connection_id)

    def of(self, connection_id: str) -> dict[str, int]:
        return calls_for(self.store, "test", connection_id, self.clock.now())

    def by_key(self) -> dict[str, int]:
        return calls_by_key(self.store, "test", self.clock.now())

    def documents(self) -> list[Document]:
        return [one for kind in (KIND, BY_KEY) for one in self.store.list_documents(kind, env="test")]


@pytest.fixture
def desk(practice: Practice) -> Desk:
    return Desk(practice)


def test_a_call_touches_no_store_and_several_processes_add_up(desk: Desk) -> None:
    ada, bob = desk.connect("ada"), desk.connect("bob")

    def count(calls: Calls) -> None:
        for _ in range(500):
            calls.note(ada, "0a")

    threads = [threading.Thread(target=count, args=(calls,)) for calls in (desk.first, desk.first, desk.second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.second.note(ada, "0b")
    desk.second.note(bob, "0b")
    assert not desk.documents()

    desk.first.flush(desk.store, connection_id=bob)
    assert not desk.documents()
    desk.first.flush(desk.store)
    desk.second.flush(desk.store)
    desk.second.flush(desk.store)

    assert (desk.of(ada), desk.of(bob), desk.of("con_none")) == ({"0a": 1500, "0b": 1}, {"0b": 1}, {})
    assert desk.by_key() == {"0a": 1500, "0b": 2}


def test_after_a_day_nothing_is_told_and_nothing_is_left(desk: Desk) -> None:
    ada = desk.connect("ada")
    for _ in range(3):
        desk.first.note(ada, "0a")
        desk.first.flush(desk.store)
        desk.clock.advance(12 * HOUR)
    assert (desk.of(ada), desk.by_key()) == ({"0a": 2}, {"0a": 2})
    desk.first.note(ada, "0a")
    desk.first.flush(desk.store)
    (document,) = desk.store.list_documents(KIND, env="test")
    assert len(document.body["hours"]) == 3

    desk.clock.advance(26 * HOUR)

    assert (desk.of(ada), desk.by_key(), desk.documents()) == ({}, {}, [])


def test_with_the_owner_its_counts_are_forgotten_those_in_memory_too(desk: Desk) -> None:
    ada, bob = desk.connect("ada"), desk.connect("bob")
    for connection_id in (ada, bob):
        desk.first.note(connection_id, "0a")
    desk.first.flush(desk.store)
    desk.second.note(ada, "0a")

    desk.practice.valet.forget("ada")
    desk.second.flush(desk.store)

    assert (desk.of(ada), desk.of(bob)) == ({}, {"0a": 1})
    assert ada not in repr(desk.documents())


def test_calls_are_summed_by_app_as_well(desk: Desk) -> None:
    desk.practice.declare("notes.more", display_name="More")
    ada, bob = desk.connect("ada"), desk.connect("bob")
    more = str(desk.practice.connect("notes.more", owner="ada").connection_id)
    for connection_id, key_id in [(ada, "0a"), (bob, "0a"), (bob, "0b"), (more, "0a"), ("con_gone", "0a")]:
        desk.first.note(connection_id, key_id)
    desk.second.note(bob, "0b")
    desk.first.flush(desk.store)
    desk.second.flush(desk.store)

    def of(name: str) -> dict[str, int]:
        return calls_of_app(desk.store, "test", name, desk.clock.now())

    assert of("notes") == {"0a": 2, "0b": 2}
    assert of("notes.more") == {"0a": 1}
    desk.practice.clock.advance(25 * HOUR)
    assert of("notes") == {}


def test_what_could_not_be_written_is_kept_and_there_is_a_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    ada = desk.connect("ada")
    for key_id in ("0a", "0b", "0c", "0a"):
        desk.first.note(ada, key_id)

    class Down:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        desk.first.flush(Down())  # type: ignore[arg-type]
    assert desk.first.waiting == 2
    monkeypatch.setattr(module, "ROUND", 1)
    desk.first.flush(desk.store)
    assert desk.first.waiting == 1
    desk.first.flush(desk.store)

    assert (desk.of(ada), desk.first.waiting) == ({"0a": 2, "0b": 1}, 0)
