"""How connecting talks to the person at hand: what to show, what to ask, and how to open a browser."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from valetkey.errors import ConnectError, clean

_START_SECONDS: Final = 3.0
"""How long a browser command may take to say that it cannot; one that still runs then is a browser at work."""


class Interaction(Protocol):
    """What a connect tells and asks.  Nothing that is shown is secret, but the address to open holds the state."""

    def opening(self, name: str) -> None:
        """Say that the browser is about to be opened for the credential with that name for people."""
        ...

    def waiting(self, text: str) -> None:
        """Say that something takes its time: `text` is one sentence.  It may come again and again."""
        ...

    def show_url(self, url: str) -> None:
        """Show the address that the person should open in any browser."""
        ...

    def show_code(self, user_code: str, verification_uri: str, complete: str, expires_in: float) -> None:
        """Show the code and where to enter it (RFC 8628 section 3.3); `complete` holds both, or is empty.

        `expires_in` is in seconds.  The code is to be shown also where `complete` is opened or drawn.
        """
        ...

    def ask_callback(self, prompt: str) -> str:
        """Ask for the address that the browser landed on; an empty answer gives up."""
        ...


class TerminalInteraction:
    """Talks over the terminal: writes to stderr, so that stdout stays free, and reads lines from stdin.

    Args:
        stream: Where to write; None for what `sys.stderr` is at that time.
        read: Reads one line.
    """

    def __init__(self, stream: TextIO | None = None, read: Callable[[], str] | None = None) -> None:
        self._stream = stream
        self._read = read or _read_line
        self._last = ""

    def opening(self, name: str) -> None:
        """Say that the browser opens."""
        self._say(f"Opening your browser for {clean(name)} (Ctrl-C to stop) ...")

    def waiting(self, text: str) -> None:
        """Say what is waited for, once."""
        if text != self._last:
            self._last = text
            self._say(clean(text))

    def show_url(self, url: str) -> None:
        """Print the address on a line of its own, whole."""
        self._say("Open this address in any browser, on any machine:", "", url, "")

    def show_code(self, user_code: str, verification_uri: str, complete: str, expires_in: float) -> None:
        """Print code and address."""
        minutes = max(1, round(expires_in / 60))
        self._say(f"Open {clean(verification_uri, 2000)} and enter this code:", "", f"    {clean(user_code)}", "")
        if complete:
            self._say(f"Or open {clean(complete, 2000)} and compare the code.")
        self._say(f"The code is good for {minutes} min.")

    def ask_callback(self, prompt: str) -> str:
        """Ask, and read one line.

        Raises:
            ConnectError: There is no line to read (``paste_empty``).
        """
        self._say(prompt)
        try:
            return self._read().strip()
        except EOFError:
            msg = "there was nobody to paste the address: the input ended"
            hint = "run this in a terminal, or connect with --device where the provider can"
            raise ConnectError(msg, code="paste_empty", hint=hint) from None

    def _say(self, *lines: str) -> None:
        stream = self._stream or sys.stderr
        for line in lines:
            stream.write(line + "\n")
        stream.flush()


def open_browser(url: str) -> bool:
    """Open the person's browser, as `webbrowser` and the variable ``BROWSER`` say; False when there is none.

    A browser that runs in the foreground does not hold the caller up.
    """
    if not _has_display():
        return False
    import webbrowser  # noqa: PLC0415 - only when a browser is opened

    result: list[bool] = []

    def run() -> None:
        with contextlib.suppress(webbrowser.Error, OSError):
            result.append(webbrowser.open(url))

    thread = threading.Thread(target=run, name="valetkey-browser", daemon=True)
    thread.start()
    thread.join(_START_SECONDS)
    return thread.is_alive() or result == [True]


def _has_display() -> bool:
    """Tell whether a window can open here: a browser in the terminal would take the terminal over."""
    if os.environ.get("BROWSER") or os.name == "nt" or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _read_line() -> str:
    """Read a line as `input` does, of any length: without readline a terminal cuts lines at 1,024 or 4,096."""
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # having been imported is what lets `input` use it
    return input()
