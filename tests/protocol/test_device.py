from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.device import (
    DeviceAuthorization,
    device_authorization_request,
    device_token_request,
    next_interval,
    parse_device_authorization,
)
from valetkey.protocol.refusals import Refusal
from valetkey.values import Request, Response, Secret

NOW = 1_800_000_000.0
SITE = OAuth2Credential(
    name="site",
    token_url="https://as.example/token",
    device_authorization_url="https://as.example/device?v=2",
    token_params={"audience": "api"},
)
PUBLIC = replace(SITE, client_auth="none")
APP = AppCredentials(client_id="app", client_secret=Secret("s3cret"))
GOOD: Mapping[str, Any] = {
    "device_code": "dc",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://as.example/device",
    "expires_in": 900,
}


def form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def parse(body: object, status: int = 200) -> DeviceAuthorization | Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_device_authorization(Response(status=status, body=data), credential=SITE, now=NOW)


def pairs(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.body.decode(), strict_parsing=True)


# -- the start ------------------------------------------------------------------------------------------------------


def test_the_start_names_app_and_scopes() -> None:
    request = device_authorization_request(PUBLIC, APP, scopes=("a", "b"))

    assert (request.method, request.url) == ("POST", "https://as.example/device?v=2")
    assert form(request) == {"client_id": "app", "scope": "a b"}
    assert "Authorization" not in request.headers


@pytest.mark.conformance("1 resource: parameter")
def test_the_resources_are_named_at_the_start_and_in_each_poll() -> None:
    apis = ("https://api.example/a", "https://api.example/b")
    site = replace(PUBLIC, resources=apis)

    start = device_authorization_request(site, APP, scopes=())
    poll = device_token_request(site, APP, device_code=Secret("dc"))
    assert [value for name, value in pairs(start) if name == "resource"] == list(apis)
    assert [value for name, value in pairs(poll) if name == "resource"] == list(apis)
    one = replace(site, one_token_per_resource=True)
    poll = device_token_request(one, APP, device_code=Secret("dc"))
    assert [value for name, value in pairs(poll) if name == "resource"] == [apis[0]]
    start = device_authorization_request(one, APP, scopes=())
    assert [value for name, value in pairs(start) if name == "resource"] == list(apis)


def test_an_app_with_a_secret_proves_itself_and_names_itself() -> None:
    request = device_authorization_request(SITE, APP, scopes=())

    assert request.headers["Authorization"].startswith("Basic ")
    assert form(request) == {"client_id": "app"}


def test_a_credential_without_the_endpoint_has_no_device_flow() -> None:
    with pytest.raises(ConfigurationError, match=r"^site: device_authorization_url") as caught:
        device_authorization_request(replace(SITE, device_authorization_url=""), APP, scopes=())

    assert caught.value.code == "url_missing"


def test_a_full_answer_is_read_in_full() -> None:
    found = parse({**GOOD, "verification_uri_complete": "https://as.example/device?c=WDJB-MJHT", "interval": 7})

    assert found == DeviceAuthorization(
        device_code=Secret("dc"),
        user_code="WDJB-MJHT",
        verification_uri="https://as.example/device",
        verification_uri_complete="https://as.example/device?c=WDJB-MJHT",
        expires_in=900.0,
        interval=7.0,
    )


def test_a_form_encoded_answer_is_read_too() -> None:
    body = b"device_code=dc&expires_in=900&interval=5&user_code=A-B&verification_uri=https%3A%2F%2Fas.example%2Fd"

    found = parse(body)

    assert isinstance(found, DeviceAuthorization)
    assert found.verification_uri == "https://as.example/d"


@pytest.mark.conformance("1 device: interval")
@pytest.mark.parametrize(
    ("members", "interval"),
    [
        pytest.param({}, 5.0, id="absent: five seconds"),
        pytest.param({"interval": "10"}, 10.0, id="a string"),
        pytest.param({"interval": 0}, 5.0, id="zero"),
        pytest.param({"interval": -1}, 5.0, id="negative"),
        pytest.param({"interval": None}, 5.0, id="null"),
        pytest.param({"interval": 10**6}, 300.0, id="huge"),
    ],
)
def test_the_first_interval(members: Mapping[str, Any], interval: float) -> None:
    found = parse({**GOOD, **members})

    assert isinstance(found, DeviceAuthorization)
    assert found.interval == interval


def test_the_uri_is_found_under_googles_name() -> None:
    members = {name: value for name, value in GOOD.items() if name != "verification_uri"}

    found = parse({**members, "verification_url": "https://www.example.com/device"})

    assert isinstance(found, DeviceAuthorization)
    assert found.verification_uri == "https://www.example.com/device"


def test_a_uri_may_be_plain_http_for_nothing_of_ours_goes_there() -> None:
    found = parse({**GOOD, "verification_uri": "http://as.example/device"})

    assert isinstance(found, DeviceAuthorization)
    assert found.verification_uri == "http://as.example/device"


@pytest.mark.conformance("2 C:invalid-missing-expiresin")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"expires_in": None}, id="no expires_in"),
        pytest.param({"expires_in": 0}, id="expires_in zero"),
        pytest.param({"expires_in": "soon"}, id="expires_in a word"),
        pytest.param({"device_code": None}, id="no device_code"),
        pytest.param({"device_code": 42}, id="device_code a number"),
        pytest.param({"device_code": "a\nb"}, id="device_code with a line end"),
        pytest.param({"user_code": ""}, id="no user_code"),
        pytest.param({"user_code": "A\u001b[31mB"}, id="user_code with a terminal escape"),
        pytest.param({"user_code": "A" * 65}, id="user_code too long"),
        pytest.param({"user_code": 12345}, id="user_code a number"),
        pytest.param({"verification_uri": None}, id="no verification_uri"),
        pytest.param({"verification_uri": "javascript:alert(1)"}, id="a script as URI"),
        pytest.param({"verification_uri": "file:///etc/passwd"}, id="a file as URI"),
        pytest.param({"verification_uri": "https:///x"}, id="a URI without a host"),
        pytest.param({"verification_uri": "https://[x"}, id="a URI that is none"),
        pytest.param({"verification_uri": "https://as.example/a b"}, id="a URI with a space"),
        pytest.param({"verification_uri": "https://as.example/\u202ex"}, id="a URI that turns the text around"),
        pytest.param({"verification_uri": "https://as.example/" + "x" * 3000}, id="a URI too long"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(changes: Mapping[str, Any]) -> None:
    found = parse({**GOOD, **changes})

    assert isinstance(found, Refusal)
    assert found.kind == "doubt"
    assert "without a usable" in found.note
    assert "dc" not in repr(found).replace("device_code", "")


def test_a_bad_complete_uri_is_left_out() -> None:
    found = parse({**GOOD, "verification_uri_complete": "javascript:alert(1)"})

    assert isinstance(found, DeviceAuthorization)
    assert found.verification_uri_complete is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(401, {"error": "invalid_client"}, "client", id="invalid_client"),
        pytest.param(400, {"error": "invalid_scope"}, "request", id="invalid_scope"),
        pytest.param(200, {"error": "device_flow_disabled"}, "request", id="GitHub: not switched on, with 200"),
        pytest.param(200, b"<html>", "doubt", id="HTML"),
        pytest.param(503, b"", "transient", id="503"),
        pytest.param(302, b"", "redirect", id="302"),
    ],
)
def test_a_start_may_be_refused(status: int, body: object, kind: str) -> None:
    found = parse(body, status)

    assert isinstance(found, Refusal)
    assert found.kind == kind


def test_the_device_code_is_not_shown() -> None:
    assert "'dc'" not in repr(parse(GOOD))


@pytest.mark.fuzz
@given(status=st.integers(0, 700), body=st.binary(max_size=100))
def test_no_bytes_raise(status: int, body: bytes) -> None:
    assert isinstance(parse(body, status), (DeviceAuthorization, Refusal))


@pytest.mark.fuzz
@given(st.dictionaries(st.sampled_from([*GOOD, "interval", "verification_url"]), st.text() | st.integers() | st.none()))
def test_no_answer_raises(changes: Mapping[str, Any]) -> None:
    assert isinstance(parse({**GOOD, **changes}), (DeviceAuthorization, Refusal))


# -- the polls ------------------------------------------------------------------------------------------------------


def test_a_poll_carries_the_device_code() -> None:
    request = device_token_request(PUBLIC, APP, device_code=Secret("dc"))

    assert request.url == "https://as.example/token"
    assert form(request) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "dc",
        "client_id": "app",
        "audience": "api",
    }


@pytest.mark.conformance("1 device: interval", "1 device: time-out")
@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        pytest.param(Refusal(kind="pending", error="authorization_pending"), 5.0, id="pending: as before"),
        pytest.param(Refusal(kind="slow_down", error="slow_down"), 10.0, id="slow_down: five more"),
        pytest.param(Refusal(kind="slow_down", error="slow_down", interval=30.0), 30.0, id="slow_down names its own"),
        pytest.param(Refusal(kind="slow_down", error="slow_down", interval=1.0), 10.0, id="slow_down names less"),
        pytest.param(Refusal(kind="transient", error="slow_down", status=429), 10.0, id="slow_down with 429"),
        pytest.param(
            Refusal(kind="transient", error="slow_down", status=429, retry_after=60.0), 60.0, id="with Retry-After"
        ),
        pytest.param("timeout", 10.0, id="no answer: doubled"),
        pytest.param(Refusal(kind="doubt", status=500), 10.0, id="500: doubled"),
        pytest.param(Refusal(kind="transient", status=503, retry_after=120.0), 120.0, id="503 with Retry-After"),
        pytest.param(Refusal(kind="transient", status=503, retry_after=1.0), 10.0, id="503 with a short Retry-After"),
    ],
)
def test_how_long_to_wait_before_the_next_poll(refusal: Any, expected: float) -> None:
    assert next_interval(5.0, refusal) == expected


@pytest.mark.conformance("1 device: interval")
def test_slow_down_adds_up_and_doubling_is_bounded() -> None:
    slow_down = Refusal(kind="slow_down", error="slow_down")

    assert next_interval(next_interval(5.0, slow_down), slow_down) == 15.0
    assert next_interval(200.0, "timeout") == 300.0
    assert next_interval(200.0, Refusal(kind="doubt", status=502)) == 300.0
