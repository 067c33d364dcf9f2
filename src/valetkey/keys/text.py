"""Master keys as text: what a key file holds, and an entry of the OS keyring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from valetkey.errors import ConfigurationError
from valetkey.model.ciphers import parse_key
from valetkey.model.ports import MasterKey

HEADER = "# Master keys of valetkey, the current one first. Keep a backup: without them nothing that is stored opens."


def write_keys(keys: Iterable[MasterKey]) -> str:
    """Return the text of these keys: a comment, then ``id base64`` line by line.  Secret."""
    lines = [HEADER, *(f"{key.id} {key.secret.reveal()}" for key in keys)]
    return "\n".join(lines) + "\n"


def read_keys(text: str, place: str) -> Sequence[MasterKey]:
    """Read what `write_keys` wrote, or a text that is just one key in base64 or hex.

    Raises:
        ConfigurationError: There is no key in it, or a line is none (``key_invalid``).  Names place and line only.
    """
    keys: dict[str, MasterKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            key = _read_line(words, f"line {number} of {place}")
            keys.setdefault(key.id, key)
    if not keys:
        msg = f"{place} is there, and holds no key"
        raise invalid_key(msg)
    return tuple(keys.values())


def invalid_key(message: str) -> ConfigurationError:
    """Return the error for a place that holds something else than keys."""
    hint = "restore the key from a backup; for a new store only: valetkey key new"
    return ConfigurationError(message, code="key_invalid", hint=hint)


def _read_line(words: Sequence[str], where: str) -> MasterKey:
    try:
        key = parse_key(words[-1])
    except ValueError:
        msg = f"{where} is not a key (32 bytes in base64 or hex)"
        raise invalid_key(msg) from None
    named = words[:-1]
    if named and named != [key.id]:
        msg = f"{where} does not hold the key that it names: a part of it was changed"
        raise invalid_key(msg)
    return key
