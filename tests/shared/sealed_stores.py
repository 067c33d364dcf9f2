"""Fixtures: an embedded store of each kind, a master key in memory, and what seals with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from valetkey.keys import MemoryKeys
from valetkey.model.ports import Store
from valetkey.model.sealing import Vault
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    made = MemoryStore(clock=clock) if request.param == "memory" else SQLiteStore(tmp_path / "a.sqlite", clock=clock)
    yield made
    made.close()


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def vault(store: Store, keys: MemoryKeys, clock: FakeClock) -> Vault:
    return Vault(store, keys, clock=clock)
