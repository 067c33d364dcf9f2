"""``valetkey worker``: as a process, with signals, beside others."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest

from valetkey.cli.worker import _ended, _Json
from valetkey.model.connections import Expect

HOUR = 3600


def due(kit: Any, count: int) -> None:
    """Connect so many accounts, and let them be due."""
    for number in range(count):
        record = kit.connect(owner=f"u-{number}")
        with kit.session() as session:
            store = session.core.store
            assert store.swap(replace(record, due_at=store.now() - 1), expect=Expect.of(record))


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_once_refreshes_what_is_due_and_says_how_much(still: Any) -> None:
    still.connect(owner="ada")
    still.connect(owner="bob")

    early = still.run("worker", "--once")
    still.clock.advance(HOUR - 60)
    ran = still.run("worker", "--once")

    assert (early.code, early.out, early.err) == (0, "Nothing was due.\n", "")
    assert (ran.code, ran.out, ran.err) == (0, "2 refreshed.\n", "")
    assert still.provider.refreshes == 2


def test_once_says_what_went_wrong_and_that_all_is_not_well(still: Any) -> None:
    still.connect(owner="ada")
    still.connect(owner="bob", login="bob")
    still.clock.advance(HOUR)
    still.provider.revoke("ada")
    still.provider.fail_next(status=400, error="invalid_scope")

    ran = still.run("worker", "--once", "--concurrency", "1")
    events = still.run("events", "--json").json["events"]

    assert ran.code == 1
    assert ran.out in {"1 failed, 1 need a person.\n", "1 refreshed, 1 failed.\n"}
    assert "not refreshed" in ran.err
    assert {event["actor"] for event in events if event["kind"] == "refresh_failed"} == {"worker"}
    assert all(token not in ran.out + ran.err for token in still.provider.tokens_ever_issued())


def test_a_dead_grant_comes_with_the_command_that_connects_it_again(still: Any) -> None:
    still.connect(owner="ada")
    still.clock.advance(HOUR)
    still.provider.revoke("ada")

    ran = still.run("worker", "--once")

    assert ran.out == "1 need a person.\n"
    assert "notes/ada needs to be connected again: access was withdrawn at Notes" in ran.err
    assert ran.err.endswith("  -> run: valetkey connect notes --owner ada\n")


def test_with_json_everything_is_an_object_a_line(still: Any) -> None:
    still.connect(owner="ada")
    still.clock.advance(HOUR)

    ran = still.run("worker", "--once", "--json")
    first, last = lines(ran.out)

    assert ran.err == ""
    assert first["format_version"] == last["format_version"] == 1
    assert (first["kind"], first["subject"], first["owner"], first["error"]) == ("refreshed", "notes/ada", "ada", None)
    assert last == {
        "format_version": 1,
        "kind": "summary",
        "refreshed": 1,
        "kept_alive": 0,
        "failed": 0,
        "needs_reauth": 0,
        "skipped": 0,
        "problems": 0,
        "waiting": 0,
        "requests": 1,
    }


def test_a_problem_is_told_with_the_next_step(still: Any) -> None:
    still.connect(owner="ada")
    still.clock.advance(HOUR)
    with still.session() as session:
        session.core.secret_service.delete(session.credential("notes").secret_id)

    ran = still.run("worker", "--once", "--json")
    problem, summary = lines(ran.out)

    assert ran.code == 1
    assert (problem["kind"], problem["subject"], problem["error"]["code"]) == ("problem", "notes", "app_missing")
    assert problem["error"]["hint"].startswith("valetkey app add notes")
    assert (summary["problems"], summary["waiting"]) == (1, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_when_what_is_under_way_is_stored(number: int, code: int, kit: Any) -> None:
    due(kit, 3)

    with kit.provider.hold("token", after=True) as hold, kit.start("worker", "--concurrency", "2") as process:
        hold.wait_for(2, timeout=60)
        process.send_signal(number)
        while "Stopping" not in process.stderr.readline():
            assert process.poll() is None
        hold.release()
        out, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert out == "2 refreshed.\n"
    assert "Traceback" not in err
    assert kit.provider.refreshes == 2
    assert kit.run("worker", "--once").out == "1 refreshed.\n"
    assert kit.provider.reuses == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(number: int, code: int, kit: Any) -> None:
    due(kit, 1)

    with kit.provider.hold("token") as hold, kit.start("worker") as process:
        hold.wait_for(1, timeout=60)
        process.send_signal(number)
        while "Stopping" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        process.communicate(timeout=60)

        assert process.returncode == code
        assert not hold.released


def test_it_works_on_until_it_is_told_to_stop(kit: Any) -> None:
    due(kit, 1)

    with kit.start("worker", "--json") as process:
        first = json.loads(process.stdout.readline())
        process.terminate()
        out, err = process.communicate(timeout=60)

    assert first["kind"] == "refreshed"
    assert (process.returncode, err) == (0, "")
    assert lines(out)[-1]["refreshed"] == 1


def test_two_workers_on_one_store_refresh_each_grant_once(kit: Any) -> None:
    due(kit, 20)

    with kit.start("worker", "--once", "--json") as one, kit.start("worker", "--once", "--json") as two:
        outs = [process.communicate(timeout=60)[0] for process in (one, two)]

    summaries = [lines(out)[-1] for out in outs]
    assert (one.returncode, two.returncode) == (0, 0)
    assert sum(summary["refreshed"] for summary in summaries) == 20
    assert (kit.provider.refreshes, kit.provider.token_requests - 20) == (20, 20)
    assert (kit.provider.reuses, kit.provider.double_sends) == (0, 0)


def test_progress_counts_what_goes_well(still: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valetkey.cli.worker._EVERY", 0.0)
    still.connect(owner="ada")
    still.connect(owner="bob")
    still.clock.advance(HOUR)

    ran = still.run("worker", "--once")

    assert [line.partition("  ")[2] for line in ran.err.splitlines()] == ["1 refreshed so far", "2 refreshed so far"]


@pytest.mark.parametrize("options", [["--concurrency", "0"], ["--per-host", "101"], ["--concurrency", "many"]])
def test_numbers_out_of_range_are_refused(options: list[str], still: Any) -> None:
    assert still.run("worker", *options).code == 2


def test_a_terminal_shows_what_it_does(kit: Any, terminal: Any) -> None:
    due(kit, 1)
    kit.provider.fail_next(status=503)

    screen = terminal("worker")
    screen.wait_for("not refreshed")
    screen.type("\x03")

    assert screen.end() == 130
    assert screen.seen.startswith("Working in the environment default (Ctrl-C ends it).\n")
    assert "host waits" in screen.seen
    assert "1 failed" in screen.seen


def test_a_closed_pipe_ends_it(kit: Any) -> None:
    due(kit, 1)

    with kit.start("worker", "--json") as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)

    assert process.returncode == 141
    assert "Traceback" not in err


def test_a_signal_while_it_is_being_started_has_it_stop() -> None:
    """The interpreter waits for the worker's thread, which ends only when it is told to."""
    stop = threading.Event()

    def start() -> Any:
        raise KeyboardInterrupt  # it may be on its way by then

    with pytest.raises(KeyboardInterrupt):
        _ended(start, stop, _Json())

    assert stop.is_set()
