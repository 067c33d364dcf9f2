"""Hints at a shell name options of the command, not lines of Python."""

from __future__ import annotations

from typing import Any

import click
import pytest

from valetkey.cli import as_options
from valetkey.cli.adding import add
from valetkey.cli.as_options import hint_at_shell, message_at_shell
from valetkey.cli.exits import told
from valetkey.errors import ConfigurationError


@pytest.mark.parametrize(
    ("line", "options"),
    [
        pytest.param('write params={"shop": "acme"}', "write --param shop=acme", id="a param"),
        pytest.param('add params={"a": "1", "b": "x y"}', "add --param a=1 --param 'b=x y'", id="several params"),
        pytest.param('write scopes=["a", "b"]', "write --scope a --scope b", id="scopes"),
        pytest.param('add api_hosts=["api.example.com"], or', "add --api-host api.example.com, or", id="hosts"),
        pytest.param(
            'write token_url="https://a.example/t?x=1"', "write --token-url 'https://a.example/t?x=1'", id="URL"
        ),
        pytest.param('remove "shopp" from params', "leave --param shopp away", id="one too many"),
        pytest.param('write params = { shop = "acme" }', 'write params = { shop = "acme" }', id="a file"),
        pytest.param("write pkce=True", "write pkce=True", id="no option"),
        pytest.param(
            'write param_names={"client_id": "app_id"}', 'write param_names={"client_id": "app_id"}', id="table"
        ),
        pytest.param('write accept="text/plain"', 'write accept="text/plain"', id="a text without option"),
    ],
)
def test_a_line_becomes_options(line: str, options: str) -> None:
    assert hint_at_shell(line) == options


def test_the_options_are_there() -> None:
    known = {option for param in add.params if isinstance(param, click.Option) for option in param.opts}

    assert {f"--{field.replace('_', '-')}" for field in as_options._ONCE} <= known
    assert set(as_options._REPEATED.values()) <= known


def test_what_a_file_says_is_not_called_an_option() -> None:
    assert message_at_shell('params["shop"] is wrong') == "--param shop is wrong"
    of_a_file = 'params["shop"] is wrong (in valetkey.toml, table [credentials.shop])'
    assert message_at_shell(of_a_file) == of_a_file

    line = 'write params={"shop": "acme"}'
    assert told(ConfigurationError(of_a_file, hint=line)).hint == line
    assert told(ConfigurationError("it is wrong", hint=line)).hint == "write --param shop=acme"


@pytest.mark.parametrize(
    "value", ["a/b", "a@b", "a:8080", "\N{CYRILLIC SMALL LETTER A}cme", "a b", "..", "a%2fb", "a?b", "a#b", "a\\b"]
)
def test_a_param_that_could_move_the_url_is_refused_with_an_option_that_is_right(bare: Any, value: str) -> None:
    given = ("--param", f"shop={value}", "--client-id", "id-1", "--secret-stdin")
    ran = bare.run("app", "add", "shopify", *given, text="secret\n")

    assert ran.code == 2
    assert "--param shop is not a value that may stand in the host of a URL" in ran.err
    assert "-> write --param shop=acme\n" in ran.err
    assert bare.run("app", "list", "--json").json["apps"] == []


def test_a_region_that_does_not_exist_is_refused_with_those_there_are(bare: Any) -> None:
    given = ("--param", "location=xx", "--client-id", "id-1", "--secret-stdin")
    ran = bare.run("app", "add", "zoho", *given, text="secret\n")

    assert ran.code == 2
    assert "--param location is none of those there are" in ran.err
    assert "write one of us, eu, in, au, jp, cn, sa, ca, uk, for example --param location=eu" in ran.err
