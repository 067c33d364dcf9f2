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
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
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


class HandMade:
    """A SQLite file of grants."""

    def __init__(self, folder: Path, tokens: Sequence[dict[str, Any]]) -> None:
        self._path = folder / "by-hand.db"
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._reader, self._writer = self._open(), self._open()
        self._reading, self._queue = threading.Lock(), list[tuple[Sequence[Write], Future[None]]]()
        self._some = threading.Condition()
        self._over = False
        self._writer.executescript(_TABLES)
        rows = [(n, self._sealed(n, token), 1, "connected") for n, token in enumerate(tokens)]
        self._writer.execute("BEGIN")
        self._writer.executemany("INSERT INTO connection (id, sealed, version, state) VALUES (?, ?, ?, ?)", rows)
        self._writer.execute("COMMIT")
        self._thread = threading.Thread(target=self._write_all)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def read(self, n: int) -> tuple[str, int]:
        """Return the refresh token of a connection, and the version of its row."""
        with self._reading:
            sealed, version = self._reader.execute("SELECT sealed, version FROM connection WHERE id = ?", (n,)).fetchall()[0]
        opened = self._cipher.decrypt(sealed[:12], sealed[12:], b"%d" % n)
        return json.loads(opened)["refresh_token"], version

    def claim(self, n: int, version: int) -> tuple[Future[None], str]:
        """Write the claim; returns when it is synced, and its holder."""
        holder = os.urandom(16).hex()
        return self._put([(_CLAIM, (holder, time.monotonic() + 30, n, version))]), holder

    def keep(self, n: int, version: int, holder: str, answer: bytes) -> Future[None]:
        """Write the new grant and the event about it."""
        token = json.loads(answer)
        now = time.time()
        fingerprint = token["refresh_token"][:16]
        row = (self._sealed(n, token), fingerprint, now + token["expires_in"], n, version, holder)
        return self._put([(_KEEP, row), (_TELL, (n, now, '{"rotated":true}'))])

    def close(self) -> None:
        with self._some:
            self._over = True
            self._some.notify()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _sealed(self, n: int, token: dict[str, Any]) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, json.dumps(token).encode(), b"%d" % n)

    def _put(self, writes: Sequence[Write]) -> Future[None]:
        done: Future[None] = Future()
        with self._some:
            self._queue.append((writes, done))
            if len(self._queue) == 1:
                self._some.notify()
        return done

    def _write_all(self) -> None:
        db = self._writer
        while True:
            with self._some:
                self._some.wait_for(lambda: self._queue or self._over)
                group, self._queue = self._queue, []
            if not group:
                return
            db.execute("BEGIN IMMEDIATE")
            for writes, _ in group:
                for statement, values in writes:
                    if db.execute(statement, values).rowcount != 1:
                        raise RuntimeError(statement)
            db.execute("COMMIT")
            for _, done in group:
                done.set_result(None)


def refresh(store: HandMade, post: Callable[[dict[str, str]], bytes], n: int) -> None:
    """Refresh one connection."""
    token, version = store.read(n)
    done, holder = store.claim(n, version)
    done.result()
    store.keep(n, version, holder, post(form(token))).result()


async def arefresh(store: HandMade, post: Callable[[dict[str, str]], Any], n: int) -> None:
    """Do what `refresh` does, as a task."""
    token, version = store.read(n)
    done, holder = store.claim(n, version)
    await asyncio.wrap_future(done)
    await asyncio.wrap_future(store.keep(n, version, holder, await post(form(token))))
