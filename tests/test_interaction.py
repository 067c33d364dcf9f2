"""What the terminal shows and asks, and when a browser counts as one."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

import pytest

from valetkey import interaction
from valetkey.errors import ConnectError
from valetkey.interaction import TerminalInteraction, open_browser


def _talk(*lines: str) -> tuple[TerminalInteraction, io.StringIO]:
    left = list(lines)

    def read() -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    stream = io.StringIO()
    return TerminalInteraction(stream, read), stream


def test_the_address_stands_whole_on_a_line_of_its_own() -> None:
    talk, stream = _talk()
    url = "https://provider.example/authorize?" + "x" * 3000

    talk.show_url(url)
    assert url in stream.getvalue().splitlines()


@pytest.mark.conformance("1 device: user code")
def test_the_code_is_shown_with_where_to_enter_it() -> None:
    talk, stream = _talk()

    talk.show_code("ABCD-EFGH", "https://provider.example/device", "https://provider.example/device?c=ABCD", 899)

    text = stream.getvalue()
    assert "    ABCD-EFGH" in text.splitlines()
    assert "https://provider.example/device?c=ABCD" in text
    assert "15 min" in text


@pytest.mark.conformance("1 core: sanitize")
def test_what_a_provider_sends_cannot_steer_the_terminal() -> None:
    talk, stream = _talk()

    talk.show_code("A\x1b[2J", "https://x/\x1b]0;t\x07", "", 1)
    talk.opening("No\x1btes")
    talk.waiting("a\rb")

    assert not set("\x1b\x07\r") & set(stream.getvalue())
    assert "Or open" not in stream.getvalue()


def test_the_same_wait_is_told_once() -> None:
    talk, stream = _talk()
    for text in ("one", "one", "two", "two"):
        talk.waiting(text)

    assert stream.getvalue().splitlines() == ["one", "two"]


def test_the_pasted_line_is_returned_without_its_ends() -> None:
    talk, stream = _talk("  https://x/cb?code=1 \n")

    assert talk.ask_callback("Paste:") == "https://x/cb?code=1"
    assert stream.getvalue() == "Paste:\n"


def test_the_end_of_the_input_is_told_as_such() -> None:
    talk, _ = _talk()

    with pytest.raises(ConnectError) as caught:
        talk.ask_callback("Paste:")
    assert caught.value.code == "paste_empty"


def test_all_of_it_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    talk = TerminalInteraction()
    talk.opening("Notes")
    talk.show_url("https://x/")

    out, err = capsys.readouterr()
    assert out == ""
    assert "Opening your browser for Notes" in err


def test_a_line_from_stdin_is_read_without_a_prompt_on_stdout() -> None:
    code = (
        "from valetkey.interaction import TerminalInteraction as T; import sys; sys.stderr.write(T().ask_callback('?'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="x" * 9000 + "\n", capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert done.stderr == "?\n" + "x" * 9000


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="there, a browser can always be asked for")
def test_without_a_display_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER")
    monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("a browser in the terminal was started"))

    assert open_browser("file:///x") is False


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
@pytest.mark.parametrize("opens", [True, False])
def test_with_a_display_the_browser_decides(monkeypatch: pytest.MonkeyPatch, name: str, opens: bool) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setenv(name, "x")
    monkeypatch.setattr(webbrowser, "open", lambda _: opens)

    assert open_browser("file:///x") is opens


@pytest.mark.parametrize("error", [OSError, webbrowser.Error])
def test_a_browser_that_cannot_start_is_none(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(_: str) -> bool:
        raise error

    monkeypatch.setattr(webbrowser, "open", fail)

    assert open_browser("file:///x") is False


def test_a_browser_in_the_foreground_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()
    monkeypatch.setattr(interaction, "_START_SECONDS", 0.01)
    monkeypatch.setattr(webbrowser, "open", lambda _: closed.wait(30))

    assert open_browser("file:///x") is True
    closed.set()


@pytest.mark.conformance("1 native: external browser")
def test_the_program_that_browser_names_gets_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    for name in ("_tryorder", "_os_preferred_browser"):
        monkeypatch.setattr(webbrowser, name, None)

    assert open_browser("file:///tmp/page.html") is True
    assert seen.read_text() == "file:///tmp/page.html"
