"""docs/benchmarks.md tells what is measured, and its picture shows the run that stands there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from valetkey.model.connections import Document, Query, Sealed
from valetkey.model.ports import Label
from valetkey.stores.sqlite import SQLiteStore

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"valetkey_bench_{name}", ROOT / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    return load("plot")


def test_the_picture_is_drawn_from_the_run_on_the_page(plot: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path, drawn in plot.pictures(page).items():
        assert path.name in page
        assert path.read_text(encoding="utf-8") == drawn, f"{path.name}: draw it anew with bench/page.py"
        ET.fromstring(drawn)  # noqa: S314 - made here


def test_each_measurement_is_told_of_on_the_page() -> None:
    program = (ROOT / "bench" / "run.py").read_text(encoding="utf-8")
    table = program.partition("MEASUREMENTS: ")[2].partition("\n}")[0]
    names = re.findall(r'^    "(\w+)": ', table, re.MULTILINE)
    page = PAGE.read_text(encoding="utf-8")
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in page] == []


def test_connections_that_are_filled_in_are_those_that_a_store_would_have_written(tmp_path: Path) -> None:
    crowd = load("crowd")
    filled, written = SQLiteStore(tmp_path / "filled.db"), SQLiteStore(tmp_path / "written.db")
    people = list(crowd.Crowd(300, "https://as.example").records(Plain()))
    for store in (filled, written):
        store.put_document(Document(kind="data_key", id="dk"))
    crowd.into_sqlite(filled, people)
    for record in people:
        written.create(record)
    for query in (
        Query(env="default"),
        Query(env="default", missing_scope="write"),
        Query(env="default", search="07@"),
    ):
        assert filled.list(query, limit=1000) == written.list(query, limit=1000)
    assert filled.due(env="default", until=9e9) == written.due(env="default", until=9e9)
    assert len(filled.sealed_with("dk", limit=1000)[0]) > 250
    filled.close()
    written.close()


class Plain:
    """Seals nothing."""

    @staticmethod
    def seal(plain: bytes, _: Label) -> Sealed:
        return Sealed(plain, "dk")


def test_a_run_that_is_not_whole_is_refused(plot: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("## Authorized request", "## Something else")
    with pytest.raises(SystemExit) as refused:
        plot.pictures(page)
    assert "Authorized request" in str(refused.value)
