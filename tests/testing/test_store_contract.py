"""The stores of this package pass the contract, and the contract finds what is wrong with a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from valetkey.model.ports import Clock, Store
from valetkey.stores.memory import MemoryStore
from valetkey.stores.over_secrets import SecretServiceStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.store_contract import SharedStoreContract, StoreContract


class TestMemoryStore(StoreContract):
    def make_store(self, clock: Clock) -> Store:
        return MemoryStore(clock=clock)


class TestSQLiteStore(SharedStoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "folder" / "valetkey.db"

    def make_store(self, clock: Clock) -> Store:
        return SQLiteStore(self.path, clock=clock)


class DictService:
    """The simplest secret service there is."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, secret_id: str) -> str | None:
        return self.kept.get(secret_id)

    def set(self, secret_id: str, value: str) -> None:
        self.kept[secret_id] = value

    def delete(self, secret_id: str) -> None:
        self.kept.pop(secret_id, None)


class TestSecretServiceStore(StoreContract):
    seals = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "ledger.db"
        self.service = DictService()

    def make_store(self, clock: Clock) -> Store:
        return SecretServiceStore(self.service, SQLiteStore(self.path, clock=clock), clock=clock)
