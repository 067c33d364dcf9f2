"""Practising: a provider in the foreground, and everything gone when it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest


def left(bare: Any) -> tuple[Any, ...]:
    return (
        bare.run("app", "list", "--json").json["apps"],
        bare.run("connections", "--json").json["connections"],
        bare.run("secret", "list", "--json").json["secrets"],
    )


def test_once_it_walks_through_all_by_itself_and_leaves_nothing(bare: Any) -> None:
    ran = bare.run("practice", "--once")

    assert ran.code == 0, ran
    assert [line.split(":")[0] for line in ran.out.splitlines()] == [
        "ok  connect",
        "ok  request",
        "ok  refresh",
        "ok  request",
        "ok  disconnect",
    ]
    assert left(bare) == ([], [], [])


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, id="Ctrl-C"), pytest.param(signal.SIGTERM, 143, id="terminated")],
)
def test_another_terminal_does_what_it_says(
    number: signal.Signals, code: int, bare: Any, browser: Callable[[], str]
) -> None:
    with bare.start("practice", "--auto-approve", "--env", "try") as process:
        shown = process.stdout.readline()
        while not shown.endswith("disconnect practice --env try\n"):
            line = process.stdout.readline()
            assert line, shown
            shown += line
        connected = bare.process("connect", "practice", "--env", "try")
        called = bare.process("request", "practice", "/me", "--env", "try")
        process.send_signal(number)
        process.communicate(timeout=60)

    assert "Ctrl-C ends it" in shown
    assert (connected.code, called.code) == (0, 0), (connected, called)
    assert "Connected" in browser()
    assert process.returncode == code
    assert bare.run("connections", "--env", "try", "--json").json["connections"] == []
    assert bare.run("app", "list", "--env", "try", "--json").json["apps"] == []


def test_a_credential_of_ones_own_is_never_overwritten(bare: Any, tmp_path: Any, monkeypatch: Any) -> None:
    path = tmp_path / "valetkey.toml"
    path.write_text('[credentials.practice]\npreset = "github"\n', encoding="utf-8")
    monkeypatch.setenv("VALETKEY_CONFIG", str(path))

    ran = bare.run("practice", "--once")

    assert ran.code == 2
    assert "[name_taken]" in ran.err
    assert "--env practice" in ran.err


def test_a_port_in_use(bare: Any) -> None:
    port = bare.provider.url.rpartition(":")[2]

    ran = bare.run("practice", "--once", "--port", port)

    assert ran.code == 2
    assert "[port_in_use]" in ran.err
    assert left(bare) == ([], [], [])
