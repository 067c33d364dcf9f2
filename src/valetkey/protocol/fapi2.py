"""What the FAPI 2.0 Security Profile asks of a server, as far as its metadata tells (sections 5.3.2 and 5.4.1)."""

from __future__ import annotations

from valetkey.errors import ProviderProtocolError
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.fapi2 import ALGORITHMS
from valetkey.protocol.metadata import Metadata


def ensure_fapi2(credential: OAuth2Credential, metadata: Metadata) -> None:
    """Check that a server can do what the profile asks for, rather than do without.

    Raises:
        ProviderProtocolError: ``profile_unmet``, with all that its metadata lacks.
    """
    lacks = [
        *_lacks_for_everybody(credential, metadata),
        *(_lacks_for_sign_ins(credential, metadata) if credential.grant == "authorization_code" else ()),
    ]
    if lacks:
        msg = f"{credential.name}: {metadata.document} does not meet security_profile fapi2: {'; '.join(lacks)}"
        hint = "ask the operator of the server; or declare what is really meant, without security_profile"
        raise ProviderProtocolError(msg, code="profile_unmet", hint=hint)


def _lacks_for_everybody(credential: OAuth2Credential, metadata: Metadata) -> list[str]:
    wanted = credential.client_auth
    lacks = [] if wanted in metadata.client_auths else [f"token_endpoint_auth_methods_supported lacks {wanted}"]
    if credential.sender_constraint == "dpop" and credential.dpop_alg not in metadata.dpop_algs:
        lacks.append(f"dpop_signing_alg_values_supported lacks {credential.dpop_alg}")
    if credential.sender_constraint == "mtls" and not metadata.binds_to_certificates:
        lacks.append("tls_client_certificate_bound_access_tokens is not true")
    return lacks


def _lacks_for_sign_ins(credential: OAuth2Credential, metadata: Metadata) -> list[str]:
    lacks: list[str] = []
    if not metadata.pushed_authorization_url:
        lacks.append("pushed_authorization_request_endpoint is missing")
    if "S256" not in metadata.challenge_methods:
        lacks.append("code_challenge_methods_supported lacks S256")
    if not metadata.iss_advertised and credential.response_mode != "jwt":
        lacks.append("authorization_response_iss_parameter_supported is not true")
    if "openid" in credential.all_scopes and not set(metadata.id_token_algs) & set(ALGORITHMS):
        lacks.append(f"id_token_signing_alg_values_supported has none of {', '.join(ALGORITHMS)}")
    return lacks
