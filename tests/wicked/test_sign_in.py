"""What comes back through the browser, and what a server tells of itself: nothing wrong is taken, nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import StateMismatch

conformance = pytest.mark.conformance


def row(name: str, code: str, *lines: str) -> Any:
    return pytest.param(name, code, id=name, marks=conformance(*lines))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        row("metadata-issuer-other", "issuer_differs", "2 F:discovery-issuer-mismatch", "2 M:metadata-issuer-mismatch"),
        row("metadata-issuer-slash", "issuer_differs", "1 metadata: issuer equal"),
        row("metadata-issuer-missing", "issuer_differs", "1 metadata: issuer equal"),
        row("metadata-html", "metadata_missing", "1 metadata: bounds"),
        row("metadata-array", "metadata_missing", "1 metadata: bounds"),
        row("metadata-huge", "provider_unavailable", "1 metadata: bounds"),
        row("metadata-redirect", "metadata_missing", "1 metadata: bounds"),
    ],
)
def test_wrong_metadata_ends_a_sign_in_before_it_begins(trial: Any, name: str, code: str) -> None:
    trial.declare()
    trial.server.misbehave(name)

    assert trial.refused(lambda: trial.valet.authorize("notes")).code == code

    assert {seen.endpoint for seen in trial.server.requests} == {"discovery"}
    assert trial.ungranted
    trial.server.behave()
    trial.age(61)
    assert trial.sign_in().state == "connected"


@conformance("1 metadata: cache")
def test_wrong_metadata_does_not_harm_connections_that_live(trial: Any) -> None:
    trial.ready()
    trial.age(86400)
    trial.server.misbehave("metadata-issuer-other")

    assert trial.use() == 200
    assert trial.status.state == "connected"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        row("state-wrong", "state_mismatch", "1 core: state", "2 F:invalid-state"),
        row("state-missing", "state_mismatch", "1 core: state", "2 F:invalid-missing-state"),
        row(
            "iss-wrong", "issuer_mismatch", "1 metadata: iss table", "2 F:invalid-iss-response", "2 M:iss-wrong-issuer"
        ),
        row("iss-missing", "issuer_mismatch", "2 F:remove-iss-response", "2 M:iss-supported-missing"),
        row("iss-unexpected", "issuer_mismatch", "2 M:iss-unexpected"),
        row("iss-slash", "issuer_mismatch", "2 M:iss-normalized"),
        row("iss-case", "issuer_mismatch", "2 M:iss-normalized"),
        row("iss-wrong-with-error", "issuer_mismatch", "2 F:invalid-iss-response", "0 9"),
        row("code-twice", "callback_malformed", "1 core: duplicate parameters"),
        row("state-twice", "callback_malformed", "1 core: duplicate parameters"),
        row("iss-twice", "callback_malformed", "1 core: duplicate parameters"),
        row("code-missing", "callback_malformed", "1 core: code once"),
        row("error-with-markup", "authorization_denied", "1 core: sanitize"),
    ],
)
def test_a_wrong_answer_through_the_browser_ends_a_sign_in_without_a_token_request(
    trial: Any, name: str, code: str
) -> None:
    trial.declare()
    trial.server.misbehave(name)

    error = trial.refused(trial.sign_in)

    assert error.code == code
    assert "555" not in str(error) + error.hint, "of an answer from somebody else not a word is shown"
    assert (trial.server.token_requests, trial.ungranted) == (0, True)
    trial.server.behave()
    assert trial.sign_in().state == "connected"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        row("jarm-alg-none", "answer_invalid", "1 keys: JARM", "2 F:jarm-alg-none"),
        row("jarm-bad-signature", "answer_invalid", "2 F:jarm-signature"),
        row("jarm-expired", "answer_invalid", "2 F:jarm-expired"),
        row("jarm-exp-missing", "answer_invalid", "2 F:jarm-no-exp"),
        row("jarm-aud-wrong", "answer_invalid", "2 F:jarm-wrong-aud"),
        row("jarm-aud-missing", "answer_invalid", "2 F:jarm-no-aud"),
        row("jarm-iss-wrong", "answer_invalid", "2 F:jarm-wrong-iss"),
        row("jarm-iss-missing", "answer_invalid", "2 F:jarm-no-iss"),
        row("jarm-iss-outside", "issuer_mismatch", "1 metadata: several issuers"),
        row("jarm-downgrade", "answer_unsigned", "1 keys: JARM asked"),
    ],
)
def test_a_signed_answer_counts_only_where_all_of_it_holds(trial: Any, name: str, code: str) -> None:
    trial.declare(response_mode="jwt")
    trial.server.misbehave(name)

    assert trial.refused(trial.sign_in).code == code

    assert (trial.server.token_requests, trial.ungranted) == (0, True)
    trial.server.behave()
    assert trial.sign_in().state == "connected"


@conformance("1 keys: JARM")
def test_an_error_in_a_signed_answer_is_told_like_any_other(trial: Any) -> None:
    trial.declare(response_mode="jwt")
    trial.server.deny_next()

    assert trial.refused(trial.sign_in).code == "authorization_denied"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("metadata-no-pkce", marks=conformance("1 core: PKCE known")),
        pytest.param("answer-unknown-members", marks=conformance("1 core: token answer")),
    ],
)
def test_what_is_merely_odd_is_taken(trial: Any, name: str) -> None:
    trial.declare()
    trial.server.misbehave(name)

    assert trial.sign_in().state == "connected"

    (asked,) = [seen for seen in trial.server.requests if seen.grant_type]
    assert "code_verifier" in asked.parameters


@conformance("2 own: two callbacks", "1 core: state")
def test_an_answer_counts_once_and_in_its_own_browser(trial: Any) -> None:
    trial.declare()
    callback, binding = trial.answered()

    assert isinstance(trial.refused(lambda: trial.valet.finish(callback, binding="another")), StateMismatch)
    assert trial.server.token_requests == 0
    callback, binding = trial.answered()
    assert trial.valet.finish(callback, binding=binding).state == "connected"
    assert isinstance(trial.refused(lambda: trial.valet.finish(callback, binding=binding)), StateMismatch)
    assert trial.server.token_requests == 1
    assert trial.use() == 200
