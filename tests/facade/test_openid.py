"""A provider that is declared by its issuer alone, over both facades."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from valetkey import ConnectError, ReauthorizationRequired

HOUR = 3600


def connect(face: Any, name: str = "staff", **options: Any) -> Any:
    start = face.valet.authorize(name, **options)
    callback = face.practice.provider.approve(start.url)
    return face.valet.finish(callback, binding=start.binding, owner=options.get("owner"))


def fetches(practice: Any) -> int:
    return sum(request.endpoint == "discovery" for request in practice.provider.requests)


def test_a_whole_life_by_the_issuer_alone(face: Any) -> None:
    practice = face.practice
    practice.declare("staff", discover=True, scopes=["openid", "notes.read"])
    assert connect(face).identity.email == "ada@example.com"
    assert face.client("staff").get("/me").status_code == 200

    practice.clock.advance(HOUR + 1)
    assert face.client("staff").get("/me").status_code == 200
    assert (practice.provider.refreshes, fetches(practice)) == (1, 2)

    practice.clock.advance(HOUR + 1)
    practice.provider.change_answer(endpoint="id_token", times=1, sub="mallory")
    with pytest.raises(ReauthorizationRequired) as caught:
        face.client("staff").get("/me")
    assert caught.value.reason == face.client("staff").status().reason == "identity_changed"
    practice.provider.change_answer(endpoint="id_token", times=1, nonce="another")
    with pytest.raises(ConnectError):
        connect(face)
    assert face.client("staff").status().state == "needs_reauth", "who fails to sign in changes nothing"
    assert connect(face).state == "connected"
    assert face.client("staff").disconnect().revoked == ("refresh_token", "access_token")


def test_many_connections_that_are_due_at_once_fetch_the_metadata_once(practice: Any) -> None:
    practice.declare("staff", discover=True, scopes=["openid", "notes.read"])
    owners = [f"u-{number}" for number in range(8)]
    for owner in owners:
        practice.connect("staff", owner=owner)
    before = fetches(practice)
    practice.clock.advance(HOUR + 1)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda owner: practice.client("staff", owner=owner).get("/me").status_code, owners))

    assert answers == [200] * 8
    assert (fetches(practice) - before, practice.provider.refreshes) == (1, 8)
