"""Secrets: set, fingerprinted, revealed on purpose, deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from valetkey import Secret, wire_secret

VALUE = "canary-webhook-secret"


@dataclass
class Webhook:
    url: str
    key: Secret


def test_a_value_comes_on_stdin_and_is_never_shown(bare: Any) -> None:
    stored = bare.ok("secret", "set", "webhook", text=f"{VALUE}\n")
    shown = bare.ok("secret", "get", "webhook")
    listed = bare.ok("secret", "list")

    assert VALUE not in stored + shown + listed
    assert len(shown.strip()) == 12
    assert shown.strip() in stored
    assert shown.strip() in listed


@pytest.mark.parametrize("args", [[VALUE], ["--json", VALUE], [VALUE, "more"]], ids=["alone", "json", "two"])
def test_a_value_on_the_command_line_is_refused_and_not_repeated(args: list[str], bare: Any) -> None:
    ran = bare.run("secret", "set", "webhook", *args, text="another\n")

    assert ran.code == 2
    assert "never an argument" in ran.out + ran.err
    assert VALUE not in ran.out + ran.err
    assert bare.run("secret", "get", "webhook").code != 0


def test_revealed_it_comes_as_it_was_entered(bare: Any) -> None:
    bare.ok("secret", "set", "webhook", text=f"{VALUE}\nsecond line\n")

    assert bare.ok("secret", "get", "webhook", "--reveal") == f"{VALUE}\nsecond line"
    assert bare.run("secret", "get", "webhook", "--reveal", "--json").json["value"] == f"{VALUE}\nsecond line"
    assert "value" not in bare.run("secret", "get", "webhook", "--json").json


def test_a_terminal_is_asked_before_it_is_shown(bare: Any, terminal: Any) -> None:
    screen = terminal("secret", "set", "webhook")
    screen.wait_for("Value of webhook (hidden): ")
    screen.type(f"{VALUE}\n")
    assert screen.end() == 0
    assert VALUE not in screen.raw

    screen = terminal("secret", "get", "webhook", "--reveal")
    screen.wait_for("[y/N] ")
    screen.type("n\n")
    assert screen.end() == 1
    assert VALUE not in screen.raw

    screen = terminal("secret", "get", "webhook", "--reveal", "--yes")
    assert screen.end() == 0
    assert VALUE in screen.raw
    assert bare.ok("secret", "get", "webhook", "--reveal") == VALUE


def test_it_is_deleted_after_asking(bare: Any) -> None:
    bare.ok("secret", "set", "webhook", text=VALUE)

    assert bare.run("secret", "delete", "webhook").code == 2
    assert bare.ok("secret", "delete", "webhook", "--yes") == 'Deleted "webhook".\n'
    assert bare.ok("secret", "delete", "webhook", "--yes") == 'There is no secret "webhook".\n'
    ran = bare.run("secret", "get", "webhook")
    assert ran.code == 2
    assert "[secret_missing]" in ran.err


def test_an_empty_value_is_refused(bare: Any) -> None:
    assert "[entry_empty]" in bare.run("secret", "set", "webhook", text="\n").err


def test_environments_have_their_own(bare: Any) -> None:
    bare.ok("secret", "set", "webhook", "--env", "prod", text=VALUE)

    assert bare.run("secret", "list", "--json").json["secrets"] == []
    assert [s["id"] for s in bare.run("secret", "list", "--env", "prod", "--json").json["secrets"]] == ["webhook"]


def test_a_declared_secret_is_checked_against_its_schema(bare: Any) -> None:
    wire_secret("webhook", schema=Webhook, description="where to call")

    no_object = bare.run("secret", "set", "webhook", text=VALUE)
    no_key = bare.run("secret", "set", "webhook", text='{"url": "https://a.example"}')
    good = bare.run("secret", "set", "webhook", text=json.dumps({"url": "https://a.example", "key": VALUE}))

    assert (no_object.code, no_key.code, good.code) == (2, 2, 0)
    assert "url, key" in no_object.err
    assert "key" in no_key.err
    assert VALUE not in no_object.err + no_key.err + good.out
    assert "where to call" in bare.ok("secret", "list")


def test_app_credentials_are_checked_too(kit: Any) -> None:
    ran = kit.run("secret", "set", "notes-app-credentials", text=VALUE)

    assert ran.code == 2
    assert "client_id" in ran.err
    assert VALUE not in ran.err
    listed = kit.run("secret", "list", "--json").json["secrets"]
    assert [(one["id"], one["set"], one["what"]) for one in listed] == [("notes-app-credentials", True, "app of notes")]


def test_the_token_object_of_a_connection_is_only_read(kit: Any) -> None:
    kit.connect()

    assert len(kit.ok("secret", "get", "notes-oauth-token").strip()) == 12
    ran = kit.run("secret", "set", "notes-oauth-token", text="{}")
    assert ran.code == 2
    assert "[place_read_only]" in ran.err


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"\xff\xfe", "input_not_text", id="no text"),
        pytest.param(b"x" * (1 << 20) + b"yz", "input_too_long", id="too long"),
    ],
)
def test_what_is_no_value_is_refused(content: bytes, code: str, bare: Any, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(content)

    with (tmp_path / "value").open("rb") as file, bare.start("secret", "set", "webhook", stdin=file) as process:
        _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert f"[{code}]" in err
