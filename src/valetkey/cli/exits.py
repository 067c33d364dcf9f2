"""From errors to exit codes, and how an error is told.

| code | meaning |
|---|---|
| 0 | all is well |
| 1 | looked, and it is not well: `doctor`, `status --check`, `request --fail`, `worker --once` |
| 2 | usage or configuration |
| 3 | a person must act |
| 4 | the provider is down or asks for patience: try later |
| 5 | the store or its key |
| 70 | a mistake of valetkey itself |
| 125 | `exec`: the program never started (else its own exit code) |
| 130 | interrupted (143: terminated, but 0 for `worker`, `console` and `serve`; 141: nobody reads any more) |
"""

from __future__ import annotations

import errno
import shlex
import sys
from dataclasses import dataclass
from typing import Final

from valetkey.cli.terminal import paint, say
from valetkey.errors import (
    AmbiguousAccount,
    ClientRejected,
    ConfigurationError,
    ConnectError,
    HostNotAllowed,
    ProviderError,
    ReauthorizationRequired,
    RefreshBusy,
    StepUpRequired,
    StoreError,
    ValetkeyError,
    clean,
)

OK: Final = 0
NOT_WELL: Final = 1
USAGE: Final = 2
PERSON: Final = 3
TRY_LATER: Final = 4
STORE: Final = 5
INTERNAL: Final = 70
NOT_STARTED: Final = 125
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
TERMINATED: Final = 143

_MESSAGE_LIMIT: Final = 2000
_OF_OUTPUT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_BY_CLASS: Final[tuple[tuple[type[ValetkeyError], int], ...]] = (
    (ReauthorizationRequired, PERSON),
    (StepUpRequired, PERSON),
    (ConnectError, PERSON),
    (StoreError, STORE),
    (RefreshBusy, TRY_LATER),
    (ClientRejected, USAGE),
    (ProviderError, TRY_LATER),
    (AmbiguousAccount, USAGE),
    (HostNotAllowed, USAGE),
    (ConfigurationError, USAGE),
)
_BY_CODE: Final = {
    # errors about the place of the key are of the key, whoever raises them
    "key_missing": STORE,
    "key_unreadable": STORE,
    "key_unwritable": STORE,
    "key_invalid": STORE,
    "keyring_unavailable": STORE,
    "key_wrong": STORE,
    # errors of connecting that nobody at a browser can mend
    "port_in_use": USAGE,
    "port_unusable": USAGE,
    "redirect_https_only": USAGE,
    "answer_as_form": USAGE,
    "invalid_target": USAGE,
}


_AT_SHELL: Final = {
    "ambiguous_account": "name one with --account",
    "owner_required": "say whose it is with --owner ID",
    "owner_invalid": "give --owner an id that is not empty, or leave it away",
    "account_invalid": "give --account a short text, or leave it away for the only account",
    "browser_missing": "connect with --device or --paste",
}
"""Next steps for people at a shell, where the library's own are lines of Python."""


class Stop(ValetkeyError):
    """Ends the command with a word of its own: what goes wrong in the command itself."""

    default_code = "usage"

    def __init__(self, message: str, *, code: str = "", hint: str = "", status: int = USAGE) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Told:
    """An error as the person gets it."""

    status: int
    code: str
    message: str
    hint: str = ""

    def members(self) -> dict[str, object]:
        """Return the member of the JSON object."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}

    def write(self) -> None:
        """Write it to stderr."""
        say(f"{paint('error:', 'bad', sys.stderr)} {self.message} {paint(f'[{self.code}]', 'dim', sys.stderr)}")
        if self.hint:
            say(f"  -> {self.hint}")


def told(error: BaseException) -> Told:
    """Return how an error is told, and the exit code it stands for."""
    if isinstance(error, ValetkeyError):
        from valetkey.cli.as_options import message_at_shell  # noqa: PLC0415 - only where something goes wrong

        message = message_at_shell(clean(error, _MESSAGE_LIMIT))
        return Told(status_of(error), error.code, message, clean(_hint(error), _MESSAGE_LIMIT))
    known = _of_click(error) or _of_http(error) or _of_system(error)
    return known or Told(
        INTERNAL,
        "internal",
        f"a mistake of valetkey itself ({type(error).__name__})",
        "set VALETKEY_DEBUG=1 to see where, and report it with that",
    )


def _hint(error: ValetkeyError) -> str:
    if isinstance(error, HostNotAllowed):
        add = f"valetkey app add {error.credential}"
        if not error.hosts:
            return f"write the whole URL, or declare api_base_url: {add} --api-base-url URL"
        hosts = " ".join(f"--api-host {shlex.quote(host)}" for host in error.hosts)
        return f"if it is meant: {add} {hosts}, or api_hosts where it is declared"
    from valetkey.cli.as_options import hint_at_shell, is_of_a_place  # noqa: PLC0415 - only where something goes wrong

    return _AT_SHELL.get(error.code) or (error.hint if is_of_a_place(str(error)) else hint_at_shell(error.hint))


def status_of(error: ValetkeyError) -> int:
    """Return the exit code of an error."""
    if isinstance(error, Stop):
        return error.status
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), USAGE)


def _of_click(error: BaseException) -> Told | None:
    from click import ClickException, UsageError  # noqa: PLC0415 - loaded long ago

    if not isinstance(error, ClickException):
        return None
    context = error.ctx if isinstance(error, UsageError) else None
    hint = f"see: {context.command_path} --help" if context is not None else "see: valetkey --help"
    return Told(USAGE, "usage", clean(error.format_message(), _MESSAGE_LIMIT), hint)


def _of_http(error: BaseException) -> Told | None:
    """Tell an error of httpx2, which calls of an API raise; it is imported by then."""
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is None or not isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL)):
        return None
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        return Told(USAGE, "url_invalid", f"that is no URL to call: {clean(error)}", "write it whole: https://...")
    what = f"{type(error).__name__}: {clean(error)}".rstrip(": ")
    return Told(TRY_LATER, "api_unreachable", f"the API was not reached ({what})", "try again later")


def _of_system(error: BaseException) -> Told | None:
    if not isinstance(error, OSError):
        return None
    why = error.strerror or type(error).__name__
    if is_of_output(error):
        return Told(
            USAGE, "output_unwritable", f"the output cannot be written: {why}", "make room, or write somewhere else"
        )
    if error.filename is None:
        return None
    return Told(USAGE, "file_unusable", f"{clean(error.filename)}: {why}", "check the path and its mode")


def is_of_output(error: BaseException) -> bool:
    """Whether stdout itself cannot be written: its disk is full, say."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _OF_OUTPUT
