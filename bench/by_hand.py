"""A refresh written by hand, with the guarantees of valetkey's and no library: the floor that its cost is held to.

What DESIGN section 6 asks of a refresh over SQLite, and nothing else: the row is read and its grant opened, the claim
is written and synced, the token is posted, the new grant is sealed, and grant and event are written and synced.
Writes that meet share one commit.  No errors are thought of, no waiting, no other process: it is a floor, no program.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from peer import APP

Write = tuple[str, tuple[Any, ...]]

_TABLES = """
CREATE TABLE connection (
    id INTEGER PRIMARY KEY, sealed BLOB, version INTEGER, holder TEXT, until REAL, refresh_fp TEXT, expires_at REAL,
    state TEXT
);
CREATE INDEX due ON connection (expires_at);
CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, connection INTEGER, kind TEXT, at REAL, detail TEXT);
"""
_READ = "SELECT sealed, version FROM connection WHERE id = ?"
_CLAIM = "UPDATE connection SET holder = ?, until = ? WHERE id = ? AND version = ? AND holder IS NULL"
_KEEP = (
    "UPDATE connection SET sealed = ?, version = version + 1, holder = NULL, until = NULL, refresh_fp = ?,"
    " expires_at = ? WHERE id = ? AND version = ? AND holder = ?"
)
_TELL = "INSERT INTO event (connection, kind, at, detail) VALUES (?, 'refreshed', ?, ?)"


def form(refresh_token: str) -> dict[str, str]:
    """Return the form of a refresh request."""
    app = {"client_id": APP[0], "client_secret": APP[1]}
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, **app}


class _Waiting:
    """Statements that are to be committed together, with others maybe; `task`: the future of a task that waits."""

    __slots__ = ("done", "task", "writes")

    def __init__(self, writes: Sequence[Write], task: asyncio.Future[None] | None = None) -> None:
        self.writes = writes
        self.task = task
        self.done = False


class HandMade:
    """A SQLite file of grants: what is written while another commit is synced shares the next one."""

    def __init__(self, folder: Path, tokens: Sequence[dict[str, Any]]) -> None:
        self._path = folder / "by-hand.db"
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._reader, self._writer = self._open(), self._open()
        self._reading, self._turn = threading.Lock(), threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._some, self._over = threading.Event(), False
        self._writer.executescript(_TABLES)
        rows = [(n, self._sealed(n, token), 1, "connected") for n, token in enumerate(tokens)]
        self._writer.execute("BEGIN")
        self._writer.executemany("INSERT INTO connection (id, sealed, version, state) VALUES (?, ?, ?, ?)", rows)
        self._writer.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    # -- what is read and written

    def read(self, n: int) -> tuple[str, int]:
        """Return the refresh token of a connection, and the version of its row."""
        with self._reading:
            ((sealed, version),) = self._reader.execute(_READ, (n,)).fetchall()
        opened = self._cipher.decrypt(sealed[:12], sealed[12:], b"%d" % n)
        return json.loads(opened)["refresh_token"], version

    def claim(self, n: int, version: int, holder: str) -> Sequence[Write]:
        """Return what writes the claim."""
        return [(_CLAIM, (holder, time.monotonic() + 30, n, version))]

    def keep(self, n: int, version: int, holder: str, answer: bytes) -> Sequence[Write]:
        """Return what writes the new grant and the event about it."""
        token = json.loads(answer)
        now = time.time()
        row = (self._sealed(n, token), token["refresh_token"][:16], now + token["expires_in"], n, version, holder)
        return [(_KEEP, row), (_TELL, (n, now, '{"rotated":true}'))]

    def _sealed(self, n: int, token: dict[str, Any]) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, json.dumps(token).encode(), b"%d" % n)

    # -- commits

    def write(self, writes: Sequence[Write]) -> None:
        """Write, and return when it is synced."""
        mine = _Waiting(writes)
        self._queue.append(mine)
        with self._turn:
            if not mine.done:
                self._commit()

    async def awrite(self, writes: Sequence[Write]) -> None:
        """Do what `write` does, as a task; a thread of its own commits (`writing`)."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(writes, done))
        self._some.set()
        await done

    @contextmanager
    def writing(self, loop: asyncio.AbstractEventLoop) -> Generator[None]:
        """Run the thread that commits for the tasks of a loop, which it wakes once for each commit."""

        def run() -> None:
            while not self._over:
                self._some.wait()
                self._some.clear()
                loop.call_soon_threadsafe(_settle, self._commit())

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self._over = True
            self._some.set()
            thread.join()

    def write_together(self, several: Sequence[Sequence[Write]]) -> None:
        """Write what several wait for, in one commit."""
        self._queue.extend(map(_Waiting, several))
        self._commit()

    def _commit(self) -> Sequence[_Waiting]:
        db, group = self._writer, list[_Waiting]()
        db.execute("BEGIN IMMEDIATE")
        while self._queue:
            group.append(self._queue.popleft())
            for statement, values in group[-1].writes:
                if db.execute(statement, values).rowcount != 1:
                    raise RuntimeError(statement)
        db.execute("COMMIT")
        for one in group:
            one.done = True
        return group


def _settle(group: Sequence[_Waiting]) -> None:
    for one in group:
        if one.task is not None:
            one.task.set_result(None)


def refresh(store: HandMade, post: Callable[[dict[str, str]], bytes], n: int) -> None:
    """Refresh one connection."""
    token, version = store.read(n)
    holder = os.urandom(16).hex()
    store.write(store.claim(n, version, holder))
    store.write(store.keep(n, version, holder, post(form(token))))


async def arefresh(store: HandMade, post: Callable[[dict[str, str]], Awaitable[bytes]], n: int) -> None:
    """Do what `refresh` does, as a task."""
    token, version = store.read(n)
    holder = os.urandom(16).hex()
    await store.awrite(store.claim(n, version, holder))
    await store.awrite(store.keep(n, version, holder, await post(form(token))))


TOGETHER = 5
"""About as many writes share a commit where 50 refresh at a time."""


def parts(
    store: HandMade, post: Callable[[dict[str, str]], bytes], tokens: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """Return what each step costs one thread alone, in microseconds of CPU; `store` was made of these tokens."""
    half = len(tokens) // 2
    groups = [range(start, start + TOGETHER) for start in range(half, len(tokens) - TOGETHER, TOGETHER)]
    answers: list[bytes] = []

    def claim(n: int) -> Sequence[Write]:
        return store.claim(n, 1, "holder")

    def keep(n: int) -> Sequence[Write]:
        return store.keep(n, 1, "holder", answers[n])

    return {
        "the post": _cost(lambda n: answers.append(post(form(tokens[n]["refresh_token"]))), range(len(tokens))),
        "reading the row, opening the grant": _cost(store.read, range(half)),
        "the claim, in a commit of its own": _cost(lambda n: store.write(claim(n)), range(half)),
        "the grant and its event, in a commit of their own": _cost(lambda n: store.write(keep(n)), range(half)),
        f"the claim, {TOGETHER} in a commit": _cost(lambda group: store.write_together([*map(claim, group)]), groups)
        / TOGETHER,
        f"the grant and its event, {TOGETHER} in a commit": _cost(
            lambda group: store.write_together([*map(keep, group)]), groups
        )
        / TOGETHER,
    }


def _cost(step: Callable[[Any], object], items: Sequence[Any]) -> float:
    costs = []
    for item in items:
        began = time.thread_time()
        step(item)
        costs.append((time.thread_time() - began) * 1e6)
    return median(costs)
