"""A grant that its access token renews: the claim, the journal and the commit of a refresh hold for it (R3, R6, R9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.lookout import Lookout
from valetkey.engine.renewal import heal
from valetkey.engine.storing import put_grant
from valetkey.engine.windows import CLAIM_LIFE, windows
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConnectError, ProviderUnavailable, ReauthorizationRequired
from valetkey.journal import FileJournal
from valetkey.model.grants import Grant
from valetkey.model.journal_sealing import MasterSealer
from valetkey.model.ports import InDoubt, NotSent
from valetkey.values import Request, Response, Secret

TRADE, RENEW = "https://graph.example/trade", "https://graph.example/renew"
LIFE = 5_184_000
Before = Callable[[Request], object]


class Graph:
    """A provider without refresh tokens, in front of the practice provider: each token of weeks ends its forerunner."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.alive = ""
        self.counts = {"trade": 0, "renew": 0}
        self.before: Before = lambda _: None
        self.after: Before = lambda _: None

    def send(self, request: Request, *, deadline: float) -> Response:
        if request.url not in {TRADE, RENEW}:
            return self.inner.send(request, deadline=deadline)
        self.before(request)
        response = self._answer(request)
        self.after(request)
        return response

    def _answer(self, request: Request) -> Response:
        what = request.url.rpartition("/")[2]
        self.counts[what] += 1
        given = dict(parse_qsl(request.query, strict_parsing=True))
        assert given.keys() == {"grant_type", "token"}
        if what == "renew" and given["token"] != self.alive:
            return Response(status=400, body=json.dumps({"error": "invalid_grant"}).encode())
        self.alive = f"long-{sum(self.counts.values())}"
        answer = {"access_token": self.alive, "token_type": "bearer", "expires_in": LIFE}
        return Response(status=200, body=json.dumps(answer).encode())


@pytest.fixture
def graph(stage: Any) -> Graph:
    made = Graph(stage.wire.inner)
    stage.wire.inner = made
    stage.change(
        long_lived_url=TRADE,
        long_lived_method="GET",
        long_lived_request={"grant_type": "trade", "token": "{access_token}"},
        refresh_url=RENEW,
        refresh_method="GET",
        refresh_request={"grant_type": "renew", "token": "{access_token}"},
        userinfo_url="",
        identity={},
    )
    return made


@pytest.fixture
def due(stage: Any, graph: Graph) -> Graph:
    """A connection whose token is in the last tenth of its life."""
    stage.connect()
    stage.clock.advance(0.95 * LIFE)
    return graph


def got(stage: Any, world: World | None = None, **want: Any) -> str:
    return str(obtain(world or stage.world, stage.key(), Want(**want)).grant.access_token.reveal())


def test_the_token_of_weeks_is_what_is_kept_and_renews_itself(stage: Any, graph: Graph) -> None:
    record = stage.connect()
    grant = open_grant(stage.world, record)

    assert grant is not None
    assert (grant.access_token, grant.refresh_token) == (Secret("long-1"), Secret("long-1"))
    assert (record.refreshable, record.access_fp) == (True, record.refresh_fp)
    assert record.refresh_expires_at == record.expires_at == pytest.approx(stage.clock.now() + LIFE)
    assert graph.counts == {"trade": 1, "renew": 0}


def test_it_is_renewed_from_half_of_its_life_on_and_counts_as_expired_in_the_last_tenth(
    stage: Any, graph: Graph
) -> None:
    moments = windows(stage.connect(), stage.credentials["notes"])
    born = stage.clock.now()

    assert moments.soft is not None
    assert moments.due is not None
    assert 0.5 * LIFE <= moments.soft - born <= 0.7 * LIFE
    assert moments.due - born == pytest.approx(0.9 * LIFE)
    stage.clock.advance(0.4 * LIFE)
    assert got(stage, ahead=True) == "long-1"
    stage.clock.advance(0.35 * LIFE)
    assert got(stage) == "long-1"
    assert got(stage, ahead=True) == "long-2"
    assert graph.counts["renew"] == 1


def test_it_is_claimed_before_it_is_sent(stage: Any, due: Graph) -> None:
    spent, seen = stage.record().access_fp, []
    due.before = lambda _: seen.append(stage.record().claim)

    assert got(stage) == "long-2"
    assert [claim.spending for claim in seen] == [spent]
    assert stage.record().claim is None


def test_nobody_else_renews_while_one_does(stage: Any, due: Graph) -> None:
    def other(_: Request) -> None:
        due.before = lambda _: None
        assert got(stage, replace(stage.world, lookout=Lookout())) == "long-1"  # the old one serves meanwhile

    due.before = other
    assert got(stage) == "long-2"
    assert due.counts["renew"] == 1


def test_what_a_killed_process_left_in_the_journal_is_brought_and_nothing_is_sent_again(
    stage: Any, due: Graph, tmp_path: Path
) -> None:
    keys = stage.world.sealer._keys

    def process() -> World:
        journal = FileJournal(
            tmp_path / "journal",
            stage.store.store_id,
            lambda store: MasterSealer(store, keys, keys.create),
            clock=stage.clock,
        )
        return replace(stage.world, journal=journal, lookout=Lookout(), fate=lambda _: "unknown")

    def killed(*_: Any, **__: Any) -> Any:
        raise SystemExit

    stage.store.swap = killed
    with pytest.raises(SystemExit):
        got(stage, process())
    del stage.store.swap
    (entry,) = process().journal.entries(stage.record().id)
    assert Grant.from_json(entry.grant).access_token == Secret("long-2")
    assert entry.spent == stage.record().access_fp
    stage.clock.advance(CLAIM_LIFE + 1)

    assert got(stage, process()) == "long-2"
    assert due.counts["renew"] == 1
    assert due.alive == "long-2"


def test_a_lost_answer_is_asked_for_once_more_and_then_a_person_is(stage: Any, due: Graph) -> None:
    def lost(_: Request) -> None:
        due.after = lambda _: None
        msg = "the line is cut"
        raise InDoubt(msg)

    due.after = lost
    with pytest.raises(ReauthorizationRequired) as caught:
        got(stage)

    assert caught.value.reason == "lost_in_rotation"
    assert due.counts["renew"] == 2


def test_what_was_not_sent_leaves_the_old_token_in_use(stage: Any, due: Graph) -> None:
    def away(_: Request) -> None:
        msg = "nobody is there"
        raise NotSent(msg)

    due.before = away

    assert got(stage) == "long-1"
    assert stage.record().state == "refresh_failing"


def test_after_its_end_it_is_the_provider_who_says_that_it_is_over(stage: Any, due: Graph) -> None:
    due.alive = "somebody else's"
    stage.clock.advance(LIFE)

    with pytest.raises(ReauthorizationRequired):
        got(stage)
    assert stage.record().state == "needs_reauth"


@pytest.mark.usefixtures("graph")
def test_a_token_that_the_api_refuses_is_renewed(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(120)
    healed = heal(stage.world, stage.key(), stage.record().access_fp, explicit=True)

    assert healed is not None
    assert healed.grant.access_token == Secret("long-2")


@pytest.mark.usefixtures("graph")
def test_a_grant_from_elsewhere_is_renewed_by_its_access_token_too(stage: Any) -> None:
    now = stage.clock.now()
    grant = Grant(access_token=Secret("theirs"), expires_at=now + LIFE, obtained_at=now)
    stored = put_grant(
        stage.world, stage.credentials["notes"], stage.key(), grant, requested=(), client_id="practice", before=None
    ).record

    assert (stored.refreshable, stored.refresh_fp) == (True, Secret("theirs").fingerprint())
    assert stored.refresh_expires_at == stored.expires_at


@pytest.mark.parametrize("times", [1, 2])
def test_a_trade_that_was_not_answered_is_tried_again(stage: Any, graph: Graph, times: int) -> None:
    left = [InDoubt("lost"), NotSent("nobody is there")][:times]

    def before(_: Request) -> None:
        if left:
            raise left.pop()

    graph.before = before
    assert stage.connect().state == "connected"
    assert graph.counts["trade"] == 1


@pytest.mark.parametrize(("error", "raised"), [(InDoubt, ConnectError), (NotSent, ProviderUnavailable)])
def test_after_three_tries_nothing_is_connected(
    stage: Any, graph: Graph, error: type[Exception], raised: type[Exception]
) -> None:
    tries: list[Request] = []

    def before(request: Request) -> None:
        tries.append(request)
        raise error("no")

    graph.before = before
    with pytest.raises(raised):
        stage.connect()
    assert len(tries) == 3
    assert stage.ungranted()
