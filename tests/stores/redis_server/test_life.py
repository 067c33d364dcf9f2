"""What a store on a server is for: many processes and hosts that share one rotating grant."""

from __future__ import annotations

import os
from typing import Any

import pytest

from valetkey import NotConnected, Valet
from valetkey.errors import ConfigurationError


@pytest.mark.parametrize("mode", ["threads", "tasks"])
def test_eight_processes_of_a_hundred_refresh_once(mode: str, families: Any, url: str) -> None:
    family = families(url)

    assert family.herd(mode, 8, 100) == ["200"] * 800
    assert family.refreshed_once()


def test_a_disconnect_by_another_valet_is_seen_at_once(families: Any, url: str, until: Any) -> None:
    family = families(url)
    with family.another_valet() as other:
        client, store = other.client("notes"), other._core.store
        client.get_access_token()
        until(store.listens)
        source = client._source
        # until it is answered from memory, and will be for seconds: news of the first use may still come in between
        until(lambda: client.get_access_token() and source.token.until > source.now())

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
