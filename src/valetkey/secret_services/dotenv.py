r"""Secrets from a ``.env`` file, read-only, and the small grammar of such files.

A line is ``NAME=value``, with ``export`` before it or not.  A value in single quotes is taken as it stands; in double
quotes ``\n``, ``\r``, ``\t``, ``\"``, ``\\`` and ``\$`` are escapes; both may run over several lines.  A bare value
ends with the line or before `` #``.  Nothing is expanded: ``$HOME`` stays as it is.  Of two lines with one name the
last one holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from valetkey.errors import ConfigurationError
from valetkey.model.secret_names import read_only, variable_name

_NAME: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE: Final = re.compile(r"'([^']*)'")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE: Final = re.compile(r"[^\n]*")
_REST: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BLANK: Final = re.compile(r"[ \t]*(?:#[^\n]*)?\n|[ \t]*(?:#[^\n]*)?\Z")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}

_Stamp = tuple[int, int, int]


def parse_dotenv(text: str, where: str = "the .env text") -> dict[str, str]:
    """Return the values of a ``.env`` text by name.

    Raises:
        ConfigurationError: A line is not understood (``dotenv_invalid``).  Tells its number, never its text.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None:
            position = max(blank.end(), position + 1)
            continue
        name = _NAME.match(text, position)
        found = None if name is None else _value(text, name.end())
        if name is None or found is None:
            raise _invalid(where, text, position)
        values[name[1]], position = found
    return values


def _value(text: str, start: int) -> tuple[str, int] | None:
    """Return the value that starts there and where the next line begins; None where a quote is not closed."""
    quote = text[start : start + 1]
    if quote not in {"'", '"'}:
        bare = _BARE.match(text, start)
        line = bare[0] if bare else ""
        return re.split(r"(?:^|[ \t])#", line, maxsplit=1)[0].strip(), start + len(line) + 1
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, start)
    rest = _REST.match(text, quoted.end()) if quoted else None
    if quoted is None or rest is None:
        return None
    return (quoted[1] if quote == "'" else _ESCAPE.sub(_unescape, quoted[1])), max(rest.end(), start + 1)


def _unescape(escape: re.Match[str]) -> str:
    return _ESCAPES.get(escape[1], escape[0])


def _invalid(where: str, text: str, position: int) -> ConfigurationError:
    line = text.count("\n", 0, position) + 1
    hint = "write NAME=value, NAME='value' or NAME=\"value\", and close every quote"
    return ConfigurationError(f"line {line} of {where} is not understood", code="dotenv_invalid", hint=hint)


class DotenvSecrets:
    """Reads secret ``github-app`` from the line ``GITHUB_APP=...`` of a ``.env`` file, or from ``github-app=...``.

    The file is read again when it changed.  An empty value counts as none.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._read: tuple[_Stamp, Mapping[str, str]] | None = None

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none.

        Raises:
            ConfigurationError: The file cannot be read (``dotenv_unreadable``) or understood (``dotenv_invalid``).
        """
        values = self._values()
        return values.get(secret_id) or values.get(variable_name(secret_id)) or None

    def set(self, secret_id: str, value: str) -> NoReturn:  # noqa: ARG002 - it is not taken
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        self._refuse(secret_id)

    def delete(self, secret_id: str) -> NoReturn:
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        self._refuse(secret_id)

    def _values(self) -> Mapping[str, str]:
        try:
            facts = self.path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            read = self._read
            if read is None or read[0] != stamp:
                self._read = read = (stamp, self._parse(self.path.read_bytes()))
        except OSError as error:
            raise self._unreadable(why=error.strerror or type(error).__name__) from error
        return read[1]

    def _parse(self, data: bytes) -> Mapping[str, str]:
        text = data.decode(errors="replace")
        if "\ufffd" in text:  # not by UnicodeDecodeError, which would carry the bytes along
            raise self._unreadable(why="it is not UTF-8")
        return parse_dotenv(text, str(self.path))

    def _unreadable(self, *, why: str) -> ConfigurationError:
        hint = "create it, let this user read it, or leave it out"
        return ConfigurationError(f"the file {self.path} cannot be read: {why}", code="dotenv_unreadable", hint=hint)

    def _refuse(self, secret_id: str) -> NoReturn:
        raise read_only(secret_id, str(self.path), f"edit the line {variable_name(secret_id)}=... of that file")
