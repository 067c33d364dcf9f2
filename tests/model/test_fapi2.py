"""The FAPI 2.0 profile in declarations: what is weaker is refused, and all that is missing is said at once."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ConfigurationError, Wiring

conformance = pytest.mark.conformance
ENOUGH = {
    "issuer": "https://auth.bank.example",
    "security_profile": "fapi2",
    "client_auth": "private_key_jwt",
    "sender_constraint": "dpop",
}


def declared(**fields: Any) -> Any:
    return Wiring().oauth2_credential("bank", **{**ENOUGH, **fields})


def refusal(**fields: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        declared(**fields)
    return caught.value


@conformance("1 FAPI 2.0: confidential, PAR, bound", "1 FAPI 2.0: algorithms")
def test_what_is_enough_is_taken_and_all_that_is_weaker_is_named() -> None:
    for more in ({}, {"sender_constraint": "mtls"}, {"client_auth": "tls_client_auth"}, {"dpop_alg": "Ed25519"}):
        assert declared(**more).security_profile == "fapi2"
    assert declared(response_mode="jwt", grant="client_credentials").require_par is False, "it follows from the profile"

    worst = refusal(
        client_auth="client_secret_basic",
        sender_constraint="none",
        pkce=False,
        issuer="",
        token_url="https://a.example/t",
        authorization_url="https://a.example/a",
    )
    assert worst.code == "profile_unmet"
    for part in ("no issuer", "client_secret_basic", "bound to nothing", "PKCE", "token_url", "authorization_url"):
        assert part in str(worst)
    assert 'client_auth="private_key_jwt"' in str(worst.hint)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_auth", "none"),
        ("client_auth", "client_secret_jwt"),
        ("assertion_audience", "token_url"),
        ("signing_alg", "RS256"),
        ("dpop_alg", "ES512"),
        ("id_token_algs", ["ES256", "RS256"]),
        ("pushed_authorization_url", "https://auth.bank.example/par"),
        ("jwks_url", "https://auth.bank.example/jwks"),
        ("introspection_url", "https://auth.bank.example/introspect"),
        ("backchannel_authentication_url", "https://auth.bank.example/bc"),
        ("registration_url", "https://auth.bank.example/register"),
    ],
)
@conformance("1 FAPI 2.0: confidential, PAR, bound", "1 FAPI 2.0: algorithms")
def test_each_weakness_alone_is_refused(field: str, value: Any) -> None:
    found = refusal(**{field: value})
    assert found.code == "profile_unmet"
    assert field.partition("_url")[0].split("_")[0] in str(found)


def test_http_is_for_loopback_only_and_algorithms_have_to_exist() -> None:
    assert refusal(issuer="http://auth.bank.example").code == "url_insecure"
    assert declared(issuer="http://127.0.0.1:9000").issuer
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("bank", issuer="https://a.example", dpop_alg="HS256")
    assert caught.value.code == "choice_invalid"
