"""Tokens for one resource each, out of one grant (RFC 8707): over both facades."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest
import requests

from valetkey import ConfigurationError, HostNotAllowed, NotConnected, ProviderError
from valetkey.adapters.requests import RequestsAuth
from valetkey.testing import Practice
from valetkey.testing._contract_base import at_once

conformance = pytest.mark.conformance
HOUR = 3600


def declare(practice: Practice, **fields: Any) -> tuple[str, str]:
    """Declare a credential for two resources of the practice provider's API, and connect it."""
    resources = tuple(f"{practice.provider.url}/{name}" for name in ("notes", "me"))
    for one in resources:
        practice.provider.allow_target(one)
    practice.declare("suite", resources=list(resources), **fields)
    practice.connect("suite")
    return resources


@conformance("1 resource: one grant", "1 resource: parameter")
def test_each_resource_gets_the_token_that_is_for_it(face: Any) -> None:
    notes, me = declare(face.practice)
    clients = {one: face.client("suite", resource=one) for one in (notes, me)}

    for one, other in ((notes, me), (me, notes)):
        assert clients[one].get(one).status_code == 200
        assert clients[one].get(other).status_code == 401
    assert face.client("suite").get(notes).status_code == 200

    tokens = {one: client.get_access_token() for one, client in clients.items()}
    assert len({*tokens.values(), face.client("suite").get_access_token()}) == 3
    assert face.practice.provider.reuses == 0


def test_a_relative_url_is_below_the_resource_where_no_base_says_otherwise(face: Any) -> None:
    notes, me = declare(face.practice, api_base_url="")

    assert face.client("suite", resource=me).get("/").status_code == 404, "the practice API has nothing there"
    assert face.client("suite", resource=notes).get(me).status_code == 401


@conformance("1 resource: parameter")
def test_a_token_for_a_resource_goes_to_its_host_alone(face: Any) -> None:
    practice = face.practice
    elsewhere = "https://files.example/"
    notes, _ = declare(practice)
    practice.provider.allow_target(elsewhere)
    practice.declare("both", resources=[notes, elsewhere])
    practice.connect("both")
    calls = practice.provider.refresh_requests

    with pytest.raises(HostNotAllowed) as caught:
        face.client("both", resource=elsewhere).get(notes)

    assert "resource=" in caught.value.hint
    assert practice.provider.refresh_requests == calls + 1
    assert face.client("both", resource=notes).get(notes).status_code == 200
    with pytest.raises(HostNotAllowed):
        face.client("both", resource=notes).get(elsewhere)


def test_with_one_token_per_resource_the_grants_own_goes_to_the_first_host_alone(face: Any) -> None:
    practice = face.practice
    practice.provider.rules.one_resource = True
    notes, me = declare(practice, one_token_per_resource=True, api_hosts=[])
    practice.provider.allow_target("https://files.example/")
    practice.declare("far", resources=["https://files.example/", me], one_token_per_resource=True)
    practice.connect("far")

    assert face.client("suite").get(notes).status_code == 200
    assert face.client("suite").get(me).status_code == 401
    with pytest.raises(HostNotAllowed):
        face.client("far").get(notes)
    assert face.client("far", resource=me).get(me).status_code == 200


def test_a_401_renews_the_token_of_that_resource_alone(face: Any) -> None:
    practice = face.practice
    notes, me = declare(practice)
    clients = {one: face.client("suite", resource=one) for one in (notes, me)}
    tokens = {one: clients[one].get_access_token() for one in (notes, me)}
    own = face.client("suite").get_access_token()
    practice.clock.advance(120)
    practice.provider.expire_access_tokens()
    before = practice.provider.refreshes

    assert clients[notes].get(notes).status_code == 200

    assert practice.provider.refreshes == before + 1
    assert clients[notes].get_access_token() != tokens[notes]
    assert clients[me].get_access_token() == tokens[me]
    assert face.client("suite").get_access_token() == own


def test_a_refused_resource_is_told_and_nothing_else_has_changed(face: Any) -> None:
    practice = face.practice
    notes, me = declare(practice)
    practice.provider._site.trust.targets.discard(me)
    own = face.client("suite").get_access_token()

    with pytest.raises(ProviderError) as caught:
        face.client("suite", resource=me).get_access_token()

    assert (caught.value.code, caught.value.error) == ("resource_refused", "invalid_target")
    assert face.client("suite").status().state == "connected"
    assert face.client("suite").get_access_token() == own
    assert face.client("suite", resource=notes).get(notes).status_code == 200


def test_by_hand_the_token_of_one_resource_is_renewed(face: Any) -> None:
    notes, me = declare(face.practice)
    clients = {one: face.client("suite", resource=one) for one in (notes, me)}
    tokens = {one: clients[one].get_access_token() for one in (notes, me)}

    status = clients[notes].refresh()

    assert status.state == "connected"
    assert clients[notes].get_access_token() != tokens[notes]
    assert clients[me].get_access_token() == tokens[me]


def test_a_status_tells_of_them_and_holds_none(face: Any) -> None:
    notes, _ = declare(face.practice)
    token = face.client("suite", resource=notes).get_access_token()

    (told,) = face.client("suite").status().resource_tokens

    assert (told.resource, told.fingerprint, told.granted) == (
        notes,
        token.fingerprint(),
        ("notes.read", "notes.write"),
    )
    assert token.reveal() not in repr(face.client("suite").status())


def test_introspection_is_of_the_token_for_the_resource(face: Any) -> None:
    notes, _ = declare(face.practice, introspection_url=f"{face.practice.provider.issuer}/introspect")
    client = face.client("suite", resource=notes)
    client.get_access_token()
    face.client("suite").refresh()
    token = client.get_access_token()
    face.practice.provider._ledger._access[token.reveal()].live = False

    assert not client.introspect().active
    assert face.client("suite").introspect().active


def test_only_declared_resources_may_be_asked_for(face: Any) -> None:
    declare(face.practice)

    with pytest.raises(ConfigurationError) as caught:
        face.client("suite", resource="https://files.example/")

    assert caught.value.code == "resource_undeclared"
    assert "resources=" in caught.value.hint
    with pytest.raises(ConfigurationError) as caught:
        face.client("suite", resource="")
    assert caught.value.code == "resource_invalid", "an empty setting never means the token for everything"


def test_after_a_disconnect_there_is_none(face: Any) -> None:
    notes, _ = declare(face.practice)
    client = face.client("suite", resource=notes)
    token = client.get_access_token()

    client.disconnect()

    with pytest.raises(NotConnected):
        client.get_access_token()
    assert not face.practice.provider.is_live(token.reveal())


def test_what_another_program_renewed_is_seen(face: Any) -> None:
    notes, _ = declare(face.practice)
    client = face.client("suite", resource=notes)
    first = client.get_access_token()

    other = face.practice.valet.client("suite", resource=notes)
    other.refresh()
    face.practice.clock.advance(1)

    assert client.get_access_token() == other.get_access_token() != first


def test_a_soft_window_is_the_resources_own(face: Any) -> None:
    practice = face.practice
    notes, _ = declare(practice)
    client = face.client("suite", resource=notes)
    first = client.get_access_token()
    practice.clock.advance(HOUR - 100)

    assert client.get_access_token() == first, "it still works"
    face.raw._core.flights.close()
    practice.clock.advance(1)

    assert client.get_access_token() != first
    assert len(practice.provider._ledger._sent) == practice.provider.refreshes


# -- many at once


def _herd(practice: Practice) -> tuple[str, str]:
    resources = declare(practice)
    practice.clock.advance(HOUR + 1)
    return resources


@conformance("1 resource: one grant")
def test_threads_that_ask_for_different_resources_spend_each_refresh_token_once(practice: Practice) -> None:
    notes, me = _herd(practice)
    clients = [practice.valet.client("suite", resource=one) for one in (notes, me)] + [practice.valet.client("suite")]

    tokens = at_once(*[client.get_access_token for client in clients for _ in range(20)])

    assert sorted(Counter(tokens).values()) == [20, 20, 20]
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (3, 3, 0)


def test_tasks_that_ask_for_different_resources_spend_each_refresh_token_once(practice: Practice) -> None:
    notes, me = _herd(practice)

    async def herd() -> list[Any]:
        async with practice.async_valet as valet:
            clients = [valet.client("suite", resource=one) for one in (notes, me)] + [valet.client("suite")]
            return await asyncio.gather(*(client.get_access_token() for client in clients for _ in range(20)))

    assert sorted(Counter(asyncio.run(herd())).values()) == [20, 20, 20]
    assert (practice.provider.refreshes, practice.provider.refresh_requests, practice.provider.reuses) == (3, 3, 0)


# -- the rest of the surface


def test_an_adapter_carries_the_token_for_the_resource(practice: Practice) -> None:
    notes, me = declare(practice)
    auth = RequestsAuth(practice.valet.client("suite", resource=notes))

    assert requests.get(notes, auth=auth, timeout=10).status_code == 200
    assert requests.get(me, auth=auth, timeout=10).status_code == 401


def test_clients_of_one_resource_share_what_they_know(practice: Practice) -> None:
    notes, me = declare(practice)
    core = practice.valet._core

    def source(resource: str) -> Any:
        return practice.valet.client("suite", resource=resource)._source

    assert source(notes) is source(notes)
    assert source(notes) is not source(me)
    assert source(notes) is not practice.valet.client("suite")._source
    core._kept.clear()
    gc.collect()
    practice.valet.client("suite", resource=notes).get_access_token()
    practice.valet.client("suite")._source.after_fork()
    assert source(notes).token.until == 0.0, "a forked child looks again"


def test_where_the_store_tells_of_changes_the_sources_of_resources_hear_of_them(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, _ = declare(practice)
    client = practice.valet.client("suite", resource=notes)
    client.get_access_token()
    monkeypatch.setattr(type(practice.valet._core.store), "listens", lambda _: True)

    practice.valet.client("suite").disconnect()

    with pytest.raises(NotConnected):
        client.get_access_token()
