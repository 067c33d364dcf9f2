"""The model of the refresh protocol: what the rules promise, and what no rule can.

It has what the explorer of interleavings leaves out to stay exhaustive over the real functions: hosts beside one
another, processes that are started again, three of them, two faults at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what they share here is `modelled`


@pytest.fixture(scope="module", autouse=True)
def _unmeasured() -> Iterator[None]:
    """Measure no coverage here: nothing of the package runs."""
    measuring = Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()
