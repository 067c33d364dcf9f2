"""Certificates of apps that stand in files, which variables name: read anew when they change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from valetkey.engine.secrets import app_variables, key_id_variable
from valetkey.errors import ConfigurationError, clean
from valetkey.logs import get_logger
from valetkey.protocol.certificates import belong_together

_log = get_logger("apps")
_SUFFIX: Final = "_FILE"
_LONGEST: Final = 1 << 20
_Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    """What two files held when they were last read whole, and how they looked then."""

    signature: _Signature
    texts: tuple[str, ...]


_pairs: dict[tuple[str, ...], _Pair] = {}
"""By the paths.  What is forgotten is read again, so nothing is lost where two threads write at once."""
_told: set[tuple[tuple[str, ...], _Signature]] = set()


def with_files(environ: Mapping[str, str], credential_name: str) -> Mapping[str, str]:
    """Return the variables, those of certificate and key filled from the files that ``..._FILE`` name.

    Who replaces a certificate writes two files, one after the other: while they do not belong together, or one is gone
    for a moment, what was read before serves on.

    Raises:
        ConfigurationError: A file cannot be read, and was not read before (``certificate_unreadable``).
    """
    names = app_variables(credential_name)[3:]
    named = {name: path for name in names if (path := environ.get(name + _SUFFIX, "").strip())}
    if not named:
        return environ
    texts = _current(credential_name, tuple(named.values()), tuple(name + _SUFFIX for name in named))
    return {**environ, **dict(zip(named, texts, strict=True))}


def file_variables(credential_name: str) -> tuple[str, ...]:
    """Return the variables that may name files with an app's certificate and its key."""
    return tuple(name + _SUFFIX for name in app_variables(credential_name)[3:])


def set_variables(credential_name: str) -> tuple[str, ...]:
    """Return the variables that are set and say something of a credential's app."""
    names = (*app_variables(credential_name), key_id_variable(credential_name), *file_variables(credential_name))
    return tuple(name for name in names if os.environ.get(name, "").strip())


def _current(credential: str, paths: tuple[str, ...], variables: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the files hold now, or held when they last belonged together."""
    before, signature = _pairs.get(paths), tuple(map(_signature, paths))
    if before is not None and before.signature == signature:
        return before.texts
    try:
        texts = tuple(_read(credential, *one) for one in zip(paths, variables, strict=True))
    except ConfigurationError as error:
        if before is None:
            raise
        return _as_before(credential, paths, before, signature, str(error))
    if before is not None and not belong_together(*texts):
        return _as_before(credential, paths, before, signature, "certificate and key do not belong together")
    if before is not None:
        _log.info("the certificate of the app of %r was replaced", credential)
    _pairs[paths] = _Pair(signature, texts)
    return texts


def _as_before(
    credential: str, paths: tuple[str, ...], before: _Pair, signature: _Signature, why: str
) -> tuple[str, ...]:
    if (paths, signature) not in _told:
        _told.add((paths, signature))
        _log.warning("the certificate of the app of %r was changed and is not used: %s", credential, clean(why))
    return before.texts


def _signature(path: str) -> tuple[int, int, int] | None:
    """Return what tells one state of a file from another; None where it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - three numbers of one call
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(credential: str, path: str, variable: str) -> str:
    try:
        with Path(path).open(encoding="ascii") as file:
            text = file.read(_LONGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no PEM"
        msg = f"{credential}: {clean(path, 200)}, which {variable} names, cannot be read: {why}"
        raise ConfigurationError(
            msg, code="certificate_unreadable", hint=f"check the path in {variable}, and the mode of the file"
        ) from None
    return text.strip()
