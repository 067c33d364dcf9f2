"""The token endpoint: whatever it answers, nothing wrong is stored and no grant is lost."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ClientRejected, ProviderUnavailable, ReauthorizationRequired

HOUR = 3600
conformance = pytest.mark.conformance


def row(name: str, *expected: Any, lines: Any = ()) -> Any:
    return pytest.param(name, *expected, id=name, marks=conformance(*lines) if lines else ())


@pytest.mark.parametrize(
    ("name", "at_sign_in", "at_refresh"),
    [
        row("token-html", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-truncated", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-array", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-duplicate-keys", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-huge", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-gzip-bomb", "exchange_failed", "no_answer", lines=["2 own: html"]),
        row("token-error-200", "authorization_failed", "bad_refresh_token", lines=["2 own: error with 200", "0 3"]),
        row("token-ok-false", "authorization_failed", "token_revoked", lines=["2 own: error with 200", "0 3"]),
        row("token-empty-400", "exchange_failed", "unclear", lines=["2 own: empty 400"]),
        row("token-empty-401", "client_rejected", "", lines=["2 own: empty 400"]),
        row("token-redirect-307", "provider_protocol", "http_307", lines=["2 own: redirect", "1 core: no redirects"]),
        row("token-redirect-302", "provider_protocol", "http_302", lines=["2 own: redirect", "1 core: no redirects"]),
        row("token-429", "provider_unavailable", "http_429", lines=["2 own: patience"]),
        row("token-503-date", "provider_unavailable", "http_503", lines=["2 own: patience"]),
        row("token-500", "exchange_failed", "no_answer"),
        row("token-reset-before", "exchange_failed", "no_answer", lines=["1 core: code once"]),
        row("token-client-unknown", "client_rejected", "", lines=["2 own: invalid_client"]),
        row("access-token-missing", "exchange_failed", "no_answer", lines=["1 core: token answer"]),
        row("access-token-null", "exchange_failed", "no_answer", lines=["1 core: token answer"]),
        row("access-token-number", "exchange_failed", "no_answer", lines=["1 core: token answer"]),
        row("token-type-mac", "authorization_failed", "unsupported_token_type", lines=["1 core: unknown token type"]),
    ],
)
def test_an_answer_that_is_no_token_stores_nothing_and_loses_nothing(
    trial: Any, name: str, at_sign_in: str, at_refresh: str
) -> None:
    trial.declare()
    trial.server.misbehave(name)
    assert trial.refused(trial.sign_in).code == at_sign_in
    assert (trial.server.token_requests, trial.ungranted) == (1, True), "a code is sent once"
    trial.server.behave()
    trial.sign_in()
    trial.age()
    before = trial.grant()
    trial.server.rules.on_reuse = "none"  # what it did before it answered wrongly is another matter
    trial.server.misbehave(name)

    error = trial.refused(trial.use)

    after, record = trial.grant(), trial.store.load(trial.status.connection.key)
    assert (after.access_token, after.refresh_token) == (before.access_token, before.refresh_token)
    assert (record.state, record.error) == ("refresh_failing" if at_refresh else "connected", at_refresh)
    assert isinstance(error, ClientRejected) == (not at_refresh)
    trial.server.behave()
    trial.server.rules.on_reuse = "none"
    trial.age(HOUR)
    assert trial.use() == 200
    assert trial.status.state == "connected"


@conformance("2 own: patience")
def test_patience_that_is_asked_for_is_had(trial: Any) -> None:
    trial.ready()
    trial.server.misbehave("token-429")

    assert trial.refused(trial.use).retry_after >= 30
    trial.age(20)
    assert isinstance(trial.refused(trial.use), ProviderUnavailable)
    assert trial.server.refresh_requests == 1, "nothing is sent before it is time"


@conformance("2 own: empty 400", "0 2")
@pytest.mark.parametrize("name", ["token-empty-400"])
def test_refusals_without_a_word_end_a_grant_only_after_some_of_them(trial: Any, name: str) -> None:
    trial.ready()
    trial.server.misbehave(name)
    for _ in range(2):
        assert isinstance(trial.refused(trial.use), ProviderUnavailable)
        trial.age(HOUR)

    error = trial.refused(trial.use)

    assert isinstance(error, ReauthorizationRequired)
    assert (error.reason, trial.server.refresh_requests) == ("unknown", 3)
    assert trial.grant().refresh_token is not None
    trial.refused(trial.use)
    assert trial.server.refresh_requests == 3


@pytest.mark.parametrize(
    ("name", "granted", "lives"),
    [
        row("token-bom", None, HOUR, lines=["2 own: html"]),
        row("token-form-encoded", None, HOUR, lines=["2 own: form-encoded"]),
        row("access-token-long", None, HOUR, lines=["1 core: token answer"]),
        row("token-type-inverted", None, HOUR, lines=["2 F:token-type-case-insensitivity", "0 6"]),
        row("token-type-lower", None, HOUR, lines=["2 F:token-type-case-insensitivity", "0 6"]),
        row("token-type-missing", None, HOUR),
        row("expires-in-missing", None, None, lines=["2 F:no-expires_in", "1 core: expires_in"]),
        row("expires-in-text", None, HOUR, lines=["1 core: expires_in"]),
        row("expires-in-zero", None, None, lines=["1 core: expires_in"]),
        row("expires-in-negative", None, None, lines=["1 core: expires_in"]),
        row("expires-in-huge", None, ..., lines=["1 core: expires_in"]),
        row("expires-in-float", None, 3600.5, lines=["1 core: expires_in"]),
        row("scope-missing", None, HOUR, lines=["1 core: scope", "2 C:no-scope"]),
        row("scope-narrower", ("notes.read",), HOUR, lines=["1 core: scope"]),
        row("scope-broader", ("notes.read", "notes.write", "admin"), HOUR, lines=["1 core: scope"]),
        row("scope-reordered", None, HOUR, lines=["1 core: scope"]),
        row("scope-commas", None, HOUR, lines=["1 core: scope"]),
        row("token-unknown-members", None, HOUR, lines=["1 core: token answer"]),
    ],
)
def test_what_is_merely_odd_is_taken_and_told_as_it_is(trial: Any, name: str, granted: Any, lives: Any) -> None:
    trial.declare()
    trial.server.misbehave(name)

    status = trial.sign_in()

    assert set(status.granted) == set(granted or ("notes.read", "notes.write"))
    ends = status.expires_at
    assert lives is ... or ends == (None if lives is None else trial.clock.now() + lives)
    trial.client.get("/me")
    assert trial.server.refresh_requests == 0, "a token that was just got is not refreshed at once"
    first = trial.grant()
    trial.client.refresh()
    assert trial.grant().refresh_token != first.refresh_token
    assert trial.status.state == "connected"


# -- refreshing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        row("refresh-same-token", True, lines=["1 core: refresh", "0 4"]),
        row("refresh-no-token", True, lines=["1 core: refresh", "0 4"]),
        row("refresh-grace", False, lines=["1 core: refresh", "2 own: grace", "0 4"]),
        row("refresh-ends-access-tokens", False, lines=["0 10"]),
    ],
)
def test_all_shapes_of_a_refresh_go_on_for_ever(trial: Any, name: str, kept: bool) -> None:
    trial.ready()
    trial.server.misbehave(name)
    for _ in range(3):
        before = trial.grant().refresh_token
        assert trial.use() == 200
        assert (trial.grant().refresh_token == before) == kept
        trial.age()

    assert (trial.server.refreshes, trial.server.reuses) == (3, 0)


@conformance("2 own: reset after rotation", "0 5")
@pytest.mark.parametrize("name", ["refresh-reset-after-rotation", "token-reset-after"])
def test_a_token_lost_in_rotation_is_tried_once_more_and_told_as_that(trial: Any, name: str) -> None:
    trial.ready()
    trial.server.misbehave(name)

    error = trial.refused(trial.use)

    assert isinstance(error, ReauthorizationRequired)
    assert (error.reason, trial.status.state) == ("lost_in_rotation", "needs_reauth")
    assert (trial.server.refresh_requests, trial.server.reuses) == (2, 1)
    trial.server.behave()
    assert trial.sign_in().state == "connected"


@conformance("2 own: reset after rotation", "2 own: grace")
def test_a_server_that_takes_the_old_token_for_a_while_loses_nothing(trial: Any) -> None:
    trial.ready()
    trial.server.misbehave("refresh-grace", "refresh-reset-after-rotation")

    assert trial.use() == 200
    assert trial.server.refresh_requests == 2


@conformance("1 core: dies any time")
def test_a_grant_that_was_taken_back_asks_for_the_person(trial: Any) -> None:
    trial.ready()
    trial.server.misbehave("refresh-token-dead")

    error = trial.refused(trial.use)

    assert isinstance(error, ReauthorizationRequired)
    assert (error.reason, trial.status.state) == ("revoked", "needs_reauth")
    trial.refused(trial.use)
    assert trial.server.refresh_requests == 1
    assert trial.sign_in().state == "connected"


@conformance("2 own: invalid_client")
def test_an_app_that_is_not_known_is_not_tried_without_end(trial: Any) -> None:
    trial.ready()
    trial.server.misbehave("token-client-unknown")
    for _ in range(3):
        assert isinstance(trial.refused(trial.use), ClientRejected)

    assert trial.server.refresh_requests == 1
    assert trial.status.state == "app_error"
