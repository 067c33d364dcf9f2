"""The explorer of interleavings: what it needs around it, and a word at the end about how much it looked at.

``EXPLORE=more`` looks further: every fault in every case, more modes of the server, more racers, more samples.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what they share here is `stepped`

from stepped.determined import determine
from stepped.interleaving import Explored

MORE = os.environ.get("EXPLORE") == "more"
_PROPERTY = "explored"


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
        request.node.user_properties.append((_PROPERTY, explored.told()))
        return explored

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [r for kind in ("passed", "failed", "xfailed") for r in terminalreporter.stats.get(kind, [])]
    told = [(r.nodeid, words) for r in reports for name, words in r.user_properties if name == _PROPERTY]
    if told:
        terminalreporter.section("schedules explored")
    for nodeid, words in sorted(told):
        terminalreporter.write_line(f"{nodeid.partition('::')[2]}: {words}")
