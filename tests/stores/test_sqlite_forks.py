"""A fork never falls into a call of SQLite, whatever the other threads are at: its library's locks would stay held."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from valetkey import forks
from valetkey.stores import _sqlite_pool
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import PATIENCE
from valetkey.testing._contract_shared import Child

SHORT = 0.3
"""How long (seconds) something is held up for a fork that would not wait for it."""


class Slow:
    """A handle's connection whose closing takes a while, and can be looked at meanwhile."""

    in_transaction = False

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.closed = threading.Event()

    def close(self) -> None:
        self.closing.set()
        self.closed.wait(SHORT)
        self.closing.clear()


def forked_while(work: Callable[[], object], slow: Slow) -> bool:
    """Fork while another thread closes a handle, and return whether the child saw it in the middle of that."""
    thread = threading.Thread(target=work)
    thread.start()
    assert slow.closing.wait(PATIENCE)
    found = Child(lambda _: slow.closing.is_set()).result()
    thread.join()
    return bool(found)


def test_a_fork_waits_until_a_store_is_closed(store: SQLiteStore) -> None:
    slow = Slow()
    with store._readers.lend() as handle:
        store._readers._idle.append(_sqlite_pool.Handle(slow, handle.file, 0))  # type: ignore[arg-type]
    assert not forked_while(store.close, slow)


def test_a_fork_waits_until_what_an_abandoned_store_left_is_closed(store: SQLiteStore) -> None:
    slow = Slow()
    _sqlite_pool._abandoned.handles.append(_sqlite_pool.Handle(slow, None, 0))  # type: ignore[arg-type]
    assert not forked_while(partial(store.find, "con_1"), slow)


def test_a_store_is_not_opened_while_a_fork_is_under_way(path: Path) -> None:
    opened = threading.Event()

    def open_another() -> None:
        other = SQLiteStore(path)
        other.store_id()
        opened.set()
        other.close()

    class AtFork:
        thread = threading.Thread(target=open_another)

        def before_fork(self) -> None:
            self.thread.start()
            opened.wait(SHORT)

        def after_fork(self, *, in_child: bool) -> None:
            """Nothing to do: it rests no longer than the fork takes."""

    thing = AtFork()
    forks.register(thing)
    assert Child(lambda _: opened.is_set()).result() is False
    thing.thread.join(PATIENCE)
    assert opened.is_set()
    del thing


def test_handles_of_a_store_that_nobody_has_any_more_are_closed_by_the_next_use_of_another(tmp_path: Path) -> None:
    kept, dropped = SQLiteStore(tmp_path / "kept.db"), SQLiteStore(tmp_path / "dropped.db")
    kept.store_id(), dropped.store_id()
    del dropped
    gc.collect()
    assert _sqlite_pool._abandoned.handles
    kept.find("con_1")
    assert not _sqlite_pool._abandoned.handles
    kept.close()


def test_handles_of_a_store_that_nobody_has_any_more_are_closed_before_a_fork(tmp_path: Path) -> None:
    dropped = SQLiteStore(tmp_path / "dropped.db")
    dropped.store_id()
    del dropped
    gc.collect()
    assert _sqlite_pool._abandoned.handles
    assert Child(lambda _: len(_sqlite_pool._abandoned.handles)).result() == 0


PROGRAM = """
import faulthandler, os, sys, threading
from functools import partial
from pathlib import Path
from valetkey.stores.sqlite import SQLiteStore

folder = Path(sys.argv[1])

def use(number, close):
    while True:
        store = SQLiteStore(folder / f"{number}.db")
        store.store_id()
        if close:
            store.close()

for number, close in enumerate((True, False)):
    threading.Thread(target=use, args=(number, close), daemon=True).start()
for _ in range(25):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(30, exit=True)
        store = SQLiteStore(folder / "child.db")
        store.store_id(), store.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a child hangs"
os._exit(0)
"""


def test_children_open_stores_while_threads_of_their_parent_open_and_close_theirs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
