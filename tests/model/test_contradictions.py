"""Declarations that contradict themselves: each is refused where it stands, with the field and the edit."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.wiring import Wiring

ISSUER = "https://auth.example.com"
URLS = {"authorization_url": f"{ISSUER}/authorize", "token_url": f"{ISSUER}/token"}
BY_ISSUER = {"issuer": ISSUER}
KEYED = {**BY_ISSUER, "client_auth": "private_key_jwt"}


@pytest.mark.conformance("5 bad input: contradictions")
@pytest.mark.parametrize(
    ("fields", "code", "problem", "edit"),
    [
        pytest.param(
            {"issuer": f"{ISSUER}/.well-known/openid-configuration"},
            "url_invalid",
            "issuer is the address of a metadata document",
            f'issuer="{ISSUER}"',
            id="a document for an issuer",
        ),
        pytest.param(
            {"issuer": f"{ISSUER}/.well-known/oauth-authorization-server/tenant"},
            "url_invalid",
            "issuer is",
            f'issuer="{ISSUER}/tenant"',
            id="a document with a path",
        ),
        *(
            pytest.param({**URLS, field: value}, "issuer_missing", field, "issuer=", id=f"{field} without issuer")
            for field, value in {
                "jwks_url": f"{ISSUER}/jwks",
                "id_token_algs": ["ES256"],
                "id_token_audiences": ["another"],
            }.items()
        ),
        pytest.param(
            {**BY_ISSUER, "client_auth": "none", "id_token_algs": ["RS256", "HS256"]},
            "client_public",
            "HS256",
            "leave HS256 out",
            id="a secret of a public client",
        ),
        pytest.param(
            {**URLS, "client_auth": "none", "backchannel_authentication_url": f"{ISSUER}/bc"},
            "client_public",
            "another device",
            "private_key_jwt",
            id="a public client that asks elsewhere",
        ),
        pytest.param(
            {**BY_ISSUER, "signing_alg": "PS256"},
            "setting_unused",
            "signing_alg",
            "private_key_jwt",
            id="nothing signed",
        ),
        pytest.param(
            {**BY_ISSUER, "dpop_alg": "PS256"}, "setting_unused", "dpop_alg", "sender_constraint", id="no proofs"
        ),
        pytest.param(
            {**URLS, "require_par": True},
            "par_url_missing",
            "require_par",
            "pushed_authorization_url",
            id="pushed where",
        ),
        *(
            pytest.param(
                {**BY_ISSUER, "additional_params": {"response_mode": mode}},
                "parameter_reserved",
                mode,
                'response_mode="jwt"',
                id=f"answers by {mode}",
            )
            for mode in ("fragment", "jwt", "web_message")
        ),
        pytest.param(
            {**BY_ISSUER, "resources": ["https://a.example/"], "additional_params": {"resource": "https://b.example/"}},
            "parameter_reserved",
            "resource",
            'remove "resource"',
            id="two resources",
        ),
        *(
            pytest.param(
                {**BY_ISSUER, "additional_params": {"max_age": age}},
                "number_invalid",
                "max_age",
                "max_age",
                id=f"max_age {age}",
            )
            for age in ("soon", "-1", "1.5", "٣")
        ),
        *(
            pytest.param(
                {**KEYED, "request_object": True, "additional_params": {name: text}},
                "text_invalid",
                f"{name} is no JSON",
                name,
                id=f"{name} {text}",
            )
            for name in ("claims", "authorization_details")
            for text in ("{", "7")
        ),
        pytest.param(
            {**URLS, "authorization_details": '[{"type": ""}]'},
            "authorization_details_untyped",
            "a type each",
            "RFC 9396",
            id="an empty type",
        ),
        pytest.param(
            {**URLS, "authorization_details": [{"type": "a"}]},
            "field_type",
            "authorization_details is list",
            r"[{\"type\": \"a\"}]",
            id="details that are no text",
        ),
    ],
)
def test_a_contradiction_is_told_with_its_field_and_its_cure(
    fields: dict[str, Any], code: str, problem: str, edit: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("bank", **fields)
    assert caught.value.code == code
    assert str(caught.value).startswith('credential "bank": ')
    assert problem in str(caught.value)
    assert edit in str(caught.value.hint)


@pytest.mark.parametrize(
    "fields",
    [
        {**KEYED, "signing_alg": "PS256"},
        {**BY_ISSUER, "request_object": True, "signing_alg": "PS256"},
        {"grant": "jwt_bearer", "token_url": f"{ISSUER}/token", "signing_alg": "RS256"},
        {**BY_ISSUER, "registration": "dynamic", "signing_alg": "ES256"},
        {**BY_ISSUER, "sender_constraint": "dpop", "dpop_alg": "PS256"},
        {**BY_ISSUER, "require_par": True},
        {**URLS, "require_par": True, "pushed_authorization_url": f"{ISSUER}/par"},
        {**BY_ISSUER, "id_token_algs": ["HS256"]},
        {"security_profile": "mcp", "api_base_url": "https://mcp.example.com/", "id_token_algs": ["ES256"]},
        {**URLS, "additional_params": {"response_mode": "query", "max_age": "0", "resource": "https://a.example"}},
        {**URLS, "additional_params": {"claims": "{}"}},
    ],
    ids=range(11),
)
def test_what_goes_together_is_taken(fields: dict[str, Any]) -> None:
    assert Wiring().oauth2_credential("bank", **fields).name == "bank"
