"""What a program pays before it does anything: importing, and one run of the command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from ours import NAME, row, take_over
from settings import Bench

from valetkey import Valet, Wiring

IMPORTS = {
    "nothing": "pass",
    "httpx2": "import httpx2",
    "valetkey": "import valetkey",
    "valetkey, Valet": "from valetkey import Valet",
    "valetkey, all an API call loads": "from valetkey import Valet; import valetkey.auth",
    "Authlib": "from authlib.integrations.httpx_client import OAuth2Client",
    "MCP SDK": "from mcp.client.auth import OAuthClientProvider",
    "google-auth": "import google.oauth2.credentials, google.auth.transport.requests",
    "MSAL": "import msal",
    "requests-oauthlib": "import requests_oauthlib",
    "requests-oauth2client": "import requests_oauth2client",
    "httpx-auth": "import httpx_auth",
    "aiohttp-oauth2-client": "import aiohttp_oauth2_client.middleware",
}
PROGRAM = """import sys, time
began = time.process_time()
{code}
print(time.process_time() - began, len(sys.modules))"""


def imports(bench: Bench) -> None:
    """Import each package in fresh interpreters, and keep the best: other work can only make it slower."""
    tries = 3 if bench.quick else 11
    bench.report.title("Import", f"CPU time of the import statement, best of {tries} fresh interpreters.")
    best = {name: (float("inf"), 0) for name in IMPORTS}
    for _ in range(tries):
        for name, code in IMPORTS.items():
            best[name] = min(best[name], _imported(code))
    rows = [(name, f"{cost:.1f}", str(modules)) for name, (cost, modules) in best.items()]
    bench.report.table(("", "ms CPU", "modules in all"), rows)
    base = best["httpx2"][0]
    what = "import valetkey, over import httpx2"
    bench.report.at_most(what, 30, best["valetkey"][0] - base, "ms CPU", 1)
    bench.report.at_most("all that an API call loads, over httpx2", 30, _over(best, base), "ms CPU", 1)
    bench.report.at_most("from valetkey import Valet", 40, best["valetkey, Valet"][0], "ms CPU", 1)


def _over(best: Mapping[str, tuple[float, int]], base: float) -> float:
    return best["valetkey, all an API call loads"][0] - base


def plain_environment(*more: str) -> dict[str, str]:
    """Return this environment without what changes how Python starts (and keeps it from writing compiled modules)."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", *more))}


def _imported(code: str) -> tuple[float, int]:
    argv = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(code=code)]
    done = subprocess.run(argv, env=plain_environment(), capture_output=True, text=True, check=True)
    seconds, modules = done.stdout.split()
    return float(seconds) * 1000, int(modules)


def command(bench: Bench) -> None:
    """Run ``valetkey token NAME`` with a valid token, as a script would."""
    tries = 5 if bench.quick else 31
    bench.report.title("Command", f"A whole process, from its start to its end; {tries} runs.")
    with TemporaryDirectory(prefix="valetkey-bench-") as folder:
        environment = _home(Path(folder))
        token = bench.origin.fresh()
        _connect(bench, token, environment)
        here = Path(sys.executable).parent
        argv = [str(here / "valetkey"), "token", NAME]
        said = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        if said.strip() != token["access_token"]:
            msg = "the command printed another token"
            raise RuntimeError(msg)
        mine = [_ran(argv, environment) for _ in range(tries)]
        bare = [_ran([sys.executable, "-c", "pass"], environment) for _ in range(tries)]
    rows = [
        (name, *(f"{figure:.0f}" for figure in (min(walls), median(walls), median(cpus))))
        for name, (walls, cpus) in {
            "valetkey token NAME": list(zip(*mine, strict=True)),
            "python -c pass": list(zip(*bare, strict=True)),
        }.items()
    ]
    bench.report.table(("", "ms, best", "ms, median", "ms CPU, median"), rows)
    wall = median(wall for wall, _ in mine)
    bench.report.at_most("valetkey token NAME, valid token, key in a file", 150, wall, "ms wall", 0)


def _home(folder: Path) -> dict[str, str]:
    kept = plain_environment("VALETKEY_", "XDG_")
    return {**kept, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "etc")}


def _connect(bench: Bench, token: Mapping[str, object], environment: Mapping[str, str]) -> None:
    """Put a valid token into the embedded store of that home."""
    wiring = Wiring()
    wiring.oauth2_credential(
        NAME, authorization_url=f"{bench.origin.base}/authorize", token_url=f"{bench.origin.base}/token"
    )
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with Valet(wiring=wiring) as valet:
            take_over(valet, [row(token, expired=False)])
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ran(argv: list[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Return wall-clock and CPU milliseconds of one run."""
    cpu = os.times()
    began = time.perf_counter()
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    now = os.times()
    used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
    return wall * 1000, used * 1000
