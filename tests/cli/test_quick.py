"""The short way of `token` and `header` answers what the usual way answers, and imports next to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from valetkey.cli import main
from valetkey.cli.quick import answer, parse

HEAVY = {"asyncio", "click", "httpx2", "importlib.metadata", "joserfc", "keyring", "pydantic", "rich"}
WATCHED = """
import json, sys
from valetkey.cli import main
code = main({args!r})
print()
print(json.dumps([code, sorted(sys.modules)]))
"""


def imported(*args: str) -> tuple[int, set[str]]:
    """Run the command in a fresh interpreter; return exit code and all that was imported."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED.format(args=list(args))], env=plain, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(ran.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize("command", ["token", "header"])
def test_a_valid_token_costs_no_heavy_import(command: str, kit: Any) -> None:
    kit.connect()

    code, modules = imported(command, "notes")

    assert code == 0
    assert {name for name in HEAVY if name in modules} == set()
    assert "valetkey.core" not in modules


def test_the_usual_way_of_a_valid_token_costs_click_and_no_more(kit: Any) -> None:
    kit.connect()

    code, modules = imported("token", "notes", "--json")

    assert code == 0
    assert {name for name in HEAVY if name in modules} == {"click"}


@pytest.mark.parametrize("command", ["token", "header"])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["notes"], id="plain"),
        pytest.param(["notes", "--owner", "ada"], id="owner"),
        pytest.param(["--account=work", "notes", "--owner=ada"], id="account"),
        pytest.param(["notes", "--env", "default"], id="environment"),
    ],
)
def test_both_ways_say_the_same(command: str, args: list[str], kit: Any) -> None:
    kit.connect()
    kit.connect(owner="ada")
    kit.connect(owner="ada", account="work")

    quick = answer([command, *args])

    assert quick is not None
    assert quick == kit.ok(command, *args)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="declared otherwise by now"),
        pytest.param({"sender_constraint": "mtls", "token_url": "https://provider.example/token"}, id="by certificate"),
    ],
)
def test_a_bound_token_is_left_to_the_usual_way_which_hands_out_none(fields: dict[str, str], kit: Any) -> None:
    kit.declare("bound", sender_constraint="none" if fields else "dpop")
    kit.connect("bound")
    kit.declare("bound", **fields)

    assert (answer(["token", "bound"]), answer(["header", "bound"])) == (None, None)


def test_a_header_of_the_providers_own_is_left_to_the_usual_way(kit: Any) -> None:
    kit.declare("shop", token_header="X-Shop-Access-Token: {token}")
    kit.connect("shop")

    assert answer(["header", "shop"]) is None
    assert answer(["token", "shop"]) == kit.ok("token", "shop")


def test_it_is_the_way_that_is_gone(kit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kit.connect()

    assert main(["token", "notes"]) == 0

    assert kit.provider.is_live(capsys.readouterr().out)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param([], id="no name"),
        pytest.param(["a", "b"], id="two names"),
        pytest.param(["notes", "--json"], id="JSON"),
        pytest.param(["notes", "--help"], id="help"),
        pytest.param(["notes", "--key", "keyring"], id="another key"),
        pytest.param(["notes", "--owner", ""], id="an empty owner"),
        pytest.param(["notes", "--owner"], id="an owner that is missing"),
        pytest.param(["notes", "--owner", "--account"], id="an option for an owner"),
        pytest.param(["notes", "--owner", "a\x00b"], id="a control character"),
        pytest.param(["notes", "--", "x"], id="dashes"),
    ],
)
def test_what_is_for_click_to_judge_is_left_to_it(args: list[str]) -> None:
    assert parse(["token", *args]) is None


def nobody_connected(_: Any) -> None:
    """Leave it declared only."""


def expired(kit: Any) -> None:
    row = {"credential": "notes", "access_token": "at", "refresh_token": "rt", "expires_at": 1_700_000_000}
    kit.ok("import", "-", text=json.dumps(row))


def disconnected(kit: Any) -> None:
    kit.connect()
    kit.ok("disconnect", "notes", "--yes")


def needs_an_owner(kit: Any) -> None:
    kit.connect()
    kit.declare(per_owner=True)


def long_buffer(kit: Any) -> None:
    kit.connect()
    kit.declare(buffer=3600.0)


def open_key(kit: Any) -> None:
    kit.connect()
    Path(os.environ["VALETKEY_HOME"], "key").chmod(0o644)


def lost_key(kit: Any) -> None:
    kit.connect()
    Path(os.environ["VALETKEY_HOME"], "key").unlink()


@pytest.mark.parametrize(
    "before", [nobody_connected, expired, disconnected, needs_an_owner, long_buffer, open_key, lost_key]
)
def test_what_is_out_of_the_ordinary_goes_the_usual_way(before: Any, kit: Any) -> None:
    before(kit)

    assert answer(["token", "notes"]) is None


@pytest.mark.parametrize("variable", ["VALETKEY_CONFIG", "VALETKEY_DEBUG", "_VALETKEY_COMPLETE"])
def test_settings_that_change_something_go_the_usual_way(
    variable: str, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.connect()
    monkeypatch.setenv(variable, "1")

    assert answer(["token", "notes"]) is None


def test_a_file_of_declarations_goes_the_usual_way(kit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kit.connect()
    (tmp_path / "valetkey.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    assert answer(["token", "notes"]) is None


def test_other_stores_and_environments(kit: Any, tmp_path: Path) -> None:
    kit.connect()

    assert answer(["token", "notes", "--env", "prod"]) is None
    assert answer(["token", "notes", "--store", "memory:"]) is None
    assert answer(["token", "notes", "--store", str(tmp_path / "none.db")]) is None
    assert not (tmp_path / "none.db").exists()
    assert answer(["token", "notes", "--store", str(Path(os.environ["VALETKEY_HOME"], "valetkey.db"))]) is not None


def test_the_use_is_noted_once_a_minute(kit: Any) -> None:
    record = kit.connect()

    def noted() -> float | None:
        with kit.session() as session:
            found: float | None = session.core.store.find(record.id).last_used_at
            return found

    before = noted()
    answer(["token", "notes"])
    first = noted()
    answer(["token", "notes"])

    assert before is None
    assert first is not None
    assert noted() == first
