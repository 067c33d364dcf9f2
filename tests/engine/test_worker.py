"""The worker: what it refreshes, what it leaves alone, and how it treats hosts and apps that are not well."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.unmeasured import without_measuring
from valetkey.engine.apps import app_state
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.transfer import import_grants
from valetkey.engine.worker import work
from valetkey.engine.workplan import Happening, Means, Plan, WorkerSummary
from valetkey.errors import ReauthorizationRequired, StoreError, StoreUnavailable
from valetkey.flights import Flights
from valetkey.model.connections import Sealed
from valetkey.model.ports import InDoubt, NotSent
from valetkey.testing import PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID
from valetkey.values import Secret

HOUR = 3600.0
DAY = 24 * HOUR


class Shift:
    """A worker over a stage: time passes when it naps, and it stops when its time is over."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.world = stage.world
        self.clock = stage.clock
        self.flights = Flights()
        self.told: list[Happening] = []
        self.naps: list[float] = []
        self.at: list[tuple[float, Callable[[], object]]] = []

    def fill(self, count: int, name: str = "notes", *, provider: Any = None) -> None:
        """Connect so many owners at once, without the sign-ins."""
        provider = provider or self.stage.provider
        ledger = provider._ledger
        client = ledger.clients[DEFAULT_CLIENT_ID]
        now = self.clock.now()
        rows = []
        for number in range(count):
            family = ledger.open_family(client, "ada", client.scopes)
            answer = ledger.issue(family, refresh=True)
            life = answer.get("refresh_token_expires_in")
            token = {
                **answer,
                "expires_at": now + answer["expires_in"],
                "obtained_at": now,
                "refresh_expires_at": None if life is None else now + life,
            }
            row = {"credential": name, "owner": f"u-{number}", "client_id": DEFAULT_CLIENT_ID, "token": token}
            rows.append(row)
        report = import_grants(self.world, "test", rows)
        assert report.counts["created"] == count, report

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something when so many seconds will have passed."""
        self.at.append((self.clock.now() + seconds, act))
        self.at.sort(key=lambda entry: entry[0])

    def run(self, seconds: float = 0.0, **plan: Any) -> WorkerSummary:
        """Work for so many seconds of simulated time; 0: once."""
        end = self.clock.now() + seconds

        def nap(pause: float) -> None:
            assert pause > 0
            self.naps.append(pause)
            until = self.clock.now() + pause
            while self.at and self.at[0][0] <= until:
                moment, act = self.at.pop(0)
                self.clock.advance(max(moment - self.clock.now(), 0.0))
                act()
            self.clock.advance(max(until - self.clock.now(), 0.0))

        means = Means(
            launch=self.flights.call,
            stopped=lambda: seconds > 0 and self.clock.now() >= end,
            nap=nap,
            tell=self.told.append,
        )
        plan.setdefault("once", seconds == 0)
        return work(self.world, "test", Plan(**plan), means)

    def kinds(self) -> Counter[str]:
        return Counter(happening.kind for happening in self.told)

    def states(self) -> Counter[str]:
        return Counter(record.state for record in self.rows())

    def rows(self) -> list[Any]:
        return list(self.stage.store._records.values())

    def good(self) -> int:
        """How many connections hold a token that would be taken now."""
        now = self.clock.now()
        return sum(record.state == "connected" and record.expires_at > now for record in self.rows())


@pytest.fixture
def shift(stage: Any) -> Iterator[Shift]:
    shift = Shift(stage)
    yield shift
    shift.flights.close()


# -- what it refreshes -------------------------------------------------------------------------------------------------


def test_what_is_due_is_refreshed_ahead_of_need_and_nothing_else(shift: Shift) -> None:
    shift.fill(20)

    assert shift.run() == WorkerSummary()
    shift.clock.advance(HOUR - 60)
    assert shift.run() == WorkerSummary(refreshed=20, requests=20)
    assert shift.run() == WorkerSummary()
    assert shift.stage.provider.refreshes == 20


def test_tokens_never_lapse_while_it_works(shift: Shift) -> None:
    shift.fill(10)

    summary = shift.run(DAY)

    assert shift.good() == 10
    assert summary.refreshed == shift.stage.provider.refreshes
    assert 10 * 24 <= summary.refreshed <= 10 * 28
    assert summary.well


def test_it_tells_by_when_a_person_must_sign_in_again_where_that_is_soon(shift: Shift) -> None:
    shift.stage.change(refresh_token_max_lifetime=8 * DAY)
    shift.stage.connect()

    shift.run(10 * HOUR)
    assert {happening.sign_in_by for happening in shift.told} == {None}
    shift.told.clear()
    shift.run(7 * DAY)
    assert {happening.sign_in_by for happening in shift.told[-5:]} == {shift.rows()[0].refresh_expires_at}


def test_it_says_in_the_events_that_a_worker_did_it(shift: Shift) -> None:
    shift.world = replace(shift.world, actor="worker")
    shift.fill(1)
    shift.clock.advance(HOUR)
    shift.run()

    assert [(event.kind, event.actor) for event in shift.stage.events()][-1] == ("refreshed", "worker")


@pytest.mark.parametrize("works", [True, False])
def test_grants_that_die_of_disuse_live_through_a_month_only_with_a_worker(works: bool, shift: Shift) -> None:
    rules = shift.stage.provider.rules
    rules.access_token_lifetime, rules.refresh_token_lifetime = 365 * DAY, 5 * DAY
    shift.fill(5)
    month = 30 * DAY

    summary = shift.run(month, look_every=HOUR) if works else shift.clock.advance(month) or WorkerSummary()

    assert shift.stage.provider.refreshes == summary.kept_alive
    tokens = shift.stage.provider._ledger
    alive = sum(tokens.is_live(token) for token in tokens._refresh)
    assert alive == (5 if works else 0)
    assert summary.kept_alive == (0 if not works else summary.requests)
    assert not works or 5 * 6 <= summary.kept_alive <= 5 * 9


def test_a_buffer_longer_than_a_tokens_life_makes_it_no_mill(shift: Shift) -> None:
    shift.stage.change(buffer=600.0)
    shift.stage.provider.rules.access_token_lifetime = 60
    shift.fill(1)

    assert shift.run(60).requests <= 12


# -- hosts -------------------------------------------------------------------------------------------------------------


def test_an_hour_of_503_ends_nothing_and_is_over_soon_after(shift: Shift) -> None:
    provider = shift.stage.provider
    shift.fill(1000)
    shift.clock.advance(HOUR - 900)
    provider.fail_next(status=503, times=None)
    during: Counter[str] = Counter()

    def back() -> None:
        during.update({**shift.states(), "sent": provider.token_requests, "good": shift.good()})
        provider.reset_faults()

    shift.later(HOUR, back)
    with without_measuring():  # it looks at a thousand rows some hundred times
        summary = shift.run(HOUR + 60, look_every=60.0)

    assert during["needs_reauth"] == during["good"] == 0
    assert 100 <= during["sent"] <= 300, "a look whether it is back, every half a minute"
    assert shift.good() == 1000
    assert summary.refreshed == provider.refreshes == 1000
    assert summary.failed == during["sent"] == summary.requests - 1000
    assert (shift.kinds()["waiting"], shift.kinds()["resumed"]) == (1, 1)


def test_wrong_client_secret_for_a_minute_touches_no_row(shift: Shift) -> None:
    provider = shift.stage.provider
    shift.fill(1000)
    shift.clock.advance(HOUR)
    before = shift.rows()
    provider.fail_next(status=401, error="invalid_client", times=None)
    shift.later(60, provider.reset_faults)

    shift.run(60)

    assert [replace(row, claim=None) for row in shift.rows()] == before
    assert provider.token_requests <= 4 + 2, "four at once, then one after 15 s and one after 45 s"
    assert shift.kinds() == {"problem": 1}
    state = app_state(shift.world, "test", shift.stage.credentials["notes"])
    assert state is not None
    assert state.body["failures"] == 3, "those that were under way together count once"

    shift.run(120)

    assert shift.good() == provider.refreshes == 1000
    assert shift.states() == {"connected": 1000}


def test_a_rate_limit_slows_its_host_and_no_other(shift: Shift) -> None:
    with PracticeProvider(clock=shift.clock) as other:
        shift.stage.declare("mail", **other.credential_fields())
        shift.fill(30)
        shift.fill(30, "mail", provider=other)
        shift.clock.advance(HOUR)
        began = shift.clock.now()
        shift.stage.provider.fail_next(status=429, retry_after=40)
        shift.later(39, lambda: shift.stage.provider.fail_next(status=429, retry_after=20))

        shift.run(120)

        sent = [request.at - began for request in shift.stage.provider.requests]
        assert other.refreshes == shift.stage.provider.refreshes == 30
        assert all(request.at == began for request in other.requests)
        assert sum(at < 40 for at in sent) <= 8, "what was under way while the refusal was"
        assert next(at for at in sent if at >= 40) < 42
        assert min(at for at in sent if at > 42) >= 60
        assert shift.good() == 60


def test_no_more_are_under_way_at_a_host_than_it_was_told(shift: Shift) -> None:
    shift.fill(12)
    shift.clock.advance(HOUR)
    send, lock = shift.stage.wire.inner.send, threading.Lock()
    under_way, most = 0, 0

    def counted(request: Any, *, deadline: float) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return send(request, deadline=deadline)
        finally:
            with lock:
                under_way -= 1

    shift.stage.wire.inner.send = counted
    with shift.stage.provider.hold("token") as hold:

        def let_go() -> None:
            hold.wait_for(3)
            hold.release()

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        summary = shift.run(per_host=3)
        letting_go.join()

    assert most == 3
    assert summary.refreshed == 12


def test_one_connection_that_always_fails_does_not_hold_up_the_others(shift: Shift) -> None:
    shift.fill(40)
    shift.clock.advance(HOUR)
    shift.stage.provider.fail_next(status=500, times=2)  # sent twice: no answer is asked for once more

    summary = shift.run(per_host=1)

    assert (summary.failed, summary.refreshed) == (1, 39)
    assert shift.naps == []


def test_once_waits_a_little_for_a_host_and_no_longer(shift: Shift) -> None:
    shift.fill(40)
    shift.clock.advance(HOUR)
    shift.stage.provider.fail_next(status=429, retry_after=5)
    brief = shift.run(per_host=1)
    shift.clock.advance(HOUR)
    shift.stage.provider.fail_next(status=429, retry_after=600)
    long = shift.run(per_host=1)

    assert (brief.failed, brief.refreshed, brief.waiting) == (1, 39, 0)
    assert (long.failed, long.refreshed, long.waiting) == (1, 0, 39)
    assert sum(shift.naps) == pytest.approx(5, abs=0.1)


def test_a_host_that_asks_for_patience_is_no_wall_for_a_thousand_others_behind_it(shift: Shift) -> None:
    with PracticeProvider(clock=shift.clock) as other:
        shift.stage.declare("mail", **other.credential_fields())
        shift.fill(900)
        shift.clock.advance(60)
        shift.fill(3, "mail", provider=other)
        shift.clock.advance(HOUR)
        shift.stage.provider.fail_next(status=503, times=None, retry_after=600)

        shift.run(20)

        assert other.refreshes == 3


@pytest.mark.parametrize("error", [NotSent, InDoubt])
def test_a_host_that_cannot_be_reached_is_looked_at_now_and_then(error: Any, shift: Shift) -> None:
    shift.fill(60)
    shift.clock.advance(HOUR)
    shift.stage.wire.cut("/token", error)

    def mend() -> None:
        shift.stage.wire.before = lambda _: None

    shift.later(600, mend)
    summary = shift.run(660, per_host=1)

    assert summary.requests - 60 <= 2 * 60, "an InDoubt is asked for once more"
    assert (shift.good(), shift.states()) == (60, {"connected": 60})
    assert shift.kinds()["waiting"] == shift.kinds()["resumed"] == 1


# -- apps and odd rows -------------------------------------------------------------------------------------------------


def test_a_secret_that_is_replaced_is_noticed_though_the_breaker_is_open(shift: Shift) -> None:
    shift.fill(20)
    shift.clock.advance(HOUR)
    right = shift.stage.apps
    shift.stage.apps = replace(right, client_secret=Secret("wrong"))

    def mend() -> None:
        shift.stage.apps = right

    shift.later(100, mend)
    shift.run(90)
    assert (shift.good(), shift.stage.provider.refreshes) == (0, 0)
    shift.run(30)
    assert shift.good() == 20


def undeclare(shift: Shift) -> Callable[[], object]:
    kept = shift.stage.credentials.pop("notes")
    return lambda: shift.stage.credentials.update(notes=kept)


def lose_app(shift: Shift) -> Callable[[], object]:
    kept = shift.world.app
    shift.stage.lose_app()
    return lambda: object.__setattr__(shift.world, "app", kept)


def break_seal(shift: Shift) -> Callable[[], object]:
    store = shift.stage.store
    kept = dict(store._records)
    for record in kept.values():
        store._records[record.id] = replace(record, sealed=Sealed(b"\0" * 60, record.sealed.key_id))
    return lambda: store._records.update(kept)


def change_client(shift: Shift) -> Callable[[], object]:
    kept = shift.stage.apps
    shift.stage.apps = replace(kept, client_id="another")

    def back() -> None:
        shift.stage.apps = kept

    return back


@pytest.mark.parametrize(
    ("harm", "code", "told"),
    [
        pytest.param(undeclare, "credential_unknown", 1, id="a credential that nobody declared"),
        pytest.param(lose_app, "app_missing", 1, id="an app that is missing"),
        pytest.param(break_seal, "sealed_broken", 3, id="rows that no key opens"),
        pytest.param(change_client, "client_changed", 3, id="the grants of another client"),
    ],
)
def test_what_cannot_be_refreshed_is_told_once_and_not_spun_on(
    harm: Callable[[Shift], Callable[[], object]], code: str, told: int, shift: Shift
) -> None:
    shift.fill(3)
    shift.clock.advance(HOUR)
    shift.later(HOUR, harm(shift))
    harmed = shift.rows()

    def during() -> None:
        assert shift.rows() == harmed
        assert shift.stage.provider.token_requests == 0

    shift.later(HOUR - 1, during)
    summary = shift.run(HOUR + 120)

    problems = [happening for happening in shift.told if happening.kind == "problem"]
    assert [problem.error.code for problem in problems if problem.error] == [code] * told == [code] * summary.problems
    assert len(shift.naps) < 1200
    assert (summary.refreshed, shift.good()) == (3, 3), "somebody has mended it"
    assert shift.kinds()["resumed"] == told


def test_a_problem_of_one_leaves_the_others_alone(shift: Shift) -> None:
    shift.fill(5)
    shift.clock.advance(HOUR)
    store = shift.stage.store
    broken = shift.rows()[2]
    store._records[broken.id] = replace(broken, sealed=Sealed(b"\0" * 60, broken.sealed.key_id))

    summary = shift.run()

    assert summary == WorkerSummary(refreshed=4, problems=1, waiting=1, requests=4)
    assert [happening.subject for happening in shift.told if happening.kind == "problem"] == [str(broken.key)]


def test_a_damaged_row_is_told_and_passed_over(shift: Shift) -> None:
    shift.fill(2)
    shift.clock.advance(HOUR)
    broken = shift.rows()[0]
    listed = shift.stage.store.due

    def due(**query: Any) -> Any:
        part = {"error": "row_corrupt", "error_text": "params is not JSON"}
        return tuple(replace(row, **part) if row.id == broken.id else row for row in listed(**query))

    shift.stage.store.due = due
    summary = shift.run()

    assert summary == WorkerSummary(refreshed=1, problems=1, waiting=1, requests=1)


def test_a_mistake_of_ours_with_one_connection_does_not_end_the_worker(shift: Shift) -> None:
    shift.fill(3)
    shift.clock.advance(HOUR)
    opens = shift.world.sealer.open
    odd = shift.rows()[1]

    def broken(sealed: Any, label: Any) -> bytes:
        if label.id == odd.id:
            msg = "canary-token"
            raise RuntimeError(msg)
        return opens(sealed, label)

    shift.world.sealer.open = broken
    summary = shift.run()

    assert summary == WorkerSummary(refreshed=2, problems=1, waiting=1, requests=2)
    assert [str(h.error) for h in shift.told if h.error] == ["a mistake of valetkey itself (RuntimeError)"]


def test_what_the_provider_ends_is_marked_and_told_with_the_reason(shift: Shift) -> None:
    shift.fill(3)
    shift.clock.advance(HOUR)
    shift.stage.provider.revoke("ada")

    summary = shift.run()
    again = shift.run()

    assert summary == WorkerSummary(needs_reauth=3, requests=3)
    assert again == WorkerSummary()
    assert {h.error.reason for h in shift.told if isinstance(h.error, ReauthorizationRequired)} == {"revoked"}


# -- others ------------------------------------------------------------------------------------------------------------


def test_what_others_have_claimed_is_passed_over(shift: Shift) -> None:
    shift.fill(3)
    shift.clock.advance(HOUR)
    record = shift.rows()[0]
    assert shift.stage.store.claim(record, holder="other", life=30.0, spending=record.refresh_fp) is not None

    now = shift.clock.now()

    assert shift.run() == WorkerSummary(refreshed=2, skipped=1, requests=2)
    assert shift.run() == WorkerSummary(skipped=1)
    assert shift.clock.now() == now, "nobody waits for another worker"

    summary = shift.run(60)
    assert (summary.refreshed, shift.good()) == (1, 3), "the other is dead: its claim ran out"


def test_what_others_have_refreshed_since_it_looked_is_not_sent_again(shift: Shift) -> None:
    shift.fill(4)
    shift.clock.advance(HOUR)
    listed = shift.stage.store.due

    def due(**query: Any) -> Any:
        page = listed(**query)
        shift.stage.store.due = listed
        for record in page:
            obtain(shift.world, record.key, Want(due=True))
        return page

    shift.stage.store.due = due

    assert shift.run() == WorkerSummary(skipped=4)
    assert (shift.stage.provider.refreshes, shift.stage.provider.reuses) == (4, 0)


def test_a_store_that_does_not_answer_is_waited_for(shift: Shift) -> None:
    shift.fill(2)
    shift.clock.advance(HOUR - 900)
    listed = shift.stage.store.due
    shift.later(20, lambda: shift.stage.break_store("due"))
    shift.later(HOUR, lambda: setattr(shift.stage.store, "due", listed))

    summary = shift.run(HOUR + 60)

    assert (summary.refreshed, summary.problems, shift.good()) == (2, 1, 2)
    assert [(h.kind, h.subject) for h in shift.told if h.connection is None] == [
        ("problem", "store"),
        ("resumed", "store"),
    ]
    assert len(shift.naps) < 350


@pytest.mark.parametrize(
    "method",
    [pytest.param("load", id="in a refresh"), pytest.param("credential", id="asked for a credential")],
)
def test_a_store_that_fails_in_other_places_is_waited_for_too(method: str, shift: Shift) -> None:
    shift.fill(2)
    shift.clock.advance(HOUR - 900)
    kept = shift.world.credential, shift.stage.store.load

    def down(_: object) -> Any:
        msg = "the store is down"
        raise StoreUnavailable(msg)

    def break_it() -> None:
        object.__setattr__(shift.world, "credential", down if method == "credential" else kept[0])
        shift.stage.store.load = down if method == "load" else kept[1]

    def mend() -> None:
        object.__setattr__(shift.world, "credential", kept[0])
        shift.stage.store.load = kept[1]

    shift.later(20, break_it)
    shift.later(HOUR, mend)
    summary = shift.run(HOUR + 60)

    assert (summary.refreshed, shift.good(), shift.states()) == (2, 2, {"connected": 2})
    assert {h.subject for h in shift.told if h.kind == "problem"} == {"store"}
    assert shift.kinds()["resumed"] == summary.problems == 1
    assert len(shift.naps) < 500


def test_a_store_that_says_anything_else_in_mid_run_is_waited_for_too(shift: Shift) -> None:
    shift.fill(2)
    shift.clock.advance(HOUR - 900)
    listed = shift.stage.store.due

    def odd(**_: Any) -> Any:
        msg = "permission denied for table connections"
        raise StoreError(msg, code="store_privilege")

    shift.later(20, lambda: setattr(shift.stage.store, "due", odd))
    shift.later(HOUR, lambda: setattr(shift.stage.store, "due", listed))

    summary = shift.run(HOUR + 60)

    assert (summary.refreshed, summary.problems, shift.good()) == (2, 1, 2)
    assert [h.error.code for h in shift.told if h.kind == "problem" and h.error] == ["store_privilege"]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_store_that_does_not_answer_at_the_beginning_is_an_error(seconds: float, shift: Shift) -> None:
    shift.stage.break_store("due")

    with pytest.raises(StoreUnavailable):
        shift.run(seconds)


def test_told_to_stop_it_finishes_what_is_under_way_and_starts_nothing(shift: Shift) -> None:
    shift.fill(20)
    shift.clock.advance(HOUR)
    stop = threading.Event()

    with shift.stage.provider.hold("token", after=True) as hold:

        def end() -> None:
            hold.wait_for(4)
            stop.set()
            hold.release()

        ending = threading.Thread(target=end)
        ending.start()
        means = Means(launch=shift.flights.call, stopped=stop.is_set, nap=shift.clock.sleep)
        summary = work(shift.world, "test", Plan(), means)
        ending.join()

    assert summary.refreshed == shift.stage.provider.refreshes == shift.good() < 20
