"""The doctor finds what is wrong, and says what to do."""

from __future__ import annotations

import os
import sqlite3
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from shared.certificates import self_signed
from valetkey.cli import checks


def findings(kit: Any, *args: str) -> list[tuple[str, str]]:
    return [(one["level"], one["what"]) for one in kit.run("doctor", *args, "--json").json["checks"]]


def found(kit: Any, what: str, *args: str) -> dict[str, str]:
    """Return the worst finding about something."""
    all_of_it = [one for one in kit.run("doctor", *args, "--json").json["checks"] if one["what"] == what]
    return max(all_of_it, key=lambda one: ["ok", "warn", "fail"].index(one["level"]))


def test_all_is_well(kit: Any) -> None:
    kit.connect()

    ran = kit.run("doctor")

    assert ran.code == 0
    assert "ok    store: SQLite, 0600, 1 connection, schema 3" in ran.out
    assert "ok    key: file, mode 0600, id " in ran.out
    assert "ok    connections: 1 connected" in ran.out
    assert "fail" not in ran.out
    assert "--online" in ran.err
    assert kit.provider.revocations == 0


def test_a_new_home_is_well(bare: Any) -> None:
    ran = bare.run("doctor")

    assert ran.code == 0
    assert "valetkey practice" in ran.out


def test_a_dead_connection_fails_with_what_to_do(still: Any) -> None:
    still.connect(owner="ada")
    still.provider.revoke()
    still.clock.advance(3600)
    still.run("token", "notes", "--owner", "ada")

    ran = still.run("doctor")

    assert ran.code == 1
    line = next(line for line in ran.out.splitlines() if line.startswith("fail"))
    assert line == "fail  notes/ada: access was withdrawn at Notes   -> valetkey connect notes --owner ada"
    assert "\nwarn  connections: 1 needs_reauth\n" in ran.out, "not ok"
    assert still.run("doctor", "--json").json["ok"] is False


def test_a_connection_that_ends_soon_and_one_that_fails_are_warnings(still: Any) -> None:
    still.connect()
    still.provider.fail_next(status=503)
    still.clock.advance(3600)
    still.run("token", "notes")

    ran = still.run("doctor")

    assert ran.code == 0
    assert found(still, "notes")["level"] == "warn"


def test_an_app_that_is_missing_fails_only_where_it_is_used(kit: Any) -> None:
    kit.declare("unused", app=False)
    kit.connect()
    kit.ok("app", "remove", "notes", "--yes")

    assert found(kit, "app unused")["level"] == "warn"
    assert found(kit, "app notes")["level"] == "fail"
    assert found(kit, "app notes")["hint"] == "valetkey app add notes"


def test_an_app_that_was_rejected_fails(still: Any) -> None:
    still.connect()
    still.run("app", "add", "notes", "--client-id", "practice-app", "--secret-stdin", text="wrong")
    still.clock.advance(3600)
    still.run("token", "notes")

    assert found(still, "app notes")["level"] == "fail"
    still.clock.advance(120)
    assert found(still, "app notes")["text"] == "the provider has not accepted it for 2 min (invalid_client)"


def test_a_lost_key_and_open_modes(kit: Any) -> None:
    kit.connect()
    home = Path(os.environ["VALETKEY_HOME"])
    (home / "key").chmod(0o640)
    (home / "valetkey.db").chmod(0o644)

    assert found(kit, "key")["hint"] == f"chmod 600 {home / 'key'}"
    assert found(kit, "store")["level"] == "warn"
    (home / "key").unlink()
    assert found(kit, "key")["level"] == "fail"
    ran = kit.run("doctor")
    assert ran.code == 1
    assert ran.out.count("put that key back") == 1, "the one thing to do is said once"
    assert "\nwarn  apps: not looked at: no key\nwarn  connections: not looked at: no key\n" in ran.out


def test_the_line_that_mends_a_key_that_a_variable_names_can_be_copied(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.connect()
    home = Path(os.environ["VALETKEY_HOME"])
    moved = home / "the key"
    (home / "key").rename(moved)
    moved.chmod(0o640)
    monkeypatch.setenv("VALETKEY_KEY_FILE", str(moved))

    hints = [one["hint"] for one in kit.run("doctor", "--json").json["checks"] if one["what"] == "key"]

    assert f"chmod 600 '{moved}'" in hints


def test_a_rotation_that_stopped_halfway(kit: Any) -> None:
    from valetkey.model.data_keys import KeyNote, read_note, write_note

    kit.connect()
    with kit.session() as session:
        note = read_note(session.core.store)
        assert isinstance(note, KeyNote)
        halfway = KeyNote(
            data_key=note.data_key, master=note.master, place=note.place, retiring=("dk_old",), version=note.version
        )
        assert write_note(session.core.store, halfway)

    assert found(kit, "key")["hint"] == "valetkey key rotate"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"this is no database, it is a text of some length" * 100, "store", id="another file"),
        pytest.param(None, "store", id="a newer schema"),
    ],
)
def test_a_store_that_cannot_be_used_is_the_only_finding(content: bytes | None, code: str, kit: Any) -> None:
    path = Path(os.environ["VALETKEY_HOME"]) / "valetkey.db"
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        for file in path.parent.glob("valetkey.db*"):
            file.unlink()
        path.write_bytes(content)

    ran = kit.run("doctor")

    assert ran.code == 1
    assert findings(kit) == [("fail", code)]
    assert kit.run("status").code == 5


def test_settings_of_the_network_are_shown_without_passwords(
    kit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:canary-password@proxy.example:3128")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    ran = kit.run("doctor")

    assert ran.code == 1
    assert "HTTPS_PROXY=http://****@proxy.example:3128" in ran.out
    assert "canary-password" not in ran.out
    assert "missing.pem, which is not there" in ran.out


def test_online_it_asks_what_time_it_is(kit: Any) -> None:
    kit.connect()
    host = kit.provider.url.removeprefix("http://")

    assert ("ok", "clock") in findings(kit, "--online")
    assert found(kit, "clock", "--online")["text"] == f"as at {host}"


def test_online_a_provider_that_is_not_there_fails(kit: Any) -> None:
    kit.connect()
    kit.provider.stop()

    assert found(kit, "network", "--online")["level"] == "fail"


@pytest.mark.parametrize(
    ("off", "level", "text"),
    [
        pytest.param(1.0, "ok", "as at", id="close enough"),
        pytest.param(-41.0, "warn", "41 s behind", id="behind"),
        pytest.param(41.0, "warn", "41 s ahead of", id="ahead"),
        pytest.param(-3600.0, "fail", "60 min behind", id="an hour"),
    ],
)
def test_a_clock_that_is_off(off: float, level: str, text: str) -> None:
    here = 1_800_000_000.0 + off + 0.5

    finding = checks.skew("github.com", formatdate(1_800_000_000, usegmt=True), here)

    assert (finding.level, text in finding.text) == (level, True)


def test_a_server_that_does_not_tell_the_time() -> None:
    assert checks.skew("github.com", "", 0.0).level == "ok"


def test_on_a_narrow_terminal_the_next_step_has_a_line_of_its_own(bare: Any, terminal: Any) -> None:
    bare.declare("a-rather-long-name-of-a-credential", app=False)

    screen = terminal("doctor", columns=80)

    assert screen.end() == 0
    assert "\n    -> " in screen.seen or "\n      -> " in screen.seen


@pytest.mark.parametrize(
    ("days", "level", "said"), [(60, "", ""), (20, "warn", "ends in 20 d"), (-0.5, "fail", "has ended")]
)
def test_a_certificate_that_ends_is_told_with_what_to_change(
    days: float, level: str, said: str, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.declare("bank", sender_constraint="mtls", issuer="https://bank.example", token_url="https://bank.example/token")
    for name, text in zip(("CERTIFICATE", "CERTIFICATE_KEY"), self_signed("bank", days=days), strict=True):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setenv(f"VALETKEY_BANK_{name}_FILE", str(path))

    told = [one for one in kit.run("doctor", "--json").json["checks"] if one["what"] == "app bank"]

    if not level:
        assert told == []
        return
    (one,) = told
    assert (one["level"], one["what"]) == (level, "app bank")
    assert f"its certificate {said} (CN=bank)" == one["text"]
    assert "VALETKEY_BANK_CERTIFICATE_FILE and VALETKEY_BANK_CERTIFICATE_KEY_FILE" in one["hint"]
