"""The picture of docs/benchmarks.md shows the run that stands there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("valetkey_bench_plot", ROOT / "bench" / "plot.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_drawn_from_the_run_on_the_page(plot: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path, drawn in plot.pictures(page).items():
        assert path.name in page
        assert path.read_text(encoding="utf-8") == drawn, f"{path.name}: draw it anew with bench/page.py"
        ET.fromstring(drawn)  # noqa: S314 - made here


def test_a_run_that_is_not_whole_is_refused(plot: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("## Authorized request", "## Something else")
    with pytest.raises(SystemExit) as refused:
        plot.pictures(page)
    assert "Authorized request" in str(refused.value)
