"""Where the bearer goes: to a host that the caller names, and across a redirect."""

from __future__ import annotations

import asyncio

from herds import aattempt, attempt
from peer import Peer
from settings import Bench


def leaks(bench: Bench) -> None:
    """Ask for another host directly, and for an address that redirects there."""
    bench.report.title(
        "Where the bearer goes",
        "Another origin is asked for directly (an address out of a webhook field, or an agent's idea), or the API "
        "redirects to it.",
    )
    rows = {}
    for name, kind in bench.clients():
        foreign = _seen(bench, kind(), f"{bench.origin.foreign}/catch")
        redirected = _seen(bench, kind(), f"{bench.origin.base}/redirect")
        rows[name] = (*foreign, *redirected)
    heads = ("", "foreign host", "bearer sent", "redirect", "bearer sent")
    bench.report.table(heads, [(n, a, _yes(b), c, _yes(d)) for n, (a, b, c, d) in rows.items()])
    mine = [rows["valetkey"], rows["valetkey async"]]
    for what, at in (("bearer to a foreign host", 1), ("bearer across a redirect", 3)):
        sent = sum(bool(row[at]) for row in mine)
        bench.report.target(what, "0", str(sent), met=sent == 0)


def _yes(sent: object) -> str:
    return "YES" if sent else "no"


def _seen(bench: Bench, peer: Peer, url: str) -> tuple[str, bool]:
    """Return what the caller got, and whether the other origin saw a bearer."""
    token = bench.origin.fresh()
    peer.make(bench.origin.base, token)
    said = asyncio.run(_aonce(peer, url)) if peer.colour == "async" else attempt(peer, url)
    if peer.colour == "sync":
        peer.close()
    return said, any("AT-" in header for header in bench.origin.stats()["caught"])


async def _aonce(peer: Peer, url: str) -> str:
    said = await aattempt(peer, url)
    await peer.close()
    return said
