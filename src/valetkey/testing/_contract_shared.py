"""The store contract: what a store does that outlives its process and is used by several of them."""
# ruff: noqa: PLR2004, S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

import faulthandler
import itertools
import multiprocessing
import os
import queue
import secrets
import signal
import tempfile
import traceback
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from valetkey.clock import SystemClock
from valetkey.model.connections import ConnectionKey, Document, Event, Expect, Query
from valetkey.model.ports import Store
from valetkey.testing._contract_base import (
    ENV,
    LIFE,
    PATIENCE,
    ContractBase,
    at,
    at_once,
    blank,
    connected,
    every_page,
    held,
    ids,
    seen,
    successor,
)
from valetkey.testing._contract_lists import CHANGES, Change

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PROCESSES = 8

Work = Callable[["Child"], object]


class Child:
    """A forked process that runs a function, pauses where that says so, and hands back what it returns."""

    def __init__(self, work: Work) -> None:
        self.pipe: Connection
        self.pipe, theirs = multiprocessing.Pipe()
        self._where = tempfile.TemporaryFile("w+")  # noqa: SIM115 - see the next line
        weakref.finalize(self, self._where.close)
        with warnings.catch_warnings():
            # Python warns of threads beside a fork; that a store copes with them is what is tested here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = multiprocessing.get_context("fork").Process(target=self._run, args=(work, theirs))
            self.process.start()
        theirs.close()

    def _run(self, work: Work, pipe: Connection) -> None:
        self.pipe = pipe
        faulthandler.register(signal.SIGUSR1, file=self._where)
        try:
            pipe.send(("result", work(self)))
        except BaseException:  # noqa: BLE001 - it is told to the parent, whatever it is
            pipe.send(("error", traceback.format_exc()))

    def pause(self) -> None:
        """In the child: tell the parent, and wait until it says `go_on`."""
        self.pipe.send(("pause", None))
        self.pipe.recv()

    def paused(self) -> None:
        """In the parent: wait until the child pauses."""
        self._expect("pause")

    def go_on(self) -> None:
        """In the parent: let the child go on."""
        self.pipe.send(None)

    def result(self) -> Any:
        """In the parent: wait for the end of the child, and return what its function returned."""
        value = self._expect("result")
        self.process.join(PATIENCE)
        self.process.close()
        self.pipe.close()
        return value

    def killed(self) -> list[Any]:
        """In the parent: kill the child where it stands, and return what it had sent."""
        self.process.kill()
        self.process.join(PATIENCE)
        self.process.close()
        sent: list[Any] = []
        with suppress(EOFError, OSError):  # the last may be cut off
            while True:
                sent.append(self.pipe.recv())
        self.pipe.close()
        return sent

    def _stack(self) -> str:
        """Kill a child that hangs, and return where that is."""
        os.kill(self.process.pid or 0, signal.SIGUSR1)
        self.process.join(1.0)
        self.process.kill()
        self._where.seek(0)
        return self._where.read()

    def _expect(self, wanted: str) -> Any:
        if not self.pipe.poll(PATIENCE):
            pytest.fail(f"a child process hangs: {self._stack()}")
        kind, value = self.pipe.recv()
        assert kind == wanted, value
        return value


def _claim_and_write(store: Store, key: ConnectionKey, rounds: int, in_use: Path) -> int:
    """Claim the record `rounds` times, and write a new version each time; returns how often another held it too."""
    overlaps, done = 0, 0
    while done < rounds:
        record = store.load(key)
        assert record is not None
        holder = secrets.token_hex(16)
        claimed = store.claim(record, holder=holder, life=PATIENCE, spending="")
        if claimed is None:
            store.wait_for_change(record, 1.0)
            continue
        overlaps += _occupied(in_use)
        new = replace(claimed, version=claimed.version + 1)
        assert store.swap(new, expect=Expect.of(claimed, holder=holder)) is not None
        done += 1
    return overlaps


def _occupied(in_use: Path) -> bool:
    try:
        os.close(os.open(in_use, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return True
    in_use.unlink()
    return False


class Shared(ContractBase):
    """Several handles on the same data: in a process, after closing, after a fork, in other processes."""

    rounds: ClassVar[int] = 50
    """How often each of many processes claims the same record; less will do where each claim takes long."""

    def _real(self) -> Store:
        return self.make_store(SystemClock())

    # -- in one process

    def test_what_was_stored_is_there_when_the_store_is_used_again_after_closing(self, store: Store) -> None:
        record, name = connected(store), store.store_id()
        store.put_document(Document(kind="flow", id="f", body={"n": 1}))
        store.append_event(Event(kind="connected", at=1.0, env=ENV))
        store.close()
        store.close()
        assert store.store_id() == name
        assert seen(store, record) == record
        document = store.get_document("flow", "f")
        assert document is not None
        assert document.body == {"n": 1}
        assert len(store.list_events(env=ENV)) == 1

    def test_another_handle_sees_the_same_store(self, store: Store) -> None:
        record = held(store, connected(store))
        other = self.make_store(self.clock)
        assert other.store_id() == store.store_id()
        assert seen(other, record) == record
        assert other.claim(record, holder="holder-2", life=LIFE, spending="") is None
        other.close()

    def test_the_mark_shows_commits_of_another_handle(self, store: Store) -> None:
        record = connected(store)
        other = self.make_store(self.clock)
        before = store.change_mark()
        if store.local:
            assert store.change_mark() == before
        assert other.swap(successor(record, 2), expect=Expect.of(record)) is not None
        assert store.change_mark() != before
        other.close()

    @pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
    def test_who_watches_a_store_that_listens_is_told_of_each_change(self, change: Change) -> None:
        store, other = self._real(), self._real()
        record = connected(other)
        told: queue.SimpleQueue[ConnectionKey | None] = queue.SimpleQueue()
        store.watch(told.put)
        store.load(record.key)
        if not self.tells:
            assert not store.listens()
            other.close()
            store.close()
            return
        assert told.get(timeout=PATIENCE) is None, "from here on nothing is missed"
        assert change(other, record)
        assert told.get(timeout=PATIENCE) == record.key
        assert store.listens()
        other.close()
        store.close()

    def test_of_handles_that_claim_at_once_one_wins(self, store: Store) -> None:
        record = connected(store)
        handles = [self.make_store(self.clock) for _ in range(6)]
        works = [
            lambda h=handle, n=n: h.claim(record, holder=f"holder-{n}", life=LIFE, spending="")
            for n, handle in enumerate(handles)
        ]
        assert sum(claimed is not None for claimed in at_once(*works)) == 1
        for handle in handles:
            handle.close()

    def test_handles_that_open_a_new_store_at_once_open_the_same(self) -> None:
        handles = [self.make_store(self.clock) for _ in range(6)]
        names = at_once(*[handle.store_id for handle in handles])
        assert len(set(names)) == 1
        for handle in handles:
            handle.close()

    def test_a_change_by_another_handle_wakes(self) -> None:
        store, other = self._real(), self._real()
        record = connected(store)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(store.wait_for_change, record, PATIENCE)
            held(other, record)
            assert waiting.result() is True
        store.close()
        other.close()

    # -- in other processes

    def test_a_forked_child_goes_on_with_the_store_of_its_parent(self) -> None:
        store = self._real()
        record = connected(store)
        store.change_mark()

        def work(child: Child) -> bool:
            claimed = held(store, record, "child")
            child.pause()
            stored = store.swap(successor(claimed, 2), expect=Expect.of(claimed, holder="child"))
            store.close()
            return stored is not None

        child = Child(work)
        child.paused()
        claim = seen(store, record).claim
        assert claim is not None
        assert claim.holder == "child"
        assert store.claim(record, holder="parent", life=LIFE, spending="") is None
        child.go_on()
        assert child.result() is True
        assert seen(store, record).version == record.version + 1
        store.close()

    def test_nothing_that_a_forked_child_writes_is_lost_when_its_parent_closes(self) -> None:
        store = self._real()
        store.create(blank(0))
        store.change_mark()

        def work(child: Child) -> list[str]:
            store.create(blank(1))
            child.pause()  # the parent closes its handles, and somebody else writes
            for number in (2, 3):
                store.create(blank(number))
            found = ids(store.list(Query(env=ENV)).items)
            store.close()
            return found

        child = Child(work)
        child.paused()
        store.close()
        stranger = self._real()
        stranger.create(blank(9))
        child.go_on()
        assert child.result() == ["con_0000", "con_0001", "con_0002", "con_0003", "con_0009"]
        assert ids(stranger.list(Query(env=ENV)).items) == ["con_0000", "con_0001", "con_0002", "con_0003", "con_0009"]
        stranger.close()

    def test_a_fork_beside_threads_at_work_harms_neither_side(self) -> None:
        store = self._real()
        record = connected(store)
        stop = False

        def busy() -> int:
            count = 0
            while not stop:
                store.note(record.id, incarnation=1, changes={"last_used_at": float(count)})
                seen(store, record)
                count += 1
            return count

        def work(child: Child) -> bool:  # noqa: ARG001
            stored = store.create(blank(1000 + os.getpid(), key=at(owner=str(os.getpid()))))
            found = store.find(stored.id)
            store.close()
            return found == stored

        with ThreadPoolExecutor(3) as threads:
            working = [threads.submit(busy) for _ in range(3)]
            try:
                children = [Child(work) for _ in range(5)]
                assert [child.result() for child in children] == [True] * 5
            finally:
                stop = True
            assert all(thread.result() > 0 for thread in working)
        assert len(store.list(Query(env=ENV)).items) == 6
        store.close()

    def test_processes_that_open_a_new_store_at_once_open_the_same(self) -> None:
        def work(child: Child) -> str:
            child.pause()
            store = self._real()
            name = store.store_id()
            store.close()
            return name

        children = [Child(work) for _ in range(PROCESSES)]
        for child in children:
            child.paused()
        for child in children:
            child.go_on()
        assert len({child.result() for child in children}) == 1

    def test_a_change_by_another_process_wakes(self) -> None:
        store = self._real()
        record = connected(store)

        def work(child: Child) -> bool:
            child.pause()
            mine = self._real()
            held(mine, record)
            mine.close()
            return True

        child = Child(work)
        child.paused()
        child.go_on()
        assert store.wait_for_change(record, PATIENCE) is True
        assert child.result() is True
        store.close()

    def test_what_was_committed_survives_the_death_of_its_process(self) -> None:
        def work(child: Child) -> None:
            mine = self._real()
            record = connected(mine, 0)
            held(mine, record, "dead")
            child.pause()
            for number in itertools.count(1):
                child.pipe.send(mine.create(blank(number, key=at(account=f"{number:06}"))).id)

        child = Child(work)
        child.paused()
        child.go_on()
        first = [child.pipe.recv() for _ in range(20)]
        told = [*first, *child.killed()]
        store = self._real()
        there = ids([record for page in every_page(store, Query(env=ENV, own=True), 100) for record in page])
        assert set(told) <= set(there)
        assert len(there) <= len(told) + 2  # the record that was claimed, and one that was not told any more
        dead = store.find("con_0000")
        assert dead is not None
        assert dead.claim is not None
        assert not dead.claim.expired
        assert store.swap(successor(dead, 2), expect=Expect.of(dead)) is not None
        store.close()

    def test_eight_processes_claim_many_times_each_and_never_two_at_once(self, tmp_path: Path) -> None:
        store = self._real()
        record = connected(store)

        def work(child: Child) -> int:
            child.pause()
            mine = self._real()
            overlaps = _claim_and_write(mine, record.key, self.rounds, tmp_path / "in-use")
            mine.close()
            return overlaps

        children = [Child(work) for _ in range(PROCESSES)]
        for child in children:
            child.paused()
        for child in children:
            child.go_on()
        assert [child.result() for child in children] == [0] * PROCESSES
        final = seen(store, record)
        assert (final.version, final.claim) == (record.version + PROCESSES * self.rounds, None)
        store.close()
