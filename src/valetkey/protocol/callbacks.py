"""Callbacks that a provider seals beside ``state``: Shopify's ``hmac``.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from valetkey.errors import ConnectError
from valetkey.values import Secret

_MAX_FIELDS: Final = 100
_OLD: Final = "signature"
"""The parameter of an older seal, which was never part of the new one."""


def parameters(callback_url: str) -> Mapping[str, str]:
    """Return all parameters of a callback.

    Raises:
        ConnectError: Code ``callback_malformed``: one of them comes twice, or there are too many.
    """
    try:
        pairs = parse_qsl(urlsplit(callback_url).query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        pairs = []
    found = dict(pairs)
    if len(found) != len(pairs) or not found:
        msg = "this is no proper answer of a provider: it has a parameter twice, or none"
        raise ConnectError(msg, code="callback_malformed", hint="start again")
    return found


def is_sealed(callback_url: str, name: str, secret: Secret) -> bool:
    """Tell whether the parameter `name` is the hexadecimal HMAC-SHA256 of all others by the client secret.

    They are sorted by name and joined as a query, as form encoding writes them or, as the provider's own libraries
    differ in that, with ``%`` and ``&`` encoded alone.
    """
    came = dict(parameters(callback_url))
    said = came.pop(name, "").lower()
    came.pop(_OLD, None)
    pairs = sorted(came.items())
    texts = (urlencode(pairs), "&".join(f"{_plain(key).replace('=', '%3D')}={_plain(value)}" for key, value in pairs))
    key = secret.reveal().encode()
    made = [hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for text in texts]
    return sum(hmac.compare_digest(said.encode(), one.encode()) for one in made) > 0


def _plain(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")
