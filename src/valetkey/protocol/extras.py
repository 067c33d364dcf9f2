"""The other members of a token answer that may be kept in clear: which shop, which team, which API host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from valetkey.protocol.bodies import Members, dotted
from valetkey.protocol.texts import looks_like_token, names_a_secret

_MAX_EXTRA: Final = 32
_MAX_NAME: Final = 64
_MAX_VALUE: Final = 512
_MIN_SECRET: Final = 8


def harmless_members(members: Members, *, kept: Iterable[str], read: Collection[str]) -> Mapping[str, str]:
    """Return members as texts: those at the dotted paths `kept`, then all other scalar ones that `read` does not name.

    At most 32, with names of at most 64 and values of at most 512 characters; none that may be a secret by its name
    (`kept` ones were chosen by name), by its look, or because it holds one of the answer's tokens.
    """
    others = (name for name in members if name not in read and not names_a_secret(name))
    texts = {name: dotted(members, name) for name in (*kept, *others)}
    secrets = _secrets(members)
    harmless = [(name, text) for name, text in texts.items() if _harmless(name, text, secrets)]
    return MappingProxyType(dict(harmless[:_MAX_EXTRA]))


def _secrets(members: Members) -> list[str]:
    values = [value for name, value in members.items() if names_a_secret(name)]
    return [value for value in values if isinstance(value, str) and len(value) >= _MIN_SECRET]


def _harmless(name: str, text: str, secrets: list[str]) -> bool:
    if not text or len(name) > _MAX_NAME or len(text) > _MAX_VALUE or not (name + text).isprintable():
        return False
    return not looks_like_token(text) and not any(secret in text for secret in secrets)
