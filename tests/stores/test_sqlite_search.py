"""Searches in SQLite go by an index of trigrams, which follows every write, and forgets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey.model.connections import ConnectionKey, Identity, Query
from valetkey.stores import _sqlite_search
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import ENV, blank

Sql = Callable[..., list[tuple[Any, ...]]]

SIGNS = "\N{SNOWMAN}\N{COMET}\N{BLACK STAR}\N{WHITE STAR}"
OWNERS = ("ada", "Stra\N{LATIN SMALL LETTER SHARP S}e", 'a "b" c', "\N{GREEK CAPITAL LETTER SIGMA}x'*", "zz", None)
NAMES = ("", "Ada L.", "x\0yz", "\N{LATIN CAPITAL LETTER O WITH DIAERESIS}zil", "NOT OR AND", SIGNS)


def filled(store: Any) -> Any:
    for number, (owner, name) in enumerate(zip(OWNERS, NAMES, strict=True)):
        who = Identity(subject=str(number), name=name) if name else None
        store.create(blank(number, key=ConnectionKey(ENV, "github", owner, ""), identity=who))
    return store


def found(store: Any, text: str) -> list[str]:
    return [record.id for record in store.list(Query(env=ENV, search=text)).items]


@pytest.fixture
def narrowed(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What the index answered, search by search."""
    told: list[str | None] = []
    real = _sqlite_search.match

    def match(db: Any, search: str) -> str | None:
        told.append(real(db, search))
        return told[-1]

    monkeypatch.setattr(_sqlite_search, "match", match)
    return told


@pytest.mark.parametrize("most", [_sqlite_search.MOST, 0], ids=["by trigrams", "too many candidates"])
def test_every_part_of_every_name_is_found_as_without_an_index(
    store: SQLiteStore, narrowed: list[str | None], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(_sqlite_search, "MOST", most)
    filled(store)
    plain = filled(MemoryStore())
    texts = {text[at : at + length] for text in (*NAMES, *OWNERS) for at in range(9) for length in (1, 2, 3, 5) if text}
    for text in sorted({*texts, "q", "zq", "nobody", "github\nada", "a" * 300} - {""}):
        assert found(store, text) == found(plain, text), text
    assert any(told is None for told in narrowed)  # NUL is no letter of a trigram
    assert any(narrowed) is bool(most)
    assert "" in narrowed  # no trigram begins so


def test_pages_of_a_search_go_on_where_the_last_one_ended(store: SQLiteStore, narrowed: list[str | None]) -> None:
    for number in range(7):
        store.create(blank(number, key=ConnectionKey(ENV, "github", f"who-{6 - number}", "")))
    query, cursor, seen = Query(env=ENV, search="WHO-"), None, list[str | None]()
    while cursor is not None or not seen:
        page = store.list(query, cursor=cursor, limit=3)
        seen += [record.key.owner for record in page.items]
        cursor = page.cursor
    assert seen == [f"who-{number}" for number in range(7)]
    assert narrowed
    assert all(narrowed)


def test_an_older_file_gets_the_index_and_another_sqlite_takes_it_down(
    store: SQLiteStore, sql: Sql, path: Path, monkeypatch: pytest.MonkeyPatch, narrowed: list[str | None]
) -> None:
    with monkeypatch.context() as older:
        older.setattr(_sqlite_search, "can_keep", lambda: False)
        filled(store)
        assert found(store, SIGNS) == ["con_0005"]
        store.close()
    assert found(store, SIGNS) == ["con_0005"]
    store.close()
    sql("VACUUM")
    assert found(store, SIGNS[:3]) == ["con_0005"]
    store.close()
    with monkeypatch.context() as other:
        other.setattr(_sqlite_search, "can_keep", lambda: False)
        erased = store.find("con_0005")
        assert erased is not None
        assert store.delete(erased)
        store.create(blank(9, key=ConnectionKey(ENV, "github", "late", "")))
        assert found(store, "late") == ["con_0009"]
        store.close()
        assert "\N{COMET}".encode() not in path.read_bytes()
    assert found(store, "late") == ["con_0009"]
    assert found(store, "ADA") == ["con_0001", "con_0000"]
    assert [told is None for told in narrowed] == [True, False, False, True, False, False]


def test_a_file_that_cannot_be_written_now_is_searched_without(
    store: SQLiteStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(_sqlite_search, "can_keep", lambda: False)
        filled(store)
        store.close()
    with monkeypatch.context() as full:
        full.setattr(_sqlite_search, "_MAKE", ("INSERT INTO nothing VALUES (1)",))
        assert found(store, SIGNS) == ["con_0005"]
        store.close()
    assert not sql("SELECT 1 FROM sqlite_master WHERE name LIKE 'search%'")
    assert found(store, SIGNS) == ["con_0005"]


def test_of_a_forgotten_owner_no_trigram_stays(store: SQLiteStore, path: Path) -> None:
    filled(store)
    whole = [character.encode() for character in SIGNS]
    record = store.find("con_0005")
    assert record is not None
    assert store.note(record.id, incarnation=1, changes={"identity": Identity(login=SIGNS[::-1])})
    store.close()
    assert all(part in path.read_bytes() for part in whole)

    erased = store.find("con_0005")
    assert erased is not None
    assert store.delete(erased)
    store.forget_events(env=ENV, owner="nobody else")

    files = [one.read_bytes() for one in path.parent.iterdir() if one.is_file()]  # the log too, while it is open
    assert len(files) > 1
    assert not any(part in content for part in whole for content in files)
    assert found(store, "ADA") == ["con_0001", "con_0000"]
