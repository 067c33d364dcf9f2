"""The command where its store or its key is not well: exit code 5, nothing lost, nothing half written."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey.keys import new_key
from valetkey.keys.text import write_keys

USAGE, NOT_WELL, STORE = 2, 1, 5
READS = [["token", "notes"], ["request", "notes", "/me"]]
WRITES = [["refresh", "notes"], ["secret", "set", "mail"]]


# -- the key


def lose(key: Path) -> None:
    key.unlink()


def take_another(key: Path) -> None:
    key.write_text(write_keys([new_key()]))


def lock(key: Path) -> None:
    key.chmod(0)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(lose, "key_missing", id="missing"),
        pytest.param(take_another, "key_wrong", id="wrong"),
        pytest.param(lock, "key_unreadable", id="unreadable"),
    ],
)
def test_without_the_right_key_nothing_is_made_or_overwritten(
    spoil: Callable[[Path], None], code: str, connected: Any
) -> None:
    right, rules = connected.key.read_text(), ("modes-count",)
    spoil(connected.key)
    before = connected.files()

    for args in (*READS, *WRITES, ["status"], ["export", "--include-tokens"]):
        hint = connected.refused(STORE, code, *args, named=str(connected.key), rules=rules)
    doctor = connected.run("doctor", rules=rules)

    assert connected.files() == before, "no second key, and every byte of the store"
    assert (doctor.returncode, "fail  key" in doctor.stdout) == (NOT_WELL, True)
    if spoil is lock:
        assert hint.startswith("let this user read it: chmod 600 ")
        subprocess.run(shlex.split(hint[hint.index("chmod") :].partition(",")[0]), check=True)
    else:
        assert hint.startswith("put that key back")
        connected.key.write_text(right)
        connected.key.chmod(0o600)
    assert connected.ok("token", "notes", rules=rules)


# -- rows


def test_one_damaged_row_is_told_and_removed_as_the_hint_says(connected: Any) -> None:
    connected.kit.connect(owner="ben")
    connected.sql("UPDATE connection SET params = '{' WHERE owner = '=ben'")
    whole = "SELECT id, version, incarnation, params, sealed, secret_id FROM connection WHERE owner = '=ben'"
    before = connected.sql(whole)

    for args in (["token", "notes"], ["refresh", "notes"], ["disconnect", "notes", "--yes"]):
        hint = connected.refused(STORE, "row_corrupt", *args, "--owner", "ben", named="params is not JSON")
    assert connected.run("status", "--check").returncode == NOT_WELL

    assert connected.sql(whole) == before, "a list notes how it stands, and nothing of it is lost"
    noted = connected.sql("SELECT state, reason FROM connection WHERE owner = '=ben'")
    assert noted == [("needs_reauth", "row_corrupt")]
    assert connected.ok("token", "notes"), "the other one works"
    assert "its row is damaged" in connected.ok("status")
    assert connected.run("doctor").returncode == NOT_WELL
    assert connected.run("export").returncode == STORE
    connected.sql(shlex.split(hint[hint.index("sqlite3 ") :])[2])
    assert connected.run("export").returncode == 0
    assert connected.paste(connected.kit.provider.approve, "--owner", "ben").returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("sealed = substr(sealed, 1, 20)", id="cut off"),
        pytest.param("sealed = (SELECT sealed FROM connection WHERE owner = '')", id="of another row"),
    ],
)
def test_a_damaged_grant_is_connected_again_as_the_hint_says(change: str, connected: Any) -> None:
    connected.kit.connect(owner="ben")
    connected.sql(f"UPDATE connection SET {change} WHERE owner = '=ben'")  # noqa: S608

    for args in (["token", "notes"], ["refresh", "notes"]):
        hint = connected.refused(STORE, "sealed_broken", *args, "--owner", "ben", named="notes/ben")

    assert hint.endswith("connect it again: valetkey connect notes --owner ben")
    looked = connected.run("status", "--check")
    assert (looked.returncode, "it cannot be opened" in looked.stdout) == (NOT_WELL, True)
    assert "connect it again: valetkey connect notes --owner ben" in looked.stdout
    assert connected.run("status", "--check", "--owner", "ben").returncode == NOT_WELL
    doctor = connected.run("doctor")
    assert (doctor.returncode, "fail  notes/ben: the grant" in doctor.stdout) == (NOT_WELL, True)
    assert connected.ok("token", "notes")
    assert connected.paste(connected.kit.provider.approve, "--owner", "ben").returncode == 0
    assert connected.ok("token", "notes", "--owner", "ben")
    assert connected.run("doctor").returncode == 0
    assert connected.run("status", "--check").returncode == 0


# -- the file


def newer(shell: Any) -> None:
    shell.sql("PRAGMA user_version = 99")


def no_database(shell: Any) -> None:
    shell.database.write_bytes(b"Dear diary, today I wrote no database.\n" * 200)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [pytest.param(newer, "store_newer", id="newer schema"), pytest.param(no_database, "store_corrupt", id="no store")],
)
def test_what_is_no_store_of_this_valetkey_is_not_touched(
    spoil: Callable[[Any], None], code: str, connected: Any
) -> None:
    spoil(connected)
    before = connected.files()

    for args in (*READS, *WRITES, ["connect", "notes"], ["key", "rotate"]):
        hint = connected.refused(STORE, code, *args, named=str(connected.database))

    assert connected.files() == before
    if spoil is no_database:
        subprocess.run(shlex.split(hint[hint.index("mv ") :]), check=True)
        assert "Nothing is declared" in connected.run("status").stderr


def test_a_store_that_is_a_folder_is_a_mistake_in_the_settings(shell: Any, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)

    hint = shell.refused(USAGE, "store_path", "token", "notes", "--store", str(folder), named=str(folder))

    assert "path of a file" in hint
    assert list(folder.iterdir()) == []
    assert "Stored" in shell.ok("secret", "set", "x", "--store", str(folder / "valetkey.db"))


# -- may not


def test_in_a_folder_that_may_not_be_written_nothing_is_touched(connected: Any) -> None:
    before = connected.files()
    connected.home.chmod(0o555)
    try:
        for args in (*READS, *WRITES):
            hint = connected.refused(
                STORE, "store_read_only", *args, named="Nothing was changed", rules=("modes-count",)
            )
    finally:
        connected.home.chmod(0o700)

    assert str(connected.home) in hint
    assert connected.files() == before
    assert connected.ok("token", "notes", rules=("modes-count",)), "once this user may write there"


def test_of_a_file_that_may_only_be_read_valid_tokens_are_read(connected: Any) -> None:
    before = connected.files()
    connected.database.chmod(0o400)

    for args in READS:
        assert connected.ok(*args, rules=("modes-count",))
    for args in WRITES:
        hint = connected.refused(STORE, "store_read_only", *args, named=str(connected.database), rules=("modes-count",))

    assert connected.files() == before
    assert connected.kit.provider.refresh_requests == 0
    subprocess.run(["sh", "-c", hint[hint.index("chmod") :]], check=True)
    assert connected.ok("refresh", "notes", rules=("modes-count",))


def test_where_no_store_can_be_made_none_is_half_made(shell: Any, tmp_path: Path, monkeypatch: Any) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for home, status, code in ((locked, STORE, "store_read_only"), (locked / "below", USAGE, "home_missing")):
        monkeypatch.setenv("VALETKEY_HOME", str(home))
        hint = shell.refused(status, code, "secret", "set", "x", named=str(home), rules=("modes-count",))
        assert "VALETKEY_HOME" in hint

    assert list(locked.iterdir()) == []


# -- full


@pytest.mark.parametrize("size", [0, 4096, 40960], ids=["no room", "room for a page", "room for some pages"])
def test_a_write_that_fails_loses_nothing(size: int, connected: Any) -> None:
    """The limit on the size of files makes writes fail as a quota does; with some room they fail in the middle."""
    before = connected.sql("SELECT * FROM document WHERE kind = 'secret'")
    rules = (f"file-size={size}",)

    hint = connected.refused(STORE, "store_io", "secret", "set", "mail", text="x" * 50_000, rules=rules)

    assert "quotas" in hint
    assert connected.sql("SELECT * FROM document WHERE kind = 'secret'") == before
    assert connected.sql("PRAGMA integrity_check") == [("ok",)]
    assert connected.ok("token", "notes")
    assert "Stored" in connected.ok("secret", "set", "mail", text="x" * 50_000)


@pytest.mark.parametrize("size", [0, 100, 4096, 40960])
def test_a_store_that_cannot_be_made_whole_is_made_when_there_is_room(
    size: int, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "srv"
    monkeypatch.setenv("VALETKEY_HOME", str(home))

    shell.refused(STORE, "store_io", "secret", "set", "mail", rules=(f"file-size={size}",))

    assert [path.name for path in home.iterdir() if "key" in path.name.replace("valetkey", "")] == [], "no half key"
    assert "Stored" in shell.ok("secret", "set", "mail")
    assert "mail" in shell.ok("secret", "list")


LOOKS = (
    ("status",),
    ("status", "--check"),
    ("doctor",),
    ("connections",),
    ("events",),
    ("token", "notes"),
    ("header", "notes"),
    ("app", "list"),
    ("secret", "list"),
    ("key", "status"),
    ("refresh", "notes"),
    ("disconnect", "notes", "--yes"),
    ("export",),
)


@pytest.mark.parametrize("place", ["{}", "sqlite://{}"], ids=["path", "URL"])
def test_a_store_that_was_named_and_is_not_there_is_not_made_by_looking(kit: Any, tmp_path: Path, place: str) -> None:
    mistyped = tmp_path / "typo" / "valetkey.db"

    for args in LOOKS:
        ran = kit.run(*args, "--store", place.format(mistyped))
        if args == ("doctor",):
            assert ran.code == NOT_WELL
            assert f"fail  store: There is no store at {mistyped}" in ran.out
        else:
            assert (ran.code, "[store_missing]" in ran.err, str(mistyped) in ran.err) == (STORE, True, True), ran
            assert "Compare the path" in ran.err
        assert not mistyped.parent.exists(), args


def test_a_store_that_was_named_and_is_not_there_is_made_by_putting_something_in(kit: Any, tmp_path: Path) -> None:
    new = ("--store", str(tmp_path / "new" / "valetkey.db"))

    kit.ok("secret", "set", "x", *new, text="1")

    assert "Nothing is declared" in kit.run("status", *new).err
    assert kit.run("status", "--store", "memory:").code == 0, "it is no file"
