"""What looking for a provider costs: a search over all that come along, and one preset."""

from __future__ import annotations

import subprocess
import sys

from imports import plain_environment
from settings import Bench

SEARCHES = ("google", "api.github.com", "storage", "nobody has this", "")
PROGRAM = """import time
from valetkey.model import presets, preset_index
began = time.perf_counter()
preset_index.built_in()
read = time.perf_counter()
presets.load_preset("google-drive")
loaded = time.perf_counter()
presets.search_presets("")
first = time.perf_counter()
for text in {searches!r}:
    presets.search_presets(text)
ended = time.perf_counter()
print(len(preset_index.built_in()), read - began, loaded - read, first - loaded, (ended - first) / {many})"""


def providers(bench: Bench) -> None:
    """Search and load in fresh interpreters, and keep the best: other work can only make it slower."""
    tries = 3 if bench.quick else 11
    code = PROGRAM.format(searches=SEARCHES, many=len(SEARCHES))
    runs = [_run(code) for _ in range(tries)]
    count = int(runs[0][0])
    read, loaded, first, search = (min(run[at] for run in runs) * 1000 for at in range(1, 5))
    bench.report.title("Providers", f"Wall time over {count} presets, best of {tries} fresh interpreters.")
    rows = [
        ("reading the index, once in a process", f"{read:.2f}"),
        ("the first search: it looks for presets of installed packages", f"{first:.2f}"),
        ("a search", f"{search:.2f}"),
        ("loading one preset of a family", f"{loaded:.2f}"),
    ]
    bench.report.table(("", "ms"), rows)
    bench.report.at_most("a search over all providers", 5, search, "ms")
    bench.report.at_most("reading the index and the first search", 5, read + first, "ms")
    bench.report.at_most("loading one preset", 20, loaded, "ms", 1)


def _run(code: str) -> list[float]:
    argv = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(argv, env=plain_environment(), capture_output=True, text=True, check=True)
    return [float(figure) for figure in done.stdout.split()]
