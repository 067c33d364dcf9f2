"""What is said of a provider's dialect means something, and does not contradict the rest of a declaration."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.settings import from_declaration, to_declaration
from valetkey.model.wiring import Wiring

URLS = {"authorization_url": "https://auth.example.com/authorize", "token_url": "https://auth.example.com/token"}
WHOLE: dict[str, Any] = {
    "param_names": {"client_id": "client_key"},
    "unsent_params": ("redirect_uri",),
    "answer_paths": {"access_token": "data.0.access_token"},
    "answer_ok": ("20000",),
    "token_method": "GET",
    "refresh_url": "https://auth.example.com/refresh",
    "refresh_method": "GET",
    "refresh_request": {"t": "{access_token}"},
    "long_lived_url": "https://auth.example.com/trade",
    "long_lived_method": "GET",
    "long_lived_request": {"t": "{access_token}"},
    "pkce_encoding": "hex",
    "authorization_fragment": "redirect",
    "expiry_in_token": True,
    "client_auth": "client_secret_post",
    "signed_secret_claims": {"iss": "TEAM"},
    "rate_limit_reset": ("X-RateLimit-Reset",),
}


def declare(**fields: Any) -> Any:
    return Wiring().oauth2_credential("site", **{**URLS, **fields})


def test_a_dialect_is_kept_as_it_was_declared() -> None:
    made = declare(**WHOLE)

    assert {name: getattr(made, name) for name in WHOLE} == WHOLE
    assert from_declaration("site", to_declaration(made)) == made


def test_claims_of_a_signed_secret_are_filled_with_the_params() -> None:
    claims = {"iss": "{team_id}", "aud": "https://id.example", "x": "{client_id}"}
    made = declare(client_auth="client_secret_post", signed_secret_claims=claims, params={"team_id": "ABCDE12345"})

    assert dict(made.signed_secret_claims) == {"iss": "ABCDE12345", "aud": "https://id.example", "x": "{client_id}"}


TRADE = {"long_lived_url": "https://auth.example.com/trade"}


@pytest.mark.conformance("5 bad input: contradictions")
@pytest.mark.parametrize(
    ("fields", "code", "problem"),
    [
        pytest.param({"param_names": {"client": "x"}}, "choice_invalid", "param_names", id="no such parameter"),
        pytest.param({"unsent_params": ["code"]}, "choice_invalid", "unsent_params", id="what cannot be left out"),
        pytest.param(
            {"param_names": {"client_id": "app", "client_secret": "app"}},
            "parameter_reserved",
            '"app"',
            id="one for two",
        ),
        pytest.param({"param_names": {"client_id": "state"}}, "parameter_reserved", '"state"', id="a name in use"),
        pytest.param(
            {"param_names": {"scope": "user_scope"}, "additional_params": {"user_scope": "x"}},
            "parameter_reserved",
            "user_scope",
            id="set by hand too",
        ),
        pytest.param({"answer_paths": {"token": "a.b"}}, "choice_invalid", "answer_paths", id="no such member"),
        pytest.param({"answer_paths": {"scope": "a..b"}}, "text_invalid", "answer_paths", id="no path"),
        pytest.param({"rate_limit_reset": ["Cookie"]}, "parameter_reserved", "rate_limit_reset", id="no such header"),
        pytest.param({"token_method": "PUT"}, "choice_invalid", "token_method", id="no such method"),
        pytest.param(
            {"token_method": "GET", "token_request_format": "json"}, "setting_unused", "no body", id="a body of a GET"
        ),
        pytest.param({"refresh_method": "GET"}, "setting_unused", "refresh_method", id="a method for nothing"),
        pytest.param(
            {"refresh_url": "http://auth.example.com/r"}, "url_insecure", "refresh_url", id="refresh in clear"
        ),
        pytest.param({"long_lived_url": "/trade"}, "url_invalid", "long_lived_url", id="no URL"),
        pytest.param(
            {"refresh_url": "https://auth.example.com/r", "grant": "client_credentials"},
            "grant_mismatch",
            "refresh_url",
            id="nothing to refresh",
        ),
        pytest.param({"refresh_request": {"t": "{token}"}}, "template_unknown", "{token}", id="what nobody fills in"),
        pytest.param({"refresh_request": {"t": "x"}}, "template_unknown", "renew nothing", id="renews nothing"),
        pytest.param(
            {"refresh_request": {"t": "{refresh_token}"}, "refresh_params": {"a": "b"}},
            "setting_unused",
            "refresh_params",
            id="spelled out, and more",
        ),
        pytest.param(
            {"refresh_request": {"t": "{refresh_token}"}, "resources": ["https://api.example.com/"]},
            "setting_unused",
            "resources",
            id="spelled out, for resources",
        ),
        pytest.param({**TRADE}, "template_unknown", "long_lived_request", id="trades nothing"),
        pytest.param(
            {**TRADE, "long_lived_request": {"t": "{refresh_token}"}},
            "template_unknown",
            "refresh_token",
            id="no trade",
        ),
        pytest.param(
            {"long_lived_request": {"t": "{access_token}"}}, "setting_unused", "long_lived_request", id="traded nowhere"
        ),
        pytest.param({"long_lived_method": "GET"}, "setting_unused", "long_lived_method", id="a method of nowhere"),
        pytest.param({"pkce_encoding": "hex", "pkce": False}, "setting_unused", "pkce_encoding", id="no PKCE"),
        pytest.param(
            {"signed_secret_claims": {"iss": "T"}, "client_auth": "private_key_jwt"},
            "setting_unused",
            "signed_secret_claims",
            id="no secret",
        ),
        pytest.param(
            {"signed_secret_claims": {"sub": "T"}, "client_auth": "client_secret_post"},
            "parameter_reserved",
            "sub",
            id="a claim that is set for each",
        ),
        pytest.param(
            {"signed_secret_claims": {"iss": "{team_id}"}, "client_auth": "client_secret_post"},
            "param_missing",
            "team_id",
            id="a claim that is not given",
        ),
        pytest.param({"authorization_fragment": "a b"}, "text_invalid", "authorization_fragment", id="no fragment"),
        pytest.param(
            {"security_profile": "fapi2", "issuer": "https://auth.example.com", "token_method": "GET"},
            "profile_unmet",
            "secrets in addresses",
            id="fapi2",
        ),
    ],
)
def test_what_means_nothing_or_contradicts_itself_is_refused(fields: dict[str, Any], code: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(**fields)

    assert caught.value.code == code
    assert problem in str(caught.value)
    assert caught.value.hint
