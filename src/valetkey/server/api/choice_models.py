"""What there is to choose from where several tenants or sites were looked up, as it goes over the wire."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

STRICT: Final = ConfigDict(extra="forbid")


class Choice(BaseModel):
    """One entry of a list that was looked up, such as a tenant."""

    model_config = STRICT

    id: Annotated[str, Field(description="The value of the param where it is chosen.")]
    label: Annotated[str, Field(description="Its name for people.", examples=["Acme Ltd"])]


class Chosen(BaseModel):
    """What to choose of what was looked up."""

    model_config = STRICT

    choose: Annotated[
        dict[str, str], Field(description="Param and value.", examples=[{"tenant_id": "8f1b..."}], max_length=20)
    ] = {}
