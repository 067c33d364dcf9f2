"""A store over a plain secret service, with a ledger and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.model.connections import Identity, Record
from valetkey.model.ports import Store
from valetkey.stores.over_secrets import SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_base import (
    at,
    connected,
)
from valetkey.testing.clock import FakeClock

KEY = at("github", "ada")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteStore]:
    ledger = SQLiteStore(tmp_path / "ledger.db", clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def store(service: Any, ledger: Store, clock: FakeClock) -> SecretServiceStore:
    return SecretServiceStore(service, ledger, clock=clock)


@pytest.fixture
def record(store: SecretServiceStore) -> Record:
    return connected(store, 1, key=KEY, requested=("read", "write"), identity=Identity(login="ada"))


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], None]]:
    """Let the process die in a method, as far as a test can; call what is returned to mend it."""

    def let_crash(target: object, name: str) -> Callable[[], None]:
        real = getattr(target, name)

        def crash(*_: object, **__: object) -> None:
            raise SystemExit

        monkeypatch.setattr(target, name, crash)
        return lambda: monkeypatch.setattr(target, name, real)

    return let_crash
