"""A credential of the practice provider whose sign-ins are told where they lead."""

from __future__ import annotations

from typing import Any

DESCRIPTION = "the shop's name, as in its address: acme of acme.shops.example"


def declare_shop(practice: Any, name: str = "shop", **fields: Any) -> Any:
    """Declare it: its authorization endpoint is told a shop and a region, which each sign-in gives."""
    endpoint = practice.provider.credential_fields()["authorization_url"]
    given = {
        "display_name": "Shops",
        "issuer": "",
        "iss_advertised": False,
        "jwks_url": "",
        "authorization_url": f"{endpoint}?shop={{shop}}&region={{region}}",
        "url_params": [
            {
                "name": "shop",
                "description": DESCRIPTION,
                "pattern": "[a-z0-9-]+",
                "example": "acme",
                "optional": True,
            },
            {
                "name": "region",
                "description": "the region of the account",
                "values": {"eu": "eu-1", "us": "us-1"},
                "optional": True,
            },
        ],
    }
    practice.declare(name, **{**given, **fields})
    return practice
