"""Memory and SQLite store answer alike, whatever is asked of them in whatever order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from sameness import Alike

from valetkey.model.ports import Store
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock


class Stores(Alike):
    def open_other(self, clock: FakeClock) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(Path(self.folder.name) / "valetkey.db", clock=clock)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


Stores.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStores = Stores.TestCase
