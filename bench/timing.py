"""Measuring: CPU time of this process, in rounds in which the candidates take turns.

The server is another process, so neither it nor other work on the machine is counted.  In each round every candidate
runs once, in an order of chance; what is compared are medians over the rounds, ratios are formed within a round first.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from itertools import repeat
from statistics import median
from time import process_time
from typing import Any

Times = Mapping[str, list[float]]
"""Candidate -> microseconds per call, one figure a round."""


@contextmanager
def undisturbed() -> Generator[None]:
    """Keep the garbage collector out of the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def spent(function: Callable[[], Any], calls: int) -> float:
    """Return microseconds of CPU per call, after one call that finds the processor's caches as others left them."""
    with undisturbed():
        function()
        began = process_time()
        for _ in repeat(None, calls):
            function()
        return (process_time() - began) / calls * 1e6


async def aspent(function: Callable[[], Awaitable[Any]], calls: int) -> float:
    """Do what `spent` does, for a function that is awaited."""
    with undisturbed():
        await function()
        began = process_time()
        for _ in repeat(None, calls):
            await function()
        return (process_time() - began) / calls * 1e6


def in_turns(names: list[str], rounds: int) -> Generator[list[str]]:
    """Yield the names in an order of chance, the same in every run."""
    chance = random.Random(1)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        yield chance.sample(names, len(names))


def rounds(candidates: Mapping[str, Callable[[], Any]], calls: int, count: int) -> Times:
    """Measure in `count` rounds of so many calls."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for function in candidates.values():
        spent(function, calls)
    for order in in_turns(list(candidates), count):
        for name in order:
            times[name].append(spent(candidates[name], calls))
    return times


async def arounds(candidates: Mapping[str, Callable[[], Awaitable[Any]]], calls: int, count: int) -> Times:
    """Do what `rounds` does, for functions that are awaited."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for function in candidates.values():
        await aspent(function, calls)
    for order in in_turns(list(candidates), count):
        for name in order:
            times[name].append(await aspent(candidates[name], calls))
    return times


def ratio(times: Times, name: str, base: str) -> float:
    """Return the median of the ratios within each round."""
    return median(mine / bare for mine, bare in zip(times[name], times[base], strict=True))
