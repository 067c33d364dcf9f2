"""Text for databases, and what cannot be such text."""

from __future__ import annotations

from valetkey.errors import ConfigurationError


def bad_text(
    what: str = "half of a surrogate pair, which is no character",
    why: str = "bytes were decoded with errors='surrogateescape'",
) -> ConfigurationError:
    """Return the error for text that cannot be written down."""
    return ConfigurationError(
        f"A text for the store holds {what}.",
        code="bad_text",
        hint=f"Look where owner, account or tags come from: {why}.",
    )


def literal(text: str) -> str:
    """Return `text` as SQL writes it: for statements that people are told to run."""
    return "'" + text.replace("'", "''") + "'"
