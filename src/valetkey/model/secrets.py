"""Declared secrets: structured values with a schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from valetkey.values import Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SecretDeclaration(Value):
    """A declared secret.

    Its values are checked by `valetkey.engine.secrets.encode_secret` when they are set, and by `decode_secret` when
    they are read.

    Attributes:
        name: Its key in the wiring.
        display_name: Its name for people.
        description: What the program uses it for.
        schema: A dataclass, or a pydantic model; None for plain text.
        secret_id: Under which id the secret service keeps it.
    """

    name: str
    display_name: str = ""
    description: str = ""
    schema: type[Any] | None = None
    secret_id: str = ""
