"""The console's pages over many connections: how long the server takes for each, and how much memory it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from crowd import CREDENTIALS, ENV
from faults import stores as places
from many import PAGE, PAGE_MS, Home, Postgres, filled
from settings import Bench

from valetkey.model.connections import Query
from valetkey.stores import _cursor, _rules

HERE: Final = "/console/connections"


class WithoutTrigrams(Postgres):
    """PostgreSQL where the extension pg_trgm is not: what a search finds there are beginnings."""

    name = "Postgres, no pg_trgm"


STORES: Final[tuple[type[places.Place], ...]] = (places.SQLite, Postgres, WithoutTrigrams, places.Redis)


@dataclass(frozen=True)
class Asked:
    """What was measured with one store: milliseconds for each kind of page, and bytes of memory before and after."""

    spent: Mapping[str, Sequence[float]]
    memory: tuple[int, int]


def console(bench: Bench) -> None:
    """Ask `valetkey console` for its pages, as a browser that has signed in."""
    count, rounds = (10_000, 5) if bench.quick else (100_000, 21)
    asked = {kind.name: _asked(kind, count, rounds, bench) for kind in STORES if bench.wants(kind.name)}
    _tell(bench, asked, count, rounds)


def _asked(kind: type[places.Place], count: int, rounds: int, bench: Bench) -> Asked:
    with filled(kind, count, bench.origin.base) as home:
        if kind is WithoutTrigrams:
            _take_trigrams(home)
        with home.valet() as valet:
            valet.connections(limit=1)  # records what is declared
        with _served(home) as (pid, client):
            client.get("/console/settings/keys")
            before = _resident(pid)
            spent = {what: _spent(client, path, rounds) for what, path in _pages(home, client, count).items()}
            return Asked(spent, (before, _resident(pid)))


def _take_trigrams(home: Home) -> None:
    import psycopg

    with psycopg.connect(home.url, autocommit=True) as link:
        link.execute("DROP EXTENSION pg_trgm CASCADE")
    home.store.close()  # it looks again


def _tell(bench: Bench, asked: Mapping[str, Asked], count: int, rounds: int) -> None:
    bench.report.title(
        f"The console over {count:,} connections",
        "`valetkey console`, a process of its own: milliseconds from a request to the last byte of the page, by the "
        f"clock of a client on loopback, median and best of {rounds}; and the resident memory of that process before "
        "the first list and at the end.  PostgreSQL and Valkey run on the same machine, as they come out of their "
        "wheels.  Without pg_trgm a search finds beginnings only: so it is asked for another one that finds much.",
    )
    pages = next(iter(asked.values())).spent
    rows = [
        (what, *(f"{figure(one.spent[what]):.1f}" for one in asked.values() for figure in (median, min)))
        for what in pages
    ]
    rows.append(("MB of memory, before and after", *(f"{n / 1e6:.0f}" for one in asked.values() for n in one.memory)))
    bench.report.table(("ms", *(head for name in asked for head in (name, "best"))), rows)
    for name, one in asked.items():
        slowest = max(median(spent) for spent in one.spent.values())
        bench.report.at_most(f"the console's slowest page over {count:,}, {name}", PAGE_MS, slowest, "ms", 1)


@contextmanager
def _served(home: Home) -> Generator[tuple[int, httpx2.Client]]:
    """Run the command, and yield its process id and a client that has signed in by its login link."""
    with TemporaryDirectory(prefix="valetkey-bench-") as folder:
        argv = [sys.executable, "-m", "valetkey.cli", "console", "--no-browser", "--json"]
        argv += ["--store", home.url, "--key", str(home.key)]
        own = {"HOME": folder, "VALETKEY_HOME": folder}
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **own})
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            told = json.loads(process.stdout.readline())
            with httpx2.Client(base_url=told["url"]) as client:
                _sign_in(client, told["url"], told["login_link"])
                yield process.pid, client
        finally:
            process.terminate()
            process.communicate()


def _sign_in(client: httpx2.Client, url: str, link: str) -> None:
    page = client.get(link).text
    form = {name: page.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("csrf", "token")}
    answer = client.post("/login/link", data=form, headers={"Origin": url})
    if answer.status_code != 303:
        raise RuntimeError(str(answer.status_code))


def _pages(home: Home, client: httpx2.Client, count: int) -> dict[str, str]:
    """Return what is asked for, by its name in the table."""
    owner = str(home.crowd.key(count // 2).owner)

    def page(**filters: str) -> str:
        return f"{HERE}?{urlencode(filters)}"

    return {
        "first page": HERE,
        "last page": page(after=_near_the_end(home)),
        "the page before it": page(before=_near_the_end(home)),
        "last page of a credential": _last(client, page(credential=CREDENTIALS[-1])),
        "needs action": page(state="action"),
        "needs re-authorization": page(state="needs_reauth"),
        "refresh failing": page(state="refresh_failing"),
        "connected": page(state="connected"),
        "a credential": page(credential=CREDENTIALS[-1]),
        "an owner": page(owner=owner),
        "search that finds all": page(q="person-" if home.name == WithoutTrigrams.name else "example.org"),
        "search that finds one": page(q=f"person-{count // 2:06}"),
        "search that finds none": page(q="nobody at all"),
    }


def _near_the_end(home: Home) -> str:
    """Return the cursor that the last page of all begins at: nobody would follow all pages to it."""
    found = home.store.list(Query(env=ENV, state="disconnected"), limit=PAGE + 1, backwards=True)
    return f"disconnected.disconnected~{_cursor.encode(_rules.sort_key(found.items[0].key))}"


def _last(client: httpx2.Client, path: str) -> str:
    """Follow the pages to the last one."""
    while (following := _next(client.get(path).text)) is not None:
        path = following
    return path


def _next(page: str) -> str | None:
    before, found, _ = page.rpartition(">Next</a>")
    address = before.rpartition('href="')[2].partition('"')[0]
    return address.replace("&amp;", "&") if found and address.startswith(("?", "/")) else None


def _spent(client: httpx2.Client, path: str, rounds: int) -> list[float]:
    """Return milliseconds of each round; a first call is not counted."""
    return [_timed(lambda: client.get(path)) for _ in range(rounds + 1)][1:]


def _timed(ask: Callable[[], Any]) -> float:
    began = perf_counter()
    answer = ask()
    spent = (perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code} {answer.headers.get('location', '')}")
    return spent


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
