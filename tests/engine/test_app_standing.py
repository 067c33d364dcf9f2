"""How the connections under an app are: all of them, however many, as each of their statuses says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from valetkey.engine.app_health import standing_of
from valetkey.engine.status import status_of
from valetkey.model.connections import ConnectionKey, Record, Sealed, StoredState
from valetkey.model.credentials import OAuth2Credential
from valetkey.stores.memory import MemoryStore

NOW = 1_800_000_000.0
DAY = 86400.0
NOTES = OAuth2Credential(name="notes")


def records() -> list[Record]:
    """Return connections of all kinds."""
    kinds = product(
        get_args(StoredState),
        ["", "revoked", "no_refresh_token", "row_corrupt"],
        [("", 0), ("http_503", 2), ("http_503", 0)],
        [None, NOW - 5, NOW + 60, NOW + 30 * DAY],
        [True, False],
        [None, Sealed(b"x", "")],
    )
    made = []
    for at, (state, reason, (error, failures), end, refreshable, sealed) in enumerate(kinds):
        key = ConnectionKey("test", "notes", f"owner{at % 7}" if at % 3 else None, str(at))
        record = Record(id=f"con_{at}", key=key, state=state, reason=reason, failures=failures, expires_at=end)
        told = reason if reason == "row_corrupt" else error
        made.append(replace(record, error=told, refreshable=refreshable, sealed=sealed, obtained_at=NOW - DAY))
    return made


@pytest.mark.parametrize("rejected", ["", "invalid_client"])
def test_the_sums_are_those_of_all_statuses(rejected: str) -> None:
    store, everything = MemoryStore(), records()
    for record in everything:
        store.create(record)
    world: Any = SimpleNamespace(store=store, clock=SimpleNamespace(now=lambda: NOW))

    found = standing_of(world, "test", NOTES, rejected=rejected)

    statuses = [status_of(one.key, one, NOTES, now=NOW, app_error=rejected) for one in everything]
    assert found.counts == Counter((status.state, status.reason) for status in statuses)
    held = [one for one in everything if one.sealed is not None]
    ends = [one.expires_at for one in held if one.expires_at is not None]
    assert (found.total, found.unread) == (len(everything), 0)
    assert found.living == sum(end > NOW for end in ends)
    assert found.stopped == sum(end <= NOW for end in ends)
    assert (found.first_end, found.last_end) == (NOW + 60, NOW + 30 * DAY)
    assert found.owners == len({one.key.owner for one in held if one.key.owner is not None})
