"""The explorer of interleavings: what it needs around it, and a word at the end about how much it looked at.

``EXPLORE=more``, as ``make explore`` sets it, looks further: every fault in every case, more modes of the server, more
racers, more samples; and it says of each case how much was looked at.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.unmeasured import unmeasured

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what they share here is `stepped`

from stepped.determined import determine
from stepped.interleaving import Explored

__all__ = ["unmeasured"]  # a fixture: the engine's own tests show already what these run

MORE = os.environ.get("EXPLORE") == "more"


@pytest.fixture(autouse=True)
def _determined(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the chance out of the engine, and what it logs of a thousand failures out of the output."""
    determine(monkeypatch)
    if MORE:
        faulthandler.cancel_dump_traceback_later()  # it may take longer than a test should
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[Explored], Explored]:
    """Note how much was looked at; returns what it is given."""

    def note(explored: Explored) -> Explored:
        noted = explored.schedules, explored.states, explored.runs, explored.told()
        request.node.user_properties.append(("explored", noted))
        return explored

    return note
