"""Text from a provider, made safe to keep and to show (RFC 6749 section 10.14)."""

from __future__ import annotations

import re
from typing import Final

from valetkey.errors import TEXT_LIMIT, clean

_RUN: Final = re.compile(r"[A-Za-z0-9_\-]{20,}")
_LONG: Final = 33
"""Above this many characters even an id is taken for a token; at 32 end the hexadecimal ids."""
_HOST: Final = re.compile(r"^https://[A-Za-z0-9.\-]+(?=[/:]|$)")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SECRET_NAMES: Final = re.compile(
    r"token|secret|passw|assertion|credential|jwt|cookie|session|signature|nonce|proof|api_?key|(?:^|_)(?:code|key)(?:$|_)",
    re.IGNORECASE,
)


def looks_like_token(text: str) -> bool:
    """Tell whether `text` holds a run of 33 or more token characters, letters and digits among them, that is no UUID.

    Hosts of URLs do not count: some are long (Salesforce), and no secret stands there.
    """
    beyond = _HOST.sub("", text)
    return any(len(run) >= _LONG and _suspicious(run) for run in _RUN.findall(beyond))


def names_a_secret(name: str) -> bool:
    """Tell whether a member of that name may hold something secret, whatever its value looks like."""
    return _SECRET_NAMES.search(name) is not None


def provider_text(value: object, limit: int = TEXT_LIMIT) -> str:
    """Return a provider's words: printable, capped at `limit` characters, with everything token-like masked.

    Some servers repeat the refused token in their description, and descriptions end in logs and on pages.
    """
    if not isinstance(value, str) or not value:
        return ""
    masked = _RUN.sub(lambda run: "****" if _suspicious(run.group()) else run.group(), clean(value, limit * 2))
    return clean(masked, limit)


def _suspicious(run: str) -> bool:
    if _UUID.fullmatch(run):
        return False
    return any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
