"""Master keys from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from valetkey.errors import ConfigurationError
from valetkey.keys import EnvKeys, new_key
from valetkey.keys.text import write_keys
from valetkey.model.ports import MasterKey


def key_file(path: Path, *keys: MasterKey) -> str:
    path.write_text(write_keys(keys))
    path.chmod(0o600)
    return str(path)


def test_an_empty_environment_holds_no_key_and_makes_none() -> None:
    keys = EnvKeys({"VALETKEY_KEY": "", "VALETKEY_KEY_FILE": ""})
    assert keys.keys() == ()
    assert not keys.can_create
    assert "VALETKEY_KEY" in keys.place
    with pytest.raises(ConfigurationError) as caught:
        keys.create()
    assert caught.value.code == "place_read_only"


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("VALETKEY_KEY", key.secret.reveal())
    assert EnvKeys().keys() == (key,)


def test_the_order_is_variable_file_old_file(tmp_path: Path) -> None:
    one, two, three, four = (new_key() for _ in range(4))
    environ = {
        "VALETKEY_KEY": one.secret.reveal(),
        "VALETKEY_KEY_FILE": key_file(tmp_path / "key", two, three),
        "VALETKEY_KEY_FILE_OLD": key_file(tmp_path / "old", three, four),
    }
    assert EnvKeys(environ).keys() == (one, two, three, four)


def test_a_file_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    keys = EnvKeys({"VALETKEY_KEY_FILE": str(tmp_path / "key")})
    assert keys.keys() == ()
    key = new_key()
    key_file(tmp_path / "key", key)
    assert keys.keys() == (key,)
    assert keys.place == f"file:{tmp_path / 'key'} (VALETKEY_KEY_FILE)"


def test_a_variable_that_holds_no_key_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        EnvKeys({"VALETKEY_KEY": "correct-horse"}).keys()
    assert caught.value.code == "key_invalid"
    assert "VALETKEY_KEY" in str(caught.value)
    assert "correct-horse" not in str(caught.value)


def test_the_place_does_not_show_the_key() -> None:
    key = new_key()
    keys = EnvKeys({"VALETKEY_KEY": key.secret.reveal()})
    assert keys.place == "the variable VALETKEY_KEY"


def test_where_one_host_has_the_store_the_key_file_may_be_rotated(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    keys = EnvKeys({"VALETKEY_KEY_FILE": key_file(tmp_path / "key", old)}, may_write=True)
    keys.add(new)
    assert keys.keys() == (new, old)
    keys.retire(old.id)
    assert keys.keys() == (new,)


@pytest.mark.parametrize("may_write", [True, False])
def test_a_key_in_a_variable_cannot_be_rotated_from_here(may_write: bool) -> None:
    keys = EnvKeys({"VALETKEY_KEY": new_key().secret.reveal()}, may_write=may_write)
    for use in (lambda: keys.add(new_key()), lambda: keys.retire("00000000")):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "place_read_only"
        assert "VALETKEY_KEY_FILE_OLD" in caught.value.hint


def test_a_key_file_of_many_hosts_is_not_written(tmp_path: Path) -> None:
    keys = EnvKeys({"VALETKEY_KEY_FILE": key_file(tmp_path / "key", new_key())})
    before = (tmp_path / "key").read_text()
    with pytest.raises(ConfigurationError) as caught:
        keys.add(new_key())
    assert caught.value.code == "place_read_only"
    assert (tmp_path / "key").read_text() == before
