"""Nobody waits for what another needs: a refresh ahead of time, a refresh by hand, a provider that hangs (R0, R5)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from valetkey import ProviderUnavailable
from valetkey.flights import MAX_THREADS
from valetkey.source import LOOK_LOCAL

HOUR = 3600


def elsewhere(face: Any, act: Callable[[Any], Any]) -> Callable[[], Any]:
    """Return what a thread does to act on the valet; with the asynchronous one, in an event loop of its own."""

    async def awaited(result: Any) -> Any:
        return await result

    def run() -> Any:
        result = act(face.raw)
        return asyncio.run(awaited(result)) if inspect.isawaitable(result) else result

    return run


def test_a_valid_token_serves_while_its_claim_shows_that_somebody_refreshes_it_ahead(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    before = client.get_access_token()
    face.practice.clock.advance(HOUR - 60 - 1)

    with face.practice.provider.hold("token") as held:
        assert client.get_access_token() == before
        assert held.arrived.wait(10)
        for _ in range(3):  # looks at the store, in which the claim is new
            face.practice.clock.advance(LOOK_LOCAL)
            assert client.get_access_token() == before


def test_who_holds_a_good_token_does_not_share_the_failure_of_a_refresh_by_hand(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    before = client.get_access_token()
    face.practice.provider.fail_next(status=503)

    with ThreadPoolExecutor(1) as threads:
        with face.practice.provider.hold("token") as held:
            by_hand = threads.submit(elsewhere(face, lambda valet: valet.client("notes").refresh()))
            assert held.arrived.wait(10)
            face.practice.clock.advance(LOOK_LOCAL)
            assert client.get_access_token() == before
        with pytest.raises(ProviderUnavailable):
            by_hand.result(10)

    assert client.get_access_token() == before


def test_a_provider_that_hangs_holds_up_no_other_one_and_no_valid_token(face: Any) -> None:
    practice = face.practice
    owners = [f"owner-{number}" for number in range(MAX_THREADS + 4)]
    for owner in owners:
        practice.connect("notes", owner=owner)
    practice.clock.advance(HOUR + 1)
    practice.declare("other", display_name="Other")
    practice.connect("other")
    practice.connect("notes")

    with ThreadPoolExecutor(len(owners)) as threads:
        with practice.provider.hold("token") as held:
            gets = [lambda valet, owner=o: valet.client("notes", owner=owner).get_access_token() for o in owners]
            waiting = [threads.submit(elsewhere(face, get)) for get in gets]
            assert held.arrived.wait(10)
            assert face.client("other").get_access_token()
            assert face.client("notes").get_access_token()
            assert not any(future.done() for future in waiting)
        assert not wait(waiting, 60).not_done
        assert all(future.result() for future in waiting)


def test_what_others_commit_is_seen_within_a_quarter_of_a_second_whoever_looked_last(face: Any) -> None:
    practice = face.practice
    for owner in ("ada", "ben"):
        practice.connect("notes", owner=owner)
    ada, ben = face.client(owner="ada"), face.client(owner="ben")
    ada.get_access_token()
    ben.get_access_token()
    face.settle()
    practice.clock.advance(LOOK_LOCAL)
    ada.get_access_token()
    practice.clock.advance(LOOK_LOCAL * 0.6)
    ben.get_access_token()
    practice.clock.advance(LOOK_LOCAL * 0.6)
    ada.get_access_token()  # looks at the store
    practice.clock.advance(LOOK_LOCAL * 0.9)
    before = ben.get_access_token()  # relies on that look, which is nearly a quarter of a second old
    practice.connect("notes", owner="ben")
    practice.clock.advance(LOOK_LOCAL * 0.2)

    assert ben.get_access_token() != before


# -- where a refresh ends the access token in use ---------------------------------------------------------------------


def test_a_token_that_its_refresh_ends_is_not_refreshed_ahead_but_when_it_is_due(face: Any) -> None:
    face.practice.declare("ending", refresh_ends_access_token=True)
    face.practice.connect("ending")
    client = face.client("ending")
    before = client.get_access_token()

    face.practice.clock.advance(HOUR - 60 - 1)  # in what would be the soft window
    assert client.get_access_token() == before
    face.settle()
    assert (client.get_access_token(), face.practice.provider.refreshes) == (before, 0)

    face.practice.clock.advance(2)
    assert client.get_access_token() != before
    assert face.practice.provider.refreshes == 1
