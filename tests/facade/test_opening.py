"""A valet at its first use, by many at once, over a store elsewhere; and claims in stores that are slow or cut off."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from valetkey import AsyncValet, HostNotAllowed, RefreshBusy, StoreUnavailable, Valet
from valetkey.engine.lifecycle import Want
from valetkey.engine.renewal import MOST_CLAIMS, renew
from valetkey.secret_services.memory import MemorySecrets

HOUR = 3600
OWNERS = [f"owner-{number}" for number in range(5)]


def over_a_service(practice: Any, kind: type[Valet | AsyncValet], service: MemorySecrets) -> Any:
    return kind(**{**practice._options(), "store": service})


def test_many_connections_are_asked_for_at_once_when_a_store_elsewhere_is_opened(practice: Any, colour: Any) -> None:
    service = MemorySecrets()
    with over_a_service(practice, Valet, service) as first:
        for owner in OWNERS:
            start = first.authorize("notes", owner=owner)
            first.finish(practice.provider.approve(start.url), binding=start.binding, owner=owner)

    if colour.name == "sync":
        with over_a_service(practice, Valet, service) as valet, ThreadPoolExecutor(len(OWNERS)) as threads:
            tokens = list(threads.map(lambda owner: valet.client("notes", owner=owner).get_access_token(), OWNERS))
    else:

        async def all_at_once() -> list[Any]:
            async with over_a_service(practice, AsyncValet, service) as valet:
                clients = [valet.client("notes", owner=owner) for owner in OWNERS]
                return list(await asyncio.gather(*(client.get_access_token() for client in clients)))

        tokens = asyncio.run(all_at_once())

    assert len({token.reveal() for token in tokens}) == len(OWNERS)


def test_a_store_that_is_too_slow_for_its_claims_is_not_claimed_for_ever(
    practice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    core = practice.valet._core
    hasty = replace(core.credential("notes"), refresh_grace=8.0)
    claim, claims = core.store.claim, []

    def slow(*args: Any, **how: Any) -> Any:
        claims.append(how["holder"])
        claimed = claim(*args, **how)
        practice.clock.advance(1.1)
        return claimed

    monkeypatch.setattr(core.store, "claim", slow)

    with pytest.raises(RefreshBusy, match="came to nothing"):
        renew(core.world, hasty, core.store.load(core.own_source("notes").key), Want())

    assert (len(claims), practice.provider.refresh_requests) == (MOST_CLAIMS + 1, 0)
    assert core.store.load(core.own_source("notes").key).claim is None


def test_a_claim_whose_answer_is_lost_holds_up_nobody(practice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    store = practice.valet._core.store
    claim = store.claim

    def lost(*args: Any, **how: Any) -> Any:
        claim(*args, **how)
        monkeypatch.setattr(store, "claim", claim)
        msg = "the answer was lost"
        raise StoreUnavailable(msg, code="store_answer_lost")

    monkeypatch.setattr(store, "claim", lost)
    with pytest.raises(StoreUnavailable):
        practice.client().get_access_token()

    assert practice.client().get("/me").status_code == 200
    assert store.load(practice.valet._core.own_source("notes").key).doubt == 0


def test_news_that_comes_while_the_record_is_read_is_not_lost(practice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    practice.connect("notes")
    core = practice.valet._core
    source = core.own_source("notes")
    load = core.store.load

    def load_and_hear(key: Any) -> Any:
        record = load(key)
        source.hear()
        return record

    monkeypatch.setattr(core.store, "load", load_and_hear)
    practice.client().get_access_token()

    assert source.token.until == 0.0


def test_a_refresh_of_our_own_is_no_news(practice: Any) -> None:
    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    practice.client().get_access_token()

    assert practice.valet._core.own_source("notes").token.until > 0.0


def test_a_refused_url_does_not_show_the_password_in_it(practice: Any) -> None:
    practice.connect("notes")

    with pytest.raises(HostNotAllowed) as caught:
        practice.client().get("https://bob:hunter2@evil.example/x?key=secret")

    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert "secret" not in str(caught.value)
