"""The FAPI 2.0 profile at the time of use: what a server's metadata lacks, and which keys are good enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from valetkey import AppCredentials, ConfigurationError, OAuth2Credential, ProviderProtocolError
from valetkey.protocol.client_authentication import app_key
from valetkey.protocol.fapi2 import ensure_fapi2
from valetkey.protocol.metadata import Metadata, filled
from valetkey.protocol.signing import generate_key

conformance = pytest.mark.conformance
BANK = OAuth2Credential(
    name="bank",
    issuer="https://auth.bank.example",
    security_profile="fapi2",
    client_auth="private_key_jwt",
    sender_constraint="dpop",
    scopes=("openid",),
)
GOOD = Metadata(
    issuer=BANK.issuer,
    document="https://auth.bank.example/.well-known/openid-configuration",
    authorization_url="https://auth.bank.example/authorize",
    token_url="https://auth.bank.example/token",
    pushed_authorization_url="https://auth.bank.example/par",
    client_auths=("private_key_jwt",),
    challenge_methods=("S256",),
    id_token_algs=("RS256", "PS256"),
    iss_advertised=True,
    dpop_algs=("ES256",),
)


@conformance("1 FAPI 2.0: confidential, PAR, bound", "1 FAPI 2.0: algorithms")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pushed_authorization_url": ""}, "pushed_authorization_request_endpoint"),
        ({"challenge_methods": ("plain",)}, "S256"),
        ({"iss_advertised": False}, "authorization_response_iss_parameter_supported"),
        ({"client_auths": ("client_secret_basic",)}, "private_key_jwt"),
        ({"dpop_algs": ("RS256",)}, "dpop_signing_alg_values_supported"),
        ({"id_token_algs": ("RS256",)}, "id_token_signing_alg_values_supported"),
    ],
)
def test_a_weaker_server_is_refused_rather_than_done_without(change: dict[str, object], said: str) -> None:
    ensure_fapi2(BANK, GOOD)
    with pytest.raises(ProviderProtocolError) as caught:
        ensure_fapi2(BANK, replace(GOOD, **change))  # type: ignore[arg-type]
    assert caught.value.code == "profile_unmet"
    assert said in str(caught.value)


def test_what_the_profile_implies_holds_whatever_the_metadata_says() -> None:
    whole = filled(BANK, replace(GOOD, iss_advertised=False, client_auths=("client_secret_post",)))
    assert (whole.require_par, whole.iss_advertised, whole.client_auth) == (True, True, "private_key_jwt")
    ensure_fapi2(replace(BANK, response_mode="jwt"), replace(GOOD, iss_advertised=False))
    ensure_fapi2(replace(BANK, grant="client_credentials"), replace(GOOD, pushed_authorization_url=""))


def test_tokens_bound_to_certificates_want_a_server_that_binds_them() -> None:
    bank = replace(BANK, sender_constraint="mtls")
    with pytest.raises(ProviderProtocolError):
        ensure_fapi2(bank, GOOD)
    ensure_fapi2(bank, replace(GOOD, binds_to_certificates=True, dpop_algs=()))


@conformance("1 FAPI 2.0: algorithms")
def test_a_key_signs_with_what_the_profile_allows_or_not_at_all() -> None:
    def used(key_alg: str, **fields: str) -> str:
        app = AppCredentials(client_id="a", private_key=generate_key(key_alg))
        return app_key(replace(BANK, **fields), app).alg  # type: ignore[arg-type]

    assert [used("ES256"), used("PS256"), used("Ed25519")] == ["ES256", "PS256", "Ed25519"]
    assert used("RS256", signing_alg="PS256") == "PS256", "an RSA key can do both"
    for key_alg in ("RS256", "ES384"):
        with pytest.raises(ConfigurationError) as caught:
            used(key_alg)
        assert caught.value.code == "private_key_unfit"
        assert "PS256" in f"{caught.value}"
