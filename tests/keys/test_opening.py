"""What `key=` may be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.keys import EnvKeys, FileKeys, KeyringKeys, MemoryKeys, new_key, open_keys
from valetkey.keys.text import write_keys
from valetkey.model.ciphers import raw_key
from valetkey.model.ports import KeyProvider, Store
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore


class Shared:
    """Stands for a store on another host."""

    local = False
    url = "postgresql://db/app"


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = SQLiteStore(tmp_path / "data" / "valetkey.sqlite")
    yield store
    store.close()


@pytest.fixture
def shared() -> Any:
    return Shared()


def test_an_embedded_database_has_its_key_beside_it_and_may_make_it(sqlite: Store, tmp_path: Path) -> None:
    keys = open_keys(None, store=sqlite)
    assert isinstance(keys, FileKeys)
    assert keys.place == f"file:{tmp_path / 'data' / 'key'}"
    assert keys.can_create
    assert not (tmp_path / "data").exists()


def test_a_store_in_memory_has_its_key_in_memory() -> None:
    keys = open_keys(None, store=MemoryStore())
    assert isinstance(keys, MemoryKeys)
    assert keys.create() == keys.create() == keys.keys()[0]


def test_a_shared_store_demands_a_key(shared: Any) -> None:
    keys = open_keys(None, store=shared)
    assert not keys.can_create
    assert keys.keys() == ()
    assert "VALETKEY_KEY" in keys.place


def test_another_local_store_without_a_folder_gets_no_key_that_would_be_lost(shared: Any) -> None:
    shared.local = True
    keys = open_keys(None, store=shared)
    assert not keys.can_create


@pytest.mark.parametrize("variable", ["VALETKEY_KEY", "VALETKEY_KEY_FILE"])
def test_the_environment_comes_before_the_usual_place(
    sqlite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    key = new_key()
    (tmp_path / "k").write_text(write_keys([key]))
    (tmp_path / "k").chmod(0o600)
    monkeypatch.setenv(variable, key.secret.reveal() if variable == "VALETKEY_KEY" else str(tmp_path / "k"))
    keys = open_keys(None, store=sqlite)
    assert isinstance(keys, EnvKeys)
    assert keys.keys() == (key,)
    assert not keys.can_create


def test_the_environment_can_be_given(sqlite: Store) -> None:
    key = new_key()
    assert open_keys(None, store=sqlite, environ={"VALETKEY_KEY": key.secret.reveal()}).keys() == (key,)


def test_the_key_file_of_a_shared_store_is_not_written(shared: Any, tmp_path: Path) -> None:
    keys = open_keys(None, store=shared, environ={"VALETKEY_KEY_FILE": str(tmp_path / "key")})
    with pytest.raises(ConfigurationError):
        keys.add(new_key())


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param("my.key", id="text"),
        pytest.param("file:my.key", id="file:"),
        pytest.param(Path("my.key"), id="Path"),
    ],
)
def test_a_path_is_a_key_file(
    sqlite: Store, shared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: object
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = open_keys(choice, store=sqlite)
    assert keys.place == f"file:{tmp_path / 'my.key'}"
    assert keys.can_create
    assert not open_keys(choice, store=shared).can_create


@pytest.mark.parametrize("form", ["bytes", "hex", "base64"])
def test_a_key_can_be_given_and_is_never_changed_here(sqlite: Store, form: str) -> None:
    key = new_key()
    raw = raw_key(key)
    keys = open_keys({"bytes": raw, "hex": raw.hex(), "base64": key.secret.reveal()}[form], store=sqlite)
    assert keys.keys() == (key,)
    assert not keys.can_create
    assert key.secret.reveal() not in keys.place
    keys.add(key)
    keys.retire("00000000")
    for use in (lambda: keys.add(new_key()), lambda: keys.retire(key.id), keys.create):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "place_read_only"


def test_too_few_bytes_are_no_key(sqlite: Store) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_keys(b"short", store=sqlite)
    assert caught.value.code == "key_invalid"
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(("choice", "place"), [("keyring", "keyring:valetkey"), ("keyring:mine", "keyring:mine")])
def test_the_keyring_is_a_choice(sqlite: Store, choice: str, place: str) -> None:
    keys = open_keys(choice, store=sqlite)
    assert isinstance(keys, KeyringKeys)
    assert keys.place == place


def test_a_provider_is_taken_as_it_is(sqlite: Store) -> None:
    keys = MemoryKeys()
    assert open_keys(keys, store=sqlite) is keys


@pytest.mark.parametrize("choice", [7, object(), ["key"], True])
def test_anything_else_is_refused_with_what_is_taken(sqlite: Store, choice: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_keys(choice, store=sqlite)
    assert caught.value.code == "key_choice"


class Vaulted(MemoryKeys):
    """A provider that a plugin brings."""

    def __init__(self, rest: str) -> None:
        super().__init__()
        self.place = f"vaulted:{rest}"


def test_other_names_are_looked_up_among_the_plugins(sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[__name__])
    entry = EntryPoint("vaulted", "a_plugin:Vaulted", "valetkey.key_providers")

    def entry_points(**wanted: str) -> EntryPoints:
        return EntryPoints([entry]).select(**wanted)

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    keys: KeyProvider = open_keys("vaulted:secret/path", store=sqlite)
    assert keys.place == "vaulted:secret/path"


def test_an_unknown_name_is_told_with_both_ways_out(sqlite: Store) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_keys("hashicorp:secret/path", store=sqlite)
    assert caught.value.code == "key_provider_unknown"
    assert "valetkey.key_providers" in caught.value.hint
    assert "./hashicorp:" in caught.value.hint
