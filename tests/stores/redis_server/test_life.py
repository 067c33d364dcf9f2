"""What a store on a server is for: many processes and hosts that share one rotating grant."""

from __future__ import annotations

import os
from typing import Any

import pytest

from valetkey import Valet
from valetkey.errors import ConfigurationError


@pytest.mark.parametrize("mode", ["threads", "tasks"])
def test_eight_processes_of_a_hundred_refresh_once(mode: str, families: Any, url: str) -> None:
    family = families(url)

    assert family.herd(mode, 8, 100) == ["200"] * 800
    assert family.refreshed_once()


def test_a_child_forked_during_the_refresh_neither_hangs_nor_refreshes(families: Any, url: str) -> None:
    family = families(url)

    assert family.fork_during_the_refresh() == ["200", "200"]
    assert family.refreshed_once()


def test_a_disconnect_by_another_valet_is_seen_as_soon_as_it_is_told(families: Any, url: str) -> None:
    families(url).hear_of_a_disconnect()


def test_a_store_on_a_server_demands_a_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Valet(url, env="test") as valet, pytest.raises(ConfigurationError) as caught:
        valet._core.secret_service.set("some-secret", "value")
    assert caught.value.code == "key_missing"
    assert "VALETKEY_KEY" in str(caught.value) + caught.value.hint

    monkeypatch.setenv("VALETKEY_KEY", os.urandom(32).hex())
    with Valet(url, env="test") as valet:
        valet._core.secret_service.set("some-secret", "value")
        assert valet._core.secret_service.get("some-secret") == "value"
