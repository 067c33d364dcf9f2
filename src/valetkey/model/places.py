"""Where a declaration stands, and how a mistake in it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, cast

from valetkey.errors import TEXT_LIMIT, ConfigurationError, clean


@dataclass(frozen=True, slots=True)
class Place:
    """Which declaration is looked at, and where it was written: what an error says about both.

    Attributes:
        title: What it is: ``credential "github"``.
        where: In which file and table, empty for code: ``/app/valetkey.toml, table [credentials.github]``.
        toml: Whether hints show TOML lines instead of Python keywords.
    """

    title: str
    where: str = ""
    toml: bool = False

    def error(self, problem: str, *, code: str, hint: str) -> ConfigurationError:
        """Return the error that names this declaration, the problem, and the exact edit that mends it."""
        where = f" (in {self.where})" if self.where else ""
        return ConfigurationError(f"{self.title}: {problem}{where}", code=code, hint=hint)

    def refuse(self, problem: str, *, code: str, hint: str) -> NoReturn:
        """Raise that error, and hide what led to it: it may show the value."""
        raise self.error(problem, code=code, hint=hint) from None

    def line(self, field: str, value: object) -> str:
        """Return the line to write: ``scopes=["repo"]`` in code, ``scopes = ["repo"]`` in a file."""
        return f"{field} = {source_text(value, toml=True)}" if self.toml else f"{field}={source_text(value)}"


def source_text(value: object, *, toml: bool = False) -> str:
    """Return `value` as one would type it: in Python, or in TOML."""
    if isinstance(value, bool):
        return str(value).lower() if toml else str(value)
    if isinstance(value, str):
        shown = "".join(c for c in value[:TEXT_LIMIT] if c.isprintable())
        return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        sign = " = " if toml else ": "
        key = _toml_key if toml else source_text
        members = cast("Mapping[object, object]", value).items()
        inner = ", ".join(f"{key(str(name))}{sign}{source_text(member, toml=toml)}" for name, member in members)
        return f"{{ {inner} }}" if toml else f"{{{inner}}}"
    if isinstance(value, Iterable):
        return "[" + ", ".join(source_text(item, toml=toml) for item in cast("Iterable[object]", value)) + "]"
    return clean(value)


def _toml_key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else source_text(name)


def nearest(word: str, known: Iterable[str], *, least: float = 0.6) -> str | None:
    """Return the known word that `word` was most likely meant to be; None: none is as near as `least` (0 to 1)."""
    import difflib  # noqa: PLC0415 - only on the way to an error

    by_shape = {_shape(name): name for name in known}
    found = difflib.get_close_matches(_shape(word), by_shape, n=1, cutoff=least)
    return by_shape[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "x"?``, or an empty string when nothing known is near."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def _shape(word: str) -> str:
    """Make ``tokenUrl``, ``token-url`` and ``TOKEN_URL`` alike."""
    return "".join(c for c in word.lower() if c.isalnum())
