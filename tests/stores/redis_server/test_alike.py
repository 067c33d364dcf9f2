"""Memory and Redis store answer alike, whatever is asked of them in whatever order."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sameness import Alike

from valetkey.model.ports import Store
from valetkey.stores.redis import RedisStore
from valetkey.testing.clock import FakeClock

BUDGET = settings(max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class ByHand(RedisStore):
    """A store that takes the time of a clock for the server's: nobody can set that of a real server."""

    def _moment(self, seconds: bytes, micros: bytes) -> float:
        assert super()._moment(seconds, micros) > 0
        return self._clock.now()


def test_memory_and_redis_answer_alike(shared_server: Any) -> None:
    names = itertools.count(1)

    class Stores(Alike):
        def open_other(self, clock: FakeClock) -> Store:
            return ByHand(shared_server.url(f"alike-{next(names)}"), clock=clock)

    run_state_machine_as_test(Stores, settings=BUDGET)
