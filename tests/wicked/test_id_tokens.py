"""Id tokens, the keys that sign them, and userinfo."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ReauthorizationRequired

conformance = pytest.mark.conformance
SCOPES = ["openid", "notes.read"]


def row(name: str, *lines: str) -> Any:
    return pytest.param(name, id=name, marks=conformance(*lines) if lines else ())


@pytest.mark.parametrize(
    "name",
    [
        row("id-token-iss-wrong", "1 openid: claims", "2 F:invalid-iss"),
        row("id-token-iss-missing", "1 openid: claims", "2 F:invalid-missing-iss"),
        row("id-token-aud-wrong", "1 openid: claims", "2 F:invalid-aud"),
        row("id-token-aud-missing", "1 openid: claims", "2 F:invalid-missing-aud", "2 O:missing-aud"),
        row("id-token-aud-second", "1 openid: claims", "2 F:invalid-secondary-aud"),
        row("id-token-azp-other", "1 openid: claims"),
        row("id-token-expired", "1 openid: claims", "2 F:invalid-expired-exp"),
        row("id-token-exp-missing", "1 openid: claims", "2 F:invalid-missing-exp"),
        row("id-token-iat-missing", "1 openid: claims", "2 O:missing-iat"),
        row("id-token-iat-old", "1 openid: claims", "2 C:invalid-iat-is-week-in-past"),
        row("id-token-sub-missing", "1 openid: claims", "2 O:missing-sub"),
        row("id-token-nonce-wrong", "1 openid: claims", "2 F:invalid-nonce", "2 O:nonce-invalid"),
        row("id-token-nonce-missing", "1 openid: claims", "2 F:invalid-missing-nonce"),
        row("id-token-at-hash-wrong", "1 openid: hashes", "2 O:invalid-athash"),
        row("id-token-c-hash-wrong", "1 openid: hashes", "2 O:invalid-chash"),
        row("id-token-alg-none", "1 openid: signature", "2 F:invalid-null-alg", "2 O:idtoken-sig-none"),
        row("id-token-alg-secret", "1 openid: signature", "2 F:invalid-alternate-alg", "2 O:invalid-sig-hs256"),
        row("id-token-alg-other", "1 openid: signature", "2 F:invalid-alternate-alg"),
        row("id-token-bad-signature-es", "1 openid: signature", "2 O:invalid-sig-es256"),
        row("id-token-bad-signature-rs", "1 openid: signature", "2 O:invalid-sig-rs256"),
        row("id-token-missing", "1 openid: claims"),
        row("keys-none", "1 openid: signature"),
    ],
)
def test_an_id_token_that_does_not_hold_ends_a_sign_in_and_nothing_is_stored(trial: Any, name: str) -> None:
    trial.declare(scopes=SCOPES)
    trial.server.misbehave(name)

    assert trial.refused(trial.sign_in).code == "id_token_invalid"

    assert trial.ungranted
    assert trial.server.live_grants == 0, "what was bought is given back"


@pytest.mark.parametrize(
    "name",
    [
        row("id-token-aud-array", "2 F:valid-aud-as-array"),
        row("id-token-kid-missing", "1 openid: key rotation", "2 O:kid-absent-single-jwks"),
        row("id-token-kid-missing-many", "1 openid: key rotation", "2 O:kid-absent-multiple-jwks"),
        row("userinfo-html", "1 openid: userinfo"),
    ],
)
def test_what_is_merely_odd_is_taken(trial: Any, name: str) -> None:
    trial.declare(scopes=SCOPES)
    trial.server.misbehave(name)

    status = trial.sign_in()

    assert (status.state, trial.grant().id_token is not None) == ("connected", True)
    assert trial.use() == 200


@conformance("1 openid: userinfo", "2 O:userinfo-invalid-sub")
def test_userinfo_of_another_person_is_not_used(trial: Any) -> None:
    trial.declare(scopes=SCOPES)
    trial.server.misbehave("userinfo-sub-wrong")

    status = trial.sign_in()

    assert (status.identity.subject[:5], status.identity.name) == ("user-", "Ada")


@pytest.mark.parametrize("name", ["keys-html", "keys-huge"])
def test_without_keys_no_code_is_spent(trial: Any, name: str) -> None:
    trial.declare(scopes=SCOPES)
    trial.server.misbehave(name)

    trial.refused(trial.sign_in)

    assert (trial.server.token_requests, trial.ungranted) == (0, True)


@conformance("1 openid: key rotation")
@pytest.mark.parametrize(
    "name",
    [
        row("keys-rotated", "2 O:signing-key-rotation"),
        row("keys-rotated-before-signing", "2 O:signing-key-rotation-just-before-signing"),
    ],
)
def test_new_keys_are_fetched_once(trial: Any, name: str) -> None:
    trial.declare(scopes=SCOPES)
    trial.sign_in()
    trial.server.reset_counters()
    trial.server.misbehave(name)

    assert trial.sign_in().state == "connected"

    assert [seen.endpoint for seen in trial.server.requests].count("jwks") == 1


# -- refreshing --------------------------------------------------------------------------------------------------------


@conformance("1 openid: refreshed id_token")
@pytest.mark.parametrize(
    "name",
    [
        row("refreshed-id-token-iss-wrong", "2 O:refresh-token-invalid-issuer"),
        row("refreshed-id-token-sub-wrong", "2 O:refresh-token-invalid-sub"),
        row("refreshed-id-token-aud-wrong"),
        row("refreshed-id-token-auth-time"),
    ],
)
def test_a_refresh_that_speaks_of_somebody_else_is_not_used(trial: Any, name: str) -> None:
    before = trial.ready(scopes=SCOPES)
    trial.server.misbehave(name)

    error = trial.refused(trial.use)

    assert isinstance(error, ReauthorizationRequired)
    assert (error.reason, trial.status.state) == ("identity_changed", "needs_reauth")
    assert trial.grant().access_token == before.access_token
    trial.server.behave()
    assert trial.sign_in().state == "connected"


@conformance("1 openid: refreshed id_token")
def test_a_refresh_without_an_id_token_is_fine(trial: Any) -> None:
    before = trial.ready(scopes=SCOPES)
    trial.server.misbehave("refreshed-id-token-missing")

    assert trial.use() == 200
    assert trial.grant().id_token == before.id_token
