"""Break everything around valetkey, and count what is lost: `make faults`.

`--quick` gives a rough answer within three minutes: one store for each case.  Names of cases run only these.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import killing
import leaving
import losing
import simulated
from report import Report
from settings import Case

CASES: dict[str, tuple[Callable[[Case], None], ...]] = {
    "kill": tuple(partial(killing.killed, store=store) for store in ("SQLite", "Postgres", "Redis")),
    "stop": (
        partial(killing.frozen, store="SQLite", hosts=1, on_reuse="revoke"),
        partial(killing.frozen, store="Postgres", hosts=2, on_reuse="grace"),
        partial(killing.frozen, store="Redis", hosts=2, on_reuse="revoke"),
    ),
    "clock": tuple(partial(killing.clock_steps, store=store) for store in ("Postgres", "SQLite")),
    "lost": tuple(
        partial(losing.lost_answers, store="SQLite", on_reuse=rule) for rule in ("revoke", "deny", "grace", "none")
    ),
    "slow": (
        partial(losing.slow_answers, store="Postgres", seconds=6.0, grace=8.0),
        partial(losing.slow_answers, store="Redis", seconds=20.0, grace=None),
    ),
    "away": (
        partial(losing.store_away, store="Postgres", seconds=10.0),
        partial(losing.store_away, store="Redis", seconds=10.0),
        partial(losing.store_away, store="Postgres", seconds=60.0),
    ),
    "unsure": tuple(partial(losing.store_answers_lost, store=store) for store in ("Redis", "Postgres")),
    "leave": (
        partial(leaving.left, what="the caller is cancelled during the refresh", leave=leaving.cancelled),
        partial(leaving.left, what="the event loop ends during the refresh", leave=leaving.loop_ended),
        partial(leaving.left, what="Ctrl-C during the refresh", leave=leaving.interrupted),
    ),
    "503": (simulated.outage,),
    "secret": (simulated.wrong_secret,),
    "keys": tuple(partial(losing.keys_rotated, store=store) for store in ("Postgres", "SQLite")),
    "reconnect": tuple(partial(killing.reconnected, store=store) for store in ("Redis", "SQLite")),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough answer within three minutes")
    parser.add_argument("--times", type=float, default=1.0, help="let everything happen so many times as often")
    parser.add_argument("--seed", type=int, help="of the random choices; printed by each run")
    parser.add_argument("--verbose", action="store_true", help="print what was remarkable, also where all is well")
    parser.add_argument("only", nargs="*", choices=[[], *CASES], help="these cases only")
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("VALETKEY_", "PG"))]:
        del os.environ[name]
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    home = tempfile.mkdtemp(prefix="valetkey-faults-")
    os.environ["HOME"] = home
    logging.disable()
    report, began = Report(given.verbose), time.monotonic()
    _surroundings(seed)
    report.head()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped then, too
    try:
        for name in given.only or CASES:
            for run in CASES[name][:1] if given.quick and not given.only else CASES[name]:
                run(Case(report, seed, given.quick, given.times))
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is stopped")
        return 130
    finally:
        shutil.rmtree(home, ignore_errors=True)
    met = report.lines - report.missed
    print(f"\n{met} of {report.lines} targets met, {time.monotonic() - began:.0f} s, load at the end {_load()}")
    return 1 if report.missed else 0


def _surroundings(seed: int) -> None:
    print(f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    print(f"machine   {os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {_load()}")
    print(f"Python    {platform.python_version()} ({sys.implementation.name})")
    print(f"seed      {seed}", flush=True)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
