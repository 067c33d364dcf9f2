"""How the command looks: what may be coloured, how wide things are, and where lines go.

Data goes to stdout; all that is said to the person goes to stderr.  Colour only on a terminal, never with ``NO_COLOR``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Literal, TextIO

Kind = Literal["good", "warn", "bad", "dim", "bold"]
_CODES: Final[dict[Kind, str]] = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}
_FALLBACK_WIDTH: Final = 80
_STDOUT, _STDERR = 1, 2


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at this stream."""
    return stream is not None and not stream.closed and stream.isatty()


def coloured(stream: TextIO) -> bool:
    """Whether colour may be written to this stream (https://no-color.org: any value but the empty one means no)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and is_terminal(stream)


def paint(text: str, kind: Kind | None, stream: TextIO | None = None) -> str:
    """Return `text` in colour, where `stream` (by default stdout) shows colour."""
    if kind is None or not text or not coloured(stream or sys.stdout):
        return text
    return f"\x1b[{_CODES[kind]}m{text}\x1b[0m"


def out(text: str = "") -> None:
    """Write a line of data to stdout."""
    sys.stdout.write(text + "\n")


def say(text: str = "") -> None:
    """Write a line for the person to stderr."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def stdout_is_ours() -> Generator[None]:
    """Let programs that are started meanwhile, and what they start, write to stderr where they mean stdout.

    A browser says much, and it may live on: neither its words nor its hold on a pipe belong to the data of a command.
    """
    try:
        sys.stdout.flush()
        kept = os.dup(_STDOUT)
    except OSError:  # there is none
        yield
        return
    try:
        os.dup2(_STDERR, _STDOUT)
        yield
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


def warn(text: str, hint: str = "") -> None:
    """Write a warning to stderr, with what to do about it."""
    say(f"{paint('warning:', 'warn', sys.stderr)} {text}")
    if hint:
        say(f"  -> {hint}")


def terminal_width() -> int | None:
    """Return how many columns stdout has, None where it is no terminal and lines may be as long as they are."""
    if not is_terminal(sys.stdout):
        return None
    try:
        columns = int(os.environ.get("COLUMNS", "0"))
        return columns or os.get_terminal_size(sys.stdout.fileno()).columns or _FALLBACK_WIDTH
    except (OSError, ValueError):
        return _FALLBACK_WIDTH


def width(text: str) -> int:
    """Return how many columns a text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - only where it matters

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def cut(text: str, room: int) -> str:
    """Return `text` cut to `room` columns; the cut shows."""
    if width(text) <= room:
        return text
    while text and width(text) > room - 1:
        text = text[:-1]
    return text + "\N{HORIZONTAL ELLIPSIS}"


def sanitised(text: str) -> str:
    """Return text that cannot steer a terminal: all control characters but line breaks and tabs become visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
