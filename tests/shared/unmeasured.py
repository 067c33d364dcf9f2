"""A fixture for folders of tests that must not be measured: with coverage they would take most of the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from coverage import Coverage


@pytest.fixture(scope="module", autouse=True)
def unmeasured() -> Iterator[None]:
    """Measure no coverage here."""
    measuring = Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()
