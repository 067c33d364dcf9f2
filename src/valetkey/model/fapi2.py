"""What the FAPI 2.0 Security Profile asks of a declaration (sections 5.3.3 and 5.4.1): nothing weaker is taken."""

from __future__ import annotations

from typing import Final

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.places import Place

ALGORITHMS: Final = ("PS256", "ES256", "EdDSA", "Ed25519")
"""What may sign, ours and theirs; ``EdDSA`` with the curve Ed25519 only, which is the one that is known here."""
METHODS: Final = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")
_DISCOVERED: Final = (
    *("authorization_url", "token_url", "device_authorization_url", "revocation_url", "userinfo_url", "jwks_url"),
    *("pushed_authorization_url", "introspection_url", "backchannel_authentication_url", "registration_url"),
)


def is_fapi2(credential: OAuth2Credential) -> bool:
    """Whether a credential is held to the profile."""
    return credential.security_profile == "fapi2"


def allowed_algs(credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the algorithms that may sign, where not all do; empty: all that are known."""
    return ALGORITHMS if is_fapi2(credential) else ()


def check_profile(credential: OAuth2Credential, place: Place) -> None:
    """Hold a declaration to the profile where it names it.

    Raises:
        ConfigurationError: ``profile_unmet``, with all that is missing.
    """
    if not is_fapi2(credential):
        return
    lacks = _lacks(credential, place)
    if lacks:
        problems = "; ".join(problem for problem, _ in lacks)
        lines = ", ".join(dict.fromkeys(line for _, line in lacks))
        place.refuse(f"security_profile fapi2 asks for more: {problems}", code="profile_unmet", hint=lines)


def _lacks(credential: OAuth2Credential, place: Place) -> list[tuple[str, str]]:
    """Return what is weaker than the profile, and the edit that mends it."""
    found: list[tuple[bool, str, str]] = [
        (not credential.issuer, "there is no issuer", f"write {place.line('issuer', 'https://auth.example.com')}"),
        (
            credential.client_auth not in METHODS,
            f"client_auth {credential.client_auth} is no proof by key or certificate",
            f"write {place.line('client_auth', 'private_key_jwt')}",
        ),
        (
            credential.sender_constraint == "none",
            "tokens are bound to nothing",
            f"write {place.line('sender_constraint', 'dpop')}",
        ),
        (
            "GET" in {credential.token_method, credential.refresh_method, credential.long_lived_method},
            "token requests by GET have secrets in addresses",
            f"write {place.line('token_method', 'POST')}",
        ),
        (not credential.pkce, "PKCE is off", f"write {place.line('pkce', True)}"),
        (
            credential.assertion_audience != "issuer",
            "client assertions are not for the issuer",
            f"write {place.line('assertion_audience', 'issuer')}",
        ),
    ]
    found += [
        (
            bool(getattr(credential, field)),
            f"{field} is declared, and only the issuer's metadata counts",
            f"leave {field} out",
        )
        for field in _DISCOVERED
    ]
    algs = (("signing_alg", (credential.signing_alg,)), ("dpop_alg", (credential.dpop_alg,)))
    found += [
        (
            bool(alg) and alg not in ALGORITHMS,
            f"{field} {alg} is none of {', '.join(ALGORITHMS)}",
            f"write {place.line(field, ['ES256'] if field == 'id_token_algs' else 'ES256')}, or leave {field} out",
        )
        for field, named in (*algs, ("id_token_algs", credential.id_token_algs))
        for alg in named
    ]
    return [(problem, line) for is_so, problem, line in found if is_so]
