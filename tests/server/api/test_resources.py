"""Tokens for one resource each (RFC 8707) over the REST API."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def suite(api: Any) -> Any:
    """Connect a credential for two resources; the connection's id is ``suite.id``."""
    practice = api.practice
    api.notes, api.me = (f"{practice.provider.url}/{name}" for name in ("notes", "me"))
    for one in (api.notes, api.me):
        practice.provider.allow_target(one)
    practice.declare("suite", resources=[api.notes, api.me])
    api.id = practice.connect("suite", owner="ada").connection_id
    return api


def test_a_token_for_one_resource_is_told_apart_and_never_shown_elsewhere(suite: Any) -> None:
    program = suite.program("read", "read_secret")

    own, one = (program.token(suite.id, json=wish).json() for wish in ({}, {"resource": suite.me}))

    assert own["access_token"] != one["access_token"]
    assert program.token(suite.id, json={"resource": suite.me}).json() == one
    assert one["api_hosts"] == [suite.me.removeprefix("http://").partition("/")[0]]
    found = program.get(f"/connections/{suite.id}")
    (told,) = found.json()["resource_tokens"]
    assert (told["resource"], told["granted"]) == (suite.me, ["notes.read", "notes.write"])
    assert told["expires_at"] == one["expires_at"]
    assert one["access_token"] not in found.text
    assert program.get("/connections").json()["items"][0]["resource_tokens"] == [told]


def test_a_resource_that_is_refused_or_not_declared_is_a_problem(suite: Any) -> None:
    program = suite.program("read", "read_secret")
    suite.practice.provider.rules.for_one_resource = "refused"

    refused = program.token(suite.id, json={"resource": suite.me})
    unknown = program.token(suite.id, json={"resource": "https://files.example/"})
    empty = program.token(suite.id, json={"resource": ""})

    assert (refused.status_code, refused.json()["code"]) == (502, "resource_refused")
    assert (unknown.status_code, unknown.json()["code"]) == (409, "resource_undeclared")
    assert empty.status_code == 422
    assert program.get(f"/connections/{suite.id}").json()["state"] == "connected"


def test_the_page_of_a_connection_shows_a_fingerprint(suite: Any) -> None:
    token = suite.practice.valet.client("suite", owner="ada", resource=suite.me).get_access_token()

    page = suite.site.operator().get(f"/console/connections/{suite.id}").text

    mark = token.fingerprint()
    assert "·".join((mark[:4], mark[4:8], mark[8:12])) in page
    assert suite.me in page
    assert token.reveal() not in page
