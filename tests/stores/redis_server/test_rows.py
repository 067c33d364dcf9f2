"""Rows that are damaged, long lists, many that write at once: what is only seen from outside the protocol."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from valetkey.errors import ConfigurationError, StoreError
from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Query, Record, Sealed
from valetkey.stores import _cursor, _redis_documents, _redis_link
from valetkey.stores._redis_names import document_member
from valetkey.stores.redis import RedisStore
from valetkey.testing._contract_base import ENV, at, blank, data_key, every_page, ids, successor, with_grant

DAMAGE = [
    pytest.param("row", b"\xff{", id="no text"),
    pytest.param("row", "{", id="no JSON"),
    pytest.param("row", "[]", id="no object"),
    pytest.param("row", "{}", id="nothing in it"),
    pytest.param("row", '{"id":1', id="cut off"),
]


def damaged(store: RedisStore, shared_server: Any, field: str, value: Any) -> Record:
    record = store.create(with_grant(blank(1), 1))
    store.create(blank(2))
    shared_server.run("HSET", store._names.row(record.id), field, value)
    return record


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_a_damaged_row_is_told_of_hides_no_other_and_can_be_erased(
    store: RedisStore, shared_server: Any, field: str, value: Any
) -> None:
    record = damaged(store, shared_server, field, value)
    for work in (
        lambda: store.load(record.key),
        lambda: store.find(record.id),
        lambda: store.claim(record, holder="h", life=30.0, spending=""),
        lambda: store.rename(record, at("slack"), "elsewhere"),
    ):
        with pytest.raises(StoreError) as caught:
            work()
        assert caught.value.code == "row_corrupt"
        assert record.id in str(caught.value)
        assert "redis-cli" in caught.value.hint

    first, second = store.list(Query(env=ENV)).items
    assert (first.id, first.key, first.error) == (record.id, record.key, "row_corrupt")
    assert (second.id, second.error) == ("con_0002", "")
    assert [one.id for one in store.list(Query(env=ENV, state="needs_reauth")).items] == [record.id]
    assert store.list(Query(env=ENV, state=record.state)).items == ()
    assert sorted(state for (_, state), n in store.counts(env=ENV, now=0.0).items() if n) == ["needs_reauth", "pending"]
    assert store.delete(record)
    assert ids(store.list(Query(env=ENV)).items) == ["con_0002"]
    assert store.create(blank(3, key=record.key)).id == "con_0003"


def test_a_number_that_is_none_is_damage(store: RedisStore, shared_server: Any) -> None:
    record = store.create(blank(1))
    row = shared_server.run("HGET", store._names.row(record.id), "row")
    shared_server.run("HSET", store._names.row(record.id), "row", row.replace(b'"version":0', b'"version":"0"'))
    with pytest.raises(StoreError, match="version is not a number"):
        store.load(record.key)


@pytest.mark.parametrize(("field", "value"), [("doc", "{"), ("body", "["), ("doc", "[1]")])
def test_a_damaged_document_is_told_of_and_can_be_erased(
    store: RedisStore, shared_server: Any, field: str, value: str
) -> None:
    store.put_document(Document(kind="flow", id="f"))
    shared_server.run("HSET", store._names.document("flow", "", "f"), field, value)
    with pytest.raises(StoreError) as caught:
        store.get_document("flow", "f")
    assert caught.value.code == "row_corrupt"
    assert store.delete_document("flow", "f")
    assert store.get_document("flow", "f") is None
    assert store.list_documents("flow") == ()


def test_a_damaged_data_key_is_not_to_be_removed(store: RedisStore, shared_server: Any) -> None:
    data_key(store, "dk_1")
    shared_server.run("HSET", store._names.document("data_key", "", "dk_1"), "doc", "{")
    with pytest.raises(StoreError) as caught:
        store.get_document("data_key", "dk_1")
    assert "Do not remove" in caught.value.hint


def test_a_key_of_another_kind_in_our_place_is_damage(store: RedisStore, shared_server: Any) -> None:
    store.store_id()
    shared_server.run("SET", store._names.row("con_1"), "?")
    with pytest.raises(StoreError) as caught:
        store.find("con_1")
    assert caught.value.code == "store_corrupt"


def test_a_row_that_was_removed_by_hand_leaves_its_key_free(store: RedisStore, shared_server: Any) -> None:
    data_key(store, "dk_1")
    record = store.create(with_grant(blank(1), 1, key_id="dk_1", due_at=1.0))
    shared_server.run("DEL", store._names.row(record.id))
    assert store.load(record.key) is None
    assert store.list(Query(env=ENV)).items == ()
    assert store.due(env=ENV, until=9.0) == ()
    assert store.sealed_with("dk_1") == ((), ())
    assert store.retire_key("dk_1")
    assert store.create(blank(2, key=record.key)).id == "con_0002"
    assert store.create(blank(3, key=at("slack"))).id == "con_0003"
    assert store.rename(blank(3, key=at("slack")), at("github"), "elsewhere")


def test_nothing_is_left_of_what_was_erased(store: RedisStore, shared_server: Any) -> None:
    data_key(store, "dk_1")
    record = store.create(with_grant(blank(1, requested=("write",)), 1, key_id="dk_1", due_at=1.0))
    store.put_document(Document(kind="flow", id="f", sealed=Sealed(b"...", "dk_1"), expires_at=2e9))
    assert store.delete(record)
    assert store.delete_document("flow", "f")
    assert store.retire_key("dk_1")
    left = {key.rpartition(b"}:")[2] for key in shared_server.run("KEYS", f"{store._names.tag}:*")}
    assert left == {b"meta", b"mark"}


# -- text --------------------------------------------------------------------------------------------------------------

ODD = ["", "a", "a\0", "a\0b", "a\0\xff", "\0", "=", ":", "%3A", "{x}", "*", "a b", "\N{SNOWMAN}", "\U0001f511", "\xff"]


def test_any_text_is_kept_apart_and_in_order(store: RedisStore) -> None:
    keys = [ConnectionKey(ENV, "github", owner, account) for owner, account in itertools.product(ODD, ["", "\0", "x"])]
    made = {store.create(blank(number, key=key)).id for number, key in enumerate(keys)}
    assert len(made) == len(keys)
    wanted = sorted((key.owner, key.account) for key in keys)
    pages = every_page(store, Query(env=ENV), 7)
    assert [(record.key.owner, record.key.account) for page in pages for record in page] == wanted
    for owner in ODD:
        found = store.list(Query(env=ENV, owner=owner)).items
        assert [record.key.account for record in found] == ["", "\0", "x"]


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda store: store.create(blank(1, key=at("git\udcffhub"))), id="credential"),
        pytest.param(lambda store: store.create(blank(1, tags={"a": "\udcff"})), id="tags"),
        pytest.param(lambda store: store.load(at("github", "\udcff")), id="looking"),
        pytest.param(lambda store: store.put_document(Document(kind="k", id="i", body={"a": "\udcff"})), id="document"),
        pytest.param(lambda store: store.append_event(Event(kind="k", at=1.0, actor="\udcff")), id="event"),
    ],
)
def test_half_a_character_is_refused(store: RedisStore, work: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        work(store)
    assert caught.value.code == "text_invalid"


# -- many --------------------------------------------------------------------------------------------------------------


def test_long_lists_are_read_step_by_step(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_documents, "_PAGE", 3)
    data_key(store, "dk_1")
    now = store.now()
    for number in range(8):
        expires_at = now - 1 if number < 5 else None
        document = Document(kind="flow", id=str(number), sealed=Sealed(b"...", "dk_1"), expires_at=expires_at)
        assert store.put_document(document) is not None
    assert [document.id for document in store.list_documents("flow")] == ["5", "6", "7"]
    assert [document.id for document in store.sealed_with("dk_1")[1]] == ["5", "6", "7"]
    assert [document.id for document in store.sealed_with("dk_1", limit=2)[1]] == ["5", "6"]
    assert not store.retire_key("dk_1")
    for number in (5, 6, 7):
        assert store.delete_document("flow", str(number))
    assert store.retire_key("dk_1")


def test_what_expired_long_ago_is_tidied_away(store: RedisStore, shared_server: Any) -> None:
    now = store.now()
    day = _redis_documents.KEPT_EXPIRED
    for name, expires_at in {"old": now - day - 1, "gone": now - day - 1, "young": now - 1}.items():
        store.put_document(Document(kind="flow", id=name, expires_at=expires_at))
    shared_server.run("DEL", store._names.document("flow", "", "gone"))
    store.put_document(Document(kind="flow", id="new", expires_at=now + 60))
    there = [shared_server.run("EXISTS", store._names.document("flow", "", name)) for name in ("old", "young", "new")]
    assert there == [0, 1, 1]
    assert shared_server.run("ZCARD", store._names.expiry) == 2


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param([("HSET", "doc", "{")], id="damaged"),
        pytest.param([("DEL",), ("SET", "?")], id="a key of another kind"),
    ],
)
def test_what_expired_long_ago_is_tidied_away_though_it_is_damaged(
    store: RedisStore, shared_server: Any, damage: list[tuple[str, ...]]
) -> None:
    now = store.now()
    long_ago = now - _redis_documents.KEPT_EXPIRED
    for name, expires_at in {"old": long_ago - 1, "damaged": now + 60}.items():
        store.put_document(Document(kind="flow", id=name, expires_at=expires_at))
    place = store._names.document("flow", "", "damaged")
    for command, *values in damage:
        shared_server.run(command, place, *values)
    member = document_member(Document(kind="flow", id="damaged"))
    shared_server.run("ZADD", store._names.expiry, long_ago - 9, member)
    assert store.put_document(Document(kind="flow", id="new", expires_at=now + 60)) is not None
    assert shared_server.run("EXISTS", place) == 0
    assert shared_server.run("ZRANGE", store._names.expiry, 0, -1) == [document_member(Document(kind="flow", id="new"))]
    assert [document.id for document in store.list_documents("flow")] == ["new"]
    assert shared_server.run("ZCARD", store._names.documents("flow")) == 1


def test_tidying_that_fails_fails_no_write(store: RedisStore, shared_server: Any) -> None:
    now = store.now()
    put = store.put_document(Document(kind="flow", id="f", expires_at=now + 60))
    shared_server.run("DEL", store._names.expiry)
    shared_server.run("SET", store._names.expiry, "?")
    store._tidy(now)
    assert store.get_document("flow", "f") == put


def test_the_server_may_forget_our_scripts(store: RedisStore, shared_server: Any) -> None:
    record = store.create(blank(1))
    shared_server.run("SCRIPT", "FLUSH")
    assert store.load(record.key) == record
    shared_server.run("SCRIPT", "FLUSH")
    assert store.delete(record)


def test_sealings_are_handed_over_in_one_step_though_the_server_forgot_our_scripts(
    store: RedisStore, shared_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_key(store, "dk_1")
    records = [store.create(with_grant(blank(number), number)) for number in range(5)]
    sent: list[int] = []
    exchange = store._link._exchange

    def counted(commands: Sequence[Any]) -> list[Any]:
        sent.append(len(commands))
        return exchange(commands)

    monkeypatch.setattr(store._link, "_exchange", counted)
    assert store.rekey([(record, Sealed(b"1", "dk_1")) for record in records]) == 5
    assert len(sent) == 2  # what is there now; and the sealings, with one wait for the disk
    assert sent[1] in {5, 6}
    shared_server.run("SCRIPT", "FLUSH")
    there = store.sealed_with("dk_1")[0]
    shared_server.run("SCRIPT", "FLUSH")
    assert store.rekey([(record, Sealed(b"2", "dk_1")) for record in there]) == 5


def test_a_sealing_that_is_overtaken_is_handed_over_again(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data_key(store, "dk_1")
    noted, moved, quiet = (store.create(with_grant(blank(number), number)) for number in (1, 2, 3))
    run_all = store._link.run_all

    def overtaken(steps: Sequence[Any], **how: Any) -> list[Any]:
        monkeypatch.setattr(store._link, "run_all", run_all)
        assert store.note(noted.id, incarnation=1, changes={"tags": {"a": "b"}})
        assert store.swap(with_grant(successor(moved, 9), 9), expect=Expect.of(moved)) is not None
        return run_all(steps, **how)

    monkeypatch.setattr(store._link, "run_all", overtaken)
    assert store.rekey([(record, Sealed(b"anew", "dk_1")) for record in (noted, moved, quiet)]) == 2
    assert ids(store.sealed_with("dk_1")[0]) == [noted.id, quiet.id]
    assert [dict(record.tags) for record in store.sealed_with("dk_1")[0]] == [{"a": "b"}, {}]


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_a_search_goes_on_where_it_stopped_looking(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("valetkey.stores._redis_names.MOST", 3)
    monkeypatch.setattr("valetkey.stores._redis_lists._MANY", 2)
    keys = [at("github", f"user-{number:02}", "like con_0001" * (number == 24)) for number in range(25)]
    made = [store.create(blank(number, key=key)) for number, key in enumerate(keys)]
    for text, wanted in {
        "user-": made,
        "-0": made[:10],
        "USER-24": made[24:],
        "user-00": made[:1],
        "con_00": made[24:],  # it stands in all members, where no search looks
        "nobody": [],
    }.items():
        pages = every_page(store, Query(env=ENV, search=text), limit=limit)
        assert ids(list(itertools.chain(*pages))) == ids(wanted)
        assert ids(back(store, Query(env=ENV, search=text), limit)) == ids(wanted)


def back(store: RedisStore, query: Query, limit: int) -> list[Record]:
    """Return what is found from behind all, page by page back."""
    found: list[Record] = []
    cursor: str | None = _cursor.encode(("\U0010ffff", "", ""))
    while cursor is not None:
        page = store.list(query, cursor=cursor, limit=limit, backwards=True)
        found[:0] = page.items
        cursor = page.before
    return found


def test_more_threads_than_connections_take_turns(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_link, "_CONNECTIONS", 2)
    store._link.after_fork()
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda number: store.create(blank(number)), range(64)))
    assert len(made) == 64


def test_threads_that_note_on_one_row_all_get_their_turn(store: RedisStore) -> None:
    record = store.create(blank(1))
    with ThreadPoolExecutor(8) as threads:
        noted = threads.map(
            lambda number: store.note(record.id, incarnation=1, changes={"last_used_at": float(number)}), range(80)
        )
    assert all(noted)


def test_counts_take_one_step_whatever_the_number_of_credentials(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["github", "github\0", "github\0\0x", "github\0\u0100", "\0", "", "slack"]
    for number, name in enumerate(names):
        store.create(blank(2 * number, key=at(name), state="connected"))
        store.create(blank(2 * number + 1, key=at(name, "ada"), state="needs_reauth" if number % 2 else "connected"))
    store.create(blank(99, key=at("github", env="other"), state="connected"))
    asked: list[object] = []
    read = store._read
    monkeypatch.setattr(store, "_read", lambda step: (asked.append(step), read(step))[1])

    counted = store.counts(env=ENV, now=0.0)

    expected: dict[tuple[str, str], int] = {}
    for number, name in enumerate(names):
        for state in ("connected", "needs_reauth" if number % 2 else "connected"):
            expected[name, state] = expected.get((name, state), 0) + 1
    assert counted == expected
    assert len(asked) == 1


def test_of_many_that_are_well_only_some_are_read_and_all_are_counted(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valetkey.stores.redis.READ_MOST", 2)
    now = 1_000_000_000.0
    for number in range(7):
        record = store.create(blank(number, key=at("github", f"o{number}")))
        grown = replace(with_grant(record, number), refreshable=number != 6, refresh_expires_at=None)
        state = "refresh_failing" if number == 5 else "connected"
        assert store.swap(replace(grown, state=state, expires_at=now + 60), expect=Expect.of(record)) is not None

    told = store.standings(env=ENV, credential="github", now=now)

    assert told.unread == 4
    found = {(one.state, one.soon, one.alive): one.n for one in told.groups}
    assert found == {
        ("connected", False, "ends"): 2,
        ("connected", False, "unread"): 3,
        ("connected", True, "unread"): 1,
        ("refresh_failing", False, "ends"): 1,
    }
    assert told.owners == 3
