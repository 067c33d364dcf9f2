"""The master key: made, looked at, rotated, lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home() -> Path:
    return Path(os.environ["VALETKEY_HOME"])


def test_a_key_is_made_into_a_file_of_its_own(bare: Any, tmp_path: Path) -> None:
    path = tmp_path / "new.key"

    ran = bare.run("key", "new", str(path))

    assert ran.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text().split()[-1]
    assert key not in ran.out + ran.err
    assert f"VALETKEY_KEY_FILE={path}" in ran.err


def test_a_file_that_is_there_is_never_replaced(bare: Any, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("precious")

    ran = bare.run("key", "new", str(path))

    assert ran.code == 2
    assert "[file_taken]" in ran.err
    assert "  -> choose another name\n" in ran.err
    assert path.read_text() == "precious"


def test_a_key_goes_onto_a_pipe_and_not_to_a_terminal(bare: Any, terminal: Any) -> None:
    key = bare.ok("key", "new").strip()
    screen = terminal("key", "new")

    assert len(key) in {43, 44}
    assert screen.end() == 2
    assert "key new FILE" in screen.seen


def test_the_status_tells_where_it_is_and_never_what(kit: Any, home: Path) -> None:
    kit.connect()
    shown = kit.ok("key", "status")
    found = kit.run("key", "status", "--json").json["key"]

    key = (home / "key").read_text().split()[-1]
    assert key not in shown + str(found)
    assert f"file:{home / 'key'}" in shown
    assert found["readable"] is True
    assert [(use["current"], use["connections"], use["documents"]) for use in found["keys"]] == [(True, 1, 1)]


def test_before_anything_is_sealed(bare: Any) -> None:
    assert "Nothing is sealed yet" in bare.ok("key", "status")
    assert "nothing to rotate" in bare.ok("key", "rotate")


def test_a_rotation_seals_everything_anew_and_all_goes_on(kit: Any, home: Path) -> None:
    kit.connect()
    before, token = (home / "key").read_text(), kit.ok("token", "notes")

    shown = kit.run("key", "rotate")

    assert shown.code == 0
    assert shown.out.startswith("Sealed 2 things anew.")
    assert "valetkey key rotate --retire-master" in shown.err
    assert (home / "key").read_text() != before
    assert kit.ok("token", "notes") == token
    assert kit.run("key", "rotate", "--retire-master", "--json").json["rotation"]["old_masters"] == []
    assert len([x for x in (home / "key").read_text().splitlines() if not x.startswith("#")]) == 1
    assert kit.ok("token", "notes") == token


def test_a_lost_key_is_told_and_never_made_anew(kit: Any, home: Path) -> None:
    kit.connect()
    kept = (home / "key").read_text()
    (home / "key").unlink()

    for args in (["token", "notes"], ["key", "status"], ["key", "rotate"], ["secret", "set", "x"]):
        ran = kit.run(*args, text="value")
        assert ran.code == 5, args
        assert "key_missing" in ran.err or "backup" in ran.err, args
    assert not (home / "key").exists()
    (home / "key").write_text(kept)
    (home / "key").chmod(0o600)
    assert kit.provider.is_live(kit.ok("token", "notes"))


def test_a_wrong_key_is_not_taken_for_a_connection_that_is_not_there(kit: Any, home: Path, tmp_path: Path) -> None:
    kit.connect()
    kit.ok("key", "new", str(tmp_path / "other"))
    (home / "key").write_text((tmp_path / "other").read_text())

    ran = kit.run("token", "notes")

    assert ran.code == 5
    assert "[key_wrong]" in ran.err
    assert kit.provider.live_grants == 1


def test_a_key_that_others_may_read_is_warned_about(kit: Any, home: Path) -> None:
    kit.connect()
    (home / "key").chmod(0o644)

    ran = kit.run("token", "notes")

    assert ran.code == 0
    assert ran.err.count("warning:") == 1
    assert "chmod 600" in ran.err


def test_a_key_file_that_holds_something_else(kit: Any, home: Path) -> None:
    kit.connect()
    (home / "key").write_text("not a key at all\n")

    ran = kit.run("token", "notes")

    assert ran.code == 5
    assert "[key_invalid]" in ran.err
    assert "not a key at all" not in ran.err
