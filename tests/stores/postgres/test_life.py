"""Valets on a Postgres store: one refresh whoever asks, changes seen at once, and a key from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from valetkey import ConfigurationError, Valet
from valetkey.keys.files import FileKeys
from valetkey.model.ports import Label


@pytest.fixture
def family(families: Any, postgres: Any, schema: str) -> Any:
    return families(postgres.url(schema=schema))


@pytest.mark.parametrize("mode", ["threads", "tasks"])
def test_eight_processes_of_a_hundred_refresh_once(family: Any, mode: str) -> None:
    assert family.herd(mode, 8, 100) == ["200"] * 800
    assert family.refreshed_once()


def test_eight_processes_behind_a_pooler_refresh_once(families: Any, bouncer: Any, schema: str) -> None:
    family = families(bouncer.url(schema=schema))
    assert family.herd("threads", 8, 25) == ["200"] * 200
    assert family.refreshed_once()


def test_a_child_forked_during_the_refresh_neither_hangs_nor_refreshes(family: Any) -> None:
    assert family.fork_during_the_refresh() == ["200", "200"]
    assert family.refreshed_once()


def test_a_disconnect_by_another_valet_is_seen_as_soon_as_it_is_told(family: Any) -> None:
    family.hear_of_a_disconnect()


def test_a_one_shot_valet_does_not_listen(family: Any) -> None:
    from valetkey.core import Core

    core = Core(family.valet._core.store.url, one_shot=True)
    assert not core.store.listens()
    core.store.now()
    assert core.store._news._thread is None  # type: ignore[attr-defined]
    core.close()


@pytest.mark.parametrize("variable", ["VALETKEY_KEY", "VALETKEY_KEY_FILE"])
def test_a_store_that_is_not_this_hosts_own_demands_a_key(
    postgres: Any, schema: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    valet = Valet(postgres.url(schema=schema))
    label = Label(purpose="test", env="", id="x")
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            valet._core.sealer.seal(b"secret", label)
        assert caught.value.code == "key_missing"
        assert "valetkey key new" in caught.value.hint
        assert "VALETKEY_KEY_FILE" in caught.value.hint
    assert list(tmp_path.rglob("key")) == [], "none was made anywhere"

    made = FileKeys(tmp_path / "elsewhere", can_create=True).create()
    told = {"VALETKEY_KEY": made.secret.reveal(), "VALETKEY_KEY_FILE": str(tmp_path / "elsewhere")}
    monkeypatch.setenv(variable, told[variable])
    sealed = valet._core.sealer.seal(b"secret", label)
    assert valet._core.sealer.open(sealed, label) == b"secret"
    valet.close()
