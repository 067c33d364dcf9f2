"""The suite that every store passes, for stores of your own too.

Subclass it in a test module and say how your store is made; pytest runs the rest::

    class TestMyStore(StoreContract):
        def make_store(self, clock):
            return MyStore(clock=clock)

Use `SharedStoreContract` instead where the data outlive the store object and are shared by processes; there each call
of `make_store` within one test returns another handle on the same data::

    class TestMyStore(SharedStoreContract):
        @pytest.fixture(autouse=True)
        def folder(self, tmp_path):
            self.path = tmp_path / "my.db"

        def make_store(self, clock):
            return MyStore(self.path, clock=clock)

A store that measures claims by a clock of its own, as a database server does, overrides `pass_time` to let that clock
move on.  A store that keeps grants unsealed sets ``seals = False``.
"""

from __future__ import annotations

import pytest

for _part in ("base", "claims", "records", "lists", "counts", "documents", "search", "shared"):
    pytest.register_assert_rewrite(f"valetkey.testing._contract_{_part}")

from valetkey.testing._contract_claims import Claims, Swaps  # noqa: E402 - after the rewrite is registered
from valetkey.testing._contract_counts import Backwards, Counted  # noqa: E402
from valetkey.testing._contract_documents import Documents, Events  # noqa: E402
from valetkey.testing._contract_lists import Changes, Due, Lists  # noqa: E402
from valetkey.testing._contract_records import DataKeys, Records  # noqa: E402
from valetkey.testing._contract_search import Searches  # noqa: E402
from valetkey.testing._contract_shared import Shared  # noqa: E402

__all__ = ["SharedStoreContract", "StoreContract"]


class StoreContract(
    Records, Claims, Swaps, DataKeys, Lists, Due, Counted, Changes, Documents, Events, Backwards, Searches
):
    """What every `Store` does (``valetkey.model.ports``): each sentence of the protocol, as a test."""


class SharedStoreContract(StoreContract, Shared):
    """What a store does besides that several processes of a host, or of many hosts, share."""
