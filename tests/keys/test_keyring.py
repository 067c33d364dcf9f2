"""Master keys in the OS keyring."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keyring.errors
import pytest
from platformdirs import user_data_path

from valetkey.errors import ConfigurationError
from valetkey.keys import KeyringKeys, new_key


def test_an_empty_keyring_holds_no_key(os_keyring: Any) -> None:
    assert KeyringKeys().keys() == ()
    assert os_keyring.entries == {}


def test_a_key_is_made_kept_and_found_again(os_keyring: Any) -> None:
    key = KeyringKeys("staging").create()
    assert KeyringKeys("staging").keys() == (key,)
    assert KeyringKeys("staging").create() == key
    assert KeyringKeys().keys() == ()
    assert list(os_keyring.entries) == [("staging", "master-keys")]


def test_threads_that_create_get_the_same_key(os_keyring: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: KeyringKeys().create(), range(16)))) == 1
    assert len(os_keyring.entries) == 1


def test_keys_are_changed_by_one_process_at_a_time(os_keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = user_data_path("valetkey", appauthor=False)
    busy: list[bool] = []
    plain = os_keyring.set_password

    def set_password(*entry: str) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy.append(True)
        finally:
            os.close(handle)
        plain(*entry)

    monkeypatch.setattr(os_keyring, "set_password", set_password)
    keys = KeyringKeys()
    old = keys.create()
    keys.add(new_key())
    keys.retire(old.id)
    assert busy == [True, True, True]


def test_without_a_data_folder_nobody_can_take_turns(
    os_keyring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError) as caught:
        KeyringKeys().create()
    assert caught.value.code == "keyring_unavailable"
    assert os_keyring.entries == {}


def test_keys_are_added_before_the_others_and_retired(os_keyring: Any) -> None:
    keys = KeyringKeys()
    old, new = keys.create(), new_key()
    keys.add(new)
    assert keys.keys() == (new, old)
    keys.retire(old.id)
    keys.retire(new.id)
    assert keys.keys() == (new,)
    assert os_keyring.entries


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(keyring.errors.NoKeyringError("none"), id="no keyring"),
        pytest.param(keyring.errors.KeyringLocked("locked"), id="locked"),
        pytest.param(keyring.errors.InitError("no bus"), id="no session bus"),
        pytest.param(RuntimeError("broken back end"), id="a broken back end"),
        pytest.param(OSError(2, "no such socket"), id="no socket"),
    ],
)
def test_every_trouble_of_the_keyring_is_one_error_with_a_way_out(os_keyring: Any, trouble: Exception) -> None:
    os_keyring.trouble = trouble
    for use in (KeyringKeys().keys, KeyringKeys().create, lambda: KeyringKeys().add(new_key())):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "keyring_unavailable"
        assert caught.value.hint


def test_a_keyring_that_forgets_is_noticed_before_anything_is_sealed(os_keyring: Any) -> None:
    os_keyring.forgetful = True
    with pytest.raises(ConfigurationError) as caught:
        KeyringKeys().create()
    assert caught.value.code == "keyring_unavailable"


def test_an_entry_that_holds_no_key_is_not_replaced(os_keyring: Any) -> None:
    os_keyring.entries["valetkey", "master-keys"] = "hunter2"
    for use in (KeyringKeys().keys, KeyringKeys().create):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "key_invalid"
        assert "hunter2" not in str(caught.value)
    assert os_keyring.entries["valetkey", "master-keys"] == "hunter2"


def test_a_missing_package_is_told_with_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError) as caught:
        KeyringKeys().keys()
    assert caught.value.code == "keyring_unavailable"
    assert "valetkey[keyring]" in caught.value.hint


def test_the_package_is_imported_on_use_only() -> None:
    program = (
        "import sys, valetkey.keys, valetkey.secret_services\n"
        "valetkey.keys.KeyringKeys(); valetkey.secret_services.KeyringSecrets()\n"
        "print('keyring' in sys.modules, 'importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"
