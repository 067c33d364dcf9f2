"""The Redis store passes the contract of all stores."""

from __future__ import annotations

import pytest

from valetkey.model.ports import Clock, Store
from valetkey.stores.redis import RedisStore
from valetkey.testing.store_contract import SharedStoreContract


class Later(RedisStore):
    """A store that takes the server's clock to be ahead: nobody can set that of a real server."""

    ahead = 0.0

    def _moment(self, seconds: bytes, micros: bytes) -> float:
        return super()._moment(seconds, micros) + type(self).ahead


class TestRedisStore(SharedStoreContract):
    tells = True
    rounds = 15

    @pytest.fixture(autouse=True)
    def _place(self, url: str) -> None:
        self.url = url
        self.kind = type("Later", (Later,), {})

    def make_store(self, clock: Clock) -> Store:
        store: Store = self.kind(self.url, clock=clock)
        return store

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        self.kind.ahead += seconds
