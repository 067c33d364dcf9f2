"""How things are shown: tables, times, colours."""

from __future__ import annotations

import json
import time

import pytest

from valetkey.cli import terminal
from valetkey.cli.output import Column, Table, ago, ahead, count, emit, facts, moment, span
from valetkey.cli.terminal import coloured, cut, paint, sanitised, width

NOW = 1_800_000_000.0


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        pytest.param(0, "0 s", id="nothing"),
        pytest.param(41, "41 s", id="seconds"),
        pytest.param(89, "89 s", id="still seconds"),
        pytest.param(90, "2 min", id="minutes"),
        pytest.param(3599, "60 min", id="an hour as minutes"),
        pytest.param(7200, "2 h", id="hours"),
        pytest.param(-7200, "2 h", id="hours back"),
        pytest.param(50 * 3600, "2 d", id="days"),
        pytest.param(400 * 86400, "400 d", id="many days"),
    ],
)
def test_a_length_of_time_is_told_as_people_say_it(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_times_are_told_from_where_one_stands() -> None:
    assert (ago(NOW - 7200, NOW), ago(NOW, NOW), ago(NOW + 60, NOW), ago(None, NOW)) == (
        "2 h ago",
        "just now",
        "in 60 s",
        "",
    )
    assert (ahead(NOW + 3540, NOW), ahead(NOW - 41, NOW), ahead(None, NOW)) == ("in 59 min", "41 s ago", "")


def test_a_moment_is_told_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moment(NOW) == "2027-01-15 17:00:00"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_one_is_not_many() -> None:
    assert (count(0, "row"), count(1, "row"), count(2, "row")) == ("0 rows", "1 row", "2 rows")


def table() -> Table:
    made = Table((Column("NAME"), Column("OWNER", optional=True), Column("SCOPES", shrinks=True), Column("END")))
    made.add("github", "", "repo, read:user, read:org, gist, workflow", "never")
    made.add("slack", "", "chat:write", "", below="valetkey connect slack")
    return made


def test_a_table_that_is_piped_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table().write()

    assert capsys.readouterr().out == (
        "NAME    OWNER  SCOPES                                     END\n"
        "github  -      repo, read:user, read:org, gist, workflow  never\n"
        "slack   -      chat:write                                 -\n"
        "  -> valetkey connect slack\n"
    )


@pytest.mark.usefixtures("on_terminal")
def test_a_table_on_a_terminal_fits_and_leaves_empty_columns_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    table().write()

    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "NAME    SCOPES                     END",
        "github  repo, read:user, read:or…  never",
        "slack   chat:write                 -",
    ]
    assert all(len(line) <= 40 for line in shown)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        pytest.param("ada", 3, id="plain"),
        pytest.param("日本", 4, id="wide"),
        pytest.param("e\N{COMBINING ACUTE ACCENT}", 1, id="combining"),
    ],
)
def test_the_width_of_a_text_is_what_a_terminal_gives_it(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_cut_shows_and_fits() -> None:
    assert cut("read:user", 6) == "read:…"
    assert cut("日本語", 4) == "日…"
    assert cut("repo", 4) == "repo"


@pytest.mark.parametrize(
    ("variable", "value", "shows"),
    [
        pytest.param("NO_COLOR", "", True, id="an empty NO_COLOR says nothing"),
        pytest.param("NO_COLOR", "0", False, id="any other value means no"),
        pytest.param("TERM", "dumb", False, id="a dumb terminal"),
        pytest.param("TERM", "xterm", True, id="a terminal"),
    ],
)
@pytest.mark.usefixtures("on_terminal")
def test_colour_is_for_terminals_and_never_with_no_color(
    variable: str, value: str, shows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)

    assert paint("ok", "good") == ("\x1b[32mok\x1b[0m" if shows else "ok")


def test_there_is_no_colour_on_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    assert not coloured(sys.stdout)
    facts({"name": "github", "nothing": ""})
    assert capsys.readouterr().out == "name  github\n"


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert sanitised("a\x1b[2Jb\x07\tc\nd\u202e") == "a�[2Jb�\tc\nd�"


def test_json_is_an_object_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"name": "größe"})

    told = capsys.readouterr().out
    assert json.loads(told) == {"format_version": 1, "name": "größe"}
    assert "größe" in told
