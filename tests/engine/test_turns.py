"""Sign-ins and revocations take turns where a revocation ends everything of a user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.connect import connect_app, finish_authorization
from valetkey.engine.device import finish_device, start_device
from valetkey.engine.disconnect import disconnect
from valetkey.engine.turns import LIVES, REVOCATION_WAITS, SIGN_IN_WAITS, Buying, revoking
from valetkey.errors import StoreUnavailable
from valetkey.model.ports import InDoubt
from valetkey.values import Request, Response


def _notes(stage: Any) -> list[str]:
    return [note.id.partition("/")[0] for note in stage.store.list_documents("lease", env="test")]


def _disconnect(stage: Any, key: Any) -> Any:
    return disconnect(stage.world, stage.credentials["notes"], key)


def _at_first(path: str, act: Callable[[], object]) -> Callable[[Request], None]:
    """Return a hook that acts when the first request goes to `path`."""
    acts = [act]

    def before(request: Request) -> None:
        if request.url.endswith(path) and acts:
            acts.pop()()

    return before


def _asleep(stage: Any, act: Callable[[], object]) -> None:
    """Act when somebody sleeps for the first time."""
    sleep, acts = stage.clock.sleep, [act]

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if acts:
            acts.pop()()

    stage.clock.sleep = sleeping


@pytest.mark.parametrize("name", ["notes", "mail"])
def test_a_sign_in_does_not_spend_its_code_while_a_revocation_may_end_what_it_buys(stage: Any, name: str) -> None:
    credential = replace(stage.change(revocation_reach="user"), name=name)
    under_way = revoking(stage.world, credential, stage.key(name, account="other"))
    under_way.__enter__()
    requests: list[int] = []

    def ends() -> None:
        requests.append(stage.provider.token_requests)
        under_way.__exit__(None, None, None)

    _asleep(stage, ends)

    assert stage.connect().state == "connected"
    assert requests == [0]
    assert _notes(stage) == []


def test_a_revocation_does_not_end_what_is_being_bought(stage: Any) -> None:
    stage.change(revocation_reach="user")
    old, new = stage.key(owner="ada", account="old"), stage.key(owner="ada", account="new")
    stage.connect(old)
    done: list[Any] = []
    stage.wire.before = _at_first("/userinfo", lambda: done.append(_disconnect(stage, old)))

    assert stage.connect(new).state == "connected"

    assert "a sign-in under way" in done[0].told
    assert done[0].may_live
    assert stage.provider.revocations == 0
    assert stage.record(old).state == "disconnected"


def test_a_revocation_that_waited_sees_what_was_bought_meanwhile(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    old, new = stage.key(owner="ada", account="old"), stage.key(owner="ada", account="new")
    stage.connect(old)
    sign_in = Buying(stage.world, credential, new)
    sign_in.__enter__()

    def finish() -> None:
        sign_in.end()
        stage.wire.before = lambda _: None
        bought.append(stage.connect(new))

    bought: list[Any] = []
    # Its own note would have it wait for the revocation, which waits here: so this sign-in leaves none.
    _asleep(stage, lambda: (stage.change(revocation_reach="grant"), finish(), stage.change(revocation_reach="user")))

    assert "would also end notes/ada/new" in _disconnect(stage, old).told
    assert bought[0].state == "connected"
    assert stage.provider.revocations == 0


def test_a_slow_sign_in_of_another_owner_holds_a_revocation_up_and_does_not_stop_it(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    stage.connect(stage.key(owner="ada"))
    began = stage.clock.monotonic()

    with Buying(stage.world, credential, stage.key(owner="bob")):
        done = _disconnect(stage, stage.key(owner="ada"))

    assert done.revoked
    assert REVOCATION_WAITS <= stage.clock.monotonic() - began < 2 * REVOCATION_WAITS


@pytest.mark.parametrize("deed", ["buying", "revoking"])
def test_the_note_of_a_process_that_died_runs_out(stage: Any, deed: Any) -> None:
    credential = stage.change(revocation_reach="user")
    dead: Any = Buying if deed == "buying" else revoking
    dead = dead(stage.world, credential, stage.key())
    dead.__enter__()
    began = stage.clock.monotonic()

    if deed == "revoking":
        assert stage.connect().state == "connected"
        assert LIVES[deed] <= stage.clock.monotonic() - began < SIGN_IN_WAITS
    else:
        stage.clock.advance(LIVES[deed])
        stage.connect()
        assert _disconnect(stage, stage.key()).revoked


def test_revocations_without_an_end_do_not_make_signing_in_impossible(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    real = stage.store.list_documents
    with revoking(stage.world, credential, stage.key(account="dead")):
        left = real("lease", env="test")
        stage.store.list_documents = lambda kind, **how: left if kind == "lease" else real(kind, **how)
        assert stage.connect().state == "connected"


def test_a_note_from_before_the_clock_was_set_back_holds_nothing_up(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    left = revoking(stage.world, credential, stage.key())
    left.__enter__()
    stage.clock.set(stage.clock.now() - 3600)
    began = stage.clock.monotonic()

    assert stage.connect().state == "connected"
    assert stage.clock.monotonic() == began


def test_a_revocation_is_over_before_its_note_runs_out(stage: Any) -> None:
    stage.change(revocation_reach="user", revocation_token="refresh_token")
    stage.connect()
    sent: list[float] = []

    def slowly(request: Request, *, deadline: float) -> Response:
        sent.append(deadline)
        stage.clock.advance(LIVES["revoking"])
        if len(sent) == 1:
            msg = "no answer came"
            raise InDoubt(msg)
        return stage.wire.inner.send(request, deadline=deadline)

    stage.wire.send = slowly
    began = stage.clock.monotonic()

    assert not _disconnect(stage, stage.key()).revoked
    assert max(sent) < began + LIVES["revoking"]
    assert stage.provider.revocations == 0


def test_a_device_sign_in_is_in_nobodys_way_while_the_person_thinks(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    flow = start_device(stage.world, credential, stage.key(), scopes=())
    seen: dict[str, list[str]] = {"waiting": [], "asking": []}
    stage.wire.before = lambda _: seen["asking"].extend(_notes(stage))

    def waiting(_: float) -> None:
        seen["waiting"].extend(_notes(stage))
        if len(seen["asking"]) == 2:
            stage.provider.enter_user_code(flow.user_code, login="ada")

    record = finish_device(stage.world, credential, stage.key(), flow, scopes=(), on_wait=waiting)

    assert record.state == "connected"
    assert seen == {"waiting": [], "asking": ["buying"] * 4}  # three questions, and who it is
    assert _notes(stage) == []


@pytest.mark.parametrize("reach", ["token", "grant"])
def test_where_a_revocation_ends_less_nobody_leaves_a_note(stage: Any, reach: str) -> None:
    stage.change(revocation_reach=reach)
    seen: list[str] = []
    stage.wire.before = lambda _: seen.extend(_notes(stage))

    stage.connect()
    _disconnect(stage, stage.key())

    assert seen == []


def test_an_app_that_gets_its_own_token_waits_its_turn_too(stage: Any) -> None:
    credential = stage.change(grant="client_credentials", revocation_reach="user")
    seen: list[str] = []
    stage.wire.before = lambda _: seen.extend(_notes(stage))

    assert connect_app(stage.world, credential, stage.key(), scopes=()).state == "connected"
    assert set(seen) == {"buying"}


def test_a_note_in_a_store_that_went_down_is_left_to_run_out(stage: Any) -> None:
    stage.change(revocation_reach="user")
    stage.wire.before = _at_first("/userinfo", lambda: stage.break_store("delete_document"))

    assert stage.connect().state == "connected"
    assert _notes(stage) == ["buying"]
    stage.clock.advance(LIVES["buying"])
    assert _notes(stage) == []


def test_a_sign_in_that_could_not_look_around_holds_nobody_up(stage: Any) -> None:
    stage.change(revocation_reach="user")
    start = stage.start()
    real = stage.store.list_documents
    stage.break_store("list_documents")

    with pytest.raises(StoreUnavailable):
        finish_authorization(stage.world, stage.provider.approve(start.url), binding=start.binding)

    stage.store.list_documents = real
    assert _notes(stage) == []
    assert stage.provider.token_requests == 0
