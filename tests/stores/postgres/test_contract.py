"""The store contract over a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.model.ports import Clock
from valetkey.stores.postgres import PostgresStore
from valetkey.testing.store_contract import SharedStoreContract


class TestPostgresStore(SharedStoreContract):
    tells = True
    rounds = 15

    @pytest.fixture(autouse=True)
    def _place(self, postgres: Any, schema: str, server_time: Any) -> None:
        self.url, self.schema, self.time = postgres.url(), schema, server_time

    def make_store(self, clock: Clock) -> PostgresStore:
        return PostgresStore(self.url, schema=self.schema, clock=clock)

    def pass_time(self, seconds: float) -> None:
        self.time.pass_by(seconds)
