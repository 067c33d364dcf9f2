"""The grammar of `.env` files, and when they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.secret_services import DotenvSecrets
from valetkey.secret_services.dotenv import parse_dotenv


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("A=1", {"A": "1"}, id="bare"),
        pytest.param("A=1\nB=2\n", {"A": "1", "B": "2"}, id="two lines"),
        pytest.param("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}, id="lines of Windows"),
        pytest.param("\ufeffA=1", {"A": "1"}, id="byte order mark"),
        pytest.param("  export\tA = 1 ", {"A": "1"}, id="export and spaces"),
        pytest.param("# A=0\n\n   # B=0\nA=1", {"A": "1"}, id="comments and empty lines"),
        pytest.param("A=1 # one", {"A": "1"}, id="comment behind"),
        pytest.param("A= # nothing", {"A": ""}, id="only a comment behind"),
        pytest.param("A=a#b", {"A": "a#b"}, id="no comment without a space"),
        pytest.param("A=", {"A": ""}, id="empty"),
        pytest.param("A=''", {"A": ""}, id="empty quotes"),
        pytest.param("A='x # \"y\" \\n $Z'", {"A": 'x # "y" \\n $Z'}, id="single quotes take all as it is"),
        pytest.param('A="x\\ny\\t\\"z\\" \\\\ \\$H # c"', {"A": 'x\ny\t"z" \\ $H # c'}, id="double quotes unescape"),
        pytest.param('A="\\q"', {"A": "\\q"}, id="an unknown escape stays"),
        pytest.param("A='one\ntwo' # c\nB=3", {"A": "one\ntwo", "B": "3"}, id="several lines"),
        pytest.param('A="one\n#two"\nB=3', {"A": "one\n#two", "B": "3"}, id="several lines in double quotes"),
        pytest.param('A={"client_id": "x"}', {"A": '{"client_id": "x"}'}, id="bare JSON"),
        pytest.param("A=$HOME ${B} `c`", {"A": "$HOME ${B} `c`"}, id="nothing is expanded"),
        pytest.param("A=1\nA=2", {"A": "2"}, id="the last one holds"),
        pytest.param("a.b-c=1", {"a.b-c": "1"}, id="dots and dashes in names"),
        pytest.param("A=x=y", {"A": "x=y"}, id="equals signs in values"),
        pytest.param("", {}, id="an empty file"),
        pytest.param("\n\n  \n", {}, id="only empty lines"),
        pytest.param("A='x'\t", {"A": "x"}, id="spaces after quotes"),
    ],
)
def test_it_is_read_as_people_mean_it(text: str, values: dict[str, str]) -> None:
    assert parse_dotenv(text) == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("A=1\nhunter2\n", 2, id="no equals sign"),
        pytest.param("A=1\n\n'B'=hunter2", 3, id="a quoted name"),
        pytest.param("A='hunter2", 1, id="an open single quote"),
        pytest.param('B=1\nA="hunter2\nC=3', 2, id="an open double quote"),
        pytest.param("A='hunter2' more", 1, id="something after the quote"),
        pytest.param("1A=hunter2", 1, id="a name that starts with a digit"),
        pytest.param("=hunter2", 1, id="no name"),
    ],
)
def test_a_mistake_is_told_by_its_line_and_never_shown(text: str, line: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_dotenv(text, "/app/.env")
    assert caught.value.code == "dotenv_invalid"
    assert f"line {line} of /app/.env" in str(caught.value)
    assert "hunter2" not in str(caught.value) + caught.value.hint


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_dotenv(text)
    except ConfigurationError as error:
        assert error.code == "dotenv_invalid"  # noqa: PT017 - either is right
    else:
        assert all(isinstance(value, str) for value in found.values())


@given(st.text(alphabet=st.characters(exclude_characters="'\r", exclude_categories=["Cs"])))
def test_any_value_without_a_single_quote_can_be_written(value: str) -> None:
    assert parse_dotenv(f"A='{value}'\nB=1") == {"A": value, "B": "1"}


def test_an_id_is_found_as_it_is_or_as_a_variable(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("GITHUB_APP=upper\nslack-app=as it is\nSLACK_APP=upper too\nEMPTY=\n")
    service = DotenvSecrets(path)
    assert service.get("github-app") == "upper"
    assert service.get("slack-app") == "as it is"
    assert service.get("empty") is None


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1")
    service = DotenvSecrets(path)
    assert service.get("a") == "1"
    path.write_text("A=2")
    os.utime(path, ns=(1, 1))
    assert service.get("a") == "2"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: None, id="not there"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
        pytest.param(lambda path: path.write_bytes(b"A=\xff\xfe"), id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / ".env"
    assert callable(spoil)
    spoil(path)
    with pytest.raises(ConfigurationError) as caught:
        DotenvSecrets(path).get("a")
    assert caught.value.code == "dotenv_unreadable"
    assert str(path) in str(caught.value)
