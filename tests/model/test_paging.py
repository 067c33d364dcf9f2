"""All of a list, page by page."""

from __future__ import annotations

import pytest

from valetkey.model import paging
from valetkey.model.connections import Document, Query
from valetkey.stores.memory import MemoryStore
from valetkey.testing._contract_base import ENV, at, blank


@pytest.mark.parametrize("page", [1, 3, 6, 7])
def test_all_are_read_whatever_the_size_of_a_page(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(paging, "RECORDS", page)
    monkeypatch.setattr(paging, "DOCUMENTS", page)
    store = MemoryStore()
    made = [store.create(blank(number, key=at("github", f"owner-{number}"))) for number in range(6)]
    for number in range(6):
        store.put_document(Document(kind="thing", env=ENV, id=f"d{number}"))
        store.put_document(Document(kind="thing", env="other", id=f"d{number}"))

    assert list(paging.each_record(store, Query(env=ENV))) == made
    assert [one.id for one in paging.each_document(store, "thing", env=ENV)] == [f"d{number}" for number in range(6)]
    assert [one.id for one in paging.each_document(store, "thing", env=ENV, after="d3")] == ["d4", "d5"]
    assert list(paging.each_document(store, "nothing", env=ENV)) == []


def test_the_last_page_is_known_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.put_document(Document(kind="thing", env=ENV, id="d"))
    asked: list[object] = []
    plain = store.list_documents
    monkeypatch.setattr(store, "list_documents", lambda *a, **k: (asked.append(a), plain(*a, **k))[1])

    assert len(list(paging.each_document(store, "thing", env=ENV))) == 1
    assert len(asked) == 1
