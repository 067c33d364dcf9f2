"""What every use costs while the token is valid: looking at it, putting it on a request, one more client object."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from on_httpx import AuthlibAsync, AuthlibSync, HttpxAuth, McpSdk
from on_requests import GoogleAuth, Msal, RequestsOAuth2Client, RequestsOAuthlib
from ours import NAME, ValetkeyAsync, ValetkeySync, settings
from peer import Peer
from settings import Bench
from timing import Times, arounds, ratio, rounds, undisturbed

from valetkey import Valet

LIMIT = 1.06
BODY = b'{"ok":true}'


def check(bench: Bench) -> None:
    """Ask for the token of a valid grant."""
    bench.report.title(
        "Token check",
        "What it costs to look at a valid token: CPU per call, median of rounds.  valetkey: get_access_token() over "
        "SQLite with the system's clock, looks at the store included.",
    )
    calls, count = (20_000, 5) if bench.quick else (100_000, 21)
    base, token = bench.origin.base, bench.origin.fresh()
    mine = ValetkeySync().make(base, token)
    authlib, google, msal = (kind().make(base, token) for kind in (AuthlibSync, GoogleAuth, Msal))
    times = dict(rounds({"valetkey": mine.client.get_access_token}, calls, count))
    others: dict[str, Callable[[], Any]] = {
        "Authlib": lambda: authlib.client.ensure_active_token(authlib.client.token),
        "google-auth": lambda: google.credentials.before_request(None, "GET", base, {}),
        "MSAL": msal.token,
    }
    times |= rounds(others, calls // 20, count)
    for peer in (mine, authlib, google, msal):
        peer.close()
    times |= asyncio.run(_acheck(base, token, calls, count))
    bench.report.table(("", "us", "best"), [(n, f"{median(t):.2f}", f"{min(t):.2f}") for n, t in times.items()])
    bench.report.at_most("token check, sync", 0.2, median(times["valetkey"]), "us", 3)
    bench.report.at_most("token check, async", 0.5, median(times["valetkey async"]), "us", 3)


async def _acheck(base: str, token: Mapping[str, Any], calls: int, count: int) -> dict[str, list[float]]:
    mine, authlib = ValetkeyAsync().make(base, token), AuthlibAsync().make(base, token)
    await mine.client.get_access_token()
    times = dict(await arounds({"valetkey async": mine.client.get_access_token}, calls, count))
    ensure = authlib.client.ensure_active_token
    times |= await arounds({"Authlib async": lambda: ensure(authlib.client.token)}, calls // 20, count)
    for peer in (mine, authlib):
        await peer.close()
    return times


# -- a request ---------------------------------------------------------------------------------------------------------


def request(bench: Bench) -> None:
    """Send requests over a transport that answers from memory."""
    calls, count = (20, 32) if bench.quick else (25, 240)
    bench.report.title(
        "Authorized request",
        f"Over a transport in memory: CPU per request, median of {count} rounds of {calls}, and the median of the "
        "ratios within each round to the bare HTTP client.  aiohttp has no transport in memory: it stands in the table "
        "of 50 requests in parallel only.",
    )
    base, token = bench.origin.base, bench.origin.fresh()
    families = (
        ("httpx2", rounds(_on_httpx2(base, token), calls, count)),
        ("httpx2 async", asyncio.run(_on_httpx2_async(base, token, calls, count))),
        ("httpx", rounds(_on_httpx(base, token), calls, count // 4)),
        ("requests", rounds(_on_requests(base, token), calls, count // 4)),
    )
    rows = [
        (name, f"{median(figures):.1f}", f"x {ratio(times, name, bare):.3f}" if name != bare else "")
        for bare, times in families
        for name, figures in times.items()
    ]
    bench.report.table(("", "us", "ratio"), rows)
    for bare, times in families[:2]:
        for name in times:
            if name.startswith("valetkey"):
                bench.report.at_most(f"request over bare {bare}: {name}", LIMIT, ratio(times, name, bare), "x", 3)


def _in_memory(client: Any) -> Any:
    """Have a client of httpx2 answer from memory: the client itself stays as it was made."""
    import httpx2

    client._transport, client._mounts = httpx2.MockTransport(lambda _: httpx2.Response(200, json={"ok": True})), {}
    return client


def _on_httpx2(base: str, token: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    import httpx2

    url = f"{base}/api"
    bare = _in_memory(httpx2.Client())
    mine, authlib = ValetkeySync().make(base, token), AuthlibSync().make(base, token)
    for held in (mine.valet._core.http.client, authlib.client):
        _in_memory(held)
    authorized = _in_memory(httpx2.Client(auth=mine.client.auth))
    return {
        "httpx2": lambda: bare.get(url),
        "httpx2, with a header": lambda: bare.get(url, headers={"Authorization": "Bearer -"}),
        "valetkey client.get()": lambda: mine.client.get(url),
        "valetkey httpx2.Client(auth=client.auth)": lambda: authorized.get(url),
        "Authlib": lambda: authlib.client.get(url),
    }


async def _on_httpx2_async(base: str, token: Mapping[str, Any], calls: int, count: int) -> Times:
    import httpx2

    url = f"{base}/api"
    bare = _in_memory(httpx2.AsyncClient())
    mine, authlib, mcp = (kind().make(base, token) for kind in (ValetkeyAsync, AuthlibAsync, McpSdk))
    for client in (mine.valet._core.http.client_here(), authlib.client, mcp.client):
        _in_memory(client)
    authorized = _in_memory(httpx2.AsyncClient(auth=mine.client.auth))
    candidates = {
        "httpx2 async": lambda: bare.get(url),
        "httpx2 async, with a header": lambda: bare.get(url, headers={"Authorization": "Bearer -"}),
        "valetkey async client.get()": lambda: mine.client.get(url),
        "valetkey httpx2.AsyncClient(auth=client.auth)": lambda: authorized.get(url),
        "Authlib async": lambda: authlib.client.get(url),
        "MCP SDK": lambda: mcp.client.get(url),
    }
    times = await arounds(candidates, calls, count)
    for peer in (mine, authlib, mcp):
        await peer.close()
    return times


def _on_httpx(base: str, token: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    import httpx

    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"ok": True}))
    url, bare, peer = f"{base}/api", httpx.Client(), HttpxAuth().make(base, token)
    for client in (bare, peer.client):
        client._transport, client._mounts = transport, {}
    return {"httpx": lambda: bare.get(url), "httpx-auth": lambda: peer.client.get(url)}


def _on_requests(base: str, token: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    import requests
    from urllib3.response import HTTPResponse

    class InMemory(requests.adapters.HTTPAdapter):
        def send(self, request: Any, *_: Any, **__: Any) -> Any:
            raw = HTTPResponse(io.BytesIO(BODY), {"content-type": "application/json"}, 200, preload_content=False)
            return self.build_response(request, raw)

    def get(peer: Peer) -> Callable[[], Any]:
        return lambda: peer.get(url)

    url, bare = f"{base}/api", requests.Session()
    bare.mount("http://", InMemory())
    candidates: dict[str, Callable[[], Any]] = {"requests": lambda: bare.get(url)}
    kinds = {
        "google-auth": GoogleAuth,
        "MSAL": Msal,
        "requests-oauthlib": RequestsOAuthlib,
        "requests-oauth2client": RequestsOAuth2Client,
    }
    for name, kind in kinds.items():
        peer = kind().make(base, token)
        peer.session.mount("http://", InMemory())
        candidates[name] = get(peer)
    return candidates


# -- a client object ---------------------------------------------------------------------------------------------------


def client(bench: Bench) -> None:
    """Make one more client: what each user, each tenant costs a program."""
    count, others = (200, 3) if bench.quick else (1000, 20)
    bench.report.title(
        "One more client object",
        "For another user: CPU, and memory as tracemalloc sees it (what OpenSSL keeps is not in it).  valetkey: "
        f"{count} clients of one valet, each of another owner; the others: {others} as their documentation makes them.",
    )
    token = bench.origin.fresh()
    rows = {"valetkey": _one_more(bench.origin.base, count)}
    for name, kind in bench.clients():
        if not name.startswith("valetkey"):
            rows[name] = asyncio.run(_cost_in_a_loop(_maker(kind, bench.origin.base, token), others))
    shown = [(name, f"{spent:,.1f}", f"{size:,.0f}") for name, (spent, size) in rows.items()]
    bench.report.table(("", "us", "bytes"), shown)
    spent, size = rows["valetkey"]
    bench.report.at_most("one more client object", 5, spent, "us", 1)
    bench.report.at_most("one more client object, memory", 1024, size, "bytes", 0)


def _maker(kind: type[Peer], base: str, token: Mapping[str, Any]) -> Callable[[], Peer]:
    def made() -> Peer:
        peer = kind().make(base, token)
        peer.open()
        return peer

    return made


def _one_more(base: str, count: int) -> tuple[float, float]:
    with TemporaryDirectory(prefix="valetkey-bench-") as folder:
        valet = Valet(**settings(base, Path(folder)))
        valet.client(NAME)
        owners = [f"user-{number}" for number in range(4 * count)]
        spent = median(_cost_of_clients(valet, owners[at : at + count]) for at in range(count, 4 * count, count))
        valet.close()
        valet = Valet(**settings(base, Path(folder)))
        valet.client(NAME)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = [valet.client(NAME, owner=owner) for owner in owners[:count]]
        size = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
        tracemalloc.stop()
        valet.close()
        return spent, size


def _cost_of_clients(valet: Valet, owners: list[str]) -> float:
    with undisturbed():
        began = process_time()
        kept = [valet.client(NAME, owner=owner) for owner in owners]
        return (process_time() - began) / len(kept) * 1e6


async def _cost_in_a_loop(make: Callable[[], Any], count: int) -> tuple[float, float]:
    """Do what `_cost` does within an event loop, which some clients want around them when they are made."""
    return _cost(make, count)


def _cost(make: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return CPU microseconds and bytes of one object."""
    make()
    with undisturbed():
        began = process_time()
        kept = [make() for _ in range(count)]
        spent = (process_time() - began) / len(kept) * 1e6
    del kept
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [make() for _ in range(count)]
    size = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    tracemalloc.stop()
    return spent, size
