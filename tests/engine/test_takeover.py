"""When a claim that another left behind is taken over, and when it is not (R6, R10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.lifecycle import Want, load, obtain
from valetkey.engine.lookout import Lookout
from valetkey.engine.renewal import heal
from valetkey.engine.takeover import HELD, at_work, may_take_over
from valetkey.engine.windows import CLAIM_LIFE, DEADLINE, SHORTEST_CLAIM, STILL, claim_life
from valetkey.engine.world import World
from valetkey.errors import RefreshBusy, StoreUnavailable
from valetkey.model.connections import Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import Fate

HOUR = 3600


class Claims:
    """A connected stage whose token has run out, and somebody who claims it."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.fates: dict[str, Fate] = {}
        self.waited: list[float] = []
        wait = stage.store.wait_for_change
        stage.store.wait_for_change = lambda record, timeout: self.waited.append(timeout) or wait(record, timeout)

    def world(self) -> World:
        """Return a process that has just started."""
        return replace(self.stage.world, lookout=Lookout(), fate=lambda name: self.fates.get(name, "unknown"))

    def claim(self, fate: Fate, life: float = CLAIM_LIFE) -> Record:
        record = self.stage.record()
        holder = f"holder-{len(self.fates)}"
        self.fates[holder] = fate
        claimed: Record = self.stage.store.claim(record, holder=holder, life=life, spending=record.refresh_fp)
        assert claimed is not None
        return claimed

    def may(self, world: World | None = None) -> tuple[bool, bool]:
        world = world or self.world()
        record = load(world, self.stage.key())
        assert record is not None
        return may_take_over(world, record)

    def down(self, world: World) -> None:
        """Let a process see the store down."""

        def fail(*_: Any, **__: Any) -> Any:
            msg = "down"
            raise StoreUnavailable(msg)

        self.stage.store.load = fail
        with pytest.raises(StoreUnavailable):
            obtain(world, self.stage.key())
        del self.stage.store.load


@pytest.fixture
def claims(stage: Any) -> Claims:
    stage.connect()
    stage.clock.advance(HOUR + 1)
    return Claims(stage)


def test_what_nobody_claims_is_free(claims: Claims) -> None:
    assert claims.may() == (True, False)
    assert not at_work(claims.world(), claims.stage.record())


def test_a_dead_holder_is_taken_over_at_once_and_waited_for_by_nobody(claims: Claims) -> None:
    claims.claim("dead")

    held = obtain(claims.world(), claims.stage.key())

    assert claims.waited == []
    assert held.record.version == claims.stage.record().version
    assert claims.stage.provider.refreshes == 1


def test_what_a_dead_holder_was_spending_counts_as_a_doubt(claims: Claims) -> None:
    claims.claim("dead")
    seen: list[int] = []
    claims.stage.wire.before = lambda _: seen.append(claims.stage.record().doubt)

    obtain(claims.world(), claims.stage.key())

    assert seen == [1]


@pytest.mark.parametrize("fate", ["alive", "unknown"])
def test_a_claim_that_lives_is_left_to_its_holder(claims: Claims, fate: Fate) -> None:
    claims.claim(fate)

    assert claims.may() == (False, False)
    with pytest.raises(RefreshBusy):
        obtain(claims.world(), claims.stage.key())
    assert claims.stage.provider.refresh_requests == 0


def test_of_an_unknown_holder_it_has_to_run_out_and_to_stand_still(claims: Claims) -> None:
    claims.claim("unknown")
    claims.stage.clock.advance(CLAIM_LIFE)

    assert claims.may() == (True, False)
    assert claims.waited == [STILL]


def test_a_held_lock_forbids_it_until_nobody_could_be_meant_any_more(claims: Claims) -> None:
    claims.claim("alive")
    world = claims.world()
    claims.stage.clock.advance(CLAIM_LIFE + 1)
    assert claims.may(world) == (False, False)
    with pytest.raises(RefreshBusy):
        obtain(world, claims.stage.key())

    claims.stage.clock.advance(HELD - DEADLINE - 3)
    assert claims.may(world) == (False, False)
    claims.stage.clock.advance(4)
    assert claims.may(world) == (True, False)
    assert claims.stage.provider.refresh_requests == 0


def test_a_frozen_process_that_wakes_up_and_renews_its_claim_is_waited_for_anew(claims: Claims) -> None:
    record = claims.claim("alive")
    world = claims.world()
    claims.stage.clock.advance(CLAIM_LIFE)
    claims.may(world)
    claims.stage.clock.advance(HELD - 10)
    holder = record.claim.holder if record.claim else ""
    assert claims.stage.store.renew(record, holder=holder, life=CLAIM_LIFE)
    assert claims.may(world) == (False, False)
    claims.stage.clock.advance(CLAIM_LIFE)

    assert claims.may(world) == (False, False), "it ran out a second time just now"
    claims.stage.clock.advance(HELD)
    assert claims.may(world) == (True, False)


def test_a_process_remembers_no_more_claims_than_it_must(claims: Claims) -> None:
    lookout = Lookout()
    record = claims.claim("alive")
    assert record.claim is not None
    for number in range(5000):
        lookout.seen_for(replace(record.claim, holder=str(number)), float(number))

    assert len(lookout._first) == 1000
    assert lookout.seen_for(replace(record.claim, holder="4999"), 5009.0) == 10


# -- after an outage of the store


def test_who_saw_the_store_down_takes_over_nobodys_claim_for_a_claims_life(claims: Claims) -> None:
    claims.claim("unknown")
    claims.stage.clock.advance(CLAIM_LIFE)
    saw, newcomer = claims.world(), claims.world()
    claims.down(saw)

    assert claims.may(saw) == (False, False)
    assert claims.may(newcomer) == (True, False)
    claims.stage.clock.advance(CLAIM_LIFE - STILL - 0.1)
    assert claims.may(saw) == (False, False)
    claims.stage.clock.advance(0.2)
    assert claims.may(saw) == (True, False)


def test_it_counts_from_the_stores_return_and_not_from_when_it_was_last_seen_down(claims: Claims) -> None:
    claims.claim("unknown")
    world = claims.world()
    claims.down(world)
    claims.stage.clock.advance(10 * CLAIM_LIFE)  # it was away all the while, and nobody needed it

    assert claims.may(world) == (False, False)
    claims.stage.clock.advance(CLAIM_LIFE)
    assert claims.may(world) == (True, False)


def test_who_has_seen_the_store_answer_since_does_not_wait_again(claims: Claims) -> None:
    world = claims.world()
    claims.down(world)
    load(world, claims.stage.key(owner="somebody else"))
    claims.stage.clock.advance(CLAIM_LIFE)
    claims.claim("unknown")
    claims.stage.clock.advance(CLAIM_LIFE)

    assert claims.may(world) == (True, False)


def test_a_proven_dead_holder_is_taken_over_right_after_an_outage(claims: Claims) -> None:
    claims.claim("dead")
    world = claims.world()
    claims.down(world)

    obtain(world, claims.stage.key())

    assert claims.stage.provider.refreshes == 1
    assert claims.waited == []


def test_what_nobody_claims_is_refreshed_right_after_an_outage(claims: Claims) -> None:
    world = claims.world()
    claims.down(world)

    obtain(world, claims.stage.key())

    assert claims.stage.provider.refreshes == 1


@pytest.mark.parametrize("method", ["load", "claim", "swap", "wait_for_change"])
def test_an_outage_is_seen_wherever_it_shows(claims: Claims, method: str) -> None:
    if method == "wait_for_change":
        claims.claim("unknown")
    world = claims.world()

    def fail(*_: Any, **__: Any) -> Any:
        msg = "down"
        raise StoreUnavailable(msg)

    real = getattr(claims.stage.store, method)
    setattr(claims.stage.store, method, fail)
    with pytest.raises(StoreUnavailable):
        obtain(world, claims.stage.key())
    setattr(claims.stage.store, method, real)

    assert world.lookout.lately_away(claims.stage.clock.monotonic())


def test_an_outage_that_a_refused_token_meets_is_seen_too(claims: Claims) -> None:
    world = claims.world()
    refused = claims.stage.record().access_fp

    def fail(*_: Any, **__: Any) -> Any:
        msg = "down"
        raise StoreUnavailable(msg)

    claims.stage.store.load = fail
    with pytest.raises(StoreUnavailable):
        heal(world, claims.stage.key(), refused, explicit=True)
    del claims.stage.store.load

    assert world.lookout.lately_away(claims.stage.clock.monotonic())


# -- how long a claim lives


@pytest.mark.parametrize(
    ("grace", "life"),
    [
        pytest.param(None, CLAIM_LIFE, id="not known"),
        pytest.param(0.0, CLAIM_LIFE, id="none"),
        pytest.param(3600.0, CLAIM_LIFE, id="long"),
        pytest.param(60.0, CLAIM_LIFE, id="just long enough"),
        pytest.param(40.0, 20.0, id="half of it"),
        pytest.param(10.0, 5.0, id="short"),
        pytest.param(2.0, SHORTEST_CLAIM, id="too short to be of use"),
    ],
)
def test_a_claim_lives_half_as_long_as_the_provider_forgives(grace: float | None, life: float) -> None:
    assert claim_life(OAuth2Credential(name="x", refresh_grace=grace)) == life


def test_a_claim_of_a_short_life_is_made_renewed_and_given_up_in_time(claims: Claims) -> None:
    claims.stage.change(refresh_grace=10.0)
    made: list[dict[str, Any]] = []
    beats: list[float] = []
    claim = claims.stage.store.claim
    claims.stage.store.claim = lambda record, **how: made.append(how) or claim(record, **how)
    pulse = claims.stage.world.pulse
    world = replace(claims.world(), pulse=lambda every, beat: beats.append(every) or pulse(every, beat))

    obtain(world, claims.stage.key())

    assert [how["life"] for how in made] == [5.0]
    assert beats == [pytest.approx(5 / 3)]


def test_what_is_left_of_a_short_claim_must_do_for_the_sending(claims: Claims) -> None:
    claims.stage.change(refresh_grace=10.0)
    made: list[str] = []
    claim = claims.stage.store.claim

    def slow(record: Record, **how: Any) -> Record | None:
        made.append(how["holder"])
        if len(made) == 1:
            claims.stage.clock.advance(2)  # of the 2.5 s within which it must be used
        claimed: Record | None = claim(record, **how)
        return claimed

    claims.stage.store.claim = slow

    obtain(claims.world(), claims.stage.key(), Want(manual=True))

    assert len(made) == 2
    assert claims.stage.provider.refresh_requests == 1


def test_of_a_provider_that_forgives_a_successor_is_got_although_the_holder_died(claims: Claims) -> None:
    claims.stage.change(refresh_grace=20.0)
    claims.stage.provider.rules.on_reuse = "grace"
    claims.stage.provider.rules.grace = 20
    swap = claims.stage.store.swap

    def killed(*_: Any, **__: Any) -> Any:
        raise SystemExit

    claims.stage.store.swap = killed
    with pytest.raises(SystemExit):
        obtain(claims.world(), claims.stage.key())
    claims.stage.store.swap = swap
    claims.stage.clock.advance(10.0)

    obtain(claims.world(), claims.stage.key())

    assert (claims.stage.provider.refreshes, claims.stage.provider.live_grants) == (2, 1)
