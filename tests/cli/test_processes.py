"""Signals, pipes, terminals, debugging: the manners of a process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest


def test_ctrl_c_ends_it_with_one_line(kit: Any, terminal: Any) -> None:
    screen = terminal("connect", "notes", "--device")
    screen.wait_for("Waiting for the code")
    screen.type("\x03")

    assert screen.end() == 130
    assert screen.seen.rstrip().endswith("interrupted")
    assert "Traceback" not in screen.seen
    assert kit.provider.live_grants == 0


def test_ctrl_c_during_a_refresh_does_not_cost_the_grant(kit: Any) -> None:
    kit.connect()

    with kit.provider.hold("token", after=True) as hold, kit.start("refresh", "notes") as process:
        hold.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        hold.release()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert kit.provider.refreshes == 1
    assert kit.provider.is_live(kit.ok("token", "notes"))
    assert kit.ok("refresh", "notes")
    assert kit.provider.reuses == 0


@pytest.mark.usefixtures("browser")
def test_ctrl_c_while_the_code_is_redeemed_does_not_lose_the_grant(kit: Any) -> None:
    with kit.provider.hold("token", after=True) as hold, kit.start("connect", "notes") as process:
        hold.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        hold.release()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert kit.run("status", "--json").json["connections"][0]["state"] == "connected"
    assert kit.provider.is_live(kit.ok("token", "notes"))


def test_terminated_during_a_refresh_it_stores_what_it_gets(kit: Any) -> None:
    kit.connect()

    with kit.provider.hold("token", after=True) as hold, kit.start("refresh", "notes") as process:
        hold.arrived.wait(60)
        process.terminate()
        hold.release()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 143
    assert err.strip() == "terminated"
    assert kit.ok("refresh", "notes")
    assert kit.provider.reuses == 0


@pytest.mark.parametrize(
    "command", [["connections"], ["token", "notes"], ["status", "--json"], ["request", "notes", "/me"]]
)
def test_a_closed_pipe_is_no_error(command: list[str], kit: Any) -> None:
    kit.connect()
    reader, writer = os.pipe()
    os.close(reader)

    with kit.start(*command, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 141
    assert "Traceback" not in err
    assert "Exception" not in err


def test_a_mistake_of_ours_shows_no_traceback_unless_asked_for(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        msg = "canary-in-an-exception"
        raise RuntimeError(msg)

    monkeypatch.setattr("valetkey.core.Core.statuses", broken)

    plain = kit.run("status")
    monkeypatch.setenv("VALETKEY_DEBUG", "1")
    debugged = kit.run("status")

    assert (plain.code, debugged.code) == (70, 70)
    assert "canary" not in plain.err
    assert "Traceback" not in plain.err
    assert "Traceback" in debugged.err


def test_the_log_is_shown_when_debugging_and_holds_no_secret(still: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_DEBUG", "1")
    still.connect()
    still.clock.advance(3600)

    ran = still.run("request", "notes", "/me")
    still.run("disconnect", "notes", "--yes")

    assert ran.code == 0
    assert all(token not in ran.err for token in still.provider.tokens_ever_issued())


def test_warnings_of_the_library_are_lines_of_ours(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.toml").write_text("display_name = ")
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))

    ran = bare.run("providers", "list")

    assert ran.code == 0
    assert ran.err.startswith("warning: preset broken was passed over")


@pytest.mark.parametrize(
    "home",
    [
        pytest.param("/proc/none/of/that", id="a folder that cannot be made"),
        pytest.param("/dev/null", id="a file"),
    ],
)
def test_a_home_that_cannot_be_used(home: str, bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_HOME", home)

    ran = bare.run("status")

    assert ran.code in {2, 5}
    assert "  -> " in ran.err
    assert "[internal]" not in ran.err


def test_a_full_disk_is_told(kit: Any) -> None:
    kit.connect()
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" > /dev/full', *kit.command, "connections"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 2
    assert "[output_unwritable]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception" not in ran.stderr


def test_nothing_secret_is_in_the_arguments_of_what_it_starts(kit: Any, browser: Any) -> None:
    assert kit.process("connect", "notes").code == 0

    given = browser().splitlines()[0]
    assert given.startswith("file://")
    assert "state" not in given
    assert not Path(given.removeprefix("file://")).exists(), "the page is gone afterwards"
