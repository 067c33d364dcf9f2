"""The file of the SQLite store: private, made late, opened again, checked, migrated."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import connected, seen

Sql = Callable[..., list[tuple[Any, ...]]]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    assert tmp_path.exists()
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_making_a_store_touches_nothing(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "folder" / "valetkey.db")
    assert store.now() > 0
    store.close()
    assert not (tmp_path / "folder").exists()


@pytest.mark.usefixtures("umask")
def test_file_and_folders_are_for_their_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "one" / "two" / "valetkey.db")
    connected(store)
    found = {item.name: mode(item) for item in (tmp_path / "one").rglob("*")}
    assert found == {"two": 0o700, "valetkey.db": 0o600, "valetkey.db-wal": 0o600, "valetkey.db-shm": 0o600}
    assert mode(tmp_path / "one") == 0o700
    store.close()


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = SQLiteStore(tmp_path / "valetkey.db")
    store.store_id()
    store.close()
    assert mode(tmp_path) == 0o755


def test_a_file_that_others_can_read_is_pointed_out_once(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_id()
    store.close()
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            store.find("con_none")
            store.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} can be read or written by others (mode 644): chmod 600 {path}"
    ]
    assert mode(path) == 0o644


def test_each_connection_syncs_every_commit_and_logs_ahead(store: SQLiteStore) -> None:
    with store._writer.lend() as handle:
        settings = {
            name: handle.db.execute(f"PRAGMA {name}").fetchall()[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "fullfsync")
        }
    full, on = 2, 1
    assert settings == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": on,
        "secure_delete": on,
        "fullfsync": on,
    }


def test_a_copy_that_was_made_without_the_log_gets_it_again(store: SQLiteStore, sql: Sql) -> None:
    store.store_id()
    store.close()
    assert sql("PRAGMA journal_mode = DELETE") == [("delete",)]
    store.store_id()
    store.find("con_none")
    store.close()
    assert sql("PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("name", ["a b.db", "a%20b?c#d.db", "\N{SNOWMAN}.db", "it's.db", "\udcff.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    store = SQLiteStore(tmp_path / name)
    record = connected(store)
    assert seen(store, record) == record
    store.close()
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == [name]


def test_the_path_is_kept_when_the_program_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("valetkey.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.store_id()
    store.close()
    assert (tmp_path / "valetkey.db").exists()


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SQLiteStore("~/x.db").path == tmp_path / "x.db"


def test_the_url_says_where_it_is() -> None:
    assert SQLiteStore("/srv/a b/valetkey.db").url == "sqlite:///srv/a%20b/valetkey.db"
