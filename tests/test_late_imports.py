"""Imports that are made late, in threads, stand under the lock that a fork waits for (`valetkey.forks`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import valetkey

ROOT = Path(valetkey.__file__).parent
IN_FLIGHTS = (
    *sorted(ROOT.glob("engine/*.py")),
    *sorted(ROOT.glob("protocol/*.py")),
    *(ROOT / f"{name}.py" for name in ("app_files", "app_source", "apps", "client", "core", "road", "source")),
    *(ROOT / f"{name}.py" for name in ("tokens", "trading", "verifying")),
)
"""What runs in the threads of a valet."""


def unguarded(tree: ast.AST, *, late: bool = False) -> Iterator[int]:
    """Yield the lines of imports in functions that do not stand under ``with late_imports:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With) and any(_is_the_lock(item.context_expr) for item in node.items):
            continue
        if late and isinstance(node, ast.Import | ast.ImportFrom):
            yield node.lineno
        yield from unguarded(node, late=late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _is_the_lock(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "late_imports"


@pytest.mark.parametrize("path", IN_FLIGHTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_import_in_a_function_holds_off_forks(path: Path) -> None:
    lines = list(unguarded(ast.parse(path.read_text(encoding="utf-8"))))

    assert lines == [], f"put them under `with late_imports:` (valetkey.forks): {path.name}, lines {lines}"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("import a\ndef f():\n    pass", []),
        ("def f():\n    import a", [2]),
        ("async def f():\n    if x:\n        from a import b", [3]),
        ("def f():\n    with late_imports:\n        import a", []),
        ("def f():\n    with other:\n        import a", [3]),
        ("class C:\n    import a\n    def f(self):\n        import b", [4]),
        ("def f():\n    with late_imports, other:\n        import a\n    import b", [4]),
    ],
)
def test_the_search_finds_them(code: str, lines: list[int]) -> None:
    assert list(unguarded(ast.parse(code))) == lines
