"""Where a connection is: what the REST API tells of it, and how it takes a choice."""

from __future__ import annotations

from typing import Any


def connect(practice: Any) -> Any:
    return practice.connect("books", owner="ada")


def test_the_api_tells_the_choices_and_takes_one(api: Any, tenants: Any) -> None:
    where = f"/connections/{connect(tenants).connection_id}"
    program = api.program("read", "connect")
    found = program.get(where).json()
    assert found["params"]["tenant"] == "t-1"
    assert found["choices"] == {"tenant": [{"id": "t-1", "label": "Acme <Ltd>"}, {"id": "t-2", "label": "Zoo"}]}

    chosen = program.post(f"{where}/look-up", json={"choose": {"tenant": "t-2"}})
    assert (chosen.status_code, chosen.json()["params"]["tenant"]) == (200, "t-2")
    wrong = program.post(f"{where}/look-up", json={"choose": {"tenant": "t-3"}})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "look_up_unknown")
    assert api.program("read").post(f"{where}/look-up").status_code == 403
