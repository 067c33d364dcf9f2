"""A process is killed (SIGKILL) in the middle of a refresh, and another one takes over.

It does so at once: the kernel tells that the holder of the claim is dead.  Nobody waits here until the claim runs out,
but for what the clock of the others says.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey import ReauthorizationRequired, Valet, Wiring
from valetkey.clock import SystemClock
from valetkey.engine.windows import CLAIM_LIFE
from valetkey.model.connections import Record
from valetkey.secret_services.memory import MemorySecrets
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing import PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

REDIRECT = "http://127.0.0.1:8421/callback/notes"


class Later(SystemClock):
    """The clock of this machine when the token has expired, and perhaps the killed process's claim has run out."""

    __slots__ = ("_ahead",)

    def __init__(self, ahead: float = 0.0) -> None:
        self._ahead = ahead

    def now(self) -> float:
        return time.time() + 3720.0 + self._ahead

    def monotonic(self) -> float:
        return SystemClock.monotonic() + self._ahead

    ticks = monotonic


class Scene:
    """An account that this process has connected, and a program that is killed while it refreshes."""

    def __init__(self, provider: PracticeProvider, folder: Path, callers: Any) -> None:
        self.provider, self.folder, self._callers = provider, folder, callers
        callers.program = callers.program.with_name("killed.py")
        self._app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
        self._credential = {**provider.credential_fields(), "scopes": ["notes.read"]}
        self._paths = {"store": str(folder / "valetkey.db"), "key": str(folder / "key"), "env": "test"}
        callers.know({"name": "notes", "credential": self._credential, "app": self._app, **self._paths})
        provider.allow_redirect(REDIRECT)
        self.connect()
        self.key = (folder / "key").read_bytes()

    def valet(self, clock: SystemClock) -> Valet:
        wiring, secrets = Wiring(), MemorySecrets()
        credential = wiring.oauth2_credential("notes", **self._credential)
        secrets.set(credential.secret_id, json.dumps(self._app))
        store, key, env = self._paths.values()
        return Valet(store, key=Path(key), env=env, wiring=wiring, secrets=secrets, clock=clock)

    def connect(self) -> None:
        with self.valet(SystemClock()) as valet:
            start = valet.authorize("notes", redirect_uri=REDIRECT)
            valet.finish(self.provider.approve(start.url), binding=start.binding)

    def kill_at(self, point: str) -> None:
        process = self._callers.start(point)
        assert process.stderr.readline() == "stopped\n", process.stderr.read()
        process.kill()
        process.wait(60)

    def kill_while_asking(self, held: Any) -> None:
        process = self._callers.start("asking")
        held.wait_for(1)
        process.kill()
        process.wait(60)

    def call(self, ahead: float = 0.0) -> int:
        """Call the API as another process."""
        with self.valet(Later(ahead)) as valet:
            return valet.client("notes").get("/me").status_code

    @property
    def counted(self) -> tuple[int, int]:
        """Refreshes that the server granted, and refresh tokens that came in a second time after they were spent."""
        return self.provider.refreshes, self.provider.reuses


@pytest.fixture
def scene(tmp_path: Path, callers: Any) -> Iterator[Scene]:
    folder = tmp_path / "store"
    folder.mkdir()
    with PracticeProvider() as provider:
        scene = Scene(provider, folder, callers)
        yield scene
        provider.reset_faults()
        check_files(scene)


def check_files(scene: Scene) -> None:
    """Whatever happened: the database is whole, the key is what it was, and nothing half written lies about."""
    db = sqlite3.connect(scene.folder / "valetkey.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT claim_holder FROM connection").fetchall() == [(None,)], "nobody holds the claim"
    db.close()
    assert (scene.folder / "key").read_bytes() == scene.key
    assert {path.name for path in scene.folder.iterdir()} <= {
        "holders",
        "key",
        "valetkey.db",
        "valetkey.db-holders",
        "valetkey.db-shm",
        "valetkey.db-wal",
    }
    assert len(list((scene.folder / "valetkey.db-holders").iterdir())) <= 1, "the lock file of the one that was killed"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list of the waits for a change of the row: whether one came."""
    waited: list[bool] = []
    real = SQLiteStore.wait_for_change

    def wait(store: SQLiteStore, record: Record, timeout: float) -> bool:
        waited.append(real(store, record, timeout))
        return waited[-1]

    monkeypatch.setattr(SQLiteStore, "wait_for_change", wait)
    return waited


def test_killed_before_the_token_was_sent(scene: Scene, waits: list[bool]) -> None:
    scene.kill_at("claimed")
    assert scene.provider.refresh_requests == 0

    assert scene.call() == 200
    assert scene.counted == (1, 0)
    assert waits == [], "nobody waits for the dead"


def test_without_its_lock_file_a_killed_process_is_waited_out(scene: Scene, waits: list[bool]) -> None:
    scene.kill_at("claimed")
    for file in (scene.folder / "valetkey.db-holders").iterdir():
        file.unlink()

    assert scene.call(ahead=CLAIM_LIFE + 1) == 200
    assert scene.counted == (1, 0)
    assert waits == [False], "the claim was seen to stand still"


def test_killed_while_the_request_is_at_a_server_that_does_not_grant_it(scene: Scene) -> None:
    with scene.provider.hold("token") as held:
        scene.kill_while_asking(held)
        scene.provider.fail_next(status=503)  # what the server says to nobody

    assert scene.call() == 200, "the token was sent twice, and spent once"
    assert scene.counted == (1, 0)


def lost(scene: Scene) -> None:
    """The server rotated and nobody stored it: the honest reason is told, and connecting again heals."""
    with pytest.raises(ReauthorizationRequired) as caught:
        scene.call()
    assert caught.value.reason == "lost_in_rotation"
    assert caught.value.hint == "run: valetkey connect notes --env test"
    scene.connect()
    assert scene.call() == 200


def test_killed_while_the_answer_of_a_server_that_rotated_is_awaited(scene: Scene) -> None:
    with scene.provider.hold("token", after=True) as held:
        scene.kill_while_asking(held)

    lost(scene)


def test_killed_while_the_new_grant_is_written(scene: Scene) -> None:
    scene.kill_at("writing")
    assert scene.counted == (1, 0)

    lost(scene)


def test_killed_while_the_answer_is_awaited_of_a_server_that_is_patient(scene: Scene) -> None:
    """Some servers take the last refresh token again for a while, for this very case."""
    scene.provider.rules.on_reuse = "grace"
    with scene.provider.hold("token", after=True) as held:
        scene.kill_while_asking(held)

    assert scene.call() == 200


def test_killed_right_after_the_commit(scene: Scene) -> None:
    scene.kill_at("committed")

    with scene.valet(Later()) as valet:
        assert valet.client("notes").status().state == "connected"
        token = valet.client("notes").get_access_token()
    assert scene.provider.is_live(token.reveal()), "the new token was stored, and is found"
    assert scene.counted == (1, 0)
