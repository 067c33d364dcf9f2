"""From errors to exit codes and lines."""

from __future__ import annotations

from typing import Any

import click
import httpx2
import pytest

from valetkey import errors
from valetkey.cli import exits
from valetkey.cli.exits import Stop, told
from valetkey.model.connections import Connection

GITHUB = Connection("con_1", "github")


def err(kind: Any, code: str = "", **more: Any) -> errors.ValetkeyError:
    made: errors.ValetkeyError = kind("it went wrong", **({"code": code} if code else {}), **more)
    return made


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(err(errors.ConfigurationError, "credential_unknown"), 2, id="unknown credential"),
        pytest.param(err(errors.ConfigurationError, "app_missing"), 2, id="no app"),
        pytest.param(err(errors.AmbiguousAccount, accounts=("a", "b")), 2, id="which account"),
        pytest.param(err(errors.HostNotAllowed), 2, id="foreign host"),
        pytest.param(err(errors.ClientRejected), 2, id="the app's secret is wrong"),
        pytest.param(err(errors.ConnectError, "port_in_use"), 2, id="port in use"),
        pytest.param(err(errors.AuthorizationDenied, why="by_person"), 3, id="denied"),
        pytest.param(err(errors.ConsentExpired), 3, id="nobody answered"),
        pytest.param(err(errors.StateMismatch), 3, id="state"),
        pytest.param(err(errors.NotConnected, connection=GITHUB, reason="never_connected"), 3, id="not connected"),
        pytest.param(err(errors.ReauthorizationRequired, connection=GITHUB, reason="revoked"), 3, id="revoked"),
        pytest.param(err(errors.StepUpRequired, acr_values=(), max_age=None), 3, id="step up"),
        pytest.param(err(errors.ProviderUnavailable), 4, id="provider down"),
        pytest.param(err(errors.ProviderProtocolError), 4, id="provider talks nonsense"),
        pytest.param(err(errors.RefreshBusy), 4, id="busy"),
        pytest.param(err(errors.StoreUnavailable), 5, id="store down"),
        pytest.param(err(errors.DecryptionFailed, "key_wrong"), 5, id="wrong key"),
        pytest.param(err(errors.ConfigurationError, "key_unreadable"), 5, id="key file not readable"),
        pytest.param(err(errors.ConfigurationError, "key_missing"), 5, id="no key"),
        pytest.param(Stop("no", status=125), 125, id="of the command itself"),
        pytest.param(click.UsageError("no such option"), 2, id="usage"),
        pytest.param(httpx2.ConnectError("refused"), 4, id="the API is not reached"),
        pytest.param(httpx2.InvalidURL("bad"), 2, id="no URL"),
        pytest.param(FileNotFoundError(2, "No such file or directory", "tokens.jsonl"), 2, id="no such file"),
        pytest.param(ZeroDivisionError("secret text"), 70, id="a mistake of ours"),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, status: int) -> None:
    assert told(error).status == status


def all_errors(kind: type[errors.ValetkeyError] = errors.ValetkeyError) -> set[type[errors.ValetkeyError]]:
    return {kind}.union(*(all_errors(sub) for sub in kind.__subclasses__()))


def test_no_error_of_the_package_counts_as_a_mistake_of_it() -> None:
    for kind in all_errors():
        made = kind.__new__(kind)
        made.args, made.code, made.hint = ("it went wrong",), "x", ""
        made.__dict__ |= {"status": 2, "credential": "crm", "hosts": ()}  # what some kinds have, and telling reads
        assert told(made).status in {2, 3, 4, 5}, kind


def test_an_error_is_two_lines_with_code_and_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    told(err(errors.NotConnected, connection=GITHUB, reason="x", hint="run: valetkey connect github")).write()

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "error: it went wrong [not_connected]\n  -> run: valetkey connect github\n"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        pytest.param(
            err(errors.AmbiguousAccount, accounts=("a",), hint="valet.client(...)"), "--account", id="account"
        ),
        pytest.param(err(errors.ConfigurationError, "owner_required", hint="valet.client(...)"), "--owner", id="owner"),
        pytest.param(
            err(errors.HostNotAllowed, credential="crm", hosts=("crm.example", "new.example")),
            "valetkey app add crm --api-host crm.example --api-host new.example",
            id="host",
        ),
        pytest.param(err(errors.HostNotAllowed, credential="crm"), "app add crm --api-base-url URL", id="base"),
        pytest.param(err(errors.ConnectError, "browser_missing", hint='how="paste"'), "--paste", id="browser"),
    ],
)
def test_the_next_step_is_one_for_a_shell(error: Exception, hint: str) -> None:
    assert hint in told(error).hint
    assert "valet.client" not in told(error).hint


def test_a_mistake_of_ours_does_not_show_what_it_says() -> None:
    found = told(KeyError("gho_secret"))

    assert "gho_secret" not in found.message + found.hint
    assert "VALETKEY_DEBUG=1" in found.hint


def test_text_of_others_is_made_safe() -> None:
    assert "\x1b" not in told(errors.ConfigurationError("bad \x1b[2J name", hint="\x07")).message


def test_the_exit_codes_are_those_of_the_documentation() -> None:
    assert exits.__doc__ is not None
    codes = (exits.OK, exits.NOT_WELL, exits.USAGE, exits.PERSON, exits.TRY_LATER, exits.STORE, exits.INTERNAL)
    for code in (*codes, exits.NOT_STARTED, exits.INTERRUPTED, exits.TERMINATED, exits.PIPE_CLOSED):
        assert str(code) in exits.__doc__
