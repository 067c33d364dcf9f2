"""Grants of every preset live, rotate and die by the rules that it declares, at a twin of its provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.declaring import declaring, renewing
from shared.life import Life
from shared.waiting import settle
from valetkey import ProviderUnavailable, ReauthorizationRequired
from valetkey.model.connections import SOON

LOST, BUSY = 502, 503
Living = Callable[..., Life]


def refused(life: Life) -> str:
    """Call the API with a grant that is dead, and return the reason that is told."""
    with pytest.raises(ReauthorizationRequired) as caught:
        life.call()
    status = life.status()
    assert (status.state, status.reason) == ("needs_reauth", caught.value.reason)
    return caught.value.reason


# -- answers that are lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", renewing(), indirect=True)
def test_a_lost_answer_costs_the_grant_only_where_a_spent_token_is_taken_no_more(life: Life) -> None:
    """The provider has renewed the grant, and its answer did not arrive: the same token is sent once more (R9)."""
    life.connect()
    life.grow_old()
    life.fail(LOST)
    declared = life.twin.credential

    if declared.rotates_refresh_token and not declared.refresh_grace:
        assert refused(life) == "lost_in_rotation"
    else:
        assert (life.call(), life.twin.refusals) == (200, [])
        assert life.status().state == "connected"
    assert life.twin.seen["token"] == 3


@pytest.mark.parametrize("life", [one for one in declaring("refresh_grace") if one in renewing()], indirect=True)
def test_a_spent_token_is_sent_again_while_its_grace_lasts_and_costs_the_grant_after_it(life: Life) -> None:
    grace = life.twin.credential.refresh_grace or 0.0
    life.connect()
    if grace:
        lose_an_answer(life)
        life.clock.advance(grace * 0.9)
        assert (life.call(), life.twin.refusals) == (200, [])

    lose_an_answer(life)
    life.clock.advance(grace + 1)
    assert refused(life) == "lost_in_rotation"
    ended = life.twin.credential.on_reuse in {"revoke_grant", "revoke_all"}
    assert life.twin.grant.lives == (not ended)


def lose_an_answer(life: Life) -> None:
    """Have the grant renewed, its answer lost, and the provider too busy to be asked again."""
    life.grow_old()
    life.fail(LOST, BUSY)
    with pytest.raises(ProviderUnavailable):
        life.call()
    assert life.status().state == "refresh_failing"
    life.clock.advance(10)  # what the busy provider was left alone for


@pytest.mark.parametrize(
    ("on_reuse", "sent", "lives"),
    [
        pytest.param("deny", 3, True, id="the spent token alone is refused"),
        pytest.param("revoke_grant", 3, False, id="the grant ends"),
        pytest.param("revoke_all", 2, True, id="everything would end, so it is not sent"),
    ],
)
def test_a_token_that_comes_back_does_what_is_declared(living: Living, on_reuse: str, sent: int, lives: bool) -> None:
    life = living("box", on_reuse=on_reuse)
    life.connect()
    life.grow_old()
    life.fail(LOST)
    if on_reuse == "revoke_all":
        with pytest.raises(ProviderUnavailable):
            life.call()
        life.clock.advance(10)

    assert refused(life) == "lost_in_rotation"
    assert (life.twin.seen["token"], life.twin.grant.lives) == (sent, lives)


# -- lifetimes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", declaring("refresh_token_lifetime"), indirect=True)
def test_a_refresh_token_dies_of_disuse_and_a_worker_keeps_it_alive(life: Life) -> None:
    idle = life.twin.credential.refresh_token_lifetime or 0.0
    assert life.connect().refresh_expires_at == life.clock.now() + idle
    life.clock.advance(idle * 0.9)
    assert life.valet.run_worker(once=True).refreshed == 1
    life.clock.advance(idle * 0.9)
    assert (life.call(), life.twin.refusals) == (200, [])

    life.clock.advance(max(idle, life.twin.lifetime) + 1)
    life.twin.explains = False
    assert refused(life) == "idle_expired"


@pytest.mark.parametrize("life", declaring("refresh_token_max_lifetime"), indirect=True)
def test_a_grant_does_not_outlive_its_sign_in_for_ever_and_that_is_told_before(life: Life) -> None:
    declared = life.twin.credential
    most, idle = declared.refresh_token_max_lifetime or 0.0, declared.refresh_token_lifetime or 86400.0 * 30
    life.connect()
    end = life.clock.now() + most
    while (left := end - life.clock.now()) > SOON:
        assert life.call() == 200
        life.clock.advance(min(idle * 0.9, left - SOON + 60))

    assert (life.call(), life.status().state, life.status().refresh_expires_at) == (200, "expires_soon", end)
    life.clock.advance(SOON + life.twin.lifetime)
    assert life.twin.refusals == []
    assert refused(life) == "policy_changed", "however much it was used"


# -- tokens in use ----------------------------------------------------------------------------------------------------


def in_the_soft_window(life: Life) -> None:
    """Call the API when its token is about to be due, and wait for what that set off."""
    life.clock.advance(life.twin.lifetime - min(60.0, 0.2 * life.twin.lifetime) - 1)
    assert life.call() == 200
    settle(life.raw)


@pytest.mark.parametrize("life", declaring("refresh_ends_access_token"), indirect=True)
def test_a_token_that_its_refresh_ends_is_not_refreshed_ahead(life: Life) -> None:
    life.connect()
    in_the_soft_window(life)
    assert life.twin.seen["token"] == 1

    life.grow_old()
    assert (life.call(), len(life.twin.live)) == (200, 1)


def test_a_token_that_outlives_its_refresh_is_refreshed_ahead(living: Living) -> None:
    life = living("asana")
    life.connect()
    in_the_soft_window(life)

    assert (life.twin.seen["token"], len(life.twin.live)) == (2, 2)
