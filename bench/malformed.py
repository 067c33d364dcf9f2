"""Odd answers of the token endpoint: whether the grant is kept or lost, and what the caller gets to see."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from peer import APP, Peer, PersonNeeded
from settings import Bench

TROUBLE = {
    "500": "status 500",
    "503": "status 503, HTML, Retry-After: 1",
    "429": "status 429, Retry-After: 1",
    "HTML": "status 200, a page of HTML",
    "cut off": "status 200, the JSON breaks off within the tokens",
    "array": "status 200, the token is in an array",
    "no token": "status 200, a refresh token without an access token",
    "error": "status 200, an error instead of a token",
    "20 MB": "status 200, JSON of 20 MB without a token",
}
"""Mode of the server -> what it does: answers that bring no usable token, and leave the grant as it was."""
ODD = {
    "text": 'expires_in "3600"',
    "null": "expires_in null",
    "absent": "expires_in absent",
    "bEaReR": "token_type bEaReR",
    "no type": "token_type absent",
    "form": "form-encoded, as GitHub does",
}
"""Answers that bring a token, and spend the refresh token."""
QUICK = {"503", "HTML"}
"""Those of the first table that a quick run asks for: no client gets stuck in them, which takes a while to see."""
AGAIN = 5.0
"""Seconds in which a client must have found back, once the server is well: some wait before they ask again."""


def malformed(bench: Bench) -> None:
    """Let every client meet every odd answer."""
    _trouble(bench)
    _odd(bench)


def _trouble(bench: Bench) -> None:
    bench.report.title(
        "The token endpoint answers badly",
        "The token has expired; the token endpoint answers as the column says, and then is well again.  The refresh "
        "token that was sent stays good.",
        f"kept: the call fails with an error of the client's or its HTTP library's, and a call within {AGAIN:g} s "
        "works.  stuck: the grant is kept, but that call fails as well.  crash: the caller gets a KeyError, TypeError "
        "and the like that nobody raised on purpose.  login: a person is asked to sign in.  LEAK: a secret stands in "
        "the error's text.  LOST: the client has forgotten its refresh token, or put another in its place.  The worst "
        "is shown.",
    )
    modes = [mode for mode in TROUBLE if mode in QUICK or not bench.quick]
    for mode in modes:
        print(f"  {mode:<9} {TROUBLE[mode]}")
    print()
    rows = {name: {mode: _meet(bench, kind(), mode) for mode in modes} for name, kind in bench.clients()}
    _table(bench, rows)
    _judge(bench, "bad answers: grant kept, no crash, no leak", rows, {"kept", "ok"})


def _odd(bench: Bench) -> None:
    bench.report.title(
        "The token endpoint answers in another dress",
        "The token has expired, and is refreshed; three calls.  ok: all work, with one refresh.  n sent: they work, "
        "with so many refreshes.  fails: the grant lives, calls fail.  LOST: the refresh token was spent, and what "
        "came for it is lost.  crash and LEAK as above; the worst is shown.",
    )
    for mode, meaning in ODD.items():
        print(f"  {mode:<9} {meaning}")
    print()
    rows = {name: {mode: _wear(bench, kind(), mode) for mode in ODD} for name, kind in bench.clients()}
    _table(bench, rows)
    _judge(bench, "odd answers: understood, one refresh", rows, {"ok"})


def _table(bench: Bench, rows: Mapping[str, Mapping[str, str]]) -> None:
    heads = ("", *next(iter(rows.values())))
    bench.report.table(heads, [(name, *cells.values()) for name, cells in rows.items()])


def _judge(bench: Bench, what: str, rows: Mapping[str, Mapping[str, str]], good: set[str]) -> None:
    mine = [cell for name in ("valetkey", "valetkey async") for cell in rows[name].values()]
    bad = Counter(cell for cell in mine if cell not in good)
    shown = f"{len(mine) - bad.total()} of {len(mine)}" + "".join(f", {cell}" for cell in bad)
    bench.report.target(what, f"{len(mine)} of {len(mine)}", shown, met=not bad)


def _meet(bench: Bench, peer: Peer, mode: str) -> str:
    token = bench.origin.fresh(mode=mode)
    peer.make(bench.origin.base, token, expired=True)
    return asyncio.run(_met(bench, peer))


async def _met(bench: Bench, peer: Peer) -> str:
    url = f"{bench.origin.base}/api"
    first = await call(peer, url)
    bench.origin.control("set", mode="")
    stop = asyncio.get_running_loop().time() + AGAIN
    found_back = await call(peer, url)
    while isinstance(found_back, Exception) and asyncio.get_running_loop().time() < stop:
        if not bench.origin.alive(peer.refresh_token()):
            break
        await asyncio.sleep(0.25)
        found_back = await call(peer, url)
    kept = found_back == 200 or bench.origin.alive(peer.refresh_token())
    secrets = [*bench.origin.stats()["made"], APP[1]]
    await shut(peer)
    marks = [] if kept else ["LOST"]
    if isinstance(first, Exception):
        marks += _marks(first, secrets)
    if not marks and found_back != 200:
        marks = ["stuck"]
    return _worst(marks) or ("ok" if first == 200 else "kept")


def _wear(bench: Bench, peer: Peer, mode: str) -> str:
    token = bench.origin.fresh(mode=mode)
    peer.make(bench.origin.base, token, expired=True)
    return asyncio.run(_worn(bench, peer))


async def _worn(bench: Bench, peer: Peer) -> str:
    url = f"{bench.origin.base}/api"
    got = [await call(peer, url) for _ in range(3)]
    stats, held = bench.origin.stats(), peer.refresh_token()
    secrets = [*stats["made"], APP[1]]
    marks = [] if bench.origin.alive(held) else ["LOST"]
    await shut(peer)
    if isinstance(got[0], Exception):
        marks += _marks(got[0], secrets)
    if got == [200] * 3 and not marks:
        return "ok" if stats["token"] == 1 else f"{stats['token']} sent"
    return _worst(marks) or "fails"


async def call(peer: Peer, url: str) -> int | Exception:
    """Call the API; return the status or the error itself."""
    try:
        if peer.colour == "async":
            return int(await asyncio.wait_for(peer.get(url), 30))
        return int(peer.get(url))
    except Exception as error:  # noqa: BLE001 - every client has its own
        return error


async def shut(peer: Peer) -> None:
    """Let go of a client of either colour."""
    done = peer.close()
    if done is not None:
        await done


def _marks(error: Exception, secrets: Iterable[str]) -> list[str]:
    if isinstance(error, PersonNeeded):
        return ["login"]
    leak = any(secret in text_of(error) for secret in secrets)
    return ["LEAK"] * leak + ["crash"] * (not _on_purpose(error))


def _on_purpose(error: Exception) -> bool:
    """Whether the client, or its HTTP library, raised this itself."""
    if type(error).__module__ not in {"builtins", "json.decoder"}:
        return True
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    return line.startswith("raise") and not isinstance(error, json.JSONDecodeError)


def _worst(marks: Iterable[str]) -> str:
    """Return the worst mark, or nothing."""
    return next((mark for mark in ("LOST", "LEAK", "crash", "login", "stuck") if mark in marks), "")


def text_of(error: BaseException) -> str:
    """Return all that a log would show of an error: its text, and its traceback with what caused it."""
    lines = traceback.format_exception(error)
    return "".join((*lines, str(error), repr(error), *map(repr, _notes(error))))


def _notes(error: BaseException) -> Iterable[Any]:
    return (*error.args, *getattr(error, "__notes__", ()))
