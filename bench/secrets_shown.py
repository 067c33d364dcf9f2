"""Where a client's secrets come to light: in what it prints, logs, raises and pickles."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from malformed import call, shut, text_of
from peer import APP, Peer
from settings import Bench

REFUSALS = ("500", "no token", "cut off", "refused")
HEADS = ("", "repr, str", "log at DEBUG", "error, traceback", "pickle")


def secrets_shown(bench: Bench) -> None:
    """Look for both tokens and the app's secret wherever a program may write them down by mistake."""
    bench.report.title(
        "Secrets in clear",
        "A: the access token.  R: the refresh token.  S: the app's secret.  repr, str: of the client, its token, its "
        "settings, as its documentation has a program hold them.  log at DEBUG: all loggers, during one refresh and "
        "one call.  error, traceback: of a refresh that was refused, met a 500, got no token, or half an answer.  "
        'pickle: of the same objects; "refuses": none can be pickled.',
    )
    rows = {}
    for name, kind in bench.clients():
        shown, logged, pickled = _healthy(bench, kind())
        failed = "".join(_failing(bench, kind(), mode) for mode in REFUSALS)
        rows[name] = shown, logged, _sum(failed), pickled
    bench.report.table(HEADS, [(name, *row) for name, row in rows.items()])
    mine = [cell for name in ("valetkey", "valetkey async") for cell in rows[name]]
    clean = sum(cell in {"-", "refuses"} for cell in mine)
    bench.report.target(
        "no secret in repr, log, error, pickle",
        f"{len(mine)} of {len(mine)}",
        f"{clean} of {len(mine)}",
        met=clean == len(mine),
    )


def _healthy(bench: Bench, peer: Peer) -> tuple[str, str, str]:
    """Return what stands in the texts of the client's objects, in its log, and in its pickles."""
    token = bench.origin.fresh()
    peer.make(bench.origin.base, token, expired=True)
    return asyncio.run(_looked_at(bench, peer))


async def _looked_at(bench: Bench, peer: Peer) -> tuple[str, str, str]:
    with _log() as log:
        got = await call(peer, f"{bench.origin.base}/api")
    if got != 200:
        raise RuntimeError(str(got))
    objects = await asyncio.to_thread(peer.objects)
    known = _known(bench)
    await shut(peer)
    shown = "".join(f"{thing!r}{thing!s}" for thing in objects)
    return _found(shown, known), _found(log.getvalue(), known), _pickled(objects, known)


def _failing(bench: Bench, peer: Peer, mode: str) -> str:
    """Return what stands in the error of a refresh that failed."""
    token = bench.origin.fresh(mode=mode)
    peer.make(bench.origin.base, token, expired=True)
    if mode == "refused":
        bench.origin.control("end")
    return asyncio.run(_failed(bench, peer))


async def _failed(bench: Bench, peer: Peer) -> str:
    got = await call(peer, f"{bench.origin.base}/api")
    await shut(peer)
    return _found(text_of(got), _known(bench)) if isinstance(got, Exception) else "-"


def _known(bench: Bench) -> dict[str, list[str]]:
    made = bench.origin.stats()["made"]
    kinds = {"A": "AT-", "R": "RT-"}
    return {mark: [one for one in made if one.startswith(start)] for mark, start in kinds.items()} | {"S": [APP[1]]}


def _found(text: str | bytes, known: Mapping[str, Iterable[str]]) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return _sum("".join(mark for mark, secrets in known.items() if any(one.encode() in raw for one in secrets)))


def _sum(marks: str) -> str:
    return " ".join(mark for mark in "ARS" if mark in marks) or "-"


def _pickled(objects: Iterable[Any], known: Mapping[str, Iterable[str]]) -> str:
    made = []
    for thing in objects:
        try:
            made.append(pickle.dumps(thing))
        except Exception:  # noqa: BLE001, S112 - that it refuses is what is asked
            continue
    return _found(b"".join(made), known) if made else "refuses"


@contextmanager
def _log() -> Generator[io.StringIO]:
    """Write all that is logged, at every level, into what is yielded."""
    text, root, off = io.StringIO(), logging.getLogger(), logging.root.manager.disable
    handler, level = logging.StreamHandler(text), root.level
    logging.disable(logging.NOTSET)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        logging.disable(off)
