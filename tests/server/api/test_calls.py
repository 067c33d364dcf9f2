"""Who calls for what: counted for the pages that ask who would lose it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from valetkey.engine.calls import calls_for
from valetkey.server import calls as module


def test_calls_are_told_wherever_somebody_asks_who_would_lose_the_connection(api: Any) -> None:
    notes, other = (api.practice.connect("notes", owner=owner).connection_id for owner in ("ada", "bob"))
    program, operator = api.program(), api.site.operator()
    assert "API calls, last 24 h" not in operator.get(f"/console/connections/{notes}").text
    for _ in range(3):
        assert program.token(notes).status_code == 200
    program.post(f"/connections/{notes}/refresh")
    program.get(f"/connections/{notes}")

    would = program.post(f"/connections/{notes}/disconnect", json={"dry_run": True}).json()["would"]
    (told,) = would["api_keys"]

    assert told == {"name": "a program", "prefix": program.key.prefix, "calls": 4}
    line = "Calls of the last 24 h: a program (4 calls)."
    assert line in {one["more"] for one in would["lines"]}
    program.token(other)
    for page, words in (
        (f"/console/connections/{notes}/disconnect", line),
        (f"/console/connections/{notes}", "API calls, last 24 h"),
        (f"/console/connections/{other}", "1 call"),
        ("/console/settings/api-keys", "5 calls in 24 h"),
        ("/console/apps/notes", "<dt>API calls</dt><dd>5<span"),
        ("/console/apps/notes", '>a program</a><span class="d">5 calls</span>'),
        ("/console/owner/forget?id=ada", "a program (4 calls)"),
    ):
        assert words in operator.get(page).text, page
    api.keys.revoke(program.key.id)
    assert f"vk_{program.key.id}" in operator.get(f"/console/connections/{notes}").text


def test_counts_are_written_by_themselves(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = api.practice.connect("notes", owner="ada").connection_id
    began: list[Any] = []

    def noted(timer: threading.Timer) -> None:
        began.append(timer)

    monkeypatch.setattr(module, "EVERY", 0.0)
    monkeypatch.setattr(threading.Timer, "start", noted)
    program = api.program()
    program.token(notes)
    program.token(notes)

    (timer,) = began  # one for all calls until it rings
    timer.run()
    for future in api.core.flights.under_way():
        future.result()

    assert calls_for(api.core.store, "test", notes, api.core.clock.now()) == {program.key.id: 2}
