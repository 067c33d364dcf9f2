"""What the command tells of answers that this host keeps for a store elsewhere, and of its lock files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from valetkey.engine.lifecycle import obtain
from valetkey.errors import StoreUnavailable
from valetkey.stores.sqlite import SQLiteStore


@contextmanager
def failing(error: BaseException) -> Iterator[None]:
    """Let the store take no new grant."""
    swap = SQLiteStore.swap

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    SQLiteStore.swap = fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        SQLiteStore.swap = swap  # type: ignore[method-assign]


@pytest.fixture
def away(still: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the command over a store elsewhere, with an account whose token has run out."""
    still.connect()
    still.clock.advance(3601)
    monkeypatch.setattr(SQLiteStore, "local", False)
    monkeypatch.setenv("VALETKEY_KEY_FILE", str(Path(os.environ["VALETKEY_HOME"]) / "key"))
    return still


@pytest.fixture
def waiting(away: Any) -> Any:
    """Return the same when a process was killed before the store had the provider's answer."""
    with failing(SystemExit()), away.session() as session, pytest.raises(SystemExit):
        obtain(session.core.world, session.key_of("notes", None, ""))
    away.clock.advance(120)
    return away


def found(kit: Any, what: str) -> dict[str, str]:
    """Return what the doctor finds about something, while the store takes nothing."""
    with failing(StoreUnavailable("down")):
        checks = kit.run("doctor", "--json").json["checks"]
    (finding,) = [check for check in checks if check["what"] == what]
    return dict(finding)


def test_the_doctor_tells_what_waits_since_when_and_what_to_do(waiting: Any) -> None:
    finding = found(waiting, "journal")

    assert finding["level"] == "warn"
    assert finding["text"] == "1 answer of providers not yet in the store, the oldest from 2 min ago"
    assert "using these connections on this host" in finding["hint"]
    assert waiting.provider.refresh_requests == 1


def test_the_doctor_is_content_where_nothing_waits(away: Any) -> None:
    finding = found(away, "journal")

    assert finding["level"] == "ok"
    assert finding["text"].startswith("nothing waits for the store")


def test_a_store_on_this_host_has_no_journal_to_speak_of(still: Any) -> None:
    what = [check["what"] for check in still.run("doctor", "--json").json["checks"]]

    assert "journal" not in what
    assert "lock files" in what


def test_the_doctor_tells_where_lock_files_are(still: Any) -> None:
    finding = found(still, "lock files")

    assert finding["level"] == "ok"
    assert finding["text"].endswith("valetkey.db-holders")


def test_the_doctor_tells_why_there_are_none(still: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valetkey.holders._MOUNTS", os.devnull)

    finding = found(still, "lock files")

    assert finding["level"] == "warn"
    assert "file system" in finding["text"]
    assert "waited out" in finding["text"]


@pytest.fixture
def rotated(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the same when the master key was replaced meanwhile, as it is done for a store that hosts share."""
    old = os.environ["VALETKEY_KEY_FILE"]
    waiting.ok("key", "new", f"{old}.new")
    monkeypatch.setenv("VALETKEY_KEY_FILE", f"{old}.new")
    monkeypatch.setenv("VALETKEY_KEY_FILE_OLD", old)
    with failing(StoreUnavailable("down")):
        ran = waiting.run("key", "rotate")
    assert ran.code == 0
    assert "must stay: a journal holds an answer sealed so" in ran.err
    assert "Not needed any more" not in ran.err
    return waiting


def test_the_doctor_misses_the_key_that_an_answer_needs(rotated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALETKEY_KEY_FILE_OLD")

    with failing(StoreUnavailable("down")):
        checks = rotated.run("doctor", "--json").json["checks"]

    (missing,) = [check for check in checks if check["what"] == "journal" and check["level"] == "fail"]
    assert missing["hint"] == "put that key back"


def test_with_the_old_key_beside_the_new_one_the_answer_is_brought(rotated: Any) -> None:
    assert rotated.run("token", "notes").code == 0

    assert found(rotated, "journal")["level"] == "ok"
    assert rotated.provider.refresh_requests == 1


def test_a_host_without_a_home_is_told(away: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(Path(os.environ["VALETKEY_HOME"]) / "valetkey.db")
    monkeypatch.setenv("VALETKEY_HOME", "~nobody-of-that-name/x")

    checks = away.run("--store", store, "doctor", "--json").json["checks"]

    (finding,) = [check for check in checks if check["what"] == "journal"]
    assert (finding["level"], finding["hint"]) == ("warn", "set VALETKEY_HOME to one")


def test_the_events_tell_that_it_was_brought_from_the_journal(waiting: Any) -> None:
    assert waiting.run("token", "notes").code == 0

    shown = waiting.ok("events", "notes")
    assert "replayed=true" in shown
    assert waiting.run("events", "--json").json["events"][-1]["detail"] == {"rotated": True, "replayed": True}
    assert waiting.provider.refresh_requests == 1
