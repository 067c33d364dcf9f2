"""What an open page hears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from valetkey.server.pages import live

LIVE = "/console/live"


@contextmanager
def listening(visitor: Any, **headers: str) -> Iterator[Iterator[str]]:
    with visitor.client.stream("GET", LIVE, headers=headers, timeout=30) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield iter(response.iter_lines())


def heard(lines: Iterator[str]) -> dict[str, Any]:
    """Return the next changes."""
    return json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))


def settled(lines: Iterator[str]) -> None:
    """Read until the stream says that it goes."""
    assert next(lines) == "retry: 3000"


def test_a_change_is_told_with_counts_and_rows(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    store = site.practice.valet._core.store
    last = store.list_events(env="test", limit=1, newest_first=True)[0].seq
    with listening(operator, **{"Last-Event-ID": str(last)}) as lines:
        settled(lines)
        site.practice.client(owner="ada").refresh()
        told = heard(lines)

    assert told["changed"] == [status.connection_id]
    assert told["counts"]["connected"] == 1
    assert told["rows"][status.connection_id]["state"]["title"] == "Connected"
    assert told["rows"][status.connection_id]["refreshed"]["iso"]


def test_what_was_missed_is_told_after_the_last_event_that_was_heard(site: Any) -> None:
    site.practice.connect(owner="ada")
    site.practice.connect(owner="bob")
    with listening(site.operator(), **{"Last-Event-ID": "0"}) as lines:
        assert len(heard(lines)["changed"]) == 2


def test_whoever_signs_out_hears_no_more(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PING_EVERY", 0.01)  # so that a stream that goes on is seen to
    operator = site.operator()
    with listening(operator) as lines:
        settled(lines)
        for cookie in operator.client.cookies.values():
            site.sessions.end(cookie)
        assert sum(1 for _ in lines) < 1000, "the stream goes on"


def test_no_token_is_told(site: Any) -> None:
    site.practice.connect(owner="ada")
    with listening(site.operator(), **{"Last-Event-ID": "0"}) as lines:
        text = json.dumps(heard(lines))
    assert not any(token in text for token in site.practice.provider.tokens_ever_issued())


def test_it_demands_a_sign_in(site: Any) -> None:
    assert site.visitor().get(LIVE).headers["location"].startswith("/login")
