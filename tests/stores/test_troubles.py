"""What can be wrong with a store, as the errors that people get to see."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.errors import ValetkeyError
from valetkey.stores import _postgres_errors, _postgres_url, _redis_errors
from valetkey.stores._troubles import Trouble, row_corrupt

PLACES: list[tuple[Any, str, Any]] = [
    (_postgres_errors, "postgresql://host/database", _postgres_url.parse("postgresql://u:hunter2@host/database")),
    (_redis_errors, "redis://host:6379/0", "redis://host:6379/0"),
]
TROUBLES = [
    pytest.param(trouble, shown, place, id=f"{module.__name__.rpartition('.')[2]}.{name}")
    for module, shown, place in PLACES
    for name, trouble in vars(module).items()
    if isinstance(trouble, Trouble)
]


@pytest.mark.parametrize(("trouble", "shown", "place"), TROUBLES)
def test_each_trouble_names_the_store_and_the_next_step(trouble: Trouble, shown: str, place: Any) -> None:
    error = trouble(place)

    assert isinstance(error, ValetkeyError)
    assert shown.partition("://")[2] in str(error) or error.code == "owner_invalid"
    assert error.hint
    assert "hunter2" not in str(error) + error.hint
    assert "{store" not in str(error) + error.hint
    assert "{{" not in str(error) + error.hint


def test_a_name_in_braces_in_the_place_stays_as_it_is() -> None:
    error = Trouble("The store {store} is away.", hint="Look at {store}.")("redis://{0}{store.x}/")

    assert str(error) == "The store redis://{0}{store.x}/ is away."
    assert error.hint == "Look at redis://{0}{store.x}/."


def test_nobody_is_told_to_remove_a_data_key() -> None:
    row, key = (row_corrupt("x", "It", "torn", remove="rm it", kind=kind) for kind in ("flow", "data_key"))

    assert row.hint.endswith("remove this row: rm it")
    assert "rm it" not in key.hint
    assert "Do not remove" in key.hint
