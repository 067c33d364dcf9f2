"""Master keys in files: complete, private, never lost."""

from __future__ import annotations

import base64
import multiprocessing
import os
import stat
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from valetkey.errors import ConfigurationError
from valetkey.keys import FileKeys, KeyFileWarning, new_key
from valetkey.keys.text import write_keys
from valetkey.model.ports import MasterKey


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "valetkey" / "key"


@pytest.fixture
def keys(path: Path) -> FileKeys:
    return FileKeys(path, can_create=True)


def written(path: Path, text: str, mode: int = 0o600) -> FileKeys:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return FileKeys(path, can_create=True)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_is_not_there_holds_no_keys_and_is_not_made_by_looking(keys: FileKeys, path: Path) -> None:
    assert keys.keys() == ()
    assert not path.parent.exists()


def test_the_first_key_is_private_in_a_private_folder(keys: FileKeys, path: Path) -> None:
    before = os.umask(0)
    try:
        key = keys.create()
    finally:
        os.umask(before)
    assert keys.keys() == (key,)
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_the_file_says_what_it_is_and_names_the_key(keys: FileKeys, path: Path) -> None:
    key = keys.create()
    comment, line = path.read_text().splitlines()
    assert comment.startswith("#")
    assert line == f"{key.id} {key.secret.reveal()}"


def test_a_key_that_is_there_is_never_replaced(keys: FileKeys, path: Path) -> None:
    key = keys.create()
    text = path.read_text()
    assert FileKeys(path, can_create=True).create() == key
    assert path.read_text() == text


def test_many_threads_that_create_get_the_same_key(path: Path) -> None:
    start = threading.Barrier(16)

    def create(_: int) -> MasterKey:
        start.wait()
        return FileKeys(path, can_create=True).create()

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(create, range(16)))
    assert len(made) == 1
    assert len(list(path.parent.iterdir())) == 1


def _create(path: Path) -> str:
    return FileKeys(path, can_create=True).create().id


def test_many_processes_that_create_get_the_same_key(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_create, [path] * 16))) == 1


def test_no_key_is_lost_when_many_add_at_once(keys: FileKeys, path: Path) -> None:
    first = keys.create()
    added = [new_key() for _ in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: FileKeys(path, can_create=False).add(key), added))
    found = keys.keys()
    assert {key.id for key in found} == {first.id, *(key.id for key in added)}
    assert keys.keys()[-1] == first
    assert mode_of(path) == 0o600


def test_an_added_key_is_the_current_one_and_stands_there_once(keys: FileKeys) -> None:
    old, new = keys.create(), new_key()
    keys.add(new)
    keys.add(new)
    assert keys.keys() == (new, old)
    keys.add(old)
    assert keys.keys() == (old, new)


def test_a_retired_key_goes_and_the_last_one_stays(keys: FileKeys) -> None:
    old, new = keys.create(), new_key()
    keys.add(new)
    keys.retire(old.id)
    assert keys.keys() == (new,)
    keys.retire(new.id)
    assert keys.keys() == (new,)


def test_a_reader_never_sees_half_a_file(keys: FileKeys, path: Path) -> None:
    first = keys.create()
    stop = threading.Event()
    seen: list[bool] = []

    def read() -> None:
        reader = FileKeys(path, can_create=False)
        while not stop.is_set():
            seen.append(first in list(reader.keys()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        keys.add(new_key())
    stop.set()
    reader.join()
    assert seen
    assert all(seen)


def test_a_link_stays_a_link(tmp_path: Path, path: Path) -> None:
    real = tmp_path / "elsewhere"
    first = written(real, write_keys([new_key()])).keys()[0]
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    keys = FileKeys(path, can_create=True)
    assert keys.create() == first
    keys.add(new_key())
    assert path.is_symlink()
    assert len(FileKeys(real, can_create=False).keys()) == 2


def test_a_link_to_nothing_is_no_place_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "gone" / "key")
    with pytest.raises(ConfigurationError) as caught:
        FileKeys(tmp_path / "key", can_create=True).create()
    assert caught.value.code == "key_unreadable"


# -- what may stand in it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n# made by hand\n"])
@pytest.mark.parametrize("form", ["base64", "hex", "standard base64", "with its id"])
def test_a_file_with_just_one_key_is_understood(path: Path, form: str, ending: str) -> None:
    key = new_key()
    raw = base64.urlsafe_b64decode(key.secret.reveal())
    text = {
        "base64": key.secret.reveal(),
        "hex": raw.hex(),
        "standard base64": base64.b64encode(raw).decode(),
        "with its id": f"{key.id} {key.secret.reveal()}",
    }[form]
    assert written(path, text + ending).keys() == (key,)


def test_a_key_that_stands_twice_counts_once(path: Path) -> None:
    key, other = new_key(), new_key()
    assert written(path, write_keys([key, other, key])).keys() == (key, other)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("# nothing\n", "", id="only a comment"),
        pytest.param("", "", id="empty"),
        pytest.param("hunter2\n", "line 1", id="a password"),
        pytest.param("# a\n\n" + "00" * 31, "line 3", id="too short"),
        pytest.param(f"00000000 {'A' * 43}=", "line 1", id="another id than its own"),
        pytest.param(f"a b {'A' * 43}=", "line 1", id="too many words"),
        pytest.param("\x00\ufffd" * 40, "line 1", id="not text"),
    ],
)
def test_garbage_is_told_by_line_and_never_shown_or_replaced(path: Path, text: str, line: str) -> None:
    keys = written(path, text)
    for use in (keys.keys, keys.create, lambda: keys.add(new_key())):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "key_invalid"
        assert str(path) in str(caught.value)
        assert line in str(caught.value)
        assert caught.value.hint
        for word in text.split():
            assert len(word) < 3 or word not in str(caught.value)
    assert path.read_text() == text


def test_raw_bytes_are_no_key_and_do_not_ride_along_in_the_error(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe" * 16)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        FileKeys(path, can_create=True).keys()
    assert caught.value.code == "key_invalid"
    assert caught.value.__cause__ is None
    assert not isinstance(caught.value.__context__, UnicodeError)


# -- files that cannot be read or written --------------------------------------------------------------------------


def test_a_folder_in_its_place_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FileKeys(tmp_path, can_create=True).keys()
    assert caught.value.code == "key_unreadable"
    assert str(tmp_path) in str(caught.value)


def test_a_file_of_somebody_else_cannot_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = written(path, write_keys([new_key()]), mode=0o000)

    def denied(*_: object) -> None:  # the superuser, who may run this, is not denied anything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    for use in (keys.keys, lambda: keys.add(new_key())):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "key_unreadable"
        assert "Permission denied" in str(caught.value)
        assert "chmod" in caught.value.hint


def test_a_folder_that_takes_no_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        FileKeys(tmp_path / "file" / "key", can_create=True).create()
    assert caught.value.code == "key_unwritable"
    assert "VALETKEY_KEY_FILE" in caught.value.hint


def test_a_full_disk_leaves_the_old_keys_in_place(keys: FileKeys, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.create()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError) as caught:
        keys.add(new_key())
    assert caught.value.code == "key_unwritable"
    assert keys.keys() == (key,)
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_warned_of_once(path: Path, mode: int) -> None:
    keys = written(path, write_keys([new_key()]), mode=mode)
    with pytest.warns(KeyFileWarning, match="chmod 600"):
        found = keys.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keys.keys() == found


def test_a_private_file_is_not_warned_of(path: Path) -> None:
    assert written(path, write_keys([new_key()]), mode=0o400).keys()
