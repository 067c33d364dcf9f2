"""Many callers on one expired grant whose refresh token rotates: how many refresh, how many fail, what survives."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peer import Peer
from settings import Bench

CALLERS = 100
PROCESSES = 4
PATIENCE = 30.0
WORKER = Path(__file__).with_name("worker.py")
HEADS = ("", "refreshes sent", "calls failed", "grant alive")


def attempt(peer: Peer, url: str) -> str:
    """Call the API; return the status, or the class of the error."""
    try:
        return str(peer.get(url))
    except Exception as error:  # noqa: BLE001 - every client has its own
        return type(error).__name__


async def aattempt(peer: Peer, url: str, patience: float = PATIENCE) -> str:
    """Do what `attempt` does, for a client that is awaited; give up after so many seconds."""
    try:
        return str(await asyncio.wait_for(peer.get(url), patience))
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def together(peer: Peer, url: str, callers: int) -> tuple[Sequence[str], str | None]:
    """Let so many callers call at once, threads or tasks; return what they got, and the refresh token held then."""
    if peer.colour == "async":
        return asyncio.run(_atogether(peer, url, callers))
    with ThreadPoolExecutor(callers) as pool:
        said = list(pool.map(lambda _: attempt(peer, url), range(callers)))
    held = peer.refresh_token()
    peer.close()
    return said, held


async def _atogether(peer: Peer, url: str, callers: int) -> tuple[Sequence[str], str | None]:
    said = await asyncio.gather(*(aattempt(peer, url) for _ in range(callers)))
    held = peer.refresh_token()
    await peer.close()
    return said, held


def herd(bench: Bench) -> None:
    """Let 100 threads or tasks share one client object."""
    bench.report.title(
        f"{CALLERS} callers on one expired, rotating grant",
        "Threads or tasks share one client object.  The token endpoint answers in 100 ms; a refresh token works once, "
        "and a second use ends the grant.",
    )
    rows = {}
    for name, kind in bench.clients():
        token = bench.origin.fresh(token_ms=100)
        peer = kind().make(bench.origin.base, token, expired=True)
        said, held = together(peer, f"{bench.origin.base}/api", CALLERS)
        rows[name] = figures(bench, said, alive=bench.origin.alive(held))
    tell(bench, rows)
    judge(bench, f"{CALLERS} threads on one expired, rotating grant", rows["valetkey"])
    judge(bench, f"{CALLERS} tasks on one expired, rotating grant", rows["valetkey async"])


def processes(bench: Bench) -> None:
    """Let processes share the grant, each through the client's own storage, or a file that its hook writes."""
    each = CALLERS // PROCESSES
    bench.report.title(
        f"{PROCESSES} processes x {each} callers on one expired, rotating grant",
        "Through the storage that the client brings (valetkey: SQLite; httpx-auth and MSAL: their files), else through "
        "a JSON file that its hook writes.",
    )
    rows = {}
    for name, kind in bench.clients():
        token = bench.origin.fresh(token_ms=100)
        with TemporaryDirectory(prefix="valetkey-bench-") as folder:
            store = Path(folder, "store")
            _fill(kind(), bench.origin.base, store, token)
            said = _run_workers(name, bench.origin.base, store, each)
        rows[name] = figures(bench, said, alive=bench.origin.stats()["live"] == 1)
    tell(bench, rows)
    for name in ("valetkey", "valetkey async"):
        judge(bench, f"{PROCESSES} processes x {each}, {name}", rows[name])


def _fill(peer: Peer, base: str, store: Path, token: Mapping[str, Any]) -> None:
    if not peer.own_store:
        store.write_text(json.dumps(token))
        return
    peer.store = store
    done = peer.make(base, token, expired=True).close()
    if done is not None:
        asyncio.run(done)


def _run_workers(name: str, base: str, store: Path, callers: int) -> list[str]:
    argv = [sys.executable, "-W", "ignore", str(WORKER), name, base, str(store), str(callers)]
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) for _ in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None  # noqa: S101 - for the type checker
        worker.stdout.readline()  # it is ready
    for worker in workers:
        assert worker.stdin is not None  # noqa: S101
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outs = [worker.communicate()[0] for worker in workers]
    return [status for out in outs for status in (json.loads(out) if out else ["worker died"] * callers)]


def cancelled(bench: Bench) -> None:
    """Cancel the caller that happens to refresh, and call again."""
    bench.report.title(
        "The caller is cancelled during the refresh",
        "A time-out of 100 ms around the request; the token endpoint answers in 300 ms.  Then, a while later, a second "
        "request.",
    )
    rows = {}
    for name, kind in bench.clients(colour="async"):
        token = bench.origin.fresh(token_ms=300)
        peer = kind().make(bench.origin.base, token, expired=True)
        said, held = asyncio.run(_cancel(bench, peer))
        stats, alive = bench.origin.stats(), bench.origin.alive(held)
        rows[name] = (*said, str(stats["token"]), "yes" if alive else "NO")
    bench.report.table(("", "first", "second", "refreshes sent", "grant alive"), [(n, *r) for n, r in rows.items()])
    _, second, sent, alive = rows["valetkey async"]
    what = "caller cancelled during the refresh"
    shown = f"{sent} sent, then {second}, alive: {alive}"
    bench.report.target(what, "the grant lives", shown, met=(second, sent, alive) == ("200", "1", "yes"))


async def _cancel(bench: Bench, peer: Peer) -> tuple[tuple[str, str], str | None]:
    url = f"{bench.origin.base}/api"
    first = await aattempt(peer, url, 0.1)
    await asyncio.sleep(0.6)
    bench.origin.control("set", token_ms=0)
    second = await aattempt(peer, url)
    held = peer.refresh_token()
    await peer.close()
    return (first, second), held


def figures(bench: Bench, said: Sequence[str], *, alive: bool) -> tuple[int, int, bool]:
    """Return how many refreshes were sent, how many calls failed, and whether the grant lives."""
    return bench.origin.stats()["token"], len(said) - said.count("200"), alive


def tell(bench: Bench, rows: Mapping[str, tuple[int, int, bool]]) -> None:
    """Print the table of a herd."""
    shown = [(name, str(sent), str(failed), "yes" if alive else "NO") for name, (sent, failed, alive) in rows.items()]
    bench.report.table(HEADS, shown)


def judge(bench: Bench, what: str, row: tuple[int, int, bool]) -> None:
    """Hold a herd to one refresh that all share."""
    sent, failed, _ = row
    shown = f"{sent} refresh, {failed} failed"
    bench.report.target(what, "1 refresh, 0 failed", shown, met=row == (1, 0, True))
