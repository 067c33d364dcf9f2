"""Id tokens as an authorization server would make them, right and wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwk, jws

from valetkey.protocol.keys import PublicKey, parse_keys
from valetkey.values import Response, Secret


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Mint:
    """Makes key sets and signed tokens."""

    def __init__(self) -> None:
        self.ec = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
        self.other = jwk.ECKey.generate_key("P-256", {"kid": "other"})
        self.rsa = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
        self.ed = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})

    def jwks(self, *keys: Any, **more: Any) -> list[dict[str, Any]]:
        return [{**key.as_dict(private=False), **more} for key in keys]

    def read(self, keys: object) -> tuple[PublicKey, ...]:
        body = json.dumps({"keys": keys}).encode()
        found = parse_keys(Response(status=200, body=body), url="https://auth.example.com/keys")
        assert isinstance(found, tuple)
        return found

    def keys(self, *keys: Any) -> tuple[PublicKey, ...]:
        return self.read(self.jwks(*(keys or (self.ec, self.rsa, self.ed))))

    def token(self, claims: object, *, key: Any = None, alg: str = "ES256", **header: Any) -> Secret:
        key = key or self.ec
        head = {"alg": alg, "kid": key.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        payload = json.dumps(claims).encode()
        if alg in {"none", "EdDSA"}:
            text = f"{base64url(json.dumps(head).encode())}.{base64url(payload)}"
            signature = key.get_op_key("sign").sign(text.encode()) if alg == "EdDSA" else b""
            return Secret(f"{text}.{base64url(signature)}")
        registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
        return Secret(jws.serialize_compact(head, payload, key, registry=registry))


@pytest.fixture(scope="session")
def mint() -> Mint:
    return Mint()
