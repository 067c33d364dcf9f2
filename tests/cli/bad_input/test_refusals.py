"""Bad input to the command as a process: a word, a code, a next step that works, and the right exit code."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest

from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

USAGE, PERSON, LATER, NOT_STARTED = 2, 3, 4, 125
ADD = ("--client-id", DEFAULT_CLIENT_ID, "--secret-stdin")


# -- which credential, which app


@pytest.mark.parametrize(
    ("args", "status"),
    [
        pytest.param(["token", "ntoes"], USAGE, id="token"),
        pytest.param(["request", "ntoes", "/me"], USAGE, id="request"),
        pytest.param(["connect", "ntoes"], USAGE, id="connect"),
        pytest.param(["disconnect", "ntoes", "--yes"], USAGE, id="disconnect"),
        pytest.param(["exec", "ntoes", "--", "true"], NOT_STARTED, id="exec"),
    ],
)
def test_an_unknown_credential_is_named_with_the_nearest_one(args: list[str], status: int, shell: Any) -> None:
    hint = shell.refused(status, "credential_unknown", *args, named='did you mean "notes"')

    assert hint == 'use "notes"; all of them: valetkey app list'
    assert "notes" in shell.ok("app", "list")


def test_without_app_credentials_the_hint_takes_them(shell: Any) -> None:
    shell.kit.declare("bare", app=False)
    for way in ([], ["--paste"], ["--device"]):
        hint = shell.refused(USAGE, "app_missing", "connect", "bare", *way, named="VALETKEY_BARE_CLIENT_ID")
    assert hint == "valetkey app add bare"

    shell.ok("app", "add", "bare", *ADD, text=DEFAULT_CLIENT_SECRET)

    assert shell.refused(PERSON, "paste_empty", "connect", "bare", "--paste", text="")


def test_a_wrong_client_secret_is_mended_by_what_the_hint_says(connected: Any) -> None:
    connected.ok("app", "add", "notes", *ADD, text="wrong-canary")
    hint = connected.refused(USAGE, "client_rejected", "refresh", "notes", named="invalid_client")
    assert hint == "check the client id and secret, then: valetkey app add notes"
    assert connected.refused_paste(USAGE, "client_rejected", connected.kit.provider.approve) == hint
    assert "wrong-canary" not in connected.run("refresh", "notes").stderr
    assert "app_error" in connected.ok("status", "notes")
    assert connected.ok("token", "notes"), "the old token serves"

    connected.ok("app", "add", "notes", *ADD, text=DEFAULT_CLIENT_SECRET)

    connected.ok("refresh", "notes")


# -- signing in


def test_a_denied_consent_is_for_a_person(shell: Any) -> None:
    hint = shell.refused_paste(PERSON, "authorization_denied", shell.kit.provider.deny, "--owner", "ada")

    assert hint == "try again and allow the access: valetkey connect notes --owner ada"
    assert shell.sql("SELECT * FROM connection") == []
    assert shell.paste(shell.kit.provider.approve, "--owner", "ada").returncode == 0


def test_a_pending_approval_is_for_a_person(shell: Any) -> None:
    shell.kit.provider.deny_next("access_denied", "your request is pending approval")

    hint = shell.refused_paste(PERSON, "authorization_denied", shell.kit.provider.approve, named="pending approval")

    assert hint == "wait until an administrator has approved the request, then: valetkey connect notes"


def test_a_replayed_callback_is_refused_and_costs_nothing(shell: Any) -> None:
    seen: list[str] = []

    def approve(url: str) -> str:
        seen.append(shell.kit.provider.approve(url))
        return seen[0]

    assert shell.paste(approve).returncode == 0
    hint = shell.refused_paste(PERSON, "state_mismatch", lambda _: seen[0])

    assert "start again" in hint
    assert shell.ok("request", "notes", "/me")
    assert shell.kit.provider.token_requests == 1


def test_a_port_in_use_is_named(shell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        hint = shell.refused(USAGE, "port_in_use", "connect", "notes", "--port", port, named=port)

    assert "--port" in hint
    assert shell.sql("SELECT kind FROM document WHERE kind IN ('flow', 'lease')") == []


def test_no_browser_is_told_with_ways_that_work(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER")

    hint = shell.refused(PERSON, "browser_missing", "connect", "notes")

    assert hint == "connect with --device or --paste"
    assert shell.paste(shell.kit.provider.approve).returncode == 0


def test_a_provider_that_is_down_is_to_be_tried_later(connected: Any) -> None:
    connected.kit.provider.fail_next(status=503)

    hint = connected.refused(LATER, "provider_unavailable", "refresh", "notes", named="503")

    assert hint.endswith("valetkey refresh notes")
    connected.ok("refresh", "notes")
    connected.kit.provider.stop()
    connected.refused(LATER, "provider_unavailable", "refresh", "notes", named="could not be reached")
    assert connected.ok("token", "notes"), "the old token serves"


# -- settings


@pytest.mark.parametrize("env", [" ", "prod\n", "x" * 201], ids=ascii)
def test_an_environment_that_cannot_be_is_a_mistake_in_the_settings(
    env: str, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shell.files()
    monkeypatch.setenv("VALETKEY_ENV", env)

    assert "VALETKEY_ENV" in shell.refused(USAGE, "env_invalid", "token", "notes")
    assert shell.files() == before


@pytest.mark.parametrize("env", ["..", "we/ird", "\u00e9" * 200], ids=ascii)
def test_an_odd_environment_works_from_connect_to_hint(env: str, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_ENV", env)
    shell.kit.declare()

    hint = shell.refused(PERSON, "not_connected", "token", "notes")

    assert shlex.split(hint) == ["run:", "valetkey", "connect", "notes", "--env", env]
    monkeypatch.delenv("VALETKEY_ENV")
    assert shell.paste(shell.kit.provider.approve, "--env", env).returncode == 0
    assert shell.ok("token", "notes", "--env", env)
    shell.refused(PERSON, "not_connected", "token", "notes")


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        pytest.param('[credentials.crm\npreset = "github"', "toml_invalid", "line 1", id="no TOML"),
        pytest.param('[credentials.crm]\npreset = "githb"', "preset_unknown", 'did you mean "github"', id="preset"),
        pytest.param('[credentials.crm]\nclient_secret = "canary"', "field_unknown", "client_secret", id="a secret"),
    ],
)
def test_a_mistake_in_the_file_of_declarations_is_named(
    text: str, code: str, named: str, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "valetkey.toml"
    file.write_text(text)
    monkeypatch.setenv("VALETKEY_CONFIG", str(file))

    hint = shell.refused(USAGE, code, "status", named=named)

    assert "canary" not in hint
    file.write_text('[credentials.crm]\npreset = "github"')
    assert "crm" in shell.ok("status")


def test_without_a_home_folder_the_hint_works(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["VALETKEY_HOME", *(n for n in os.environ if n.startswith("XDG_"))]:
        monkeypatch.delenv(name)
    for args in (["token", "notes"], ["secret", "set", "x"]):
        hint = shell.refused(USAGE, "home_missing", *args, rules=("nobodys-home",))
    assert hint.startswith("Set VALETKEY_HOME to a folder")
    assert shell.ok("--help", rules=("nobodys-home",))

    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path / "srv"))

    assert "Stored" in shell.ok("secret", "set", "x", rules=("nobodys-home",))
    shell.refused(USAGE, "credential_unknown", "token", "notes", rules=("nobodys-home",))
