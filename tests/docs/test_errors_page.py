"""The page about errors and the code hold each other to what they say."""

from __future__ import annotations

import ast
import inspect
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import valetkey
from valetkey import errors
from valetkey.cli import exits
from valetkey.cli.exits import status_of
from valetkey.engine.trouble import WHY
from valetkey.errors import ConfigurationError, ValetkeyError
from valetkey.model.connections import REASONS, Connection
from valetkey.protocol import denials

CONNECTION = Connection("con_1", "github")


class Codes:
    """All codes that a package can raise, read from its source.

    A code is what a call gives as ``code``, by keyword or in that place; what is assigned to ``code`` or
    ``default_code``; and what `refused_consent` takes over from the provider.
    """

    def __init__(self, package: Path) -> None:
        self.found: dict[str, str] = dict.fromkeys((*denials._HINTS, "authorization_failed"), "denials.py")
        for file in sorted(package.rglob("*.py")):
            if "testing" not in file.parts:
                self._read(file, ast.parse(file.read_text(encoding="utf-8")))

    def _read(self, file: Path, tree: ast.Module) -> None:
        places = dict(_places_of_code(tree))
        for node in ast.walk(tree):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call):
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                place = places.get(_name_of(node.func), len(node.args))
                values += node.args[place : place + 1]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                values = [node.value for target in targets if _name_of(target) in {"code", "default_code"}]
            for value in values:
                self.found |= {code: file.name for code in _texts(value) if code}


def _places_of_code(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the functions and values of a module that take a code, and the place where they take it."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        elif isinstance(node, ast.ClassDef):
            names = [_name_of(field.target) for field in node.body if isinstance(field, ast.AnnAssign)]
        else:
            continue
        if "code" in names:
            yield node.name, names.index("code")


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _texts(value: ast.expr) -> list[str]:
    options = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return [option.value for option in options if isinstance(option, ast.Constant) and isinstance(option.value, str)]


@pytest.fixture
def errors_page(page: Any) -> Any:
    return page("docs/errors.md")


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_code_is_documented_and_every_documented_code_exists(errors_page: Any) -> None:
    codes = Codes(Path(valetkey.__file__).parent).found
    rows = errors_page.tables("code", "what it means", "next step")
    listed = [code for row in rows for code in words(row[0])]

    assert len(listed) == len(set(listed)), "a code stands in two places"
    assert set(listed) | {"error"} == set(codes)
    assert all(len(row) == 3 and row[1] and row[2] for row in rows)


SAME_WORD = {"bad": "invalid", "no": "missing", "param": "parameter", "such": ""}
FAULT_FIRST = {
    "bad",
    "duplicate",
    "insecure",
    "invalid",
    "missing",
    "no",
    "not",
    "nothing",
    "reserved",
    "too",
    "unknown",
}
OF_CLASSES = {
    kind.default_code for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, ValetkeyError)
}


def word_set(code: str) -> frozenset[str]:
    return frozenset(filter(None, (SAME_WORD.get(word, word).removesuffix("s") for word in code.split("_"))))


def test_no_two_codes_say_the_same_in_another_order_of_words() -> None:
    codes = Codes(Path(valetkey.__file__).parent).found
    same: dict[frozenset[str], list[str]] = {}
    for code in codes:
        same.setdefault(word_set(code), []).append(code)

    assert [alike for alike in same.values() if len(alike) > 1] == []


def test_a_code_names_the_thing_first_and_then_what_is_wrong_with_it() -> None:
    """Not those of a class, which are its name, nor the words of RFC 6749 for what a provider refused."""
    codes = Codes(Path(valetkey.__file__).parent).found

    ours = set(codes) - set(denials._HINTS) - OF_CLASSES
    assert sorted(code for code in ours if code.split("_")[0] in FAULT_FIRST) == []


def test_every_class_is_documented_below_its_parent_with_what_it_has(errors_page: Any) -> None:
    rows = {words(row[0])[0]: row for row in errors_page.tables("class", "below", "when", "also has")}
    classes = {
        name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)
    }

    assert set(rows) == set(classes)
    assert set(rows) <= set(valetkey.__all__)
    for name, kind in classes.items():
        assert words(rows[name][1]) == ([] if kind is ValetkeyError else [kind.__base__.__name__]), name
        wanted = set(inspect.signature(kind).parameters) - {"message"}
        known = {"code", "hint"} if kind is ValetkeyError else {"code", "hint", *_given_above(kind)}
        told = set(words(rows[name][3].partition(":")[0]))
        assert told == (known if kind is ValetkeyError else wanted - known), name


def _given_above(kind: type[Exception]) -> set[str]:
    above = kind.__base__
    return set() if above in {None, ValetkeyError} else set(inspect.signature(above).parameters)  # type: ignore[arg-type]


def test_the_words_for_reasons_are_those_of_every_face(errors_page: Any) -> None:
    told = {words(reason)[0]: text for reason, text in errors_page.tables("reason", "in words")}

    assert told == {reason: text.format(name="GitHub") for reason, text in WHY.items()}
    assert tuple(told) == REASONS


def test_exit_codes_are_as_the_page_says(errors_page: Any) -> None:
    rows = errors_page.tables("class or code", "exit code")
    told = {name: int(row[1][0]) for row in rows for name in words(row[0])}
    samples = {
        "ReauthorizationRequired": errors.NotConnected("", connection=CONNECTION, reason=""),
        "StepUpRequired": errors.StepUpRequired("", acr_values=(), max_age=None),
        "ConnectError": errors.WrongUser(""),
        "ProviderError": errors.ProviderUnavailable(""),
        "RefreshBusy": errors.RefreshBusy(""),
        "StoreError": errors.StoreUnavailable(""),
        "ClientRejected": errors.ClientRejected(""),
    }

    by_class = {name: status_of(error) for name, error in samples.items()}
    by_code = {code: status_of(ConfigurationError("", code=code)) for code in exits._BY_CODE}
    assert told == by_class | by_code
    assert status_of(ConfigurationError("")) == 2
    assert set(exits._BY_CODE) <= set(Codes(Path(valetkey.__file__).parent).found)


def test_a_traceback_ends_with_the_next_step() -> None:
    error = ConfigurationError("there is none", hint="run: valetkey app add github")

    assert traceback.format_exception(error)[-1] == "  -> run: valetkey app add github\n"


def test_the_example_on_the_page_runs(errors_page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = errors_page.blocks("python")
    exec(compile(block.text, "errors.md", "exec", dont_inherit=True), {})  # noqa: S102 - our own page

    assert capsys.readouterr().out == "not_connected never_connected run: valetkey connect notes --env test\n"
