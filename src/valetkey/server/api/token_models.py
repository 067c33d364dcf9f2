"""Access tokens as they go over the wire: what is asked for, and what is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from valetkey.server.api.models import PLAIN, STRICT, Text, Time


class TokenWish(BaseModel):
    """What the token must be good for."""

    model_config = STRICT

    scopes: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PLAIN)]],
        Field(description="Scopes that must have been granted.", max_length=100, examples=[["repo"]]),
    ] = []
    resource: Annotated[
        Text | None, Field(description="One of the declared resources (RFC 8707); null: the grant's own.")
    ] = None


class Token(BaseModel):
    """An access token that works.  Keep it until `expires_at`, in memory; ask again then."""

    model_config = STRICT

    access_token: Annotated[str, Field(description="The secret.", examples=["gho_..."])]
    token_type: Annotated[Literal["Bearer"], Field(description="RFC 6750.")] = "Bearer"  # noqa: S105 - a word
    header: Annotated[
        str,
        Field(
            description="The header that carries it, with `{token}` for the token.",
            examples=["Authorization: Bearer {token}", "X-Shopify-Access-Token: {token}"],
        ),
    ]
    expires_at: Annotated[Time, Field(description="When it ends; null: unknown or never.")]
    scope: Annotated[str, Field(description="The granted scopes, with spaces between.", examples=["repo read:user"])]
    api_hosts: Annotated[
        list[str],
        Field(description="The only hosts to send it to; `*.example.com`: any below.", examples=[["api.github.com"]]),
    ]
