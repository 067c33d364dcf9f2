"""Asking the person: lines, hidden values, yes or no.  Nothing secret is ever an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from valetkey.cli.exits import Stop
from valetkey.cli.terminal import is_terminal
from valetkey.errors import clean

_LONGEST = 1 << 20


def at_hand() -> bool:
    """Whether there is a person to ask."""
    return is_terminal(sys.stdin)


def ask(prompt: str, *, otherwise: str) -> str:
    """Ask for a line; `otherwise` is the option that gives it where nobody can be asked.

    Raises:
        Stop: Nobody is at hand, or nothing was entered.
    """
    if not at_hand():
        msg = f"{prompt} is needed, and there is nobody to ask"
        raise Stop(msg, code="terminal_missing", hint=f"give it with {otherwise}")
    sys.stderr.write(f"{prompt}: ")
    sys.stderr.flush()
    entered = sys.stdin.readline().strip()
    if not entered:
        msg = f"{prompt} is needed, and nothing was entered"
        raise Stop(msg, code="entry_empty", hint=f"enter it, or give it with {otherwise}")
    return entered


def ask_hidden(prompt: str) -> str:
    """Ask for a value that does not show; on a stdin that is no terminal, read all of it."""
    if not at_hand():
        return read_stdin()
    import getpass  # noqa: PLC0415 - only where somebody types

    return getpass.getpass(f"{prompt}: ", stream=sys.stderr).strip()


def read_stdin() -> str:
    """Return all of stdin, without the line break at its end.

    Raises:
        Stop: It is too long, or no text.
    """
    return _read(sys.stdin, "what comes on stdin")


def read_file(path: str) -> str:
    """Return all of a file, without the line break at its end; ``-`` is stdin.

    Raises:
        Stop: It is too long, or no text.
        OSError: It cannot be read.
    """
    if path == "-":
        return read_stdin()
    with Path(path).open(encoding="utf-8") as file:
        return _read(file, clean(path, 200))


def _read(file: TextIO, what: str) -> str:
    try:
        text = file.read(_LONGEST + 1)
        text.encode()  # where stdin lets odd bytes through, they show here
    except UnicodeError:
        msg = f"{what} is not UTF-8 text"
        raise Stop(msg, code="input_not_text", hint="encode it first, in base64 for example") from None
    if len(text) > _LONGEST:
        msg = f"{what} is longer than 1 MiB"
        raise Stop(msg, code="input_too_long", hint="give the value itself")
    return text.removesuffix("\n").removesuffix("\r")


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the person agrees, or agreed with ``--yes`` before.

    Raises:
        Stop: The person does not agree (exit code 1), or there is nobody to ask.
    """
    if yes:
        return
    if not at_hand():
        msg = f"nothing was changed, for there is nobody to ask: {question}"
        raise Stop(msg, code="terminal_missing", hint="if it is meant, add --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        msg = "not confirmed; nothing was changed"
        raise Stop(msg, code="confirmation_missing", status=1)
