"""The store contract over a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.model.ports import Clock
from valetkey.stores.postgres import PostgresStore
from valetkey.testing._contract_counts import Backwards
from valetkey.testing._contract_lists import Lists
from valetkey.testing._contract_search import Searches
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


class TestWithoutTrigrams(Lists, Backwards, Searches):
    """The part of the contract that is about lists, where no index of trigrams can be."""

    @pytest.fixture(autouse=True)
    def _place(self, bare_url: str, schema: str, server_time: Any) -> None:
        self.url, self.schema, self.time = bare_url, schema, server_time

    def make_store(self, clock: Clock) -> PostgresStore:
        return PostgresStore(self.url, schema=self.schema, clock=clock)

    def pass_time(self, seconds: float) -> None:
        self.time.pass_by(seconds)
