"""For tests that must not be measured: with coverage they would take most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage


@contextmanager
def without_measuring() -> Iterator[None]:
    """Measure no coverage in this block."""
    measuring = Coverage.current()
    if measuring is not None:
        measuring.stop()
    try:
        yield
    finally:
        if measuring is not None:
            measuring.start()


@pytest.fixture(scope="module", autouse=True)
def unmeasured() -> Iterator[None]:
    """Measure no coverage in a folder."""
    with without_measuring():
        yield
