"""Fifty requests in parallel against a local server, the token valid all the while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter, process_time
from typing import Any

from peer import PARALLEL, Peer
from settings import Bench
from timing import in_turns

AT_ONCE = 50
FLOOR = 0.97
LONGER = 5
"""How many times as many requests a round has on aiohttp: it is over too soon else."""
MORE = 6
"""How many times as many rounds have those whose ratio is held to a target: rounds differ by more than the target."""
BY_HAND = ", token by hand"
"""The bare client with a valid token in a header: the least that an authorized request costs."""
Figures = dict[str, list[tuple[float, float]]]
"""Client -> (requests per second of CPU, requests per second of wall clock), one pair a round."""


def load(bench: Bench) -> None:
    """Measure every client in turns with its bare HTTP client."""
    count, turns = (300, 2) if bench.quick else (1000, 5)
    bench.report.title(
        f"{AT_ONCE} requests in parallel against a local server",
        f"Requests per second of CPU of the client process, median of {turns} rounds of {count} (on aiohttp, which is "
        f"quicker, {count * LONGER}), and of {turns * MORE} rounds for valetkey and httpx2, whose ratio has a target; "
        "beside it the best round by the wall clock, which other work on the machine disturbs.  The ratio is to the "
        "bare HTTP client that it stands on: the median of the rounds' ratios of requests per second of CPU.  A bare "
        "client sends no token; where a valid one is put into its header by hand, the row says so.",
    )
    failed: Counter[str] = Counter()
    threads = _threads(bench, count, turns, failed)
    tasks = asyncio.run(_tasks(bench, count, turns))
    rows = []
    for figures in (threads, tasks):
        for name, seen in figures.items():
            base = ON.get(name, "requests")
            over = "" if name in BARE else f"x {_over(figures, name, base):.3f}"
            rows.append((name, f"{median(a for a, _ in seen):,.0f}", f"{max(b for _, b in seen):,.0f}", over))
    bench.report.table(("", "requests/s of CPU", "requests/s, best", "ratio"), rows)
    if failed:
        print("\nCalls that failed and were made again:", ", ".join(f"{name} {n}" for name, n in failed.items()))
    for figures, name in ((threads, "valetkey"), (tasks, "valetkey async")):
        got = _over(figures, name, ON[name])
        what = f"{AT_ONCE} in parallel, {name}, of bare {ON[name]}"
        bench.report.target(what, f">= {FLOOR:g} x", f"{got:.3f} x", met=got >= FLOOR)


def _over(figures: Figures, name: str, base: str) -> float:
    return median(mine / bare for (mine, _), (bare, _) in zip(figures[name], figures[base], strict=False))


def _threads(bench: Bench, count: int, turns: int, failed: Counter[str]) -> Figures:
    import httpx
    import httpx2
    import requests
    from on_requests import pooled

    plain = f"{bench.origin.base}/plain"
    bare = {
        "httpx2": httpx2.Client(limits=httpx2.Limits(max_connections=PARALLEL)),
        "httpx": httpx.Client(limits=httpx.Limits(max_connections=PARALLEL)),
        "requests": pooled(requests.Session()),
    }
    token = bench.origin.fresh()
    peers = _peers(bench, "sync", token)
    ways: dict[str, Callable[[], Any]] = {name: _getter(held.get, plain) for name, held in bare.items()}
    ways["httpx2" + BY_HAND] = _by_hand(bare["httpx2"].get, bench, token)
    ways |= {name: _getter(peer.get, f"{bench.origin.base}/api") for name, peer in peers.items()}
    figures: Figures = {name: [] for name in ways}
    ways = {name: _once_more(way, name, failed) for name, way in ways.items()}
    for way in ways.values():  # warming up
        by_threads(way, count)
    more = ["httpx2", "httpx2" + BY_HAND, "valetkey"]
    for order in (*in_turns(list(ways), turns), *in_turns(more, turns * (MORE - 1))):
        for name in order:
            figures[name].append(by_threads(ways[name], count))
    for held in (*bare.values(), *peers.values()):
        held.close()
    return figures


async def _tasks(bench: Bench, count: int, turns: int) -> Figures:
    import aiohttp
    import httpx
    import httpx2

    plain = f"{bench.origin.base}/plain"
    bare = {
        "httpx2 async": httpx2.AsyncClient(limits=httpx2.Limits(max_connections=PARALLEL)),
        "httpx async": httpx.AsyncClient(limits=httpx.Limits(max_connections=PARALLEL)),
    }
    session = aiohttp.ClientSession()
    token = bench.origin.fresh()
    peers = _peers(bench, "async", token)
    ways: dict[str, Callable[[], Any]] = {name: _getter(held.get, plain) for name, held in bare.items()}
    ways["httpx2 async" + BY_HAND] = _by_hand(bare["httpx2 async"].get, bench, token)
    ways["aiohttp"] = lambda: _read(session, plain)
    ways |= {name: _getter(peer.get, f"{bench.origin.base}/api") for name, peer in peers.items()}
    figures: Figures = {name: [] for name in ways}
    counts = {name: count * (LONGER if ON.get(name, name) == "aiohttp" else 1) for name in ways}
    for name, way in ways.items():
        await by_tasks(way, counts[name])
    more = ["httpx2 async", "httpx2 async" + BY_HAND, "valetkey async"]
    for order in (*in_turns(list(ways), turns), *in_turns(more, turns * (MORE - 1))):
        for name in order:
            figures[name].append(await by_tasks(ways[name], counts[name]))
    await session.close()
    for held in bare.values():
        await held.aclose()
    for peer in peers.values():
        await peer.close()
    return figures


async def _read(session: Any, url: str) -> None:
    async with session.get(url) as answer:
        await answer.read()


def _by_hand(get: Callable[..., Any], bench: Bench, token: Mapping[str, Any]) -> Callable[[], Any]:
    url, headers = f"{bench.origin.base}/api", {"Authorization": f"Bearer {token['access_token']}"}
    return lambda: get(url, headers=headers)


def _peers(bench: Bench, colour: str, token: Mapping[str, Any]) -> dict[str, Peer]:
    return {name: kind().make(bench.origin.base, token) for name, kind in bench.clients(colour=colour)}


def _getter(get: Callable[[str], Any], url: str) -> Callable[[], Any]:
    return lambda: get(url)


def _once_more(way: Callable[[], Any], name: str, failed: Counter[str]) -> Callable[[], Any]:
    """Make a call again that failed, and count it: httpx 0.28 rarely loses one to another thread that tidies up."""

    def call() -> None:
        try:
            way()
        except Exception:  # noqa: BLE001 - of any client
            failed[name] += 1
            way()

    return call


def by_threads(way: Callable[[], Any], count: int) -> tuple[float, float]:
    """Make `count` calls in threads; return how many a second of CPU, and a second of wall clock."""

    def worker(_: int) -> None:
        for _ in range(count // AT_ONCE):
            way()

    wall, cpu = perf_counter(), process_time()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(worker, range(AT_ONCE)))
    return count / (process_time() - cpu), count / (perf_counter() - wall)


async def by_tasks(way: Callable[[], Any], count: int) -> tuple[float, float]:
    """Do what `by_threads` does, in tasks of the running event loop."""

    async def worker() -> None:
        for _ in range(count // AT_ONCE):
            await way()

    wall, cpu = perf_counter(), process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return count / (process_time() - cpu), count / (perf_counter() - wall)


ON = {
    "httpx2" + BY_HAND: "httpx2",
    "valetkey": "httpx2",
    "Authlib": "httpx2",
    "httpx2 async" + BY_HAND: "httpx2 async",
    "valetkey async": "httpx2 async",
    "Authlib async": "httpx2 async",
    "MCP SDK (async)": "httpx2 async",
    "httpx-auth": "httpx",
    "httpx-auth async": "httpx async",
    "aiohttp-oauth2-client": "aiohttp",
}
"""Client -> the bare HTTP client that it stands on; those that are not here stand on requests."""
BARE = {*ON.values(), "requests"}
