"""Measure what the README promises, in one run with other clients beside: `make bench`.

`--quick` (`make bench-quick`) gives a rough answer within two minutes.  Names of measurements run only these, and
`--store` has `many` and `console` measured with that store only.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
import warnings
from collections.abc import Callable

from adapted import adapters
from console import console
from faults.stores import PLACES as STORES
from herds import cancelled, herd, processes
from hot import check, client, request
from imports import command, imports
from leaks import leaks
from load import load
from malformed import malformed
from many import many
from origin import Origin
from refreshes import refreshed_and_used, refreshes
from refused import late, refused_herd
from report import Report, load_average, pace, surroundings
from secrets_shown import secrets_shown
from settings import Bench

from presets import providers

MEASUREMENTS: dict[str, Callable[[Bench], None]] = {
    "imports": imports,
    "command": command,
    "providers": providers,
    "check": check,
    "request": request,
    "client": client,
    "herd": herd,
    "processes": processes,
    "cancelled": cancelled,
    "401_late": late,
    "401_herd": refused_herd,
    "malformed": malformed,
    "leaks": leaks,
    "secrets": secrets_shown,
    "refreshes": refreshes,
    "refreshed_and_used": refreshed_and_used,
    "load": load,
    "adapters": adapters,
    "many": many,
    "console": console,
}

LONG = ("many", "console")
"""What fills stores first: a quick run does it by name only."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough answer within two minutes")
    names = sorted(place.lower() for place in STORES)
    parser.add_argument("--store", action="append", default=[], choices=names, help="measure with this store only")
    parser.add_argument("only", nargs="*", choices=[[], *MEASUREMENTS], help="measure these only")
    given = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")  # other clients' deprecations are not what is measured
    os.environ.pop("VALETKEY_KEY", None)
    began = time.monotonic()
    surroundings()
    report = Report()
    with Origin() as origin:
        bench = Bench(origin, report, given.quick, tuple(given.store))
        for name in given.only or [name for name in MEASUREMENTS if not given.quick or name not in LONG]:
            MEASUREMENTS[name](bench)
    report.close()
    print(f"{time.monotonic() - began:.0f} s, load at the end {load_average()}, {pace()} ms for a million additions")


if __name__ == "__main__":
    main()
