"""Keys of ours, and what they sign: read from what people have, checked with a library that is not ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwk, jwt
from joserfc.errors import SecurityWarning

from valetkey.errors import ConfigurationError
from valetkey.protocol.assertions import ASSERTION_TYPE, client_assertion
from valetkey.protocol.dpop import given_nonce, proof, target
from valetkey.protocol.signing import SigningKey, generate_key, read_key
from valetkey.values import Secret

NOW = 1_800_000_000.25


def read(text: str, alg: str = "") -> SigningKey:
    return read_key(Secret(text), alg=alg, what="private_key", name="bank")


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def checked(token: str, key: SigningKey) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that somebody else's code finds to be signed by `key`."""
    public = jwk.import_key(dict(key.public))  # type: ignore[arg-type]
    registry = jwt.JWSRegistry(algorithms=[key.alg], strict_check_header=False)
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):  # EdDSA got another name in RFC 9864
        read_token = jwt.decode(token, public, registry=registry)
    return dict(read_token.header), dict(read_token.claims)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA", "Ed25519"])
def test_a_new_key_signs_with_its_algorithm(alg: str) -> None:
    key = read(generate_key(alg).reveal())
    header, claims = checked(key.sign({"typ": "x"}, {"a": 1}), key)
    assert (header, claims) == ({"alg": alg, "typ": "x"}, {"a": 1})
    assert key.kid == key.thumbprint == jwk.thumbprint(dict(key.public))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "alg"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate, "EdDSA"),
        (lambda: rsa.generate_private_key(65537, 2048), "RS256"),
    ],
    ids=["EC", "Ed25519", "RSA"],
)
def test_a_pem_is_read_and_signs_with_what_suits_it(made: Any, alg: str) -> None:
    key = read(pem(made()))
    assert checked(key.sign({}, {"a": 1}), key) == ({"alg": alg}, {"a": 1})


def test_a_key_shows_its_public_half_only() -> None:
    text = generate_key("ES256").reveal()
    key = read(text)
    private = json.loads(text)["d"]
    assert set(key.public_jwk()) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert private not in repr(key) + str(key.public_jwk())


def encrypted() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()


def public_jwk() -> str:
    return json.dumps(dict(read(generate_key().reveal()).public))


def public_pem() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def short_rsa() -> str:
    return pem(rsa.generate_private_key(65537, 1024))  # noqa: S505 - that is what is to be refused


def without_a_point() -> str:
    return json.dumps({**json.loads(generate_key().reveal()), "x": "AAAA"})


@pytest.mark.conformance("5 bad input: keys")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lambda: "hunter2-of-the-app", "holds no private key"),
        (lambda: "", "holds no private key"),
        (lambda: "{", "no readable private key"),
        (lambda: '{"kty": "oct", "k": "c2VjcmV0"}', "none of RSA, EC and OKP"),
        (lambda: '{"kty": "EC"}', "no readable private key"),
        (without_a_point, "no readable private key"),
        (public_jwk, "is a public key"),
        (public_pem, "holds no private key"),
        (encrypted, "encrypted with a password"),
        (short_rsa, "too short"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), "of a kind that signs no tokens"),
        (lambda: "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----", "no readable private key"),
    ],
    ids=[
        *(
            "a password",
            "nothing",
            "half a JWK",
            "a shared key",
            "an empty JWK",
            "no point of its curve",
            "a public JWK",
        ),
        *("a public PEM", "encrypted", "a short RSA key", "a key that agrees", "a PEM of nonsense"),
    ],
)
def test_what_is_no_key_is_told_without_showing_it(text: Any, why: str) -> None:
    given = text()
    with pytest.raises(ConfigurationError, match=why) as caught:
        read(given)
    assert caught.value.code == "private_key_unreadable"
    assert "valetkey app make-key" in str(caught.value.hint)
    assert not given.strip() or given.strip()[:20] not in str(caught.value)


@pytest.mark.conformance("5 bad input: keys")
def test_an_algorithm_that_does_not_fit_the_key_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"bank: private_key cannot sign with PS256; it can with ES256"
    ) as at_read:
        read(generate_key("ES256").reveal(), alg="PS256")
    with pytest.raises(ConfigurationError, match="no algorithm 'none'") as at_make:
        generate_key("none")
    assert at_read.value.code == at_make.value.code == "private_key_unfit"


@pytest.mark.conformance("1 keys: assertion claims", "1 keys: assertion audience", "1 keys: one assertion")
def test_a_client_assertion_is_fresh_short_and_for_one_audience() -> None:
    key = read(generate_key("PS256").reveal())
    one, other = (client_assertion(key, client_id="app", audience="https://as.example", now=NOW) for _ in range(2))
    assert (one["client_id"], one["client_assertion_type"]) == ("app", ASSERTION_TYPE)
    header, claims = checked(one["client_assertion"], key)
    assert header == {"alg": "PS256", "typ": "client-authentication+jwt", "kid": key.kid}
    jti = claims.pop("jti")
    assert claims == {
        "iss": "app", "sub": "app", "aud": "https://as.example", "iat": int(NOW), "exp": int(NOW) + 60,
    }  # fmt: skip
    assert jti != checked(other["client_assertion"], key)[1]["jti"]


def test_a_secret_signs_an_assertion_with_hs256_however_short_it_is() -> None:
    text = client_assertion(Secret("päss"), client_id="app", audience="https://as.example", now=NOW)["client_assertion"]
    signed, _, mac = text.rpartition(".")
    expected = hmac.new("päss".encode(), signed.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(mac + "=") == expected
    assert json.loads(base64.urlsafe_b64decode(signed.partition(".")[0] + "=="))["alg"] == "HS256"


@pytest.mark.conformance("1 DPoP: proof")
def test_a_proof_names_the_request_and_the_token() -> None:
    key = read(generate_key().reveal())
    text = proof(key, method="get", url="https://API.example:443/v1?a=b#c", now=NOW, nonce="n", token=Secret("tok"))
    header, claims = checked(text, key)
    assert header == {"alg": "ES256", "typ": "dpop+jwt", "jwk": dict(key.public)}
    jti = claims.pop("jti")
    ath = base64.urlsafe_b64encode(hashlib.sha256(b"tok").digest()).rstrip(b"=").decode()
    assert claims == {"htm": "GET", "htu": "https://api.example/v1", "iat": int(NOW), "nonce": "n", "ath": ath}
    bare = checked(proof(key, method="POST", url="https://as.example/token", now=NOW), key)[1]
    assert len(base64.urlsafe_b64decode(jti + "==")) * 8 >= 96
    assert bare["jti"] != jti
    assert set(bare) == {"jti", "htm", "htu", "iat"}


@pytest.mark.conformance("1 DPoP: proof")
@pytest.mark.parametrize(
    ("url", "htu"),
    [
        ("https://as.example", "https://as.example/"),
        ("HTTPS://As.Example:8443/Token?x=1", "https://as.example:8443/Token"),
        ("http://127.0.0.1:80/t", "http://127.0.0.1/t"),
        ("https://[::1]:9/t#f", "https://[::1]:9/t"),
    ],
)
def test_the_target_of_a_proof(url: str, htu: str) -> None:
    assert target(url) == htu


@pytest.mark.parametrize(("header", "nonce"), [("abc-1", "abc-1"), ("", ""), ("a\nb", ""), ("ä", ""), ("x" * 1025, "")])
def test_a_nonce_that_could_do_harm_is_not_taken(header: str, nonce: str) -> None:
    assert given_nonce({"dpop-nonce": header}) == nonce
    assert given_nonce({}) == ""
