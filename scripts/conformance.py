"""Write docs/conformance.md: which requirement of the specifications is held by which test.

The requirements stand in tests/conformance/lines.toml, the tests name them by the marker `conformance`.  Nothing is
run or imported: the marks are read from the source, also those of single rows of a table, by ``conformance(...)`` or by
a helper called ``row``.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
LINES = ROOT / "tests" / "conformance" / "lines.toml"
MARKERS = {"conformance", "row"}
ID = re.compile(r"\d \S")
HEAD = """# Conformance

What the specifications ask of a client, and what bad servers do, line by line; beside each the tests that hold it. The
page is written by `make conformance` from the marks in the tests, so it says no more than is tested: a line without a
test is listed as not done.

"seen" stands for what servers do without a text that covers it, "own" for a rule of this project. Ids that begin with
`F:`, `O:`, `C:` and `M:` are test modules of the conformance suites of OpenID (FAPI 2.0, Connect, CIBA) and of MCP.

**{held} of {all} lines are held by {tests} tests; {decided} are decided otherwise; {open} are not done.**
"""


def parts() -> list[dict[str, Any]]:
    """Return the requirements, in parts."""
    with LINES.open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["part"]
    return found


def marked() -> dict[str, list[str]]:
    """Return the tests of each id, as ``folder/file.py::name``."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "conformance" in source:
            for name, ids in _marks(ast.parse(source)):
                test = f"{path.relative_to(ROOT / 'tests').as_posix()}::{name}"
                for each in ids:
                    found[each].append(test)
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Yield the tests of a module with the ids that their decorators name, or the tables in these."""
    tables = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    whole = list(_ids(tables["pytestmark"], {})) if "pytestmark" in tables else []
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            named = [each for decorator in node.decorator_list for each in _ids(decorator, tables)]
            yield node.name, list(dict.fromkeys([*whole, *named]))


def _ids(tree: ast.AST, tables: Mapping[str, ast.AST]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in tables:
            yield from _ids(tables[node.id], {})
        if isinstance(node, ast.Call) and _called(node) in MARKERS:
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            yield from (text for text in texts if isinstance(text, str) and ID.match(text))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def unknown() -> dict[str, list[str]]:
    """Return what is marked with an id that no line has."""
    known = {key(line["id"]) for part in parts() for line in part["line"]}
    return {each: tests for each, tests in marked().items() if key(each) not in known}


def key(each: str) -> str:
    """Return an id as it is compared: without the letter of a suite, and without regard to case."""
    return re.sub(r"^2 [FOCM]:", "2 ", each).casefold()


def page() -> str:
    """Return the page as it should be."""
    by_id: defaultdict[str, list[str]] = defaultdict(list)
    for each, tests in marked().items():
        by_id[key(each)] += tests
    body: list[str] = []
    counts = {"held": 0, "decided": 0, "open": 0}
    for part in parts():
        body += ["", f"## {part['title']}", "", "| line | what | source | tests |", "|---|---|---|---|"]
        for line in part["line"]:
            tests = sorted(set(by_id[key(line["id"])]))
            counts["held" if tests else "decided" if "note" in line else "open"] += 1
            body.append(_row(line, tests))
    all_tests = {test for found in by_id.values() for test in found}
    head = HEAD.format(all=sum(counts.values()), tests=len(all_tests), **counts)
    return head + "\n".join(body) + "\n"


def _row(line: Mapping[str, str], tests: Sequence[str]) -> str:
    held = "<br>".join(f"`{test}`" for test in tests)
    told = "<br>".join(text for text in (held, line.get("note", "")) if text) or "**not done**"
    return f"| {line['id']} | {line['requires']} | {line['source']} | {told} |"


def main() -> int:
    """Write the page; return 1 where a mark names no line."""
    PAGE.write_text(page(), encoding="utf-8")
    for each, tests in unknown().items():
        print(f"no line {each!r} in {LINES.relative_to(ROOT)}: {', '.join(tests)}")
    return 1 if unknown() else 0


if __name__ == "__main__":
    sys.exit(main())
