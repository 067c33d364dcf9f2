"""`open_store`: what may be passed, where the embedded store is, and what goes wrong."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.ports import SecretService, Store
from valetkey.stores import default_path, open_store
from valetkey.stores.memory import MemoryStore
from valetkey.stores.over_secrets import SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock


def sqlite_path(store: object) -> Path:
    assert isinstance(store, SQLiteStore)
    return store.path


def refusal(work: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(ConfigurationError) as caught:
        work()
    return caught.value.code, str(caught.value), caught.value.hint


# -- what may be passed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "path"),
    [
        pytest.param("/srv/app/v.db", "/srv/app/v.db", id="path"),
        pytest.param(Path("/srv/app/v.db"), "/srv/app/v.db", id="Path"),
        pytest.param("sqlite:///srv/app/v.db", "/srv/app/v.db", id="URL"),
        pytest.param("sqlite:////srv/app/v.db", "/srv/app/v.db", id="URL with four slashes"),
        pytest.param("SQLite:///srv/a%20b.db", "/srv/a b.db", id="encoded URL"),
        pytest.param("/srv/odd:name.db", "/srv/odd:name.db", id="a path with a colon"),
    ],
)
def test_a_path_or_url_is_a_sqlite_store(where: Any, path: str) -> None:
    assert sqlite_path(open_store(where)) == Path(path)


def test_a_relative_path_is_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path(open_store("v.db")) == tmp_path / "v.db"
    assert sqlite_path(open_store("odd:name.db")) == tmp_path / "odd:name.db"


@pytest.mark.parametrize("name", ["a b?c#d%20e.db", "\N{SNOWMAN}.db", "\udcff.db"])
def test_the_url_of_a_store_opens_it_again(name: str) -> None:
    store = SQLiteStore(f"/srv/{name}")
    assert sqlite_path(open_store(store.url)) == store.path


@pytest.mark.parametrize("where", ["memory:", ":memory:", "memory://"])
def test_memory_is_a_memory_store(where: str) -> None:
    assert isinstance(open_store(where), MemoryStore)


def test_a_store_is_taken_as_it_is() -> None:
    store = MemoryStore()
    assert open_store(store) is store


def test_all_our_stores_are_stores(tmp_path: Path, service: SecretService) -> None:
    ledger = SQLiteStore(tmp_path / "v.db")
    assert all(isinstance(store, Store) for store in (MemoryStore(), ledger, SecretServiceStore(service, ledger)))


def test_the_clock_is_handed_on(service: SecretService) -> None:
    clock = FakeClock(now=5.0)
    assert [open_store(where, clock=clock).now() for where in (None, "memory:", "/srv/v.db", service)] == [5.0] * 4


def test_a_secret_service_is_backed_by_the_embedded_store(service: SecretService) -> None:
    store = open_store(service)
    assert isinstance(store, SecretServiceStore)
    assert store.service is service
    assert sqlite_path(store.ledger) == default_path()


# -- the embedded store ----------------------------------------------------------------------------------------------


def test_the_embedded_store_is_in_valetkey_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path / "here"))
    assert default_path() == tmp_path / "here" / "valetkey.db"
    assert sqlite_path(open_store()) == tmp_path / "here" / "valetkey.db"
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700


def test_valetkey_home_may_begin_with_a_tilde_or_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VALETKEY_HOME", "~/keys")
    assert default_path() == tmp_path / "keys" / "valetkey.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALETKEY_HOME", "keys")
    assert default_path() == tmp_path / "keys" / "valetkey.db"


@pytest.mark.skipif(sys.platform != "linux", reason="where the data folder is depends on the system")
def test_without_it_it_is_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALETKEY_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_path() == tmp_path / "data" / "valetkey" / "valetkey.db"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "share" / "valetkey" / "valetkey.db"


def test_a_user_without_home_folder_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(_: int) -> None:
        raise KeyError

    for name in ("VALETKEY_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    code, _, hint = refusal(open_store)
    assert code == "home_missing"
    assert "VALETKEY_HOME" in hint
    monkeypatch.setenv("VALETKEY_HOME", "~/keys")
    assert refusal(open_store)[0] == "home_missing"


@pytest.mark.parametrize("below", ["file", "file/folder"])
def test_a_home_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path / below / "home"))
    code, text, hint = refusal(open_store)
    assert code == "home_missing"
    assert str(tmp_path / below) in text
    assert "VALETKEY_HOME" in hint


def test_a_home_folder_that_may_not_be_made(
    open_folder: Path, as_plain_user: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_folder.chmod(0o555)
    monkeypatch.setenv("VALETKEY_HOME", str(open_folder / "home"))
    code, text, _ = as_plain_user(lambda: refusal(open_store))
    assert code == "home_missing"
    assert "Permission denied" in text


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["", "  ", 7, object(), ["a"], {}])
def test_what_names_no_store_is_refused(where: Any) -> None:
    code, _, hint = refusal(lambda: open_store(where))
    assert code == "store_argument"
    assert "SecretService" in hint


@pytest.mark.parametrize("url", ["sqlite://host/v.db", "sqlite:", "sqlite://", "sqlite:///"])
def test_a_sqlite_url_without_a_file_is_refused(url: str) -> None:
    code, _, hint = refusal(lambda: open_store(url))
    assert code == "store_path"
    assert "sqlite:///" in hint


@pytest.mark.parametrize("url", ["mysql://app:hunter2@db/valetkey", "mongodb://localhost/0", "nosuch:"])
def test_a_scheme_that_nothing_serves_is_named_and_the_password_is_not(url: str) -> None:
    code, text, hint = refusal(lambda: open_store(url))
    scheme = url.partition(":")[0]
    assert code == "store_unknown"
    assert f"{scheme}:" in text
    assert all(name in text for name in ("memory", "postgresql", "redis", "sqlite"))
    assert scheme in hint
    assert "hunter2" not in text + hint


@pytest.mark.parametrize(
    ("url", "package", "hint"),
    [pytest.param("postgresql://app:hunter2@db/v", "psycopg", "pip install 'valetkey[postgres]'", id="Postgres")],
)
def test_a_store_whose_package_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, hint: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("valetkey.stores.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    code, text, found = refusal(lambda: open_store(url))
    assert (code, found) == ("extra_missing", hint)
    assert package in text
    assert "hunter2" not in text


# -- plugged-in stores -----------------------------------------------------------------------------------------------


class PluggedIn(MemoryStore):
    """What a package of somebody else might bring."""

    @classmethod
    def open(cls, url: str, *, clock: Any) -> PluggedIn:
        store = cls(clock=clock)
        store.url = url
        return store


class Point:
    name = "plugged"

    def load(self) -> Any:
        return PluggedIn.open


def test_an_installed_package_serves_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def entry_points(*, group: str) -> list[Point]:
        asked.append(group)
        return [Point()]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    clock = FakeClock(now=5.0)
    store = open_store("Plugged://host/name", clock=clock)
    assert isinstance(store, PluggedIn)
    assert (store.url, store.now()) == ("Plugged://host/name", 5.0)
    assert asked == ["valetkey.stores"]
    assert "plugged" in refusal(lambda: open_store("other:"))[1]


@pytest.mark.parametrize(
    ("where", "unwanted"),
    [
        pytest.param("'/srv/v.db'", ["platformdirs", "importlib.metadata", "asyncio", "httpx2"], id="a path"),
        pytest.param("None", ["importlib.metadata", "asyncio", "httpx2", "cryptography"], id="the embedded store"),
        pytest.param("'postgresql://h/d'", ["sqlite3", "platformdirs", "httpx2", "cryptography"], id="Postgres"),
        pytest.param("'memory:'", ["sqlite3", "platformdirs", "importlib.metadata"], id="memory"),
    ],
)
def test_opening_a_store_imports_no_more_than_it_needs(where: str, unwanted: list[str]) -> None:
    program = f"from valetkey.stores import open_store; open_store({where}); import sys; print(*sys.modules)"
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, env=unmeasured
    )
    assert not set(unwanted) & set(done.stdout.split())
