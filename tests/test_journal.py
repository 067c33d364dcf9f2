"""The journal of this host: written for good before it is needed, sealed, and cleared away when its time is over."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import DecryptionFailed, StoreUnavailable
from valetkey.journal import FORGOTTEN, KEPT, FileJournal
from valetkey.keys.memory import MemoryKeys
from valetkey.model.ciphers import new_master_key
from valetkey.model.journal_sealing import MasterSealer
from valetkey.model.journals import JournalEntry
from valetkey.testing import FakeClock

STORE = "st_one"
CANARY = "at-canary-5f1d"


class Desk:
    """A folder, keys, a clock, and journals of stores that share them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.keys = MemoryKeys()
        self.keys.create()

    def journal(self, store: str = STORE, **options: Any) -> FileJournal:
        """Return a journal as another process opens it."""
        return FileJournal(
            self.folder,
            lambda: store,
            lambda store_id: MasterSealer(store_id, self.keys, self.keys.create),
            clock=self.clock,
            **options,
        )

    def entry(self, connection_id: str = "con_a", **fields: Any) -> JournalEntry:
        known = {"env": "test", "incarnation": 2, "version": 7, "spent": "fp-old", "at": self.clock.now()}
        grant = json.dumps({"accessToken": CANARY}).encode()
        return JournalEntry(connection_id=connection_id, **{**known, "grant": grant, **fields})

    def damage(self, text: bytes) -> None:
        (file,) = self.files()
        file.write_bytes(text)
        os.utime(file, (self.clock.now(), self.clock.now()))

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "journal")


def never(store: str) -> Any:
    raise AssertionError(store)


def test_what_was_written_is_read_by_another_process(desk: Desk) -> None:
    entry = desk.entry()
    written = desk.journal().write(entry)

    (found,) = desk.journal().entries("con_a")

    assert found == written == replace(entry, place=found.place)
    assert list(desk.journal().unsettled()) == ["con_a"]


def test_it_is_on_the_disk_before_write_returns(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    written = desk.journal().write(desk.entry())

    place = Path(written.place).parent
    file, *folders = synced
    assert Path(file).parent == place
    assert Path(file).name.startswith("."), "the file is synced under another name, and then moved into place"
    assert folders[0] == str(place), "the move is synced with its folder"
    above = {str(desk.folder.parent), str(desk.folder), str(desk.folder / STORE)}
    assert set(folders[1:]) == above, "each folder that was made is synced in the one above it"
    synced.clear()
    desk.journal().write(desk.entry(version=8))
    assert len(synced) == 2


def test_nobody_else_may_read_it_and_no_token_stands_in_it(desk: Desk) -> None:
    before = os.umask(0o000)
    try:
        desk.journal().write(desk.entry())
    finally:
        os.umask(before)

    (file,) = desk.files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (file.parent, file.parent.parent, desk.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert CANARY.encode() not in file.read_bytes()
    assert b"fp-old" not in file.read_bytes()
    assert CANARY not in repr(desk.journal().entries("con_a"))


def test_a_half_written_file_is_never_read_and_goes_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = desk.journal()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        patch.setattr(Path, "unlink", killed)  # nobody clears up after kill -9
        with pytest.raises(KeyboardInterrupt):
            desk.journal().write(desk.entry())
    (half,) = desk.files()
    half.write_bytes(half.read_bytes()[:20])

    assert journal.entries("con_a") == []
    assert journal.unsettled() == []
    assert half.exists()
    desk.clock.advance(KEPT + 1)
    journal.unsettled()
    assert not half.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text[: len(text) // 2], id="cut off"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"\xff\xfe", id="no text"),
        pytest.param(lambda _: b"[]", id="another shape"),
        pytest.param(lambda text: text.replace(b'"version": 7', b'"version": 8'), id="another version"),
        pytest.param(lambda text: text.replace(b'"incarnation": 2', b'"incarnation": 3'), id="another incarnation"),
        pytest.param(lambda text: text.replace(b'"env": "test"', b'"env": "prod"'), id="another environment"),
        pytest.param(lambda text: text.replace(b'"format": 1', b'"format": 2'), id="a later format"),
        pytest.param(lambda text: text.replace(b'"sealed": "', b'"sealed": "AAAA'), id="other bytes"),
    ],
)
def test_a_damaged_entry_is_left_alone_and_told_once(
    desk: Desk, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    desk.journal().write(desk.entry())
    (file,) = desk.files()
    damaged = damage(before := file.read_bytes())
    assert damaged != before
    desk.damage(damaged)

    journal = desk.journal()
    assert [journal.entries("con_a") for _ in range(3)] == [[], [], []]

    assert file.read_bytes() == damaged
    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert str(file) in told.getMessage()
    assert desk.journal().state().waiting == 1


def test_a_key_that_is_not_there_is_told_once_for_all_entries(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        desk.journal().write(desk.entry(f"con_{number}"))
    desk.keys = MemoryKeys()
    desk.keys.create()

    journal = desk.journal()
    assert [journal.entries(f"con_{number}") for number in range(3)] == [[], [], []]

    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the master key" in told.getMessage()
    assert len(desk.files()) == 3


def test_a_damaged_entry_does_not_hide_that_another_cannot_be_written(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    journal = desk.journal()
    journal.write(desk.entry())
    desk.damage(b"{")
    journal.entries("con_a")
    (desk.folder / STORE / "con_b").write_bytes(b"")  # where a folder should be

    assert journal.write(desk.entry("con_b")).place == ""
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_an_entry_opens_only_where_it_was_written(desk: Desk) -> None:
    desk.journal().write(desk.entry())
    (file,) = desk.files()
    for folder in (desk.folder / STORE / "con_b", desk.folder / "st_two" / "con_a"):
        folder.mkdir(parents=True)
        (folder / file.name).write_bytes(file.read_bytes())

    assert desk.journal().entries("con_b") == []
    assert desk.journal("st_two").entries("con_a") == []


def test_entries_of_another_store_are_left_alone(desk: Desk) -> None:
    desk.journal("st_two").write(desk.entry())
    mine = desk.journal()

    assert mine.entries("con_a") == []
    assert mine.unsettled() == []
    mine.erase("con_a")
    desk.clock.advance(FORGOTTEN + 1)
    mine.unsettled()

    assert len(desk.files()) == 1


@pytest.mark.parametrize("name", ["../../etc", ".", "..", "a/b", "a.b", "ä b"])
def test_ids_of_a_store_name_no_other_folder(desk: Desk, name: str) -> None:
    journal = desk.journal(name)

    journal.write(desk.entry(name))

    (file,) = desk.files()
    assert file.parent.parent.parent == desk.folder
    assert list(journal.unsettled()) == [name]
    assert len(journal.entries(name)) == 1


def test_what_is_settled_stays_for_ten_minutes(desk: Desk) -> None:
    journal = desk.journal()
    journal.settle(journal.write(desk.entry()))
    assert journal.unsettled() == []
    assert [entry.settled for entry in desk.journal().entries("con_a")] == [True]

    desk.clock.advance(KEPT - 1)
    assert len(desk.journal().entries("con_a")) == 1
    desk.clock.advance(2)
    assert desk.journal().entries("con_a") == [], "not even where nobody has cleared it away yet"

    desk.journal().unsettled()
    assert list((desk.folder / STORE).iterdir()) == [], "no empty folder stays either"


def test_what_nobody_settles_stays_for_thirty_days(desk: Desk) -> None:
    desk.journal().write(desk.entry())
    desk.clock.advance(FORGOTTEN - 1)
    assert desk.journal().state().waiting == 1
    assert len(desk.journal().entries("con_a")) == 1
    desk.clock.advance(2)

    assert desk.journal().unsettled() == []
    assert desk.files() == []


def test_a_process_that_goes_on_clears_away_what_others_left(desk: Desk) -> None:
    other = desk.journal()
    other.settle(other.write(desk.entry("con_b")))
    journal = desk.journal()
    journal.settle(journal.write(desk.entry()))
    desk.clock.advance(KEPT + 1)

    journal.settle(journal.write(desk.entry(version=8)))

    assert [path.parent.name for path in desk.files()] == ["con_a"]


def test_the_oldest_comes_first(desk: Desk) -> None:
    journal = desk.journal()
    for version in (9, 10, 2):
        journal.write(desk.entry(version=version, grant=json.dumps({"accessToken": f"t{version}"}).encode()))

    assert [entry.version for entry in journal.entries("con_a")] == [2, 9, 10]


def test_what_served_twice_goes(desk: Desk) -> None:
    journal = desk.journal()
    journal.settle(journal.write(desk.entry()))
    (settled,) = journal.entries("con_a")

    journal.settle(settled)

    assert desk.files() == []


def test_erase_leaves_nothing_of_a_connection(desk: Desk) -> None:
    journal = desk.journal()
    journal.write(desk.entry())
    journal.settle(journal.write(desk.entry(version=8)))
    (desk.folder / STORE / "con_a" / ".half").write_bytes(b"x")
    journal.write(desk.entry("con_b"))

    journal.erase("con_a")
    journal.erase("con_never_seen")

    assert [path.parent.name for path in desk.files()] == ["con_b"]
    assert not (desk.folder / STORE / "con_a").exists()


def test_what_cannot_be_erased_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    journal = desk.journal()
    journal.write(desk.entry())
    (desk.folder / STORE / "con_a" / "folder").mkdir()

    journal.erase("con_a")

    assert "the journal of con_a could not be erased" in caplog.text


def test_what_cannot_be_written_is_told_once_and_again_after_it_went_well(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> int:
        return len([record for record in caplog.records if record.levelno >= logging.WARNING])

    desk.folder.write_bytes(b"in the way")
    journal = desk.journal()
    written = [journal.write(desk.entry(version=version)) for version in range(3)]
    assert [entry.place for entry in written] == ["", "", ""]
    for entry in written:
        journal.settle(entry)
    assert warnings() == 1

    desk.folder.unlink()
    assert journal.write(desk.entry()).place
    journal._place = desk.folder / "elsewhere"
    del journal.__dict__["folder"]
    (desk.folder / "elsewhere").write_bytes(b"")
    assert journal.write(desk.entry()).place == ""
    assert warnings() == 2


def test_the_store_is_asked_for_its_id_before_it_is_needed(desk: Desk) -> None:
    """When an answer is written, the store may be down: that is what the journal is for."""
    asked: list[str] = []

    def store_id() -> str:
        if asked:
            msg = "down"
            raise StoreUnavailable(msg)
        asked.append(STORE)
        return STORE

    sealer = lambda store: MasterSealer(store, desk.keys, desk.keys.create)  # noqa: E731
    journal = FileJournal(desk.folder, store_id, sealer, clock=desk.clock)
    assert journal.entries("con_a") == []

    assert journal.write(desk.entry()).place
    assert len(desk.journal().entries("con_a")) == 1


def test_a_store_is_not_asked_where_no_journal_was_ever_written(desk: Desk) -> None:
    def down() -> str:
        raise AssertionError

    journal = FileJournal(desk.folder, down, never, clock=desk.clock)

    assert journal.unsettled() == []
    assert journal.state().waiting == 0


def test_a_store_that_is_down_from_the_start_costs_one_warning(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def down() -> str:
        msg = "down"
        raise StoreUnavailable(msg)

    journal = FileJournal(desk.folder, down, never, clock=desk.clock)

    assert journal.write(desk.entry()).place == ""
    assert "could not be kept" in caplog.text


def test_an_empty_folder_that_is_cleared_away_meanwhile_is_made_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    cleared: list[str] = []

    def clear_first(path: Any, *args: Any, **more: Any) -> int:
        if Path(path).name.startswith(".") and len(cleared) < 3:
            cleared.append(str(path))
            Path(path).parent.rmdir()
        return opened(path, *args, **more)

    monkeypatch.setattr(os, "open", clear_first)

    assert desk.journal().write(desk.entry()).place
    assert len(cleared) == 3


def test_writers_and_sweepers_at_once_lose_nothing(desk: Desk) -> None:
    count, written, stop = 60, [], threading.Event()

    def sweep() -> None:
        journal = desk.journal()
        while not stop.is_set():
            journal.unsettled()

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    journal = desk.journal()
    for number in range(count):
        entry = journal.write(desk.entry(f"con_{number}"))
        written.append(entry.place)
        if number % 2:
            journal.settle(entry)
    stop.set()
    sweeper.join()

    assert all(written)
    assert len(desk.journal().unsettled()) == count // 2


# -- keys


def test_what_an_older_key_sealed_opens_while_the_key_is_there(desk: Desk) -> None:
    old = desk.keys.keys()[0]
    desk.journal().write(desk.entry())
    desk.keys.add(new_master_key())
    assert len(desk.journal().entries("con_a")) == 1
    assert desk.journal().state().masters == {old.id}

    desk.keys.retire(old.id)
    assert desk.journal().entries("con_a") == []
    assert len(desk.files()) == 1


def test_the_state_tells_what_waits_and_since_when(desk: Desk) -> None:
    journal = desk.journal()
    assert journal.state().waiting == 0
    first = desk.clock.now()
    journal.write(desk.entry())
    desk.clock.advance(60)
    journal.write(desk.entry("con_b"))
    journal.settle(journal.write(desk.entry("con_c")))

    state = journal.state()

    assert (state.waiting, state.oldest, state.place) == (2, pytest.approx(first), str(desk.folder))


def test_the_first_key_is_made_where_one_may_be_made(desk: Desk) -> None:
    desk.keys = MemoryKeys()

    assert desk.journal().write(desk.entry()).place

    assert len(desk.keys.keys()) == 1


def test_without_a_key_nothing_is_written(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    keys = MemoryKeys()
    journal = FileJournal(
        desk.folder, lambda: STORE, lambda store: MasterSealer(store, keys, lambda: None), clock=desk.clock
    )

    assert journal.write(desk.entry()).place == ""

    assert desk.files() == []
    assert "could not be kept on this host" in caplog.text
    with pytest.raises(DecryptionFailed) as caught:
        MasterSealer(STORE, keys, lambda: None).seal(b"x", _label())
    assert caught.value.code == "key_missing"


def _label() -> Any:
    from valetkey.model.ports import Label

    return Label("journal", "test", "con_a", 1, 1)
