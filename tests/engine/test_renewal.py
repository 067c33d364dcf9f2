"""The refresh protocol, rule by rule: who may spend, what an answer means, and what is never done."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from valetkey.engine.apps import app_state
from valetkey.engine.disconnect import disconnect
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.renewal import MOST_CLAIMS, heal
from valetkey.engine.windows import CLAIM_LIFE, DEADLINE
from valetkey.engine.world import grant_label, open_grant
from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    NotConnected,
    ProviderError,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshBusy,
    StoreUnavailable,
)
from valetkey.model.connections import Expect, Record
from valetkey.model.credentials import AppCredentials
from valetkey.model.ports import InDoubt, KeyRetired, NotSent
from valetkey.testing.provider import OMIT
from valetkey.values import Response, Secret

HOUR = 3600


def get(stage: Any, **want: Any) -> Any:
    return obtain(stage.world, stage.key(), Want(**want))


def refreshes(stage: Any) -> int:
    return int(stage.provider.refresh_requests)


def claimed_by(stage: Any, holder: str, life: float = CLAIM_LIFE) -> Record:
    record = stage.record()
    claimed = stage.store.claim(record, holder=holder, life=life, spending=record.refresh_fp)
    assert claimed is not None
    return claimed


# -- R3, R5, R10: claims


def test_a_claim_is_taken_before_the_token_is_sent_and_gone_after(expired: Any) -> None:
    seen: list[Record] = []
    expired.wire.before = lambda _: seen.append(expired.record())

    held = get(expired)

    assert seen[0].claim is not None
    assert seen[0].claim.spending == seen[0].refresh_fp
    assert (held.record.claim, held.record.version) == (None, seen[0].version + 1)


def test_while_another_holder_claims_the_old_token_serves(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(HOUR - 30)
    claimed_by(stage, "other")

    held = get(stage)

    assert (held.record.version, refreshes(stage)) == (stage.record().version, 0)


def test_a_waiter_takes_the_winners_token(expired: Any) -> None:
    record = claimed_by(expired, "other")
    waited: list[float] = []

    def winner(_: Record, timeout: float) -> bool:
        waited.append(timeout)
        new = replace(record, version=record.version + 1, expires_at=expired.clock.now() + HOUR, claim=None)
        label = grant_label(record.key, record.id, record.incarnation, new.version)
        sealed = expired.world.sealer.seal(b'{"access_token": "theirs"}', label)
        assert expired.store.swap(replace(new, sealed=sealed), expect=Expect.of(record, holder="other"))
        return True

    expired.store.wait_for_change = winner

    assert get(expired).grant.access_token == Secret("theirs")
    assert (len(waited), refreshes(expired)) == (1, 0)


def test_a_waiter_gives_up_at_its_deadline(expired: Any) -> None:
    claimed_by(expired, "other", life=1000)

    with pytest.raises(RefreshBusy):
        get(expired)

    assert refreshes(expired) == 0
    assert expired.clock.monotonic() >= DEADLINE


def test_a_claim_that_ran_out_and_stands_still_is_taken_over_and_counts_a_doubt(expired: Any) -> None:
    claimed_by(expired, "dead")
    expired.clock.advance(CLAIM_LIFE + 1)
    seen: list[Record] = []
    expired.wire.before = lambda _: seen.append(expired.record())

    held = get(expired)

    assert (seen[0].doubt, refreshes(expired), held.record.doubt) == (1, 1, 0)


def test_a_claim_that_ran_out_but_moves_is_not_taken_over(expired: Any) -> None:
    record = claimed_by(expired, "slow")
    expired.clock.advance(CLAIM_LIFE + 1)
    real = expired.store.wait_for_change

    def renewed(seen: Record, timeout: float) -> bool:
        expired.store.renew(record, holder="slow", life=1000)
        return bool(real(seen, timeout))

    expired.store.wait_for_change = renewed

    with pytest.raises(RefreshBusy):
        get(expired)
    assert refreshes(expired) == 0


def test_a_claim_that_grew_old_before_the_send_is_given_back_and_taken_anew(expired: Any) -> None:
    real, holders = expired.store.claim, []

    def slow(record: Record, **how: Any) -> Record | None:
        holders.append(how["holder"])
        if len(holders) == 1:
            expired.clock.advance(DEADLINE)  # the store takes its time to answer
        return real(record, **how)  # type: ignore[no-any-return]

    expired.store.claim = slow

    get(expired)

    assert (len(holders), refreshes(expired)) == (2, 1)


@pytest.mark.parametrize("standstills", [1, 2, 100])
def test_who_stood_still_on_the_way_to_the_send_does_not_send_but_claims_anew(expired: Any, standstills: int) -> None:
    left = iter([DEADLINE + 1] * standstills)
    expired.wire.before = lambda _: expired.clock.advance(next(left, 0))

    if standstills < MOST_CLAIMS:
        get(expired)
    else:  # it is not for ever at it
        with pytest.raises(RefreshBusy):
            get(expired)

    assert refreshes(expired) == (1 if standstills < MOST_CLAIMS else 0)
    assert len(expired.wire.sent) == min(standstills + 1, MOST_CLAIMS)
    assert (expired.record().doubt, expired.record().claim) == (0, None)


def test_the_claim_is_renewed_while_the_answer_is_awaited(expired: Any) -> None:
    beats: list[float] = []
    renewed: list[bool] = []
    real = expired.store.renew
    expired.store.renew = lambda *a, **k: renewed.append(real(*a, **k)) or renewed[-1]

    class Pulse:
        def __init__(self, every: float, beat: Any) -> None:
            beats.append(every)
            self.beat = beat

        def __enter__(self) -> None:
            self.beat()

        def __exit__(self, *_: object) -> None:
            pass

    object.__setattr__(expired.world, "pulse", Pulse)

    get(expired)

    assert beats[0] <= CLAIM_LIFE / 2
    assert renewed == [True]


# -- R6, R14: the answer, and a row that moved on meanwhile


def test_an_answer_that_finds_its_row_disconnected_is_revoked(expired: Any) -> None:
    def cut_in(_: Any) -> None:
        """Disconnect where the provider is not told: the answer under way is then all that lives."""
        expired.wire.before = lambda _: None
        silent = replace(expired.credentials["notes"], revocation_url="")
        disconnect(expired.world, silent, expired.key())

    expired.wire.before = cut_in

    with pytest.raises(NotConnected):
        get(expired)

    assert expired.record().state == "disconnected"
    assert expired.provider.live_grants == 0


def test_an_answer_that_finds_a_new_grant_is_dropped_and_nothing_is_revoked(expired: Any) -> None:
    def reconnect(_: Any) -> None:
        expired.wire.before = lambda _: None
        expired.connect()

    expired.wire.before = reconnect

    held = get(expired)

    assert held.record.incarnation == expired.record().incarnation
    assert expired.provider.is_live(held.grant.access_token.reveal())
    assert expired.provider.revocations == 0


def test_a_successor_heals_a_row_that_somebody_marked_dead_meanwhile(expired: Any) -> None:
    def mark(_: Any) -> None:
        record = expired.record()
        dead = replace(record, state="needs_reauth", reason="unknown")
        assert expired.store.swap(dead, expect=Expect.of(record)) is not None

    expired.wire.before = mark

    assert get(expired).record.state == "connected"
    assert expired.record().state == "connected"


def test_a_commit_whose_answer_was_lost_is_recognised(expired: Any) -> None:
    real, swaps = expired.store.swap, []

    def lose_the_answer(new: Record, **options: Any) -> Record | None:
        stored = real(new, **options)
        swaps.append(stored)
        if len(swaps) == 1:
            raise StoreUnavailable("the connection broke")
        return stored  # type: ignore[no-any-return]

    expired.store.swap = lose_the_answer

    held = get(expired)

    assert [stored is not None for stored in swaps] == [True, False]
    assert (held.record.access_fp, refreshes(expired)) == (expired.record().access_fp, 1)
    assert [event.kind for event in expired.store.list_events(env=held.record.key.env)].count("refreshed") == 1


def test_a_store_that_is_down_when_the_answer_comes_is_tried_until_it_is_back(expired: Any) -> None:
    real, tries = expired.store.swap, []

    def down(new: Record, **options: Any) -> Record | None:
        tries.append(expired.clock.monotonic())
        if len(tries) < 12:
            raise StoreUnavailable("down")
        return real(new, **options)  # type: ignore[no-any-return]

    expired.store.swap = down

    get(expired)

    pauses = [late - early for early, late in pairwise(tries)]
    assert max(pauses) <= 1.0
    assert expired.record().state == "connected"


def test_a_row_sealed_anew_during_the_flight_is_marked_all_the_same(expired: Any) -> None:
    real, retired = expired.store.swap, []

    def retire(new: Record, *, expect: Expect) -> Record | None:
        if not retired:
            retired.append(new)
            raise KeyRetired
        return real(new, expect=expect)  # type: ignore[no-any-return]

    expired.store.swap = retire
    expired.provider.fail_next(status=503)

    with pytest.raises(ProviderUnavailable):
        get(expired)

    assert (len(retired), expired.record().state) == (1, "refresh_failing")


# -- R7: refused


def test_a_refusal_marks_and_never_deletes(expired: Any) -> None:
    expired.provider.revoke("ada")

    with pytest.raises(ReauthorizationRequired):
        get(expired)

    record = expired.record()
    assert (record.state, record.sealed is not None, record.error) == ("needs_reauth", True, "invalid_grant")


@pytest.mark.conformance("0 5")
def test_a_loser_that_is_refused_takes_the_winners_token(expired: Any) -> None:
    """Another process refreshed between our claim and our send; its row moved on, so nothing is dead."""

    def winner(_: Any) -> None:
        expired.wire.before = lambda _: None
        row = expired.record()
        expired.store._records[row.id] = replace(row, claim=None)  # as if our claim had been taken over
        get(expired)

    expired.provider.rules.on_reuse = "deny"
    expired.wire.before = winner

    held = get(expired)

    assert held.record.state == "connected"
    assert expired.record().access_fp == held.record.access_fp


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        pytest.param("Token has been expired or revoked.", "revoked", id="revoked before expired, as Google says both"),
        pytest.param("refresh token is inactive since 90 days", "idle_expired", id="idle"),
        pytest.param("refresh token already used", "reuse_detected", id="reuse"),
        pytest.param("blocked by conditional access policy", "policy_changed", id="policy"),
        pytest.param("", "unknown", id="nothing said"),
    ],
)
def test_the_reason_comes_from_the_providers_words(expired: Any, description: str, reason: str) -> None:
    expired.provider.fail_next(status=400, error="invalid_grant", description=description)

    with pytest.raises(ReauthorizationRequired) as caught:
        get(expired)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("rules", "description", "reason"),
    [
        pytest.param({"refresh_token_lifetime": 8e5}, "", "idle_expired", id="unused for too long"),
        pytest.param(
            {"refresh_token_lifetime": 8e5}, "The token is not valid.", "idle_expired", id="in no clear words"
        ),
        pytest.param({"refresh_token_lifetime": 8e5}, "token already used", "reuse_detected", id="said otherwise"),
        pytest.param({"refresh_token_lifetime": 8e6}, "", "unknown", id="not unused for long"),
        pytest.param(
            {"refresh_token_max_lifetime": 8e5}, "token expired", "policy_changed", id="in the end, used or not"
        ),
    ],
)
def test_a_lifetime_that_is_over_is_the_reason(
    stage: Any, rules: dict[str, float], description: str, reason: str
) -> None:
    stage.change(**rules)
    stage.connect()
    stage.clock.advance(9e5)
    stage.provider.fail_next(status=400, error="invalid_grant", description=description)

    with pytest.raises(ReauthorizationRequired) as caught:
        get(stage)

    assert caught.value.reason == reason


# -- R8, R9: not sent, and in doubt


def test_a_request_that_never_left_gives_the_claim_back_and_counts_no_doubt(expired: Any) -> None:
    expired.wire.cut("/token", NotSent)

    with pytest.raises(ProviderUnavailable) as caught:
        get(expired)

    record = expired.record()
    assert (record.claim, record.doubt, record.state, caught.value.error) == (None, 0, "refresh_failing", "unreachable")


def test_a_request_that_never_left_does_not_clear_an_older_doubt(expired: Any) -> None:
    record = expired.record()
    expired.store.swap(replace(record, doubt=1), expect=Expect.of(record))
    expired.wire.cut("/token", NotSent)

    with pytest.raises(ProviderUnavailable):
        get(expired)

    assert expired.record().doubt == 1


def test_an_answer_lost_before_the_server_saw_it_is_asked_for_once_more(expired: Any) -> None:
    expired.provider.drop_before()

    held = get(expired)

    assert (held.record.state, held.record.doubt, len(expired.wire.sent)) == ("connected", 0, 2)


@pytest.mark.conformance("2 own: reset after rotation")
def test_an_answer_lost_after_the_rotation_is_said_to_be_lost_in_rotation(expired: Any) -> None:
    expired.provider.drop_after_rotation()

    with pytest.raises(ReauthorizationRequired) as caught:
        get(expired)

    assert (caught.value.reason, len(expired.wire.sent)) == ("lost_in_rotation", 2)


def test_where_the_provider_has_a_grace_the_lost_answer_is_made_good(expired: Any) -> None:
    expired.provider.rules.on_reuse = "grace"
    expired.provider.drop_after_rotation()

    assert get(expired).record.state == "connected"


@pytest.mark.conformance("0 5")
def test_where_reuse_ends_everything_the_token_is_not_sent_again(expired: Any) -> None:
    expired.change(retry_in_doubt=False)
    expired.provider.drop_after_rotation()

    with pytest.raises(ProviderUnavailable):
        get(expired)

    assert (len(expired.wire.sent), expired.record().doubt, expired.record().state) == (1, 1, "refresh_failing")
    expired.clock.advance(HOUR)
    with pytest.raises(ReauthorizationRequired) as caught:
        get(expired)
    assert (caught.value.reason, len(expired.wire.sent)) == ("lost_in_rotation", 1)


@pytest.mark.parametrize("declared", [{"retry_in_doubt": False}, {"on_reuse": "revoke_all"}], ids=["so told", "reuse"])
def test_a_token_that_must_not_be_sent_again_is_sent_again_when_a_person_asks(
    expired: Any, declared: dict[str, Any]
) -> None:
    expired.change(**declared)
    expired.provider.fail_next(status=502)
    with pytest.raises(ProviderUnavailable):
        get(expired)
    expired.clock.advance(HOUR)

    assert get(expired, manual=True, refused=expired.record().access_fp).record.state == "connected"
    assert len(expired.wire.sent) == 2


def test_the_old_token_serves_although_its_refresh_token_must_not_be_sent_again(stage: Any) -> None:
    stage.connect()
    stage.change(on_reuse="revoke_all")
    stage.clock.advance(HOUR - 100)
    stage.provider.drop_after_rotation()
    before = stage.record().access_fp
    stage.wire.sent.clear()

    for _ in range(2):
        assert get(stage, ahead=True).record.access_fp == before
        stage.clock.advance(40)

    assert len(stage.wire.sent) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_leaves_a_doubt_and_is_tried_once_more(expired: Any, status: int) -> None:
    expired.provider.fail_next(status=status, times=2)

    with pytest.raises(ProviderUnavailable):
        get(expired)

    record = expired.record()
    assert (len(expired.wire.sent), record.doubt, record.state) == (2, 2, "refresh_failing")


def test_html_with_200_keeps_the_grant(expired: Any) -> None:
    expired.provider.fail_next(status=200, body=b"<html>maintenance</html>", times=2)

    with pytest.raises(ProviderUnavailable):
        get(expired)

    assert expired.record().state == "refresh_failing"


# -- R12: what can end a grant


def test_back_off_holds_the_next_try_and_grows(expired: Any) -> None:
    expired.provider.fail_next(status=503, times=10)
    waits = []
    for _ in range(4):
        with pytest.raises(ProviderUnavailable) as caught:
            get(expired)
        waits.append(caught.value.retry_after)
        with pytest.raises(ProviderUnavailable):
            get(expired)
        expired.clock.advance(waits[-1] + 1)

    assert len(expired.wire.sent) == 4
    assert waits[3] > waits[0]


@pytest.mark.conformance("2 own: patience")
def test_retry_after_is_honoured(expired: Any) -> None:
    expired.provider.fail_next(status=429, headers={"Retry-After": "120"})

    with pytest.raises(ProviderUnavailable) as caught:
        get(expired)

    assert caught.value.retry_after == 120
    assert expired.record().next_try_at == expired.clock.now() + 120


def test_a_person_may_try_at_once(expired: Any) -> None:
    expired.provider.fail_next(status=429, headers={"Retry-After": "120"})
    with pytest.raises(ProviderUnavailable):
        get(expired)

    assert get(expired, manual=True).record.state == "connected"


@pytest.mark.conformance("0 2", "2 own: empty 400")
def test_an_empty_400_counts_as_refused_only_after_three_tries(expired: Any) -> None:
    expired.provider.fail_next(status=400, body=b"", times=3)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            get(expired)
        assert expired.record().state == "refresh_failing"
        expired.clock.advance(HOUR)

    with pytest.raises(ReauthorizationRequired):
        get(expired)
    assert expired.record().state == "needs_reauth"


def test_the_page_of_a_proxy_never_ends_a_grant(expired: Any) -> None:
    for _ in range(5):
        expired.provider.fail_next(status=403, body=b"<html>blocked by the firewall</html>")
        with pytest.raises(ProviderError):
            get(expired)
        expired.clock.advance(HOUR)

    assert expired.record().state == "refresh_failing"


def test_the_refresh_token_of_an_answer_that_must_not_be_used_is_kept_in_quarantine(expired: Any) -> None:
    expired.provider.token_type_as("mac")

    with pytest.raises(ProviderError):
        get(expired)

    grant = open_grant(expired.world, expired.record())
    assert grant is not None
    assert grant.quarantined is not None
    assert expired.provider.live_grants == 1


@pytest.mark.conformance("2 own: invalid_client")
@pytest.mark.parametrize("body", [b"", b'{"error": "invalid_client"}'], ids=["empty 401", "invalid_client"])
def test_a_rejected_app_touches_no_row_and_stops_the_hammering(expired: Any, body: bytes) -> None:
    before = expired.record()
    expired.provider.fail_next(status=401, body=body, times=5)

    for _ in range(3):
        with pytest.raises(ClientRejected):
            get(expired)

    assert len(expired.wire.sent) == 1
    assert replace(expired.record(), claim=None) == before
    expired.provider.reset_faults()
    expired.clock.advance(60)
    assert get(expired).record.state == "connected"


def test_a_grant_that_is_refused_says_that_the_app_was_taken(expired: Any) -> None:
    expired.provider.fail_next(status=401, error="invalid_client")
    with pytest.raises(ClientRejected):
        get(expired)
    expired.clock.advance(60)
    expired.provider.revoke("ada")

    with pytest.raises(ReauthorizationRequired):
        get(expired)

    assert app_state(expired.world, "test", expired.credentials["notes"]) is None


def test_a_new_app_secret_is_tried_at_once(expired: Any) -> None:
    good = expired.apps
    expired.apps = AppCredentials(client_id=good.client_id, client_secret=Secret("wrong"))
    with pytest.raises(ClientRejected):
        get(expired)

    expired.apps = good

    assert get(expired).record.state == "connected"


def test_a_secret_replaced_during_the_flight_is_tried_in_it(expired: Any) -> None:
    good = expired.apps
    expired.apps = AppCredentials(client_id=good.client_id, client_secret=Secret("old"))

    def replaced(_: Any) -> None:
        expired.apps = good

    expired.wire.before = replaced

    assert get(expired).record.state == "connected"
    assert len(expired.wire.sent) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"issuer": "https://other.example"}, id="issuer"),
        pytest.param({"token_url": "https://other.example/token"}, id="token endpoint"),
    ],
)
def test_a_grant_of_another_app_is_sent_nowhere(expired: Any, change: dict[str, str]) -> None:
    expired.change(**change)

    with pytest.raises(ClientRejected) as caught:
        get(expired)

    assert (caught.value.code, expired.wire.sent) == ("client_changed", [])


def test_another_client_id_sends_nothing(expired: Any) -> None:
    expired.apps = AppCredentials(client_id="another", client_secret=Secret("x"))

    with pytest.raises(ClientRejected) as caught:
        get(expired)

    assert (caught.value.code, expired.wire.sent) == ("client_changed", [])


def test_missing_app_credentials_leave_the_old_token_in_use(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(HOUR - 30)
    stage.lose_app()

    assert get(stage).record.state == "connected"
    stage.clock.advance(31)
    with pytest.raises(ConfigurationError):
        get(stage)


def test_a_request_that_the_provider_finds_wrong_keeps_the_grant(expired: Any) -> None:
    expired.provider.fail_next(status=400, error="invalid_scope")

    with pytest.raises(ProviderError) as caught:
        get(expired)

    assert (caught.value.code, caught.value.retryable, expired.record().state) == (
        "refresh_refused",
        False,
        "refresh_failing",
    )


# -- R13: tokens of unknown life


def test_a_token_without_a_stated_life_is_used_until_a_401_and_then_its_life_is_known(stage: Any) -> None:
    stage.provider.expires_in_as(OMIT)
    stage.connect()
    assert stage.record().expires_at is None
    stage.clock.advance(10 * HOUR)
    fingerprint = get(stage).record.access_fp

    healed = heal(stage.world, stage.key(), fingerprint, explicit=True)

    assert healed is not None
    assert stage.record().learnt_lifetime == pytest.approx(10 * HOUR)
    assert stage.record().expires_at == pytest.approx(stage.clock.now() + 10 * HOUR)


# -- tokens that nothing can renew


def test_without_a_refresh_token_the_access_token_serves_to_its_very_end(stage: Any) -> None:
    stage.provider.omit_refresh_token()
    stage.connect()
    stage.clock.advance(HOUR - 1)
    assert get(stage).record.state == "connected"
    stage.clock.advance(2)

    with pytest.raises(ReauthorizationRequired) as caught:
        get(stage)

    assert caught.value.reason == "no_refresh_token"
    assert stage.record().state == "needs_reauth"


def test_asking_to_refresh_what_nothing_can_renew_does_not_cost_the_connection(stage: Any) -> None:
    stage.provider.omit_refresh_token()
    stage.connect()
    fingerprint = stage.record().access_fp

    with pytest.raises(ConfigurationError) as caught:
        get(stage, refused=fingerprint, manual=True)

    assert caught.value.code == "grant_not_refreshable"
    assert get(stage).record.access_fp == fingerprint
    assert stage.record().state == "connected"


@pytest.mark.parametrize(("explicit", "state"), [(True, "needs_reauth"), (False, "connected")])
def test_a_401_ends_what_nothing_can_renew_only_in_the_word_of_rfc_6750(stage: Any, explicit: bool, state: str) -> None:
    stage.provider.omit_refresh_token()
    stage.connect()
    stage.clock.advance(120)
    fingerprint = stage.record().access_fp

    if explicit:
        with pytest.raises(ReauthorizationRequired):
            heal(stage.world, stage.key(), fingerprint, explicit=True)
    else:
        assert heal(stage.world, stage.key(), fingerprint, explicit=False) is None

    assert stage.record().state == state


def test_client_credentials_need_no_person_and_are_asked_for_anew(stage: Any) -> None:
    stage.declare("service", grant="client_credentials")
    key = stage.key("service")

    first = obtain(stage.world, key)
    stage.clock.advance(HOUR + 1)
    second = obtain(stage.world, key)

    assert first.grant.access_token != second.grant.access_token
    assert second.grant.refresh_token is None
    assert len([path for path in stage.wire.paths() if path == "token"]) == 2


def test_any_other_failure_gives_the_claim_back_in_doubt(expired: Any) -> None:
    def burst(_: Any) -> Response:
        raise MemoryError

    expired.wire.before = burst
    with pytest.raises(MemoryError):
        get(expired)

    assert (expired.record().claim, expired.record().doubt) == (None, 1)


def test_an_in_doubt_network_error_is_retried_under_a_new_claim(expired: Any) -> None:
    holders: list[str] = []

    def once(_: Any) -> None:
        claim = expired.record().claim
        assert claim is not None
        holders.append(claim.holder)
        if len(holders) == 1:
            raise InDoubt("connection reset")

    expired.wire.before = once

    assert get(expired).record.state == "connected"
    assert len(set(holders)) == 2


def test_a_success_closes_the_apps_breaker_and_forgets_its_failures(expired: Any) -> None:
    pauses = []
    for _ in range(2):
        expired.provider.fail_next(status=401, error="invalid_client")
        with pytest.raises(ClientRejected) as caught:
            get(expired)
        pauses.append(caught.value.retry_after)
        expired.clock.advance(pauses[-1] + 1)
        get(expired)
        expired.clock.advance(HOUR + 1)

    assert pauses[0] == pauses[1]
    assert app_state(expired.world, "test", expired.credentials["notes"]) is None


def test_a_success_forgets_the_failures_before_it(expired: Any) -> None:
    expired.provider.fail_next(status=503)
    with pytest.raises(ProviderUnavailable):
        get(expired)

    record = get(expired, manual=True).record

    assert (record.failures, record.error, record.next_try_at, record.state) == (0, "", None, "connected")


@pytest.mark.parametrize(("life", "buffer"), [(100, 20), (3600, 60)])
def test_the_buffer_is_a_fifth_of_a_short_life_and_a_minute_at_most(stage: Any, life: int, buffer: int) -> None:
    stage.provider.rules.access_token_lifetime = life
    stage.connect()
    stage.clock.advance(life - buffer - 1)
    get(stage)
    assert refreshes(stage) == 0

    stage.clock.advance(2)
    get(stage)
    assert refreshes(stage) == 1


def test_a_declared_buffer_is_used_as_it_is(stage: Any) -> None:
    stage.change(buffer=600.0)
    stage.connect()
    stage.clock.advance(HOUR - 599)

    get(stage)

    assert refreshes(stage) == 1


def test_a_credential_of_owners_gives_nothing_to_nobody(stage: Any) -> None:
    stage.connect()
    stage.change(per_owner=True)

    with pytest.raises(ConfigurationError) as caught:
        get(stage)

    assert caught.value.code == "owner_required"
