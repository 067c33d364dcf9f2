"""A store elsewhere, and processes that are killed before it has what the provider gave them."""

from __future__ import annotations

import runpy
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.elsewhere import Elsewhere, valet_elsewhere
from valetkey import NotConnected, StoreUnavailable, Valet
from valetkey.clock import SystemClock
from valetkey.engine.takeover import HELD, may_take_over
from valetkey.engine.windows import CLAIM_LIFE
from valetkey.host import Bringer
from valetkey.keys import new_key
from valetkey.keys.memory import MemoryKeys
from valetkey.keys.text import write_keys
from valetkey.model.connections import Record
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing import Practice, PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

REDIRECT = "http://127.0.0.1:8421/callback/notes"
HOUR = 3600


class Scene:
    """An account that this process has connected, in a store elsewhere, and programs that use it."""

    def __init__(self, place: str, provider: PracticeProvider, folder: Path, callers: Any) -> None:
        self.provider, self.folder = provider, folder
        callers.program = callers.program.with_name("elsewhere.py")
        self.start = callers.start
        self._program = runpy.run_path(str(callers.program))
        app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
        key = folder / "key"
        key.touch(0o600)
        key.write_text(write_keys([new_key()]))
        self.settings = {
            "name": "notes",
            "credential": {**provider.credential_fields(), "scopes": ["notes.read"]},
            "app": app,
            "env": "test",
            "place": place,
            "store": str(folder / "elsewhere"),
            "key": str(key) if place == "database" else None,
        }
        callers.know(self.settings)
        provider.allow_redirect(REDIRECT)
        with self.valet(SystemClock()) as valet:
            start = valet.authorize("notes", redirect_uri=REDIRECT)
            valet.finish(provider.approve(start.url), binding=start.binding)

    def valet(self, clock: Any = None) -> Valet:
        """Return a new process's valet, for which the access token has run out."""
        valet: Valet = self._program["valet_of"](self.settings, clock or self._program["Ahead"]())
        return valet

    def kill_at(self, point: str) -> None:
        process = self.start(point)
        assert process.stderr.readline() == "stopped\n", process.stderr.read()
        process.kill()
        process.wait(60)

    @property
    def journal(self) -> list[str]:
        home = self.folder / "home" / "valetkey" / "journal"
        return sorted(path.suffix for path in home.rglob("*") if path.is_file())

    @property
    def counted(self) -> tuple[int, int, int]:
        return self.provider.refresh_requests, self.provider.reuses, self.provider.live_grants


@pytest.fixture(params=["service", "database"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, callers: Any) -> Iterator[Scene]:
    with PracticeProvider() as provider:
        yield Scene(request.param, provider, tmp_path, callers)
        provider.reset_faults()
        callers.close()


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = SQLiteStore.wait_for_change

    def changed(store: SQLiteStore, record: Record, timeout: float) -> bool:
        found = wait(store, record, timeout)
        assert found, "it waited for a claim to run out"
        return found

    monkeypatch.setattr(SQLiteStore, "wait_for_change", changed)


@pytest.mark.parametrize(
    ("scene", "point"),
    [
        pytest.param("service", "hanging", id="a service that hangs"),
        pytest.param("database", "hanging", id="a database that hangs"),
        pytest.param("database", "down", id="a database that is down"),
    ],
    indirect=["scene"],
)
@pytest.mark.usefixtures("nobody_waits")
def test_a_grant_lives_on_although_its_process_was_killed_before_the_store_had_it(scene: Scene, point: str) -> None:
    scene.kill_at(point)
    assert scene.counted == (1, 0, 1)
    assert scene.journal == [".json"]

    with scene.valet() as valet:
        assert valet.client("notes").get("/me").status_code == 200
        told = [event.detail for event in valet.events() if event.kind == "refreshed"]

    assert scene.counted == (1, 0, 1)
    assert told == [{"rotated": True, "replayed": True}]
    assert scene.journal == [".done"]


def test_a_new_process_brings_it_at_its_start_before_anybody_asks(scene: Scene) -> None:
    scene.kill_at("down")

    with scene.valet() as valet:
        assert valet.client("notes").status().state == "connected"
    # it was closed: what it had begun has come to its end

    assert scene.journal == [".done"]
    assert scene.counted == (1, 0, 1)


@pytest.mark.usefixtures("nobody_waits")
def test_a_process_killed_before_it_sent_anything_is_taken_over_at_once(scene: Scene) -> None:
    scene.kill_at("claimed")
    assert scene.counted == (0, 0, 1)

    with scene.valet() as valet:
        assert valet.client("notes").get("/me").status_code == 200

    assert scene.counted == (1, 0, 1)


def test_a_frozen_process_is_not_taken_over_and_goes_on_when_it_wakes_up(scene: Scene) -> None:
    held = scene.provider.hold("token")
    process = scene.start("nowhere")
    held.wait_for(1)
    process.send_signal(signal.SIGSTOP)
    clock = Later()
    with scene.valet(clock) as valet:
        clock.ahead = CLAIM_LIFE + 5  # its claim has run out
        core = valet._core
        record = core.store.load(core.own_source("notes").key)
        assert record is not None
        assert record.claim is not None
        assert (record.claim.expired, core.world.fate(record.claim.holder)) == (True, "alive")
        assert may_take_over(core.world, record) == (False, False)
        clock.ahead += HELD
        assert may_take_over(core.world, record) == (True, False)

        process.send_signal(signal.SIGCONT)
        held.release()
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "200\n"), err
        assert valet.client("notes").get("/me").status_code == 200

    assert scene.counted == (1, 0, 1)


class Later(SystemClock):
    """The clock of a process for which the token has run out, `ahead` seconds from now; it sleeps in no time."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + 3720.0 + self.ahead

    def monotonic(self) -> float:
        return SystemClock.monotonic() + self.ahead

    ticks = monotonic

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


def test_a_process_that_ends_leaves_no_lock_file(scene: Scene) -> None:
    process = scene.start("nowhere")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "200\n"), err

    assert list(scene.folder.rglob("*.lock")) == []


# -- in one process


@pytest.fixture
def away(practice: Practice, tmp_path: Path) -> Iterator[Valet]:
    """Return a valet whose store is elsewhere, with an account whose token has run out."""
    valet = valet_elsewhere(practice, tmp_path)
    practice.clock.advance(HOUR + 1)
    yield valet
    valet.close()


def test_what_a_long_outage_left_behind_is_brought_as_soon_as_the_store_is_back(
    practice: Practice, away: Valet, until: Any
) -> None:
    store: Any = away._core.store
    store.down = True
    with pytest.raises(StoreUnavailable):
        away.client("notes").get("/me")
    record = store.load(away._core.own_source("notes").key)
    assert away._core.world.journal.state().waiting == 1

    store.down = False
    until(lambda: store.load(record.key).version > record.version)

    until(lambda: away._core.world.journal.state().waiting == 0)
    assert away.client("notes").get("/me").status_code == 200
    assert (practice.provider.refresh_requests, practice.provider.reuses) == (1, 0)


def test_a_valet_can_be_closed_while_it_waits_for_the_store(practice: Practice, away: Valet) -> None:
    store: Any = away._core.store
    store.down = True
    with pytest.raises(StoreUnavailable):
        away.client("notes").get("/me")

    away.close()

    assert practice.provider.refresh_requests == 1
    store.down = False
    assert away.client("notes").get("/me").status_code == 200, "it opens again when it is used"
    assert practice.provider.refresh_requests == 1


def test_forget_erases_what_the_journal_keeps(practice: Practice, away: Valet, tmp_path: Path) -> None:
    start = away.authorize("notes", owner="ada")
    away.finish(practice.provider.approve(start.url), binding=start.binding, owner="ada")
    practice.clock.advance(HOUR + 1)
    client = away.client("notes", owner="ada")
    client.get_access_token()
    journal = tmp_path / "home" / "valetkey" / "journal"
    assert len([path for path in journal.rglob("*") if path.is_file()]) == 1

    away.forget("ada")

    assert [path for path in journal.rglob("*") if path.is_file()] == []
    with pytest.raises(NotConnected):
        client.get_access_token()


def test_on_a_host_without_a_home_there_is_no_journal_and_a_warning(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from valetkey.engine.world import NO_JOURNAL
    from valetkey.host import open_holders, open_journal

    monkeypatch.setenv("VALETKEY_HOME", "~nobody-of-that-name/x")
    store = Elsewhere(tmp_path / "elsewhere.db", clock=practice.clock)

    journal = open_journal(store, store, MemoryKeys(), clock=practice.clock, left=lambda: None)

    assert journal is NO_JOURNAL
    assert "nothing is kept on this host" in caplog.text
    assert open_holders(store, clock=practice.clock).folder is not None, "it lies beside the file"


# -- going on while the store is away


def test_a_bringer_goes_on_until_the_store_answers(until: Any) -> None:
    calls: list[int] = []

    def bring() -> None:
        calls.append(1)
        if len(calls) < 3:
            msg = "down"
            raise StoreUnavailable(msg)

    bringer = Bringer(bring, pause=0.001)
    bringer.start()
    until(lambda: len(calls) == 3)
    until(lambda: bringer._thread is None)

    bringer.start()
    until(lambda: len(calls) == 4)
    bringer.close()


def test_what_comes_while_it_is_bringing_is_brought_too(until: Any) -> None:
    calls: list[int] = []
    bringer: Bringer

    def bring() -> None:
        calls.append(1)
        if len(calls) == 1:
            bringer.start()

    bringer = Bringer(bring, pause=0.001)
    bringer.start()

    until(lambda: len(calls) == 2)
    until(lambda: bringer._thread is None)
    assert len(calls) == 2


def test_a_bringer_that_is_closed_stops_and_may_be_started_again(until: Any) -> None:
    calls: list[int] = []

    def bring() -> None:
        calls.append(1)
        msg = "down"
        raise StoreUnavailable(msg)

    bringer = Bringer(bring, pause=0.001)
    bringer.start()
    until(lambda: calls)
    bringer.close()
    seen = len(calls)
    bringer.close()
    assert len(calls) == seen

    bringer.start()
    until(lambda: len(calls) > seen)
    bringer.close()


def test_its_own_trouble_is_told_and_ends_it(caplog: pytest.LogCaptureFixture, until: Any) -> None:
    from valetkey import ConfigurationError

    def bring() -> None:
        msg = "no key"
        raise ConfigurationError(msg)

    bringer = Bringer(bring, pause=0.001)
    bringer.start()
    until(lambda: bringer._thread is None)

    assert "no key" in caplog.text
