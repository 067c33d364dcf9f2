"""From what a program or an operator says to the place of the master key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from valetkey.errors import ConfigurationError
from valetkey.keys.environment import KEY, KEY_FILE, EnvKeys
from valetkey.keys.files import FileKeys
from valetkey.keys.keyring import KeyringKeys
from valetkey.keys.memory import GivenKeys, MemoryKeys
from valetkey.keys.text import invalid_key
from valetkey.model.ciphers import master_key, parse_key
from valetkey.model.plugins import plugged
from valetkey.model.ports import KeyProvider, Store

GROUP: Final = "valetkey.key_providers"
_NAMED: Final = re.compile(r"([a-z][a-z0-9_-]+):(.*)", re.DOTALL)
_KEY_TEXT: Final = re.compile(r"[0-9A-Fa-f]{64}|[A-Za-z0-9_+/-]{43}=|[A-Za-z0-9_-]{43}")


def open_keys(choice: object, *, store: Store, environ: Mapping[str, str] | None = None) -> KeyProvider:
    """Return where the master key of `store` is.  Reads nothing yet.

    Args:
        choice: None: the environment (``VALETKEY_KEY``, ``VALETKEY_KEY_FILE``) where it says something, else the file
            ``key`` beside an embedded database, else an empty place that says what to do.  ``"keyring"`` or
            ``"keyring:service"``: the OS keyring.  ``"file:path"`` or a path: that file.  32 bytes, or a string that is
            a key in base64 or hex: that key.  ``"name:rest"``: the entry point `name` of ``valetkey.key_providers``,
            called with ``rest``.  A `KeyProvider`: itself.
        store: Whose key it is: only for one on this host a key is made by itself.
        environ: The environment; by default that of the process.

    Raises:
        ConfigurationError: The bytes are no key (``key_invalid``), there is no provider of that name
            (``key_provider_unknown``), or it is none of these (``key_choice``).
    """
    if choice is None:
        return _usual(store, os.environ if environ is None else environ)
    if isinstance(choice, bytes):
        return _given(choice)
    if isinstance(choice, str):
        return _by_text(choice, store)
    if isinstance(choice, Path):
        return FileKeys(choice, can_create=store.local)
    return _itself(choice)


def _itself(choice: object) -> KeyProvider:
    if all(hasattr(choice, name) for name in ("place", "can_create", "keys", "create", "add", "retire")):
        return cast("KeyProvider", choice)
    msg = f"key= takes a path, 32 bytes, 'keyring' or a key provider, not {type(choice).__name__}"
    raise ConfigurationError(msg, code="key_choice", hint="leave key= out, and set VALETKEY_KEY_FILE if need be")


def _usual(store: Store, environ: Mapping[str, str]) -> KeyProvider:
    folder = _folder_of(store)
    if not (environ.get(KEY) or environ.get(KEY_FILE)) and store.local:
        if folder is not None:
            return FileKeys(folder / "key", can_create=True)
        if store.url.startswith("memory:"):
            return MemoryKeys()
    return EnvKeys(environ, may_write=store.local)


def _folder_of(store: Store) -> Path | None:
    """Return the folder of an embedded database; None for a store that has none."""
    path = getattr(store, "path", None)
    return Path(path).parent if isinstance(path, (str, Path)) else None


def _given(raw: bytes) -> KeyProvider:
    try:
        return GivenKeys(master_key(raw))
    except ValueError as error:
        msg = f"the key given by the program is none: {error}"
        raise invalid_key(msg) from None


def _by_text(choice: str, store: Store) -> KeyProvider:
    if choice == "keyring":
        return KeyringKeys()
    if _KEY_TEXT.fullmatch(choice):
        return GivenKeys(parse_key(choice))
    named = _NAMED.fullmatch(choice)
    if named is None:
        return FileKeys(choice, can_create=store.local)
    name, rest = named.groups()
    if name == "keyring":
        return KeyringKeys(rest)
    return FileKeys(rest, can_create=store.local) if name == "file" else _plugged(name, rest)


def _plugged(name: str, rest: str) -> KeyProvider:
    make = plugged(GROUP, name)
    if make is None:
        msg = f"there is no key provider named {name!r}"
        hint = f"install the package that brings it (entry point {GROUP}), or write ./{name}:... if a file is meant"
        raise ConfigurationError(msg, code="key_provider_unknown", hint=hint)
    provider: KeyProvider = make(rest)
    return provider
