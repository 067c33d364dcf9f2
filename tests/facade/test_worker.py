"""`run_worker` of both facades: at once and for ever, stopped, cancelled, beside others."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from valetkey import AsyncValet, ConfigurationError, ReauthorizationRequired, StoreError, StoreUnavailable, Valet
from valetkey.engine.workplan import WorkerSummary

HOUR = 3600


def connect(practice: Any, count: int) -> None:
    for number in range(count):
        practice.connect(owner=f"u-{number}")


def test_once_does_what_is_due_now(face: Any) -> None:
    connect(face.practice, 3)

    early = face.valet.run_worker(once=True)
    face.practice.clock.advance(HOUR - 60)
    summary = face.valet.run_worker(once=True)

    assert early == WorkerSummary()
    assert summary == WorkerSummary(refreshed=3, requests=3)
    assert summary.well


def test_a_client_of_the_same_valet_goes_on_with_the_new_token(face: Any) -> None:
    face.practice.connect()
    client = face.client()
    before = client.get_access_token().reveal()
    face.practice.clock.advance(HOUR - 60)
    face.valet.run_worker(once=True)

    after = client.get_access_token().reveal()

    assert before != after
    assert face.practice.provider.refreshes == 1


def test_it_works_until_it_is_told_to_stop(face: Any) -> None:
    connect(face.practice, 2)
    stop = threading.Event()
    tokens = face.practice.provider

    def watch() -> None:
        while tokens.refreshes < 10:  # each nap of the worker moves the clock
            threading.Event().wait(0.01)
        stop.set()

    watching = threading.Thread(target=watch)
    watching.start()
    summary = face.valet.run_worker(stop=stop)
    watching.join()

    assert summary.refreshed == tokens.refreshes >= 10


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"concurrency": 0}, id="none at once"),
        pytest.param({"per_host": 0}, id="none per host"),
        pytest.param({"concurrency": 65}, id="more than there are threads"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers: dict[str, int], face: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        face.valet.run_worker(once=True, **numbers)

    assert caught.value.code == "concurrency_invalid"


def test_a_store_that_cannot_be_opened_is_an_error(colour: Any, tmp_path: Any) -> None:
    (tmp_path / "taken.db").write_text("no database, and long enough to be looked at as one " * 100)
    valet = (Valet if colour.name == "sync" else AsyncValet)(tmp_path / "taken.db")

    with pytest.raises(StoreError):
        colour.blocking(valet).run_worker()
    colour.blocking(valet).close()


def test_what_has_ended_is_told_to_the_program_once(practice: Any, colour: Any) -> None:
    told: list[ReauthorizationRequired] = []

    async def remember(problem: ReauthorizationRequired) -> None:
        told.append(problem)

    hook = told.append if colour.name == "sync" else remember
    kind = Valet if colour.name == "sync" else AsyncValet
    valet = kind(**{**practice._options(), "on_reauthorize": hook})
    face = colour.blocking(valet)
    connect(practice, 2)
    practice.clock.advance(HOUR)
    practice.provider.revoke("ada")

    summary = face.run_worker(once=True)
    for owner in ["u-0", "u-1"]:
        with pytest.raises(ReauthorizationRequired):
            face.client("notes", owner=owner).get_access_token()
    face.close()

    assert summary == WorkerSummary(needs_reauth=2, requests=2)
    assert sorted(str(problem.connection.owner) for problem in told) == ["u-0", "u-1"]


def test_a_store_that_fails_when_the_program_is_to_be_told_does_not_end_the_work(
    practice: Any, colour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[ReauthorizationRequired] = []
    kind = Valet if colour.name == "sync" else AsyncValet
    valet = kind(**{**practice._options(), "on_reauthorize": told.append})
    connect(practice, 3)
    practice.clock.advance(HOUR)
    practice.provider.revoke("ada")
    prepared = valet._core.news.prepared

    def down(*_: Any) -> Any:
        valet._core.news.prepared = prepared
        msg = "the store is down"
        raise StoreUnavailable(msg)

    valet._core.news.prepared = down
    face = colour.blocking(valet)

    summary = face.run_worker(once=True, concurrency=1)
    face.close()

    assert summary == WorkerSummary(needs_reauth=3, requests=3)
    assert len(told) == 2
    assert caplog.text.count("on_reauthorize was not called for notes/u-") == 1


def test_a_worker_with_all_its_threads_under_way_does_not_hold_up_a_look(practice: Any) -> None:
    connect(practice, 64)
    practice.clock.advance(HOUR - 60)
    stop = threading.Event()

    with practice.provider.hold("token") as hold:
        work = threading.Thread(
            target=practice.valet.run_worker, kwargs={"concurrency": 64, "per_host": 64, "stop": stop}
        )
        work.start()
        try:
            hold.wait_for(64, timeout=60)
            looked = practice.valet._core.flights.call(lambda: "at once").result(30)
        finally:
            stop.set()
            hold.release()
            work.join()

    assert looked == "at once"
    assert practice.provider.refreshes == 64


def test_the_log_tells_what_happens_and_holds_no_secret(practice: Any, caplog: pytest.LogCaptureFixture) -> None:
    connect(practice, 2)
    practice.connect("notes", owner="bob", login="bob")
    practice.clock.advance(HOUR)
    practice.provider.revoke("ada")

    with caplog.at_level(logging.DEBUG, "valetkey"):
        practice.valet.run_worker(once=True)

    said = [record.getMessage() for record in caplog.records if record.name == "valetkey.worker"]
    assert sum(line.startswith("needs_reauth: notes/u-") for line in said) == 2
    assert said.count("refreshed: notes/bob") == 1
    assert not any(token in caplog.text for token in practice.provider.tokens_ever_issued())


def test_a_cancelled_worker_finishes_what_is_under_way(practice: Any) -> None:
    connect(practice, 5)
    practice.clock.advance(HOUR)

    async def main() -> None:
        async with practice.async_valet as valet:
            with practice.provider.hold("token", after=True) as hold:
                task = asyncio.create_task(valet.run_worker(concurrency=2))
                await asyncio.to_thread(hold.wait_for, 2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                hold.release()

    asyncio.run(main())

    assert practice.provider.refreshes == 2
    assert practice.valet.run_worker(once=True).refreshed == 3
    assert practice.provider.reuses == 0


def test_two_workers_on_one_store_refresh_each_grant_once(practice: Any) -> None:
    connect(practice, 30)
    practice.clock.advance(HOUR - 60)
    summaries: list[WorkerSummary] = []

    with Valet(**practice._options()) as other:
        workers = [
            threading.Thread(target=lambda valet=valet: summaries.append(valet.run_worker(once=True)))
            for valet in (practice.valet, other)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    assert sum(summary.refreshed for summary in summaries) == practice.provider.refreshes == 30
    assert (practice.provider.reuses, practice.provider.double_sends) == (0, 0)
