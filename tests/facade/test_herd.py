"""Many callers, one expired rotating grant: one refresh, no failure, whatever happens to the callers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from valetkey.testing import Practice
from valetkey.testing._contract_base import at_once

HOUR = 3600


def test_a_hundred_threads_refresh_once(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    client = practice.client()

    answers = at_once(*[lambda: client.get("/me").status_code] * 100)

    assert answers == [200] * 100
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (1, 1, 0)


def test_a_hundred_tasks_refresh_once(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)

    async def herd() -> list[int]:
        async with practice.async_valet as valet:
            client = valet.client("notes")
            answers = await asyncio.gather(*(client.get("/me") for _ in range(100)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(herd()) == [200] * 100
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (1, 1, 0)


def test_a_hundred_401s_at_once_refresh_once(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(120)
    client = practice.client()
    client.get("/me")
    practice.provider.expire_access_tokens()

    answers = at_once(*[lambda: client.get("/me").status_code] * 100)

    assert answers == [200] * 100
    assert (practice.provider.refreshes, practice.provider.reuses) == (1, 0)


def test_a_cancelled_caller_costs_nothing(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)

    async def cancelled() -> None:
        async with practice.async_valet as valet:
            client = valet.client("notes")
            with practice.provider.hold("token") as held:
                task = asyncio.create_task(client.get("/me"))
                await asyncio.to_thread(held.arrived.wait, 10)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await client.get("/me")).status_code == 200

    asyncio.run(cancelled())
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (1, 1, 0)


def test_a_loop_that_ends_during_the_refresh_costs_nothing(practice: Practice) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    client = practice.async_valet.client("notes")
    held = practice.provider.hold("token")

    async def leave() -> None:
        asyncio.create_task(client.get("/me"))  # noqa: RUF006 - it is meant to be lost
        await asyncio.to_thread(held.arrived.wait, 10)

    asyncio.run(leave())
    held.release()

    async def again() -> int:
        async with practice.async_valet:
            return (await client.get("/me")).status_code

    assert asyncio.run(again()) == 200
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (1, 1, 0)


# -- processes


@pytest.fixture
def family(families: Any, tmp_path: Path) -> Any:
    """A parent that has connected an account, and programs of their own that use it, over the embedded store."""
    return families(str(tmp_path / "valetkey.db"))


@pytest.mark.parametrize("mode", ["threads", "tasks"])
def test_four_processes_of_twenty_five_refresh_once(family: Any, mode: str) -> None:
    assert family.herd(mode, 4, 25) == ["200"] * 100
    assert family.refreshed_once()


def test_ctrl_c_during_the_refresh_costs_nothing(family: Any) -> None:
    held = family.provider.hold("token")
    process = family.start("interrupted")
    family.go(process)
    assert held.arrived.wait(30)

    process.send_signal(signal.SIGINT)
    held.release()
    _, err = process.communicate(timeout=60)

    assert "KeyboardInterrupt" in err
    assert family.refreshed_once()
    again = family.start("threads", 1)
    family.go(again)
    assert family.result(again) == ["200"]
    assert family.refreshed_once(), "the successor was stored, so nothing was refreshed a second time"


def test_a_second_event_loop_gets_what_the_first_one_asked_for(family: Any) -> None:
    held = family.provider.hold("token")
    process = family.start("loop_ended")
    family.go(process)
    assert held.arrived.wait(30)
    assert process.stderr is not None
    assert process.stderr.readline() == "loop ends\n"
    held.release()

    assert family.result(process) == ["200"]
    assert family.refreshed_once()


def test_a_child_forked_during_the_refresh_neither_hangs_nor_refreshes(family: Any) -> None:
    assert family.fork_during_the_refresh() == ["200", "200"]
    assert family.refreshed_once()
