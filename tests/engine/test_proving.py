"""What is signed for each attempt, and what an answer makes another attempt of."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from valetkey.engine.proving import Prover
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.signing import generate_key
from valetkey.protocol.token_request import refresh_request
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.testing import FakeClock
from valetkey.values import Request, Response, Secret

KEY = generate_key()
BANK = OAuth2Credential(
    name="bank", issuer="https://as.example", token_url="https://as.example/token", client_auth="private_key_jwt"
)
APP = AppCredentials(client_id="app", private_key=KEY)


class Endpoint:
    """Answers one request after the other, and keeps what it was sent."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)
        self.sent: list[Request] = []

    def send(self, request: Request, *, deadline: float) -> Response:
        self.sent.append(request)
        assert deadline == 7
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def answer(status: int = 200, error: str = "", **headers: str) -> Response:
    body = json.dumps({"error": error} if error else {"access_token": "a", "token_type": "DPoP"}).encode()
    return Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def assertion(request: Request) -> dict[str, Any]:
    from urllib.parse import parse_qs

    return claims(parse_qs(request.body.decode())["client_assertion"][0])


def proof(request: Request) -> dict[str, Any]:
    return claims(request.headers["DPoP"])


def refresh(credential: OAuth2Credential = BANK, **changes: Any) -> Request:
    made = refresh_request(credential, APP, refresh_token=Secret("r1"))
    return replace(made, dpop_key=KEY, send_by=3.0, **changes)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=1_800_000_000.0)


@pytest.fixture
def over(clock: FakeClock) -> Callable[..., tuple[Prover, Endpoint]]:
    def make(*answers: Response) -> tuple[Prover, Endpoint]:
        endpoint = Endpoint(*answers)
        return Prover(endpoint, clock), endpoint

    return make


def test_a_request_with_nothing_to_sign_goes_as_it_is(over: Any) -> None:
    prover, endpoint = over(answer())
    plain = Request(method="POST", url="https://as.example/token", body=b"a=b")
    prover.send(plain, deadline=7)
    assert endpoint.sent == [plain]
    assert endpoint.sent[0] is plain


def test_what_is_sent_is_whole_and_keeps_the_moment_after_which_it_must_not_leave(over: Any) -> None:
    prover, endpoint = over(answer())
    request = refresh()
    assert b"client_assertion" not in request.body, "there is nothing to steal before it is sent"
    prover.send(request, deadline=7)
    (sent,) = endpoint.sent
    assert sent.send_by == 3.0
    assert assertion(sent)["aud"] == "https://as.example"
    assert proof(sent)["htu"] == "https://as.example/token"
    assert (proof(sent)["htm"], proof(sent)["iat"]) == ("POST", 1_800_000_000)


@pytest.mark.conformance("0 1", "1 client authentication: new assertion for every attempt", "1 DPoP: proof per request")
def test_a_nonce_makes_the_whole_request_anew_once(over: Any) -> None:
    """With the same assertion the second try would be refused, for its jti was used."""
    prover, endpoint = over(answer(400, "use_dpop_nonce", dpop_nonce="n1"), answer(dpop_nonce="n2"))
    assert prover.send(refresh(), deadline=7).status == 200
    first, second = endpoint.sent
    assert "nonce" not in proof(first)
    assert proof(second)["nonce"] == "n1"
    assert assertion(first)["jti"] != assertion(second)["jti"]
    assert proof(first)["jti"] != proof(second)["jti"]
    prover.send(refresh(), deadline=7)
    assert proof(endpoint.sent[2])["nonce"] == "n2", "also an answer of success gives the next one"


@pytest.mark.parametrize(
    ("refusal", "attempts"),
    [
        pytest.param(answer(400, "use_dpop_nonce", dpop_nonce="same"), 2, id="asks for the nonce that it got"),
        pytest.param(answer(400, "use_dpop_nonce"), 1, id="asks for a nonce and gives none"),
        pytest.param(answer(400, "invalid_grant", dpop_nonce="n"), 1, id="refuses what a nonce does not mend"),
        pytest.param(answer(401, "invalid_client"), 1, id="does not know the app"),
        pytest.param(answer(401, "invalid_client", date=formatdate(1_800_000_003, usegmt=True)), 1, id="clocks agree"),
        pytest.param(answer(503, "use_dpop_nonce", dpop_nonce="n"), 1, id="is in trouble"),
    ],
)
def test_a_server_that_goes_on_refusing_is_not_asked_for_ever(over: Any, refusal: Response, attempts: int) -> None:
    prover, endpoint = over(refusal)
    assert prover.send(refresh(), deadline=7) is refusal
    assert len(endpoint.sent) == attempts


@pytest.mark.conformance("1 DPoP: nonces")
def test_a_nonce_goes_to_the_server_that_gave_it_only(over: Any) -> None:
    prover, endpoint = over(answer(dpop_nonce="n1"))
    prover.send(refresh(), deadline=7)
    prover.send(refresh(replace(BANK, token_url="https://other.example/token")), deadline=7)
    assert "nonce" not in proof(endpoint.sent[1])


@pytest.mark.conformance("1 DPoP: clock", "2 own: clock off")
@pytest.mark.parametrize("error", ["invalid_client", "invalid_dpop_proof"])
def test_the_clock_of_a_server_is_learnt_where_it_refuses_ours(over: Any, error: str) -> None:
    theirs = 1_800_000_600
    prover, endpoint = over(answer(401, error, date=formatdate(theirs, usegmt=True)), answer())
    assert prover.send(refresh(), deadline=7).status == 200
    assert [assertion(sent)["iat"] - 1_800_000_000 for sent in endpoint.sent] == [0, 600]
    assert proof(endpoint.sent[1])["iat"] == theirs
    prover.send(refresh(), deadline=7)
    assert assertion(endpoint.sent[2])["exp"] == theirs + 60, "and it is remembered"


@pytest.mark.conformance("1 DPoP: downgrade", "2 own: bearer though DPoP")
@pytest.mark.parametrize("token_type", ["DPoP", "dpop", "bearer", "", "mac"])
def test_a_bearer_token_is_discarded_where_a_bound_one_was_asked_for(token_type: str) -> None:
    body = json.dumps({"access_token": "a", "token_type": token_type, "refresh_token": "r2"}).encode()
    said = Response(status=200, body=body)
    got = parse_token_response(said, credential=BANK, now=0.0, request=refresh())
    if token_type.lower() == "dpop":
        assert isinstance(got, TokenSet)
        assert (got.token_type, got.dpop_key) == ("DPoP", KEY)
    else:
        assert isinstance(got, Refusal)
        assert (got.error, got.quarantined) == ("unsupported_token_type", Secret("r2"))
    unbound = parse_token_response(said, credential=BANK, now=0.0, request=replace(refresh(), dpop_key=None))
    assert isinstance(unbound, TokenSet) is (token_type in {"bearer", ""}), "and the other way round"
