"""Waiting for what happens in the background: without luck, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

PATIENCE = 60.0
"""Seconds after which what should have happened long ago is given up."""


def wait_until(so: Callable[[], object]) -> None:
    """Look again and again, until something is so."""
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up, "it does not come to that"
        time.sleep(0.005)


def settle(valet: Any) -> None:
    """Wait for what a valet does in the background, such as to note a first use: a change of the store like others."""
    flights = valet._core.flights.under_way()
    assert not wait(flights, PATIENCE).not_done
