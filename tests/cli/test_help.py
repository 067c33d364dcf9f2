"""Help: what there is, with an example each; and words that are nearly right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest

from valetkey.cli.app import SECTIONS, root
from valetkey.cli.commands import Command, Group

MISSPELT = [
    pytest.param(["conect", "github"], 'did you mean "connect"?', id="a command"),
    pytest.param(["app", "lst"], "Did you mean 'list'?", id="a command of a group"),
    pytest.param(["status", "--chek"], "'--check'", id="an option"),
]


def commands(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands with their paths."""
    context = click.Context(group, info_name="valetkey")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]
DESIGNED = {
    *("app", "secret", "connect", "status", "refresh", "disconnect", "token", "header", "request", "exec"),
    *("connections", "events", "providers", "key", "import", "export", "doctor", "practice", "completion", "worker"),
    *("console", "serve", "api-key", "exchange", "look-up"),
}


def test_all_commands_of_the_design_are_there() -> None:
    assert {path[0] for path, _ in commands()} == DESIGNED


def test_alone_it_shows_the_first_steps(bare: Any) -> None:
    shown = bare.ok()

    assert "First steps:" in shown
    assert "valetkey app add github" in shown
    assert shown == bare.ok("--help")


def test_the_version_is_that_of_the_package(bare: Any) -> None:
    from valetkey import __version__

    assert bare.ok("--version") == f"valetkey {__version__}\n"


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_command_says_what_it_does_and_how(path: tuple[str, ...], command: Any, bare: Any) -> None:
    shown = bare.ok(*path, "--help")

    assert command.help.splitlines()[0].endswith("."), "its first line is a sentence"
    if isinstance(command, Group):
        assert "Commands:" in shown
        return
    assert isinstance(command, Command)
    assert command.examples, "it has an example"
    assert all(len(line) <= 77 for line in command.examples)
    assert any(f"valetkey {' '.join(path)}" in line for line in command.examples)
    assert "--env NAME" in shown
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(("path", "command"), ALL)
def test_every_option_that_examples_use_is_there(path: tuple[str, ...], command: Any) -> None:
    options = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
    for line in getattr(command, "examples", ()):
        own = line.split(" #")[0].split(" -- ")[0].split("|")
        for part in own:
            if f"valetkey {' '.join(path)}" in part:
                used = {word for word in part.split() if word.startswith("--") and word != "--"}
                assert used <= options, line


def test_the_top_help_says_what_each_command_says_itself() -> None:
    context = click.Context(root)
    for entries in SECTIONS.values():
        for name, entry in entries.items():
            command = root.get_command(context, name)
            assert command is not None
            assert entry.summary.endswith("."), name
            assert len(entry.summary) <= 64, name


@pytest.mark.parametrize(("args", "suggestion"), MISSPELT)
def test_what_is_nearly_right_is_suggested(args: list[str], suggestion: str, bare: Any) -> None:
    ran = bare.run(*args)

    assert ran.code == 2
    assert ran.out == ""
    assert suggestion in ran.err
    assert ran.err.startswith("error: ")
    assert "[usage]" in ran.err
    assert "--help" in ran.err


def test_a_group_without_a_command_shows_its_help_as_an_error(bare: Any) -> None:
    ran = bare.run("app")

    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err
    assert "error:" not in ran.err


def test_a_wrong_line_is_json_where_json_was_asked_for(bare: Any) -> None:
    ran = bare.run("status", "--chek", "--json")

    assert ran.code == 2
    assert ran.err == ""
    assert ran.json["format_version"] == 1
    assert ran.json["error"]["code"] == "usage"


def test_options_that_stand_everywhere_may_stand_anywhere(bare: Any) -> None:
    bare.declare()

    for line in (["--json", "status"], ["status", "--json"], ["--env", "prod", "--json", "status", "--env", "default"]):
        assert [c["credential"] for c in bare.run(*line).json["connections"]] == ["notes"], line
    assert bare.run("status", "--env", "prod", "--json").json["connections"] == []
    assert bare.run("--env", "prod", "app", "list", "--json").json["apps"] == []
    assert bare.run("app", "--env", "prod", "list", "--json").json["apps"] == []


def test_an_empty_environment_is_refused(bare: Any) -> None:
    ran = bare.run("status", "--env", "")

    assert ran.code == 2
    assert "[env_invalid]" in ran.err


def test_a_key_is_never_an_argument(bare: Any) -> None:
    key = "7b" * 32

    ran = bare.run("status", "--key", key)

    assert ran.code == 2
    assert key not in ran.err + ran.out
    assert "VALETKEY_KEY_FILE" in ran.err


def test_a_password_is_never_an_argument(bare: Any) -> None:
    ran = bare.run("status", "--store", "postgresql://ada:canary-password@db/app")

    assert ran.code == 2
    assert "canary-password" not in ran.err + ran.out


def test_another_key_file_may_be_named(bare: Any, tmp_path: Any) -> None:
    bare.ok("key", "new", str(tmp_path / "my.key"))

    bare.ok("secret", "set", "webhook", "--key", str(tmp_path / "my.key"), "--store", str(tmp_path / "a.db"), text="x")

    shown = bare.ok("key", "status", "--key", str(tmp_path / "my.key"), "--store", str(tmp_path / "a.db"))
    assert f"file:{tmp_path / 'my.key'}" in shown
