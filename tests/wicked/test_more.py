"""People on phones (CIBA), apps with certificates (RFC 8705), and MCP servers, at a server that goes wrong."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from shared.certificates import self_signed
from shared.waiting import settle
from valetkey import (
    AuthorizationDenied,
    BackchannelRequest,
    ClientRejected,
    ConnectError,
    ConsentExpired,
    ProviderProtocolError,
    ScopesMissing,
)
from valetkey.adapters.mcp import McpAuth
from valetkey.engine.backchannel import finish_backchannel, start_backchannel
from valetkey.http import HttpEndpoint
from valetkey.model.connections import ConnectionKey
from valetkey.protocol.device import LONGEST_INTERVAL

conformance = pytest.mark.conformance
YOUNG, HOUR = 120, 3600
KEY = ConnectionKey("test", "notes", None, "")


# -- people on phones --------------------------------------------------------------------------------------------------


class Phone:
    """A person who says yes as soon as they are asked."""

    def __init__(self, trial: Any) -> None:
        url = f"{trial.server.issuer}/bc-authorize"
        trial.declare(scopes=["openid", "notes.read"], backchannel_authentication_url=url)
        trial.server.reset_counters()
        self.trial, self.world = trial, trial.valet._core.world
        self.credential = trial.valet._core.credential("notes")
        self.waits: list[float] = []

    def start(self) -> Any:
        wants = BackchannelRequest(login_hint="ada")
        return start_backchannel(self.world, self.credential, KEY, scopes=(), wants=wants)

    def finish(self, flow: Any) -> Any:
        self.trial.server.answer_phone("ada")
        began = self.trial.clock.now()
        try:
            return finish_backchannel(self.world, self.credential, KEY, flow, scopes=())
        finally:
            self.waits.append(self.trial.clock.now() - began)


@pytest.fixture
def phone(trial: Any) -> Phone:
    return Phone(trial)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        pytest.param("ciba-no-interval", 5, marks=conformance("1 CIBA: answer")),
        pytest.param("ciba-unknown-members", 5, marks=conformance("1 CIBA: answer")),
        pytest.param("ciba-pending", 10, marks=conformance("1 CIBA: answers to polls")),
        pytest.param("ciba-slow-down", 15, marks=conformance("1 CIBA: answers to polls", "2 C:slow-down")),
        pytest.param("ciba-interval-huge", LONGEST_INTERVAL, marks=conformance("1 CIBA: interval")),
        pytest.param("ciba-poll-503", 35, marks=conformance("1 CIBA: answers to polls")),
    ],
)
def test_a_question_goes_on_as_slowly_as_it_is_told(phone: Phone, name: str, seconds: float) -> None:
    phone.trial.server.misbehave(name)

    record = phone.finish(phone.start())

    assert (record.state, phone.waits) == ("connected", [seconds])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("ciba-denied", AuthorizationDenied, marks=conformance("2 C:invalid-access-denied")),
        pytest.param("ciba-expired", ConsentExpired, marks=conformance("2 C:invalid-expired-token")),
        pytest.param("ciba-invalid-request", ConnectError, marks=conformance("2 C:invalid-request")),
    ],
)
def test_a_question_stops_at_a_last_word(phone: Phone, name: str, error: type[Exception]) -> None:
    phone.trial.server.misbehave(name)

    assert isinstance(phone.trial.refused(lambda: phone.finish(phone.start())), error)

    assert (phone.trial.server.token_requests, phone.trial.ungranted) == (1, True)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("ciba-no-expiry", "provider_protocol_error", marks=conformance("2 C:invalid-missing-expiresin")),
        ("ciba-no-id", "provider_protocol_error"),
        ("ciba-odd-id", "provider_protocol_error"),
        ("ciba-html", "provider_protocol_error"),
        ("ciba-unknown-person", "unknown_user_id"),
        ("ciba-no-user-code", "missing_user_code"),
    ],
)
def test_a_question_does_not_begin_with_half_an_answer(phone: Phone, name: str, code: str) -> None:
    phone.trial.server.misbehave(name)

    error = phone.trial.refused(phone.start)

    assert isinstance(error, ProviderProtocolError) or error.code == code
    assert (phone.trial.server.token_requests, phone.trial.ungranted) == (0, True)


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(lone_trial: Any) -> Any:
    """An app whose tokens are bound to its certificate."""
    certificate, key = self_signed("bank", days=9000)
    lone_trial.app |= {"certificate": certificate, "certificate_key": key}
    lone_trial.declare(sender_constraint="mtls")
    return lone_trial


@conformance("1 client authentication: mTLS")
def test_the_plain_endpoint_serves_where_there_is_no_alias(bank: Any) -> None:
    bank.server.misbehave("mtls-alias-missing")

    assert bank.sign_in().state == "connected"
    assert bank.use() == 200


@pytest.mark.parametrize("name", ["mtls-alias-insecure", "mtls-alias-odd"])
def test_an_alias_that_is_none_is_not_called(bank: Any, name: str) -> None:
    bank.server.misbehave(name)

    assert isinstance(bank.refused(bank.sign_in), ProviderProtocolError)

    assert (bank.server.token_requests, bank.ungranted) == (0, True)


def test_an_api_that_refuses_a_bound_token_gets_one_more_and_no_grant_is_lost(bank: Any) -> None:
    bank.sign_in()
    bank.age(YOUNG)
    bank.server.reset_counters()
    bank.server.misbehave("mtls-bound-to-another")

    assert bank.use() == 401

    assert (bank.server.refresh_requests, bank.server.api_requests) == (1, 2)
    bank.server.behave()
    assert (bank.use(), bank.status.state) == (200, "connected")


@conformance("2 own: invalid_client")
def test_a_certificate_that_is_not_taken_is_the_apps_trouble(bank: Any) -> None:
    bank.sign_in()
    bank.age()
    bank.server.misbehave("mtls-certificate-refused")

    assert isinstance(bank.refused(bank.use), ClientRejected)
    assert bank.status.state == "app_error"
    bank.server.behave()
    bank.age(HOUR)
    assert (bank.use(), bank.status.state) == (200, "connected")


# -- MCP servers -------------------------------------------------------------------------------------------------------


class Tools:
    """An MCP server that somebody calls, and the person who signs in."""

    def __init__(self, trial: Any) -> None:
        self.trial, self.visits = trial, 0
        url = f"{trial.server.url}/mcp"
        credential = trial.wiring.oauth2_credential("notes", security_profile="mcp", api_base_url=url)
        trial.secrets.set(credential.secret_id, json.dumps(trial.app))
        trial.server.reset_counters()
        self.url = url

    def call(self) -> int:
        auth = McpAuth(self.trial.client, sign_in=self._sign_in)
        with httpx2.Client(auth=auth, trust_env=False) as http:
            status = http.get(self.url).status_code
        settle(self.trial.valet)
        return status

    def _sign_in(self, url: str) -> str:
        self.visits += 1
        return str(self.trial.server.approve(url))


@pytest.fixture
def tools(trial: Any) -> Tools:
    return Tools(trial)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        pytest.param("mcp-metadata-elsewhere", {"provider_unavailable", "metadata_missing"}),
        pytest.param("mcp-resource-other", {"resource_differs"}, marks=conformance("2 M:resource-mismatch")),
        pytest.param("mcp-resource-missing", {"resource_differs"}, marks=conformance("2 M:resource-mismatch")),
        ("mcp-no-servers", {"authorization_server_unknown"}),
        ("mcp-empty-servers", {"authorization_server_unknown"}),
        ("mcp-servers-inside", {"metadata_invalid", "provider_unavailable"}),
        ("mcp-metadata-html", {"metadata_missing"}),
        ("mcp-metadata-huge", {"provider_unavailable", "metadata_missing"}),
        ("mcp-no-pkce", {"pkce_unsupported"}),
    ],
)
def test_an_mcp_server_that_does_not_say_who_it_is_has_nobody_sign_in(tools: Tools, name: str, codes: set[str]) -> None:
    tools.trial.server.misbehave(name)

    assert tools.trial.refused(tools.call).code in codes

    asked = {seen.endpoint for seen in tools.trial.server.requests}
    assert asked <= {"mcp", "resource_metadata", "discovery"}
    assert (tools.visits, tools.trial.ungranted) == (0, True)


def test_the_metadata_of_a_data_centre_is_not_read(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    real = HttpEndpoint.send

    def send(self: HttpEndpoint, request: Any, *, deadline: float) -> Any:
        sent.append(request.url)
        return real(self, request, deadline=deadline)

    monkeypatch.setattr(HttpEndpoint, "send", send)
    tools.trial.server.misbehave("mcp-metadata-inside")

    assert (tools.call(), tools.visits) == (200, 1), "its own well-known address tells it too"
    assert not any("169.254" in url for url in sent)


@conformance("2 M:scope-retry-limit")
@pytest.mark.parametrize(("name", "visits"), [("mcp-scope-for-ever", 2), ("mcp-scope-climbs", 3)])
def test_an_mcp_server_that_always_wants_more_does_not_ask_for_ever(tools: Tools, name: str, visits: int) -> None:
    tools.trial.server.register_client(
        tools.trial.app["client_id"],
        tools.trial.app["client_secret"],
        scopes=["notes.read", "notes.write", *(f"notes.extra{n}" for n in range(9))],
    )
    tools.trial.server.misbehave(name)

    assert isinstance(tools.trial.refused(tools.call), ScopesMissing)
    assert tools.visits == visits


def test_an_mcp_server_that_takes_no_token_has_a_person_sign_in_once(tools: Tools) -> None:
    tools.trial.server.misbehave("mcp-refuses-for-ever")

    assert tools.call() == 401
    assert tools.visits == 1
    tools.trial.server.behave()
    assert (tools.call(), tools.visits) == (200, 1)
