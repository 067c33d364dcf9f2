"""Many callers, one expired grant at a real server that rotates: one refresh, reuse never seen, and the grant lives."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from valetkey import Valet, Wiring
from valetkey.secret_services.memory import MemorySecrets

AGES = 400


def by_threads(_: Any, client: Any) -> list[int]:
    together = threading.Barrier(100)

    def call(_: int) -> int:
        together.wait()
        status: int = client.get("/resource").status_code
        return status

    with ThreadPoolExecutor(100) as pool:
        return list(pool.map(call, range(100)))


def by_tasks(program: Any, client: Any) -> list[int]:
    async def herd() -> list[int]:
        answers = await asyncio.gather(*(client.get("/resource") for _ in range(100)))
        return [answer.status_code for answer in answers]

    statuses: list[int] = program.colour.run(herd())
    return statuses


HERDS: dict[str, Callable[[Any, Any], list[int]]] = {"sync": by_threads, "async": by_tasks}


def test_a_hundred_threads_or_tasks_refresh_once_each_time(program: Any) -> None:
    program.connect("basic")
    client = program.client("basic").target

    for times in (1, 2):
        program.clock.advance(AGES)
        assert HERDS[program.colour.name](program, client) == [200] * 100
        assert (program.server.refreshes, program.server.count("reuse")) == ((times, 0), 0)


def test_a_hundred_401s_at_once_refresh_once(program: Any) -> None:
    program.connect("basic")
    client = program.client("basic").target
    program.clock.advance(90)
    assert program.call("basic").status_code == 200
    program.server.expire_access_tokens()

    assert HERDS[program.colour.name](program, client) == [200] * 100
    assert (program.server.refreshes, program.server.count("reuse")) == ((1, 0), 0)


@pytest.mark.parametrize("mode", ["threads", "tasks"])
def test_four_processes_of_twenty_five_refresh_once(
    server: Any, person: Any, callers: Any, tmp_path: Path, mode: str
) -> None:
    fields, app = server.fields("basic"), server.app("basic")
    paths = {"store": str(tmp_path / "valetkey.db"), "key": str(tmp_path / "key"), "env": "test"}
    callers.know({"name": "basic", "credential": fields, "app": app, **paths})
    with Valet(**options(fields, app, paths)) as valet:
        start = valet.authorize("basic", redirect_uri="http://127.0.0.1:8421/callback/basic")
        valet.finish(person().sign_in(start.url), binding=start.binding)

    processes = [callers.start(mode, 25) for _ in range(4)]
    for process in processes:
        callers.go(process)
    answers = [answer for process in processes for answer in callers.result(process)]

    assert answers == ["200"] * 100
    assert (server.refreshes, server.count("reuse")) == ((1, 0), 0)
    with Valet(**options(fields, app, paths)) as valet:
        assert valet.client("basic").refresh().state == "connected"


def options(fields: dict[str, Any], app: dict[str, str], paths: dict[str, str]) -> dict[str, Any]:
    wiring, secrets = Wiring(), MemorySecrets()
    secrets.set(wiring.oauth2_credential("basic", **fields).secret_id, json.dumps(app))
    return {**paths, "key": Path(paths["key"]), "wiring": wiring, "secrets": secrets}
