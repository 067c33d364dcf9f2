"""A thousand connections, each with its own expired grant, all refreshed: what the CPU does beside the posts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from by_hand import HandMade, arefresh, form, parts, refresh
from ours import NAME, row, settings, take_over
from peer import PARALLEL
from settings import Bench
from timing import in_turns

from valetkey import AsyncValet, Valet

AT_ONCE = 50
OVER_FLOOR = 2.0
Tokens = Sequence[dict[str, Any]]


def refreshes(bench: Bench) -> None:
    """Refresh only: against bare posts on one shared client, and against a refresh that is written by hand."""
    count, turns = (200, 2) if bench.quick else (1000, 5)
    bench.report.title(
        f"{count} distinct refreshes, {AT_ONCE} at a time",
        "CPU of the client process per refresh, median of rounds.  valetkey claims, refreshes, seals and writes each "
        "into SQLite (every commit synced to disk); bare: posts on one shared httpx2 client, nothing stored; by hand: "
        "the same posts, and the same guarantees of a claim, a sealed grant and two synced commits, written for this "
        "bench alone without errors, waiting or other processes in mind (bench/by_hand.py): the floor.",
    )
    times: dict[str, list[float]] = {name: [] for name in _WAYS}
    for order in in_turns(list(_WAYS), turns):
        for name in order:
            bench.origin.fresh()
            times[name].append(_WAYS[name](bench.origin.base, bench.origin.tokens(count)))
            if bench.origin.stats()["token"] < count:
                raise RuntimeError(name)
    rows = []
    for colour in ("threads", "tasks"):
        bare, hand, mine = (times[f"{who}, {colour}"] for who in ("bare posts", "by hand", "valetkey"))
        over = median(ratios(mine, hand))
        for name, figures in (("bare posts", bare), ("by hand", hand), ("valetkey", mine)):
            to_bare = "" if figures is bare else f"x {median(ratios(figures, bare)):.2f}"
            rows.append((f"{name}, {colour}", f"{median(figures):.0f}", to_bare, f"x {over:.2f}" * (figures is mine)))
        bench.report.at_most(f"{count} refreshes with SQLite writes, {colour}, over the floor", OVER_FLOOR, over, "x")
    bench.report.table(("", "us CPU", "to bare posts", "to the floor"), rows)
    bench.report.title("What the floor is made of", "One thread alone, median; of the two ways to commit, one counts.")
    made_of = _parts(bench, 200)
    post = made_of["the post"]
    bench.report.table(
        ("", "us CPU", "to the post"), [(n, f"{t:.0f}", f"x {t / post:.2f}") for n, t in made_of.items()]
    )


def ratios(mine: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return the ratios within each round."""
    return [one / other for one, other in zip(mine, base, strict=True)]


def _threads(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Return the CPU per item, in microseconds."""
    began = process_time()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(work, items):
            pass
    return (process_time() - began) / len(items) * 1e6


async def _tasks(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    rest = iter(items)

    async def worker() -> None:
        for item in rest:
            await work(item)

    began = process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (process_time() - began) / len(items) * 1e6


def _bare(base: str, tokens: Tokens) -> float:
    import httpx2

    with httpx2.Client(limits=httpx2.Limits(max_connections=PARALLEL)) as client:

        def work(token: dict[str, Any]) -> None:
            client.post(f"{base}/token", data=form(token["refresh_token"])).json()["access_token"]

        return _threads(work, tokens)


def _abare(base: str, tokens: Tokens) -> float:
    import httpx2

    async def everything() -> float:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=PARALLEL)) as client:

            async def work(token: dict[str, Any]) -> None:
                (await client.post(f"{base}/token", data=form(token["refresh_token"]))).json()["access_token"]

            return await _tasks(work, tokens)

    return asyncio.run(everything())


def _hand(base: str, tokens: Tokens) -> float:
    import httpx2

    with _folder() as folder, httpx2.Client(limits=httpx2.Limits(max_connections=PARALLEL)) as client:
        store = HandMade(folder, tokens)
        with closing(store):

            def post(body: dict[str, str]) -> bytes:
                return client.post(f"{base}/token", data=body).content

            return _threads(lambda n: refresh(store, post, n), range(len(tokens)))


def _parts(bench: Bench, count: int) -> dict[str, float]:
    import httpx2

    base, tokens = _grants(bench, count)
    with _folder() as folder, httpx2.Client() as client, closing(HandMade(folder, tokens)) as store:
        return parts(store, lambda body: client.post(f"{base}/token", data=body).content, tokens)


def _ahand(base: str, tokens: Tokens) -> float:
    import httpx2

    async def everything(store: HandMade) -> float:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=PARALLEL)) as client:

            async def post(body: dict[str, str]) -> bytes:
                return (await client.post(f"{base}/token", data=body)).content

            with store.writing(asyncio.get_running_loop()):
                return await _tasks(lambda n: arefresh(store, post, n), range(len(tokens)))

    with _folder() as folder, closing(HandMade(folder, tokens)) as store:
        return asyncio.run(everything(store))


@contextmanager
def _folder() -> Generator[Path]:
    with TemporaryDirectory(prefix="valetkey-bench-") as folder:
        yield Path(folder)


def _prepared(base: str, tokens: Tokens, folder: Path) -> dict[str, Any]:
    """Put the grants into a store."""
    options = settings(base, folder)
    with Valet(**options) as valet:
        take_over(valet, [row(token, expired=True, owner=f"user-{n}") for n, token in enumerate(tokens)])
    return options


def _mine(base: str, tokens: Tokens) -> float:
    with _folder() as folder, Valet(**_prepared(base, tokens, folder)) as valet:
        _ = valet._core.store.store_id(), valet._core.http.for_endpoints
        return _threads(lambda n: valet.client(NAME, owner=f"user-{n}").get_access_token(), range(len(tokens)))


def _amine(base: str, tokens: Tokens) -> float:
    async def everything(options: dict[str, Any]) -> float:
        async with AsyncValet(**options) as valet:
            _ = valet._core.store.store_id(), valet._core.http.for_endpoints

            async def work(n: int) -> None:
                await valet.client(NAME, owner=f"user-{n}").get_access_token()

            return await _tasks(work, range(len(tokens)))

    with _folder() as folder:
        return asyncio.run(everything(_prepared(base, tokens, folder)))


_WAYS: dict[str, Callable[[str, Tokens], float]] = {
    "bare posts, threads": _bare,
    "by hand, threads": _hand,
    "valetkey, threads": _mine,
    "bare posts, tasks": _abare,
    "by hand, tasks": _ahand,
    "valetkey, tasks": _amine,
}

# -- refreshed and used, beside others ---------------------------------------------------------------------------------


def refreshed_and_used(bench: Bench) -> None:
    """One client per connection, as each client's documentation has it; each is refreshed and calls the API once."""
    count = 50 if bench.quick else 300
    bench.report.title(
        f"{count} connections, each refreshed and used once, {AT_ONCE} at a time",
        "CPU of the client process per connection, one round.  valetkey and the floor share one HTTP client; of the "
        "others each connection is a client object of its own, as their documentation makes them, and nothing is "
        "stored.",
    )
    rows = {"one shared httpx2 client, by hand": _by_hand(bench, count)}
    rows |= {"valetkey": _used(bench, count), "valetkey async": _aused(bench, count)}
    for name, kind in bench.clients():
        if not name.startswith(("valetkey", "httpx-auth")):  # httpx-auth keeps all tokens in one place, by the address
            rows[name] = _theirs(bench, kind, count)
    floor = rows["one shared httpx2 client, by hand"]
    bench.report.table(("", "us CPU", "ratio"), [(n, f"{t:,.0f}", f"x {t / floor:.2f}") for n, t in rows.items()])


def _by_hand(bench: Bench, count: int) -> float:
    import httpx2

    base, tokens = _grants(bench, count)

    async def everything() -> float:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=PARALLEL)) as client:

            async def work(token: dict[str, Any]) -> None:
                new = (await client.post(f"{base}/token", data=form(token["refresh_token"]))).json()
                _expect((await client.get(f"{base}/api", headers=_bearer(new))).status_code)

            return await _tasks(work, tokens)

    return asyncio.run(everything())


def _bearer(token: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token['access_token']}"}


def _grants(bench: Bench, count: int) -> tuple[str, Tokens]:
    bench.origin.fresh()
    return bench.origin.base, bench.origin.tokens(count)


def _expect(status: int) -> None:
    if status != 200:
        raise RuntimeError(str(status))


def _used(bench: Bench, count: int) -> float:
    base, tokens = _grants(bench, count)
    with _folder() as folder, Valet(**_prepared(base, tokens, folder)) as valet:

        def work(n: int) -> None:
            _expect(valet.client(NAME, owner=f"user-{n}").get(f"{base}/api").status_code)

        return _threads(work, range(count))


def _aused(bench: Bench, count: int) -> float:
    base, tokens = _grants(bench, count)

    async def everything(options: dict[str, Any]) -> float:
        async with AsyncValet(**options) as valet:

            async def work(n: int) -> None:
                _expect((await valet.client(NAME, owner=f"user-{n}").get(f"{base}/api")).status_code)

            return await _tasks(work, range(count))

    with _folder() as folder:
        return asyncio.run(everything(_prepared(base, tokens, folder)))


def _theirs(bench: Bench, kind: Any, count: int) -> float:
    base, tokens = _grants(bench, count)

    def work(token: dict[str, Any]) -> None:
        peer = kind().make(base, token, expired=True)
        _expect(peer.get(f"{base}/api"))
        peer.close()

    async def awork(token: dict[str, Any]) -> None:
        peer = kind().make(base, token, expired=True)
        _expect(await peer.get(f"{base}/api"))
        await peer.close()

    return asyncio.run(_tasks(awork, tokens)) if kind.colour == "async" else _threads(work, tokens)
