"""The leaves in which names lie: their order and size, how few are read, and how they came from the first version."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from valetkey.errors import StoreError
from valetkey.model.connections import ConnectionKey, Expect, Identity, Query, Record
from valetkey.stores import _redis_names, _redis_upgrade
from valetkey.stores._redis_link import Link
from valetkey.stores._redis_names import member, searched
from valetkey.stores._redis_steps import Step
from valetkey.stores.redis import RedisStore
from valetkey.testing._contract_base import ENV, at, blank, every_page, ids

MARK = b"\xfe"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let leaves hold few names."""
    monkeypatch.setattr(_redis_names, "MOST", 4)
    return 4


def held(store: RedisStore, server: Any) -> list[list[tuple[bytes, bytes]]]:
    """Return the leaves as they lie there, members and texts, each looked at for what it must be."""
    place = store._names.leaves(ENV)
    bounds = server.run("ZRANGE", place.bounds, 0, -1)
    found = []
    for bound, following in zip(bounds, [*bounds[1:], None], strict=True):
        members, texts = (server.run("HGET", place.names, kind + bound).split(MARK) for kind in (b"m", b"t"))
        assert members.pop() == texts.pop() == b""
        assert members
        assert members == sorted(members)
        assert bound <= members[0]
        assert following is None or members[-1] < following
        found.append(list(zip(members, texts, strict=True)))
    assert server.run("HLEN", place.names) == 2 * len(bounds)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_leaves_keep_order_and_size_whatever_is_entered_and_struck_out(
    store: RedisStore, shared_server: Any, small: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    letters = ["a", "B", "b", "\0", "\0\xff", "\xff", "\N{SNOWMAN}", "\U0001f511", "-", "("]
    names = {_redis_names.ordered("".join(chance.choices(letters, k=3))) + b"id" for _ in range(60)}
    there: dict[bytes, bytes] = {}
    place = store._names.leaves(ENV)
    for round_ in range(120):
        step = store._begun()
        for name in sorted(chance.sample(sorted(names), chance.choice([1, 1, 2, 9]))):
            if name in there and chance.random() < (0.3 if round_ < 60 else 0.9):
                step.strike(place, name)
                del there[name]
            else:
                there[name] = b"text %d" % chance.randrange(9)
                step.enter(place, name, there[name])
        step.strike(place, b"never there")
        store._commit(step, sync=False)
        if round_ % 10 == 0:
            leaves = held(store, shared_server)
            assert [pair for leaf in leaves for pair in leaf] == sorted(there.items())
            assert all(len(leaf) <= small for leaf in leaves)
            small_ones = [len(leaf) for leaf in leaves[:-1] if len(leaf) < small / 4]
            assert not small_ones


@pytest.mark.usefixtures("small")
def test_leaves_of_many_names_that_come_at_once_have_room(store: RedisStore, shared_server: Any) -> None:
    step = store._begun()
    step.enter(store._names.leaves(ENV), *chain(*((b"%03d" % number, b"text") for number in range(50))))
    store._commit(step)
    assert {len(leaf) for leaf in held(store, shared_server)} <= {2, 3}  # all have room for one more


def test_names_that_come_from_behind_share_leaves(store: RedisStore, shared_server: Any, small: int) -> None:
    for number in reversed(range(20)):
        step = store._begun()
        step.enter(store._names.leaves(ENV), b"%03d" % number, b"text")
        store._commit(step, sync=False)
    assert len(held(store, shared_server)) <= 40 / small


def test_a_leaf_of_which_little_is_left_takes_in_the_next(store: RedisStore, shared_server: Any) -> None:
    place = store._names.leaves(ENV)
    step = store._begun()
    step.enter(place, *chain(*((b"%03d" % number, b"text") for number in range(150))))
    store._commit(step)
    assert len(held(store, shared_server)) == 2
    step = store._begun()
    for number in range(60):
        step.strike(place, b"%03d" % number)
    store._commit(step)
    assert [len(leaf) for leaf in held(store, shared_server)] == [90]


@pytest.mark.usefixtures("small")
def test_names_follow_what_happens_to_connections(store: RedisStore, shared_server: Any) -> None:
    made = [store.create(blank(number, key=at("github", f"user-{number}"))) for number in range(9)]
    assert store.rename(made[0], at("slack", "Ada"), "elsewhere")
    assert store.note(made[1].id, incarnation=1, changes={"tags": {"a": "b"}})
    assert store.swap(replace(made[2], state="connected"), expect=Expect.of(made[2])) is not None
    assert store.note(made[6].id, incarnation=1, changes={"identity": Identity(login="octocat")})
    for gone in made[3:6]:
        assert store.delete(gone)
    there = [record for one in made if (record := store.find(one.id)) is not None]
    named = sorted((member(record), searched(record)) for record in there)
    assert [pair for leaf in held(store, shared_server) for pair in leaf] == named


# -- how much is read --------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(shared_server: Any) -> Callable[[Callable[[], object]], dict[str, int]]:
    """Return how often the server ran each command for some work."""

    def count() -> dict[str, int]:
        lines = shared_server.run("INFO", "commandstats")
        return {name: told["calls"] for name, told in lines.items()}

    def during(work: Callable[[], object]) -> dict[str, int]:
        before = count()
        work()
        return {name.removeprefix("cmdstat_"): n - before.get(name, 0) for name, n in count().items()}

    return during


@pytest.fixture
def reads(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Each step that is read from now on."""
    asked: list[Step] = []
    read = store._read
    monkeypatch.setattr(store, "_read", lambda step: (asked.append(step), read(step))[1])
    return asked


def crowd(store: RedisStore, count: int) -> None:
    """Enter many names, of connections that are not there."""
    pairs = (
        (_redis_names.ordered("github", f"=user-{number:05}", "") + b"con_%d" % number, b"user-%05d" % number)
        for number in range(count)
    )
    step = store._begun()
    step.enter(store._names.leaves(ENV), *chain.from_iterable(pairs))
    store._commit(step)


@pytest.mark.parametrize("text", ["nobody at all", "zq", "user-00777"])
def test_a_search_reads_a_leaf_for_a_hundred_names(store: RedisStore, reads: list[Step], calls: Any, text: str) -> None:
    crowd(store, 3000)
    spent = calls(lambda: store.list(Query(env=ENV, search=text)))
    assert spent["hget"] <= 45  # for 3,000 names
    assert spent["zrangebylex"] <= 2
    assert spent.get("hmget", 0) <= 3
    assert len(reads) <= 3


def test_a_page_takes_two_steps_and_its_rows_alone(store: RedisStore, reads: list[Step], calls: Any) -> None:
    for number in range(12):
        store.create(blank(number, key=at("github", f"user-{number:02}")))
    for query in (Query(env=ENV), Query(env=ENV, search="user"), Query(env=ENV, state="pending")):
        reads.clear()
        spent = calls(lambda query=query: store.list(query, limit=5))
        assert len(reads) == 2
        assert spent["hmget"] - (query.state is None) == 6  # five, the one after them, and a leaf


def test_troubles_are_read_without_what_is_sealed(
    store: RedisStore, shared_server: Any, reads: list[Step], calls: Any
) -> None:
    for number in range(5):
        record = store.create(blank(number, key=at("github", f"user-{number:02}")))
        sick = replace(record, state="needs_reauth", reason="revoked", expires_at=float(number))
        assert store.swap(sick, expect=Expect.of(record)) is not None
    other = store.create(blank(9, key=at("slack")))
    shared_server.run("ZADD", store._names.in_state(ENV, "needs_reauth"), 0, member(other))  # it got well in between
    reads.clear()
    spent = calls(lambda: store.troubles(env=ENV, state="needs_reauth"))
    (told,) = store.troubles(env=ENV, state="needs_reauth")
    assert (told.reason, told.n, told.ends_at) == ("revoked", 5, 0.0)
    assert len(reads) == 4
    assert spent["hmget"] == 6
    assert b"sealed" not in b"".join(reads[1].arguments())


@pytest.mark.parametrize("row", ["{", "{}", '{"state":"needs_reauth"}'])
def test_a_damaged_row_is_among_the_troubles(store: RedisStore, shared_server: Any, row: str) -> None:
    for number, name in enumerate(("github", "slack")):
        record = store.create(blank(number, key=at(name)))
        assert store.swap(replace(record, state="needs_reauth", reason="revoked"), expect=Expect.of(record))
    shared_server.run("HSET", store._names.row(record.id), "row", row)
    told = store.troubles(env=ENV, state="needs_reauth")
    assert sorted((one.credential, one.reason) for one in told) == [("github", "revoked"), ("slack", "row_corrupt")]


# -- from the first version --------------------------------------------------------------------------------------------


def made_old(store: RedisStore, server: Any) -> None:
    """Turn a store into one that the first version wrote."""
    for env in (ENV, "", "\N{SNOWMAN}*"):
        place, every = store._names.leaves(env), store._names._key("all", env)
        for bound in server.run("ZRANGE", place.bounds, 0, -1):
            members, texts = (server.run("HGET", place.names, kind + bound).split(MARK) for kind in (b"m", b"t"))
            for name, text in zip(members[:-1], texts[:-1], strict=True):
                server.run("ZADD", every, 0, name + b"\0" + text)
        server.run("DEL", place.bounds, place.names)
    server.run("HSET", store._names.meta, "id", store.store_id(), "schema", "1")
    server.run("HDEL", store._names.meta, "store")
    store.close()


def filled(store: RedisStore) -> list[Record]:
    owners = ["", "a\0b", "a\0", "\0", "ada\xff", *(f"user-{number:02}" for number in range(12))]
    return [store.create(blank(number, key=at("github", owner))) for number, owner in enumerate(owners)]


def everything(store: RedisStore) -> list[str]:
    return ids(list(chain(*every_page(store, Query(env=ENV), 5))))


@pytest.mark.usefixtures("small")
def test_a_store_of_the_first_version_is_taken_over(
    store: RedisStore, shared_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_upgrade, "_AT_ONCE", 3)
    made = filled(store)
    other = store.create(blank(99, key=ConnectionKey("\N{SNOWMAN}*", "github")))
    known, before = store.store_id(), everything(store)
    names = held(store, shared_server)
    made_old(store, shared_server)

    assert everything(store) == before
    assert store.store_id() == known
    assert list(chain(*held(store, shared_server))) == list(chain(*names))
    assert ids(store.list(Query(env=ENV, search="USER-03")).items) == [made[8].id]
    assert ids(store.list(Query(env=other.key.env)).items) == [other.id]
    assert shared_server.run("HGETALL", store._names.meta) == {b"store": known.encode(), b"schema": b"2"}
    assert not shared_server.run("KEYS", f"{store._names.tag}:all:*")
    assert store.delete(made[3])
    assert store.create(blank(50, key=at("slack"))).id in everything(store)


def test_programs_of_the_first_version_are_shut_out(store: RedisStore, shared_server: Any) -> None:
    filled(store)
    made_old(store, shared_server)
    store.store_id()
    assert shared_server.run("HGET", store._names.meta, "id") is None  # by which they know the store, in each step


def test_taking_over_goes_on_where_it_broke_off(
    store: RedisStore, url: str, shared_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_upgrade, "_AT_ONCE", 3)
    filled(store)
    before = everything(store)
    made_old(store, shared_server)
    run, done = Link.run, list[Step]()

    def breaks(link: Link, step: Step, **how: Any) -> Any:
        if b"PACK" in step.arguments():
            done.append(step)
            if len(done) == 3:
                raise StoreError("cut", code="store_unavailable")
        return run(link, step, **how)

    with monkeypatch.context() as cut:
        cut.setattr(Link, "run", breaks)
        with pytest.raises(StoreError):
            store.find("con_0001")
    assert shared_server.run("ZCARD", store._names._key("all", ENV)) == len(before) - 6
    next_one = RedisStore(url)
    assert everything(next_one) == everything(store) == before
    next_one.close()


def test_several_take_over_at_once(
    store: RedisStore, url: str, shared_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_upgrade, "_AT_ONCE", 1)
    filled(store)
    before = everything(store)
    made_old(store, shared_server)
    stores = [RedisStore(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(everything, stores)) == [before] * 4
    for one in stores:
        one.close()
