"""Connecting again as somebody else: the new grant waits, sealed and bound to the browser, for the person's answer."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.engine.deciding import finish_or_hold, held, keep_old, second, sweep, switch
from valetkey.engine.disconnect import disconnect, forget
from valetkey.engine.holding import HELD_SECONDS, KIND, Held
from valetkey.engine.worker import SWEEP_EVERY, work
from valetkey.engine.workplan import Means, Plan
from valetkey.engine.world import open_grant
from valetkey.errors import ConfigurationError, StateMismatch
from valetkey.values import Secret


class Question:
    """Ada is connected, and somebody signs in again as Bob."""

    def __init__(self, stage: Any, owner: str | None = "u1") -> None:
        self.stage = stage
        self.key = stage.key(owner=owner)
        self.old = stage.connect(self.key, login="ada")
        start = stage.start(self.key)
        self.binding = start.binding
        found = finish_or_hold(stage.world, stage.provider.approve(start.url, login="bob"), binding=self.binding)
        assert isinstance(found, Held)
        self.held = found

    def works(self, record: Any) -> bool:
        """Whether the grant of a record is alive at the provider."""
        grant = open_grant(self.stage.world, record)
        return self.stage.provider.is_live(grant.access_token.reveal())

    def new_token_lives(self) -> bool:
        return self.stage.provider.is_live(self.held.goods.grant.access_token.reveal())


@pytest.fixture
def question(stage: Any) -> Question:
    return Question(stage)


def test_nothing_changes_until_it_is_answered(question: Question) -> None:
    stage = question.stage

    assert stage.record(question.key) == question.old
    assert question.works(question.old)
    assert question.new_token_lives()
    assert (question.held.before.login, question.held.now.login) == ("ada", "bob")
    found = held(stage.world, question.held.id, question.binding)
    assert found is not None
    assert found.goods.grant.access_token == question.held.goods.grant.access_token


def test_the_same_person_is_not_asked(stage: Any) -> None:
    first = stage.connect()
    start = stage.start()

    again = finish_or_hold(stage.world, stage.provider.approve(start.url, login="ada"), binding=start.binding)

    assert not isinstance(again, Held)
    assert (again.id, again.incarnation) == (first.id, first.incarnation + 1)


def test_what_waits_is_sealed(question: Question) -> None:
    document = question.stage.store.get_document(KIND, question.held.id)
    shown = repr(dict(document.body))

    for secret in question.stage.provider.tokens_ever_issued():
        assert secret not in shown
        assert secret.encode() not in document.sealed.blob
    assert "bob" not in shown
    assert "ada" not in shown


@pytest.mark.parametrize("binding", [None, Secret("another browser")])
@pytest.mark.parametrize("answer", [keep_old, switch, lambda *given: second(*given, "home")])
def test_another_browser_cannot_answer(question: Question, binding: Secret | None, answer: Any) -> None:
    with pytest.raises(StateMismatch) as caught:
        answer(question.stage.world, question.held.id, binding)

    assert caught.value.code == "decision_over"
    assert held(question.stage.world, question.held.id, question.binding) is not None


def test_keeping_gives_the_new_grant_back(question: Question) -> None:
    keep_old(question.stage.world, question.held.id, question.binding)

    assert not question.new_token_lives()
    assert question.works(question.stage.record(question.key))
    with pytest.raises(StateMismatch):
        switch(question.stage.world, question.held.id, question.binding)


def test_switching_keeps_the_id_and_gives_the_old_grant_back(question: Question) -> None:
    record = switch(question.stage.world, question.held.id, question.binding)

    assert (record.id, record.key, record.identity.login) == (question.old.id, question.key, "bob")
    assert question.works(record)
    assert question.stage.provider.live_grants == 1


def test_a_second_connection_leaves_the_first_alone(question: Question) -> None:
    record = second(question.stage.world, question.held.id, question.binding, "home")

    assert (record.key.account, record.identity.login) == ("home", "bob")
    assert question.stage.record(question.key) == question.old
    assert question.stage.provider.live_grants == 2


def test_a_label_in_use_leaves_the_question_open(question: Question) -> None:
    question.stage.connect(question.stage.key(owner="u1", account="home"), login="carol")

    with pytest.raises(ConfigurationError) as caught:
        second(question.stage.world, question.held.id, question.binding, "home")

    assert caught.value.code == "account_taken"
    assert held(question.stage.world, question.held.id, question.binding) is not None


def test_without_an_answer_the_new_grant_is_given_back(question: Question) -> None:
    world, clock = question.stage.world, question.stage.clock
    clock.advance(HELD_SECONDS - 1)
    assert sweep(world, "test") == 0
    clock.advance(1)

    assert held(world, question.held.id, question.binding) is None
    assert sweep(world, "test") == 1
    assert not question.new_token_lives()
    assert question.stage.record(question.key) == question.old


@pytest.mark.parametrize("once", [True, False])
def test_a_worker_gives_it_back_where_no_console_runs(question: Question, *, once: bool) -> None:
    stage = question.stage
    end = stage.clock.now() + HELD_SECONDS + SWEEP_EVERY
    stage.clock.advance(HELD_SECONDS if once else 0)
    means = Means(launch=lambda swept: swept(), stopped=lambda: stage.clock.now() > end, nap=stage.clock.sleep)

    work(stage.world, "other", Plan(once=True), means)
    assert question.new_token_lives()
    work(stage.world, "test", Plan(once=once), means)

    assert not question.new_token_lives()
    assert stage.record(question.key).state == "connected"


def test_a_disconnect_answers_the_question(question: Question) -> None:
    disconnect(question.stage.world, question.stage.credentials["notes"], question.key)

    assert question.stage.provider.live_grants == 0
    with pytest.raises(StateMismatch):
        switch(question.stage.world, question.held.id, question.binding)


def test_forgetting_an_owner_forgets_what_waits(question: Question) -> None:
    forget(question.stage.world, "u1", "test")

    assert question.stage.provider.live_grants == 0
    assert not question.stage.store.list_documents(KIND)


def test_a_connection_made_meanwhile_is_not_switched(question: Question) -> None:
    newer = question.stage.connect(question.key, login="ada")

    with pytest.raises(StateMismatch) as caught:
        switch(question.stage.world, question.held.id, question.binding)

    assert caught.value.code == "decision_over"
    assert question.stage.record(question.key) == newer
    assert not question.new_token_lives()
