"""The API says 401 to a token that looks valid: who heals it, with how many refreshes, and whether the grant lives."""

from __future__ import annotations

import asyncio

from herds import CALLERS, PATIENCE, aattempt, attempt, figures, judge, tell, together
from peer import Peer
from settings import Bench

QUEUED = 1.0
"""Seconds that the second call may take while the first has no answer yet: some clients let it wait for the first."""


def refused_herd(bench: Bench) -> None:
    """Let 100 callers hold a token that was revoked."""
    bench.report.title(
        f"{CALLERS} callers meet a 401 at once",
        "The access token looks valid and was revoked; the grant lives.  Threads or tasks share one client object.  "
        "0 refreshes: the client leaves 401s to its caller.",
    )
    rows = {}
    for name, kind in bench.clients():
        token = bench.origin.fresh(token_ms=100)
        peer = kind().make(bench.origin.base, token)
        bench.origin.control("revoke")
        said, held = together(peer, f"{bench.origin.base}/api", CALLERS)
        rows[name] = figures(bench, said, alive=bench.origin.alive(held))
    tell(bench, rows)
    judge(bench, f"{CALLERS} threads meet a 401 at once", rows["valetkey"])
    judge(bench, f"{CALLERS} tasks meet a 401 at once", rows["valetkey async"])


def late(bench: Bench) -> None:
    """Give the 401 of one call back only when another call has healed it."""
    bench.report.title(
        "A late 401",
        "Two calls leave with the same revoked access token.  The second meets its 401 first, and heals it if the "
        "client can; only then does the first get its own: for a token that has been replaced meanwhile.",
    )
    rows = {}
    for name, kind in bench.clients():
        token = bench.origin.fresh()
        peer = kind().make(bench.origin.base, token)
        bench.origin.control("revoke")
        bench.origin.control("set", hold=True)
        quick, slow, held = asyncio.run(_race(bench, peer))
        alive = "yes" if bench.origin.alive(held) else "NO"
        rows[name] = quick, slow, str(bench.origin.stats()["token"]), alive
    heads = ("", "the second", "the late one", "refreshes sent", "grant alive")
    bench.report.table(heads, [(name, *row) for name, row in rows.items()])
    for name in ("valetkey", "valetkey async"):
        quick, slow, sent, alive = rows[name]
        shown = f"{sent} sent, calls got {quick} and {slow}, alive: {alive}"
        met = rows[name] == ("200", "200", "1", "yes")
        bench.report.target(f"a late 401, {name}", "1 refresh, both calls work", shown, met=met)


async def _race(bench: Bench, peer: Peer) -> tuple[str, str, str | None]:
    """Return what both calls got, and the refresh token held then."""
    url = f"{bench.origin.base}/api"
    late_one = asyncio.create_task(_call(peer, url))
    while not late_one.done() and not bench.origin.stats()["api"]:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(0.01)
    second = asyncio.create_task(_call(peer, url))
    await asyncio.wait({second}, timeout=QUEUED)
    bench.origin.control("release")
    quick, slow = await second, await late_one
    held = peer.refresh_token()
    done = peer.close()
    if done is not None:
        await done
    return quick, slow, held


async def _call(peer: Peer, url: str) -> str:
    if peer.colour == "async":
        return await aattempt(peer, url)
    return await asyncio.wait_for(asyncio.to_thread(attempt, peer, url), PATIENCE)
