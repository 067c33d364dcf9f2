"""What exactly is asked for, refused (RFC 9396 section 5): final for the sign-in, and harmless for what lives."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from valetkey import ConnectError, ProviderError

ERROR = "invalid_authorization_details"
DETAILS = '[{"type": "payment_initiation"}]'
conformance = pytest.mark.conformance


@pytest.fixture
def asking(face: Any) -> Any:
    face.practice.declare("bank", display_name="Bank", authorization_details=DETAILS)
    return face


@conformance("1 RAR: errors")
@pytest.mark.parametrize("road", ["callback", "token endpoint"])
def test_a_sign_in_ends_at_once_and_stores_nothing(asking: Any, road: str) -> None:
    provider = asking.practice.provider
    start = asking.valet.authorize("bank")
    if road == "callback":
        sent = {name: values[0] for name, values in parse_qs(urlsplit(start.url).query).items()}
        said = {"error": ERROR, "state": sent["state"], "iss": provider.issuer}
        callback = f"{sent['redirect_uri']}?{urlencode(said)}"
    else:
        callback = provider.approve(start.url)
        provider.fail_next(status=400, error=ERROR)

    with pytest.raises(ConnectError) as caught:
        asking.valet.finish(callback, binding=start.binding)

    assert caught.value.code == ERROR
    assert "trying again is of no use" in caught.value.hint
    assert provider.token_requests == (road == "token endpoint"), "nothing is sent twice"
    assert asking.client("bank").status().state in {"pending", "disconnected"}


@conformance("1 RAR: errors")
def test_a_refresh_that_is_refused_for_it_keeps_the_grant(asking: Any) -> None:
    practice = asking.practice
    practice.connect("bank")
    practice.clock.advance(3601)
    practice.provider.fail_next(status=400, error=ERROR)
    before = practice.provider.token_requests

    with pytest.raises(ProviderError) as caught:
        asking.client("bank").refresh()

    assert caught.value.code == "refresh_refused"
    assert not caught.value.retryable
    assert practice.provider.token_requests == before + 1
    practice.clock.advance(3601)
    assert asking.client("bank").refresh().state == "connected"
