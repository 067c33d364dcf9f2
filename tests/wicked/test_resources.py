"""Tokens for one resource each (RFC 8707) at a server that goes wrong: the rest of the grant is never touched."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ReauthorizationRequired

HOUR = 3600
conformance = pytest.mark.conformance


@pytest.fixture
def suite(trial: Any) -> Any:
    """A connected grant for two resources."""
    trial.notes, trial.me = (f"{trial.server.url}/{name}" for name in ("notes", "me"))
    for one in (trial.notes, trial.me):
        trial.server.allow_target(one)
    trial.declare(resources=[trial.notes, trial.me])
    trial.sign_in()
    trial.server.reset_counters()
    return trial


def ask(suite: Any, resource: str) -> Any:
    return suite.valet.client("notes", resource=resource)


@conformance("1 resource: invalid_target")
def test_a_resource_that_is_refused_costs_nothing(suite: Any) -> None:
    kept = ask(suite, suite.me).get_access_token()
    suite.server.misbehave("resource-refused")

    error = suite.refused(ask(suite, suite.notes).get_access_token)

    assert (error.code, error.error) == ("resource_refused", "invalid_target")
    assert suite.status.state == "connected"
    assert ask(suite, suite.me).get_access_token() == kept
    suite.age()
    assert suite.use() == 200, "its own token is renewed"
    suite.server.behave()
    assert ask(suite, suite.notes).get(suite.notes).status_code == 200
    assert suite.server.reuses == 0


@conformance("1 resource: invalid_target")
def test_where_the_refusal_spends_the_refresh_token_what_lives_serves_to_its_end(suite: Any) -> None:
    suite.server.misbehave("resource-refused-late")

    assert suite.refused(ask(suite, suite.notes).get_access_token).code == "resource_refused"

    assert suite.use() == 200
    assert suite.status.state == "connected"
    suite.age()
    assert isinstance(suite.refused(suite.use), ReauthorizationRequired)
    suite.server.behave()
    suite.sign_in()
    assert suite.use() == 200


@conformance("1 resource: parameter")
def test_a_token_for_another_resource_goes_to_the_one_that_was_asked_for_and_is_given_up(suite: Any) -> None:
    suite.server.misbehave("resource-another")
    own = suite.grant().access_token
    client = ask(suite, suite.notes)

    assert client.get(suite.notes).status_code == 401
    assert suite.server.refresh_requests == 1, "a token that has just come is not renewed"
    suite.age(120)
    assert client.get(suite.notes).status_code == 401
    assert suite.server.refresh_requests == 2, "one refresh and one retry"
    assert suite.refused(lambda: client.get("https://another.example/")).code == "host_not_allowed"
    assert (suite.use(), suite.grant().access_token) == (200, own)
