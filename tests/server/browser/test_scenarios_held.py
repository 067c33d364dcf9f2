"""README.md tells which tests play which scenario; ``python test_scenarios_held.py`` renews its table."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

README = Path(__file__).parent / "README.md"
TESTS = Path(__file__).parents[2]
ALL = range(1, 25)
ELSEWHERE: dict[int, str] = {}
"""Scenario -> why no test plays it."""


def played() -> dict[int, list[str]]:
    """Return the tests of each scenario, from their marker, as ``folder/file.py::test``."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "scenario(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                for number in numbers(node):
                    found[number].append(f"{file.relative_to(TESTS).as_posix()}::{node.name}")
    return found


def numbers(function: ast.FunctionDef) -> Iterator[int]:
    """Return the numbers in ``@scenario(1, 2)`` or ``@pytest.mark.scenario(1, 2)``."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"scenario", "pytest.mark.scenario"}:
            yield from (one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, int))


def table() -> str:
    """Return the table as it should stand in the README."""
    found = played()
    stands = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in lines() if row.count("|") >= 4}
    rows = []
    for number in ALL:
        tests = "<br>".join(f"`{name}`" for name in found[number]) or ELSEWHERE.get(number, "")
        rows.append(f"| {number} | {stands.get(str(number), '')} | {tests} |\n")
    return "".join(rows)


def lines() -> list[str]:
    return README.read_text(encoding="utf-8").splitlines()


def test_each_scenario_is_played_or_it_is_said_why_not() -> None:
    found = played()

    assert set(found) | set(ELSEWHERE) == set(ALL)
    assert not set(found) & set(ELSEWHERE)


def test_the_table_of_scenarios_is_up_to_date() -> None:
    assert table() in README.read_text(encoding="utf-8"), f"renew it: python {Path(__file__).name}"


if __name__ == "__main__":
    head, rule, _ = README.read_text(encoding="utf-8").partition("|---|---|---|\n")
    README.write_text(f"{head}{rule}{table()}", encoding="utf-8")
    sys.stdout.write("The table is up to date.\n")
