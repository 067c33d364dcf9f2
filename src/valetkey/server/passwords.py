"""Passwords of operators: argon2id by argon2-cffi, with the parameters of RFC 9106 that it chooses."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from valetkey.errors import ConfigurationError

SHORTEST: Final = 12
"""Characters of a password, at least (NIST SP 800-63B-4 section 3.1.1.2 demands 8 beside a second factor, else 15)."""
LONGEST: Final = 256
"""Characters of a password, at most: longer ones are refused, never cut."""

_hasher: Final = PasswordHasher()
_at_once: Final = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB and tens of milliseconds: strangers must not be able to ask for forty of them at once."""


def demand_good(password: str) -> None:
    """Refuse a password that is too easy to guess.

    Raises:
        ConfigurationError: It is too short or too long, or one letter over and over (``password_weak``).
    """
    length = len(_normal(password))
    if not SHORTEST <= length <= LONGEST or len(set(password)) < 4:  # noqa: PLR2004 - letters that differ
        msg = f"a password has {SHORTEST} to {LONGEST} characters, and not the same few over and over"
        raise ConfigurationError(msg, code="password_weak", hint="take a few words that do not belong together")


def hashed(password: str) -> str:
    """Return the hash to store."""
    with _at_once:
        return _hasher.hash(_normal(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the one of the stored hash; None takes as long, and is never right."""
    if len(password) > LONGEST:
        stored, password = None, ""
    with _at_once:
        try:
            _hasher.verify(stored or _nobody(), _normal(password))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with parameters that are not today's."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    """Return the hash of a password that nobody knows, to be compared where there is no operator."""
    return _hasher.hash(secrets.token_urlsafe(32))


def _normal(password: str) -> str:
    """Return the same characters however a keyboard composes them (RFC 8265 section 4.2.2 demands it)."""
    return unicodedata.normalize("NFC", password)
