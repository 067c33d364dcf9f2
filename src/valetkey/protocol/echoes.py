"""Servers that repeat what they were sent: a request's secrets are masked in the words of its refusal.

Most secrets look like secrets and are masked wherever they stand (`texts`).  A client secret need not: it may be a
word, or two (RFC 6749 appendix A.2 allows spaces).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from valetkey.protocol.bodies import read_members
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.texts import names_a_secret
from valetkey.values import Request

_SHORTEST: Final = 4
"""Characters: what is shorter hides nothing, and would mask half of the words."""


def without_echo(refusal: Refusal, request: Request) -> Refusal:
    """Return a refusal in whose words no secret of the request stands."""
    error, description = refusal.error, refusal.description
    for secret in sorted(_secrets(request), key=len, reverse=True):
        error, description = error.replace(secret, "****"), description.replace(secret, "****")
    return replace(refusal, error=error, description=description)


def _secrets(request: Request) -> set[str]:
    return {value for value in (*_in_body(request), *_in_headers(request)) if len(value) >= _SHORTEST}


def _in_body(request: Request) -> Iterator[str]:
    text = request.body.decode("utf-8", "replace") or request.query
    pairs = (read_members(request.body) or {}).items() if text.startswith("{") else parse_qsl(text)
    return (value for name, value in pairs if isinstance(value, str) and names_a_secret(name))


def _in_headers(request: Request) -> Iterator[str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        sent = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return
    yield from (encoded, sent, unquote_plus(sent))
