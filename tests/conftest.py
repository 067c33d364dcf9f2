"""What every test gets: a world of its own, and an eye on what it leaves behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

LEAVE_TIME = 5.0
"""Seconds that threads on their way out get after a test."""

SETTINGS_OF_OTHERS = [
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"),  # how output looks
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),  # where requests go
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),  # whom to trust
    *("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"),  # whose desktop it is
    *("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"),
]

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that would keep the interpreter alive, after giving them time to leave."""
    ours = {thread for thread in threading.enumerate() if not thread.daemon} - before
    if ours:
        gc.collect()  # the idle threads of an executor leave when it goes
    for thread in ours:
        thread.join(LEAVE_TIME)
    return [thread for thread in ours if thread.is_alive()]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = threads_left(before)
    assert not left, f"the test left threads running that are no daemons: {', '.join(t.name for t in left)}"


@pytest.fixture(autouse=True)
def _own_world(_no_thread_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a home folder, data folders and settings of its own; nothing of the machine's user shows."""
    for name in [*(n for n in os.environ if n.startswith("VALETKEY_")), *SETTINGS_OF_OTHERS]:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": home, "USERPROFILE": home, "VALETKEY_HOME": home / "valetkey"}
    for kind in ["DATA", "CONFIG", "CACHE", "STATE"]:
        places[f"XDG_{kind}_HOME"] = home / "xdg" / kind.lower()
    for name, folder in places.items():
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("BROWSER", "true")  # the program that does nothing: no test opens a window by accident
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture(autouse=True)
def _own_wiring(_own_world: None) -> Iterator[None]:
    """Forget what the test declared in the default wiring."""
    yield
    wiring = sys.modules.get("valetkey.model.wiring")  # a test that never loaded it declared nothing
    if wiring is not None:
        wiring.reset_default_wiring()
