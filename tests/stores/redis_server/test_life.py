"""What a store on a server is for: many processes and hosts that share one rotating grant."""

from __future__ import annotations

import os
from typing import Any

import pytest

from valetkey import NotConnected, Valet
from valetkey.errors import ConfigurationError


def test_eight_processes_of_twenty_five_refresh_once(family_at: Any, url: str) -> None:
    family = family_at(url)
    processes = [family.start(mode, 25) for mode in ["threads", "tasks"] * 4]
    for process in processes:
        family.go(process)

    answers = [answer for process in processes for answer in family.result(process)]

    assert answers == ["200"] * 200
    counted = family.provider
    assert (counted.refreshes, counted.refresh_requests, counted.reuses, counted.live_grants) == (1, 1, 0, 1)


def test_a_disconnect_by_another_valet_is_seen_at_once(family_at: Any, url: str, until: Any) -> None:
    family = family_at(url)
    with Valet(url, **family.options) as other:
        client, store = other.client("notes"), other._core.store
        client.get_access_token()
        until(store.listens)
        client.get_access_token()
        source = client._source
        until(lambda: source.token.until > source.now())  # it is answered from memory, and will be for seconds

        family.valet.disconnect("notes")

        until(lambda: source.token.until == 0.0)
        with pytest.raises(NotConnected):
            client.get_access_token()


def test_a_store_on_a_server_demands_a_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Valet(url, env="test") as valet, pytest.raises(ConfigurationError) as caught:
        valet._core.secret_service.set("some-secret", "value")
    assert caught.value.code == "key_missing"
    assert "VALETKEY_KEY" in str(caught.value) + caught.value.hint

    monkeypatch.setenv("VALETKEY_KEY", os.urandom(32).hex())
    with Valet(url, env="test") as valet:
        valet._core.secret_service.set("some-secret", "value")
        assert valet._core.secret_service.get("some-secret") == "value"
