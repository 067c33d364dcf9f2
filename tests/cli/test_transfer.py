"""Import and export as JSON lines."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def row(**more: Any) -> str:
    return json.dumps({"credential": "notes", "access_token": "at-1", "refresh_token": "rt-1", **more})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.jsonl"
    lines = [
        row(owner="ada", expires_at=4_000_000_000),
        "",
        row(owner="bob", accessToken="x", expiresAt=4_000_000_000_000),
        '{"credential": "other", "access_token": "at-2"}',
        "this is no JSON",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_dry_run_says_what_would_become_of_each_row(kit: Any, file: Path) -> None:
    ran = kit.run("import", str(file), "--dry-run")

    assert ran.code == 1
    assert ran.out.splitlines()[-1] == "Would be: 2 created, 2 invalid."
    assert "two refreshers of one rotating grant kill it" in ran.err
    assert "at-1" not in ran.out + ran.err
    assert kit.run("connections", "--json").json["connections"] == []


def test_good_rows_are_taken_whatever_the_others_are(kit: Any, file: Path) -> None:
    found = kit.run("import", str(file), "--json").json

    assert found["counts"] == {"created": 2, "replaced": 0, "skipped": 0, "invalid": 2}
    assert [(one["row"], one["outcome"]) for one in found["rows"] if one["reason"]] == [(3, "invalid"), (4, "invalid")]
    assert kit.ok("token", "notes", "--owner", "ada") == "at-1"


def test_what_is_there_is_skipped_unless_newer_is_wanted(kit: Any, tmp_path: Path) -> None:
    kit.ok("import", "-", text=row(obtained_at=1_700_000_000, expires_at=4_000_000_000))
    newer = row(access_token="at-new", obtained_at=1_750_000_000, expires_at=4_000_000_000)

    assert "1 skipped" in kit.ok("import", "-", text=newer)
    assert kit.ok("token", "notes") == "at-1"
    assert "1 replaced" in kit.ok("import", "-", "--on-conflict", "newer", text=newer)
    assert kit.ok("token", "notes") == "at-new"
    assert tmp_path.exists()


def test_a_json_list_is_understood_too(kit: Any) -> None:
    assert "1 created" in kit.ok("import", "-", text=f"[{row()}]")
    assert "[input_not_json]" in kit.run("import", "-", text="[oops").err


def test_a_file_that_is_not_there(kit: Any) -> None:
    ran = kit.run("import", "/nowhere/tokens.jsonl")

    assert ran.code == 2
    assert "[file_unusable]" in ran.err


def test_an_export_holds_nothing_secret(kit: Any) -> None:
    kit.connect()
    token = kit.ok("token", "notes")

    shown = kit.ok("export")

    (one,) = rows(shown)
    assert (one["credential"], one["state"], one["identity"]["login"]) == ("notes", "connected", "ada")
    assert token not in shown
    assert "token" not in one


def test_tokens_go_into_a_new_file_that_is_ones_own(kit: Any, tmp_path: Path) -> None:
    kit.connect()
    token, path = kit.ok("token", "notes"), tmp_path / "backup.jsonl"

    ran = kit.run("export", "--include-tokens", str(path))
    again = kit.run("export", "--include-tokens", str(path))

    assert (ran.code, ran.out, again.code) == (0, "", 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rows(path.read_text())[0]["token"]["access_token"] == token


def test_what_was_exported_can_be_imported(kit: Any, tmp_path: Path) -> None:
    kit.connect(owner="ada", account="work")
    token = kit.ok("token", "notes", "--owner", "ada", "--account", "work")
    kit.ok("export", "--include-tokens", str(tmp_path / "backup.jsonl"))
    elsewhere = ["--store", str(tmp_path / "elsewhere" / "valetkey.db")]
    with kit.session() as here, kit.session(store=elsewhere[1]) as there:
        document = here.core.store.get_document("declaration", "notes", env="default")
        there.core.store.put_document(document)

    assert "1 created" in kit.ok("import", str(tmp_path / "backup.jsonl"), *elsewhere)

    assert kit.ok("token", "notes", "--owner", "ada", "--account", "work", *elsewhere) == token


def test_tokens_do_not_go_to_a_terminal_unasked(kit: Any, terminal: Any) -> None:
    kit.connect()
    screen = terminal("export", "--include-tokens")
    screen.wait_for("[y/N] ")
    screen.type("\n")

    assert screen.end() == 1
    assert "practice-at-" not in screen.raw


@pytest.mark.parametrize(("mode", "code"), [(0o644, 2), (0o600, 0)])
def test_tokens_do_not_go_into_a_file_that_others_may_read(mode: int, code: int, kit: Any, tmp_path: Path) -> None:
    kit.connect()
    path = tmp_path / "out"
    path.touch(mode)
    path.chmod(mode)

    with path.open("wb") as out, kit.start("export", "--include-tokens", stdout=out) as process:
        _, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert ("practice-at-" in path.read_text()) is (code == 0)
