"""Fifty requests in parallel with each adapter, beside the bare HTTP client that it stands on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

from load import AT_ONCE, Figures, by_tasks, by_threads
from on_requests import pooled
from ours import NAME, row, settings, take_over
from peer import PARALLEL
from settings import Bench
from timing import in_turns

from valetkey import AsyncValet, Valet

FLOOR = 0.95
BY_HAND = "aiohttp, token by hand"
EMPTY = "aiohttp, token by hand in a middleware"
"""What the adapter cannot be quicker than: the least that puts a token on by a client middleware."""


def adapters(bench: Bench) -> None:
    """Measure every adapter in turns with its bare HTTP client."""
    count, turns = (300, 2) if bench.quick else (1000, 5)
    bench.report.title(
        f"Adapters: {AT_ONCE} requests in parallel against a local server",
        f"Requests per second of CPU of the client process, median of {turns} rounds of {count}, for aiohttp of "
        f"{turns * 8}; the ratio is to the bare HTTP client, which sends no token: the median of the rounds' ratios.",
    )
    with tempfile.TemporaryDirectory(prefix="valetkey-bench-") as folder:
        options = settings(bench.origin.base, Path(folder))
        with Valet(**options) as valet:
            take_over(valet, [row(bench.origin.fresh(), expired=False)])
            figures = _threads(bench, valet, count, turns)
        figures |= asyncio.run(_httpx(bench, options, count, turns))
        figures |= asyncio.run(_aiohttp(bench, options, count, turns * 8))
    over = {name: _over(figures, name) for name in figures if name.endswith("adapter") or name in {BY_HAND, EMPTY}}
    bench.report.table(
        ("", "requests/s of CPU", "ratio"),
        [
            (name, f"{median(cpu for cpu, _ in seen):,.0f}", f"x {over[name]:.3f}" if name in over else "")
            for name, seen in figures.items()
        ],
    )
    got = over["aiohttp adapter"]
    bench.report.target("aiohttp adapter, of bare aiohttp", f">= {FLOOR:g} x", f"{got:.3f} x", met=got >= FLOOR)


def _over(figures: Figures, name: str) -> float:
    bare = figures["aiohttp" if name in {BY_HAND, EMPTY} else name.removesuffix(" adapter")]
    return median(mine / plain for (mine, _), (plain, _) in zip(figures[name], bare, strict=True))


def _threads(bench: Bench, valet: Valet, count: int, turns: int) -> Figures:
    import httpx
    import requests

    from valetkey.adapters.httpx import HttpxAuth
    from valetkey.adapters.requests import RequestsAuth

    client, limits = valet.client(NAME), httpx.Limits(max_connections=PARALLEL)
    with (
        pooled(requests.Session()) as bare,
        pooled(requests.Session()) as ours,
        httpx.Client(limits=limits) as bare_httpx,
        httpx.Client(limits=limits, auth=HttpxAuth(client)) as our_httpx,
    ):
        ours.auth = RequestsAuth(client)
        plain, api = f"{bench.origin.base}/plain", f"{bench.origin.base}/api"
        ways: dict[str, Callable[[], Any]] = {
            "requests": lambda: bare.get(plain),
            "requests adapter": lambda: ours.get(api),
            "httpx": lambda: bare_httpx.get(plain),
            "httpx adapter": lambda: our_httpx.get(api),
        }
        figures: Figures = {name: [] for name in ways}
        for way in ways.values():  # warming up
            by_threads(way, count)
        for order in in_turns(list(ways), turns):
            for name in order:
                figures[name].append(by_threads(ways[name], count))
    return figures


async def _httpx(bench: Bench, options: dict[str, Any], count: int, turns: int) -> Figures:
    import httpx

    from valetkey.adapters.httpx import HttpxAuth

    limits = httpx.Limits(max_connections=PARALLEL)
    async with (
        AsyncValet(**options) as valet,
        httpx.AsyncClient(limits=limits) as bare,
        httpx.AsyncClient(limits=limits, auth=HttpxAuth(valet.client(NAME))) as ours,
    ):
        ways: Ways = {
            "httpx async": lambda: bare.get(f"{bench.origin.base}/plain"),
            "httpx async adapter": lambda: ours.get(f"{bench.origin.base}/api"),
        }
        return await _in_tasks(ways, count, turns)


async def _aiohttp(bench: Bench, options: dict[str, Any], count: int, turns: int) -> Figures:
    import aiohttp

    from valetkey.adapters.aiohttp import middleware

    async with AsyncValet(**options) as valet:
        client = valet.client(NAME)
        header = f"Bearer {(await client.get_access_token()).reveal()}"

        async def least(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            request.headers["Authorization"] = header
            return await handler(request)

        async with (
            aiohttp.ClientSession() as bare,
            aiohttp.ClientSession(headers={"Authorization": header}) as by_hand,
            aiohttp.ClientSession(middlewares=(least,)) as in_middleware,
            aiohttp.ClientSession(middlewares=(middleware(client),)) as ours,
        ):
            ways: Ways = {
                "aiohttp": lambda: _read(bare, f"{bench.origin.base}/plain"),
                BY_HAND: lambda: _read(by_hand, f"{bench.origin.base}/api"),
                EMPTY: lambda: _read(in_middleware, f"{bench.origin.base}/api"),
                "aiohttp adapter": lambda: _read(ours, f"{bench.origin.base}/api"),
            }
            return await _in_tasks(ways, count, turns)


Ways = dict[str, Callable[[], Coroutine[Any, Any, Any]]]


async def _in_tasks(ways: Ways, count: int, turns: int) -> Figures:
    figures: Figures = {name: [] for name in ways}
    for way in ways.values():  # warming up
        await by_tasks(way, count)
    for order in in_turns(list(ways), turns):
        for name in order:
            figures[name].append(await by_tasks(ways[name], count))
    return figures


async def _read(session: Any, url: str) -> None:
    async with session.get(url) as answer:
        await answer.read()
