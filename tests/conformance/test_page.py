"""The page about conformance is what its generator writes, and every mark names a line that there is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_page", ROOT / "scripts" / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_make_conformance_writes(generator: Any) -> None:
    assert generator.PAGE.read_text(encoding="utf-8") == generator.page(), "run: make conformance"


def test_every_mark_names_a_line_that_there_is(generator: Any) -> None:
    assert generator.unknown() == {}


def test_a_line_stands_there_once(generator: Any) -> None:
    ids = [generator.key(line["id"]) for part in generator.parts() for line in part["line"]]

    assert sorted(set(ids)) == sorted(ids)


def test_marks_are_found_wherever_they_stand(generator: Any) -> None:
    source = """
import pytest
conformance = pytest.mark.conformance
ROWS = [pytest.param(1, marks=conformance("1 a: table")), row("x", "1 a: helper")]

@pytest.mark.conformance("1 a: long", "1 a: second")
@pytest.mark.parametrize("n", ROWS)
def test_this(n): "1 a: in the body"

@conformance("1 a: short")
async def test_that(): ...
"""

    found = dict(generator._marks(generator.ast.parse(source)))

    assert found == {
        "test_this": ["1 a: long", "1 a: second", "1 a: helper", "1 a: table"],
        "test_that": ["1 a: short"],
    }
