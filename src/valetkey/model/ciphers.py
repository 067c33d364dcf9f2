"""The one cipher of this package: AES-256-GCM (NIST SP 800-38D), and what keys look like.

``cryptography`` is imported when the first key is used, not before: it costs a command tens of milliseconds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from valetkey.model.ports import MasterKey
from valetkey.values import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SHORTEST: Final = len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES


class Broken(Exception):
    """The bytes were not sealed with this key for this place, or were changed since."""


def frame(*parts: str | int) -> bytes:
    """Return the parts as bytes, each behind its length, so that no two lists of parts give the same bytes."""
    return b"".join(map(_framed, parts))


@lru_cache(maxsize=4096)
def _framed(part: str | int) -> bytes:
    data = str(part).encode()
    return len(data).to_bytes(4, "big") + data


class Box:
    """Seals and opens with one key.  A sealed text is a format byte, a random nonce of 96 bits, ciphertext and tag.

    Safe for threads.  The key does not show in its repr, and it cannot be pickled.
    """

    __slots__ = ("_cipher", "_fingerprint_key")
    _cipher: AESGCM
    _fingerprint_key: bytes

    def __init__(self, raw: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - on first use

        self._cipher = AESGCM(raw)
        self._fingerprint_key = hmac.digest(raw, b"valetkey:fingerprint-key:1", "sha256")

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Seal `plain` so that it opens only together with `bound_to` (the AAD)."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, _FORMAT + bound_to)

    def open(self, blob: bytes, bound_to: bytes) -> bytes:
        """Return the plain text.

        Raises:
            Broken: It was sealed with another key or for another place, changed, cut off, or is of another format.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded with the cipher already

        if len(blob) < _SHORTEST or not blob.startswith(_FORMAT):
            raise Broken
        start = len(_FORMAT) + _NONCE_BYTES
        try:
            return self._cipher.decrypt(blob[len(_FORMAT) : start], blob[start:], _FORMAT + bound_to)
        except InvalidTag:
            raise Broken from None

    def fingerprint(self, text: str) -> str:
        """Return 12 hex digits that are the same for the same text, and tell nothing without the key."""
        return hmac.digest(self._fingerprint_key, text.encode(), "sha256").hex()[:12]


def master_key(raw: bytes) -> MasterKey:
    """Return the master key made of these 32 bytes; its id is cut from a hash of them.

    Raises:
        ValueError: There are not 32 bytes.
    """
    if len(raw) != KEY_BYTES:
        msg = f"a key has {KEY_BYTES} bytes, not {len(raw)}"
        raise ValueError(msg)
    key_id = hashlib.sha256(b"valetkey:master-key:" + raw).hexdigest()[:8]
    return MasterKey(key_id, Secret(base64.urlsafe_b64encode(raw).decode()))


def new_master_key() -> MasterKey:
    """Return a new master key from the operating system's random numbers."""
    return master_key(os.urandom(KEY_BYTES))


def raw_key(key: MasterKey) -> bytes:
    """Return the 32 bytes of a master key."""
    return base64.urlsafe_b64decode(key.secret.reveal())


def parse_key(text: str) -> MasterKey:
    """Read a key as text: 64 hex digits, or base64 of 32 bytes in either alphabet, padded or not.

    Raises:
        ValueError: It is none.  The message does not repeat it.
    """
    compact = text.strip()
    try:
        if len(compact) == 2 * KEY_BYTES:
            return master_key(bytes.fromhex(compact))
        plain = compact.rstrip("=").replace("+", "-").replace("/", "_")
        return master_key(base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        msg = "not a key: 32 bytes in base64 or hex are expected"
        raise ValueError(msg) from None
