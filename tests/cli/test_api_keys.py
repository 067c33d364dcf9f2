"""API keys: shown once, listed without their secret, revoked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from valetkey.engine.api_keys import SCOPES
from valetkey.engine.api_keys import ApiKeys as Keys


def test_a_key_is_alone_on_stdout_and_works(bare: Any) -> None:
    made = bare.run(
        "api-key", "add", "crm", "--scope", "read", "--scope", "read_secret", "--owner", "ada", "--days", "90"
    )

    assert made.code == 0
    secret = made.out.strip()
    assert re.fullmatch(r"vk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", secret)
    assert secret not in made.err
    with bare.session() as session:
        found = Keys(session.core.store, session.core.clock, session.core.env).find(secret)
    assert found is not None
    assert (found.name, found.scopes, found.owners) == ("crm", ("read", "read_secret"), ("ada",))
    assert secret[12:] not in bare.ok("api-key", "list") + bare.ok("api-key", "list", "--json")


def test_the_list_says_what_each_may(bare: Any) -> None:
    assert bare.run("api-key", "list").out == ""
    bare.ok(
        "api-key",
        "add",
        "crm",
        "--scope",
        "read",
        "--credential",
        "slack",
        "--network",
        "10.4.0.1/24",
        "--no-identities",
    )

    (key,) = bare.run("api-key", "list", "--json").json["api_keys"]
    assert (key["credentials"], key["networks"], key["identities"]) == (["slack"], ["10.4.0.0/24"], False)
    shown = bare.ok("api-key", "list")
    assert "slack; from 10.4.0.0/24; no identities" in shown
    assert shown.splitlines()[1].startswith(key["id"])


@pytest.mark.parametrize("said", ["id", "prefix"])
def test_a_revoked_key_is_gone(bare: Any, said: str) -> None:
    key = bare.run("api-key", "add", "crm", "--scope", "read", "--json").json["api_key"]
    assert key["key"].startswith(f"vk_{key['id']}_")

    bare.ok("api-key", "revoke", key["id"] if said == "id" else f"vk_{key['id']}", "--yes")

    again = bare.run("api-key", "revoke", key["id"], "--yes")
    assert (again.code, "api-key list" in again.err) == (2, True)
    assert bare.run("api-key", "list", "--json").json["api_keys"] == []


def test_it_asks_before_it_revokes(bare: Any) -> None:
    key = bare.run("api-key", "add", "crm", "--scope", "read", "--json").json["api_key"]

    assert bare.run("api-key", "revoke", key["id"]).code == 2
    assert len(bare.run("api-key", "list", "--json").json["api_keys"]) == 1


@pytest.mark.parametrize(
    "given", [["--scope", "admin"], [], ["--scope", "read", "--rate", "0"], ["--scope", "read", "--network", "x"]]
)
def test_what_cannot_be_makes_no_key(bare: Any, given: list[str]) -> None:
    assert bare.run("api-key", "add", "crm", *given).code == 2
    assert bare.run("api-key", "list", "--json").json["api_keys"] == []


def test_the_scopes_of_the_command_are_those_of_the_engine() -> None:
    from valetkey.cli.api_keys import _SCOPES

    assert tuple(SCOPES) == _SCOPES
