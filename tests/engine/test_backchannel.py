"""Connecting a person who is asked on another device (OpenID CIBA Core 1.0, poll mode)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey.engine.backchannel import finish_backchannel, start_backchannel
from valetkey.errors import (
    AuthorizationDenied,
    ConfigurationError,
    ConnectError,
    ConsentExpired,
    ProviderProtocolError,
    ValetkeyError,
)
from valetkey.model.ports import InDoubt
from valetkey.protocol.ciba import BackchannelRequest
from valetkey.testing.provider import OMIT
from valetkey.values import Request, Secret

conformance = pytest.mark.conformance
ADA = BackchannelRequest(login_hint="ada", binding_message="X-42", user_code=Secret("canary-4711"))


@pytest.fixture
def bank(stage: Any) -> Any:
    url = f"{stage.provider.issuer}/bc-authorize"
    stage.declare("bank", scopes=("openid", "notes.read"), backchannel_authentication_url=url, authorization_url="")
    return stage


def start(stage: Any, wants: BackchannelRequest = ADA) -> Any:
    return start_backchannel(stage.world, stage.credentials["bank"], stage.key("bank"), scopes=(), wants=wants)


def finish(stage: Any, flow: Any, on_wait: Any = None) -> Any:
    key = stage.key("bank")
    return finish_backchannel(stage.world, stage.credentials["bank"], key, flow, scopes=(), on_wait=on_wait)


def polls(stage: Any) -> list[float]:
    """Record when each question is asked, by the clock that the waits move."""
    times: list[float] = [stage.clock.monotonic()]

    def before(request: Request) -> None:
        if request.url.endswith("/token"):
            times.append(stage.clock.monotonic())

    stage.wire.before = before
    return times


def gaps(times: list[float]) -> list[float]:
    return [round(b - a, 3) for a, b in pairwise(times)]


def test_a_yes_on_the_phone_connects(bank: Any) -> None:
    flow = start(bank)
    form = parse_qs(bank.wire.sent[-1].body.decode())
    assert form["login_hint"] == ["ada"]
    assert (form["binding_message"], form["user_code"]) == (["X-42"], ["canary-4711"])
    assert form["scope"] == ["openid notes.read"]
    assert "Authorization" in bank.wire.sent[-1].headers
    bank.provider.answer_phone("ada")

    record = finish(bank, flow)

    assert (record.state, record.identity.login) == ("connected", "ada")
    assert "canary-4711" not in repr(ADA) + repr(flow) + str([vars_of(one) for one in bank.events()])
    assert flow.auth_req_id.reveal() not in repr(flow)


@conformance("1 openid: max_age and acr")
def test_a_yes_that_was_weaker_than_asked_for_connects_nobody(bank: Any) -> None:
    wants = BackchannelRequest(login_hint="ada", acr_values=("gold", "platinum"))
    for acr, holds in ((OMIT, False), ("silver", False), ("platinum", True)):
        bank.provider.change_answer(endpoint="id_token", times=1, acr=acr)
        flow = start(bank, wants)
        bank.provider.answer_phone("ada")
        if holds:
            assert finish(bank, flow).state == "connected"
        else:
            with pytest.raises(ConnectError) as caught:
                finish(bank, flow)
            assert (caught.value.code, bank.provider.live_grants) == ("id_token_invalid", 0)


def vars_of(event: Any) -> str:
    return f"{event.kind} {event.detail}"


@conformance("1 CIBA: interval", "1 CIBA: answers to polls", "2 C:slow-down")
def test_slow_down_adds_five_seconds_for_good_and_a_held_poll_counts_from_its_sending(bank: Any) -> None:
    flow, times = start(bank), polls(bank)
    bank.provider.fail_next(error="slow_down", status=400)

    def on_wait(_: float) -> None:
        if len(times) == 4:
            bank.provider.answer_phone("ada")

    held: list[None] = []

    def after(request: Request) -> None:
        if request.url.endswith("/token") and len(times) == 3 and not held:
            held.append(None)
            bank.clock.advance(25)  # the server holds its answer back

    bank.wire.after = after
    bank.provider.rules.device_interval = 0
    assert finish(bank, flow, on_wait).state == "connected"
    assert gaps(times) == [5, 10, 25, 10]


@conformance("1 CIBA: registration and hints", "1 CIBA: user code")
def test_what_does_not_fit_is_said_before_anything_is_sent(bank: Any) -> None:
    for wants in (
        BackchannelRequest(),
        BackchannelRequest(login_hint="ada", id_token_hint=Secret("x")),
    ):
        with pytest.raises(ConfigurationError) as caught:
            start(bank, wants)
        assert caught.value.code == "hint_not_one"
    with pytest.raises(ConfigurationError) as caught:
        start(bank, BackchannelRequest(login_hint="ada", binding_message="a\nb"))
    assert caught.value.code == "binding_message_invalid"
    for fields, code in (
        ({"scopes": ("notes.read",)}, "openid_missing"),
        ({"scopes": ("openid",), "client_auth": "none"}, "client_public"),
        ({"backchannel_authentication_url": ""}, "backchannel_missing"),
    ):
        bank.change("bank", **fields)
        with pytest.raises(ConfigurationError) as caught:
            start(bank)
        assert caught.value.code == code
    assert bank.wire.sent == []


@conformance("1 CIBA: answer", "2 C:invalid-missing-expiresin")
def test_an_answer_without_its_end_or_its_id_is_refused(bank: Any) -> None:
    for member in ("expires_in", "auth_req_id"):
        bank.provider.change_answer(1, endpoint="ciba", **{member: OMIT})
        with pytest.raises(ProviderProtocolError):
            start(bank)
    bank.provider.change_answer(1, endpoint="ciba", interval=OMIT, more="x")
    assert start(bank).interval == 5


@conformance("1 CIBA: answers to polls", "2 C:invalid-access-denied", "2 C:invalid-expired-token")
def test_a_final_word_ends_it_and_nothing_is_stored(bank: Any) -> None:
    flow = start(bank)
    bank.provider.answer_phone("ada", approve=False)
    with pytest.raises(AuthorizationDenied):
        finish(bank, flow)
    for error, kind in (("expired_token", ConsentExpired), ("invalid_grant", ConnectError), ("invalid_request", None)):
        flow = start(bank)
        bank.wire.sent.clear()
        bank.provider.fail_next(error=error, status=400)
        with pytest.raises(kind or ValetkeyError):
            finish(bank, flow)
        assert bank.wire.paths() == ["token"]
    assert bank.ungranted(bank.key("bank"))


def test_nobody_answers_and_the_line_is_cut_meanwhile(bank: Any) -> None:
    flow = start(bank)
    times = polls(bank)
    before = bank.wire.before

    def cut(request: Request) -> None:
        before(request)
        if len(times) == 2:
            msg = "the line is cut"
            raise InDoubt(msg)

    bank.wire.before = cut
    with pytest.raises(ConsentExpired):
        finish(bank, flow)
    assert gaps(times)[:3] == [5, 10, 10]
    assert bank.ungranted(bank.key("bank"))
