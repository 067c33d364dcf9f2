"""Tokens for one resource each (RFC 8707): token, header, request."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def suite(kit: Any) -> Any:
    """A connected credential for two resources of the practice provider's API."""
    kit.notes, kit.me = (f"{kit.provider.url}/{name}" for name in ("notes", "me"))
    for one in (kit.notes, kit.me):
        kit.provider.allow_target(one)
    kit.declare("suite", resources=[kit.notes, kit.me])
    kit.connect("suite")
    return kit


def test_a_token_for_one_resource_is_another_and_stays_the_same(suite: Any) -> None:
    own, one, again = (
        suite.ok("token", "suite", *more) for more in ((), ("--resource", suite.me), ("--resource", suite.me))
    )

    assert own != one == again
    assert suite.ok("header", "suite", "--resource", suite.me) == f"Authorization: Bearer {one}\n"
    assert suite.ok("token", "suite") == own, "the short way gives the grant's own"


def test_a_call_with_the_token_of_one_resource(suite: Any) -> None:
    assert "ada" in suite.ok("request", "suite", "--resource", suite.me, suite.me, "--fail")
    assert suite.run("request", "suite", "--resource", suite.me, suite.notes, "--fail").code == 1


def test_a_status_tells_of_it_by_its_fingerprint(suite: Any) -> None:
    token = suite.ok("token", "suite", "--resource", suite.me)

    ran = suite.run("status", "suite", "--json")

    (found,) = ran.json["connections"]
    assert [one["resource"] for one in found["resource_tokens"]] == [suite.me]
    assert token not in ran.out


@pytest.mark.parametrize("command", ["token", "header"])
def test_what_is_not_declared_is_an_error_that_says_so(suite: Any, command: str) -> None:
    ran = suite.run(command, "suite", "--resource", "https://files.example/")

    assert (ran.code, ran.out) == (2, "")
    assert "files.example" in ran.err
    assert "resources=" in ran.err


def test_what_the_provider_refuses_leaves_the_connection_as_it_was(suite: Any) -> None:
    suite.provider.rules.for_one_resource = "refused"

    ran = suite.run("token", "suite", "--resource", suite.me)

    assert ran.code != 0
    assert "as they were" in ran.err
    assert suite.run("status", "suite", "--check").code == 0
