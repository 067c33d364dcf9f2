"""A program of its own that calls the API: `caller.py SETTINGS.json MODE [COUNT]`.

SETTINGS.json tells store, key, env, the credential's name and fields, and its app.  What is called is /me there.  Its
clock runs an hour and two minutes ahead, so that it finds the token expired that its parent has just got.  It prints
one JSON line: what its calls came to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from valetkey import AsyncValet, Valet, ValetkeyError, Wiring
from valetkey.clock import SystemClock
from valetkey.secret_services.memory import MemorySecrets

AHEAD = 3720.0


class Ahead(SystemClock):
    now = staticmethod(lambda: time.time() + AHEAD)


def options(settings: dict[str, Any]) -> dict[str, Any]:
    wiring = Wiring()
    credential = wiring.oauth2_credential(settings["name"], **settings["credential"])
    secrets = MemorySecrets()
    secrets.set(credential.secret_id, json.dumps(settings["app"]))
    return {
        "store": settings["store"],
        "key": Path(settings["key"]),
        "env": settings["env"],
        "wiring": wiring,
        "secrets": secrets,
        "clock": Ahead(),
    }


def attempt(client: Any) -> str:
    try:
        return str(client.get("/me").status_code)
    except ValetkeyError as error:
        return error.code


def threads(settings: dict[str, Any], count: int) -> list[str]:
    with Valet(**options(settings)) as valet, ThreadPoolExecutor(count) as pool:
        client = valet.client(settings["name"])
        together = threading.Barrier(count)
        return list(pool.map(lambda _: (together.wait(), attempt(client))[1], range(count)))


def tasks(settings: dict[str, Any], count: int) -> list[str]:
    async def one(client: Any) -> str:
        try:
            return str((await client.get("/me")).status_code)
        except ValetkeyError as error:
            return error.code

    async def every() -> list[str]:
        async with AsyncValet(**options(settings)) as valet:
            client = valet.client(settings["name"])
            return await asyncio.gather(*(one(client) for _ in range(count)))

    return asyncio.run(every())


def interrupted(settings: dict[str, Any], _count: int) -> list[str]:
    """Call once, with nobody to catch Ctrl-C: the interpreter ends while the flight is in the air."""
    return [attempt(Valet(**options(settings)).client("notes"))]


def loop_ended(settings: dict[str, Any], _count: int) -> list[str]:
    """End the event loop while the refresh is under way, and ask again from a second loop."""
    valet = AsyncValet(**options(settings))
    client = valet.client(settings["name"])

    async def leave() -> None:
        task = asyncio.create_task(client.get("/me"))
        while not valet._core.flights.under_way():  # noqa: ASYNC110 - it is a thread that starts it
            await asyncio.sleep(0)
        del task
        signal_parent("loop ends")

    asyncio.run(leave())

    async def again() -> str:
        return str((await client.get("/me")).status_code)

    return [asyncio.run(again())]


def forked(settings: dict[str, Any], _count: int) -> list[str]:
    """Fork while a thread refreshes: the child must neither hang nor send the token a second time."""
    valet = Valet(**options(settings))
    client = valet.client(settings["name"])
    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(attempt(client)))
    thread.start()
    while not valet._core.flights.under_way():
        time.sleep(0.001)
    wait_for_parent()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal_parent("forked")
        os.write(writing, attempt(client).encode())
        os._exit(0)
    os.close(writing)
    thread.join()
    with os.fdopen(reading) as pipe:
        outcome.append(pipe.read())
    os.waitpid(child, 0)
    return outcome


def signal_parent(word: str) -> None:
    print(word, file=sys.stderr, flush=True)


def wait_for_parent() -> None:
    sys.stdin.readline()


MODES = {
    "threads": threads,
    "tasks": tasks,
    "interrupted": interrupted,
    "loop_ended": loop_ended,
    "forked": forked,
}

if __name__ == "__main__":
    config = json.loads(Path(sys.argv[1]).read_text())
    wait_for_parent()
    print(json.dumps(MODES[sys.argv[2]](config, int(sys.argv[3]) if len(sys.argv) > 3 else 1)))
