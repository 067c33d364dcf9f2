"""What happens elsewhere: changes made by others, and answers that come from other hosts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from valetkey import HostNotAllowed, NotConnected
from valetkey.testing import PracticeProvider

HOUR = 3600


def test_a_change_made_elsewhere_is_seen_within_a_quarter_of_a_second(face: Any) -> None:
    """The practice's other valet stands for another process: it shares nothing but the store."""
    face.practice.connect("notes")
    client = face.client()
    before = client.get_access_token()
    other = face.practice.valet if face.colour == "async" else None
    elsewhere = other or _another_valet(face)
    elsewhere.client("notes").refresh()

    assert client.get_access_token() == before, "nobody looks at the store more often than four times a second"
    face.practice.clock.advance(0.26)

    assert client.get_access_token() == elsewhere.client("notes").get_access_token() != before
    elsewhere.close()


def test_a_disconnect_elsewhere_is_seen(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get_access_token()
    elsewhere = _another_valet(face)
    elsewhere.disconnect("notes")
    elsewhere.close()

    face.practice.clock.advance(0.26)
    with pytest.raises(NotConnected):
        client.get("/me")


def _another_valet(face: Any) -> Any:
    from valetkey import Valet

    return Valet(**face.practice._options())


def test_a_401_of_another_host_behind_a_redirect_refreshes_nothing_and_gets_no_token(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(120)
    with PracticeProvider(clock=face.practice.clock) as foreign:
        answer = face.client().get("/redirect", params={"to": f"{foreign.url}/me"}, follow_redirects=True)

        assert answer.status_code == 401
        assert answer.url.port == int(foreign.url.rpartition(":")[2])
        assert "authorization" not in answer.request.headers
    assert face.practice.provider.refresh_requests == 0


def test_a_body_is_not_carried_to_another_host_by_a_redirect(face: Any) -> None:
    face.practice.connect("notes")
    with PracticeProvider(clock=face.practice.clock) as foreign:
        target = {"to": f"{foreign.url}/open", "status": "307"}
        with pytest.raises(HostNotAllowed):
            face.client().post("/redirect", params=target, json={"text": "private"}, follow_redirects=True)

        assert foreign.requests == ()


def test_a_client_of_the_programs_own_carries_the_token_too(face: Any) -> None:
    face.practice.connect("notes")
    url = face.practice.provider.url

    if face.colour == "sync":
        with httpx2.Client(base_url=url, auth=face.client().auth) as api:
            status = api.get("/me").status_code
    else:

        async def call() -> int:
            async with httpx2.AsyncClient(base_url=url, auth=face.client().auth) as api:
                return (await api.get("/me")).status_code

        status = face.run(call())

    assert status == 200


def test_an_injected_client_is_used_for_api_calls_and_its_defaults_stay_out_of_token_requests(practice: Any) -> None:
    from valetkey import Valet

    with httpx2.Client(headers={"X-Program": "mine", "Authorization": "Bearer of-the-program"}) as own:
        options = {**practice._options(), "http": own}
        valet = Valet(**options)
        practice.connect("notes")
        practice.clock.advance(HOUR + 1)

        assert valet.client("notes").get("/me").status_code == 200

        seen = {request.path: request.headers for request in practice.provider.requests}
        assert seen["/me"]["x-program"] == "mine"
        assert "x-program" not in seen["/token"]
        valet.close()
        assert not own.is_closed
