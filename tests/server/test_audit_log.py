"""The audit log: of which time, from where, searched, and forth as well as back."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from valetkey.engine import history
from valetkey.engine.history import History, Wanted
from valetkey.model.connections import Event
from valetkey.server.pages import events as page_of
from valetkey.stores.memory import MemoryStore

EVENTS = "/console/events"
DAY = 86400.0


def add(core: Any, *, days: float, kind: str = "connected", actor: str = "library", owner: str = "ada") -> None:
    """Put an event of so many days ago into the log."""
    at = core.clock.now() - days * DAY
    event = Event(kind=kind, at=at, env=core.env, credential="notes", owner=owner, actor=actor, connection_id="con_1")
    core.store.append_event(event)


def owners(text: str) -> list[str]:
    return re.findall(r"owner (\w+)<", text)


@pytest.fixture
def log(site: Any) -> Any:
    """Serve a log of a year, an event each day but the last: owner d1 is of a day ago."""
    for days in range(365, 0, -1):
        add(site.practice.valet._core, days=days, owner=f"d{days}")
    return site


def day(log: Any, days: float) -> str:
    return datetime.fromtimestamp(log.practice.clock.now() - days * DAY, UTC).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("last=24h", ["d1"], id="a day"),
        pytest.param("last=7d", [f"d{n}" for n in range(1, 8)], id="a week"),
        pytest.param("last=30d", [f"d{n}" for n in range(1, 31)], id="30 days"),
        pytest.param("last=year", [f"d{n}" for n in range(1, 51)], id="a period that is none"),
    ],
)
def test_the_log_of_a_period_that_ends_now(log: Any, query: str, expected: list[str]) -> None:
    text = log.operator().get(f"{EVENTS}?{query}&kind=connected").text
    assert owners(text) == expected
    assert ("Older" in text) == (query == "last=year")


def test_the_log_of_days_that_are_named_holds_both_of_them(log: Any) -> None:
    operator = log.operator()

    assert owners(operator.get(f"{EVENTS}?from={day(log, 300)}&to={day(log, 298)}").text) == ["d298", "d299", "d300"]
    assert owners(operator.get(f"{EVENTS}?to={day(log, 364)}").text) == ["d364", "d365"]
    assert owners(operator.get(f"{EVENTS}?from={day(log, 2)}&last=30d").text) == ["d1", "d2"]


def test_the_log_of_days_long_ago_is_found_without_reading_all_that_came_since(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LOOKED_AT", 5)

    text = log.operator().get(f"{EVENTS}?from={day(log, 300)}&to={day(log, 300)}").text

    assert owners(text) == ["d300"]
    assert "looks further" not in text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param("from=yesterday", "“yesterday” is no day", id="no date"),
        pytest.param("to=2026-02-30", "“2026-02-30” is no day", id="no such day"),
        pytest.param("to=9999-12-31", "“9999-12-31” is no day", id="the last day there is"),
        pytest.param("from=2026-05-02&to=2026-05-01", "2026-05-02 is later than 2026-05-01", id="the wrong way round"),
    ],
)
def test_days_that_cannot_be_are_said_to_be_none_and_nothing_else_is_exported(log: Any, query: str, said: str) -> None:
    operator = log.operator()

    answer = operator.get(f"{EVENTS}?{query}")
    assert answer.status_code == 400
    assert said in answer.text
    led = operator.get(f"{EVENTS}/export?as=csv&{query}")
    assert led.status_code == 303
    assert led.headers["location"].endswith(query)


def test_a_period_where_clocks_differ_by_minutes_is_whole() -> None:
    store, now = MemoryStore(), 1_000_000.0
    times = [now + n * 600 + (-900 if n % 3 == 0 else 0) for n in range(200)]
    for number, at in enumerate(times):
        store.append_event(Event(kind="connected", at=at, env="test", owner=str(number)))
    since, until = now + 30_000, now + 60_000

    found = History(store=store, env="test", wanted=Wanted(since=since, until=until))

    assert sorted(event.at for event in found.all()) == sorted(at for at in times if since <= at < until)
    assert [event.at for event in found.back(None, 500).items] == [event.at for event in found.all()]


def test_the_log_tells_from_where_something_was_done_and_filters_by_it(site: Any) -> None:
    core = site.practice.valet._core
    actors = {
        "library": "Library",
        "command": "Command line",
        "the command": "Command line",
        "worker": "Worker",
        "API key crm": "API key",
        "account holder": "Connect page",
        "mira@example.com": "Console",
    }
    for actor in actors:
        add(core, days=1, actor=actor)
    operator = site.operator()

    text = operator.get(f"{EVENTS}?kind=connected").text
    assert re.findall(r'data-l="From" class="nowrap">([^<]+)<', text) == [*actors.values()][::-1]
    for origin, n in [("command", 2), ("api_key", 1), ("worker", 1), ("account_holder", 1), ("library", 1)]:
        assert len(owners(operator.get(f"{EVENTS}?origin={origin}").text)) == n, origin
    lines = operator.get(f"{EVENTS}/export?as=jsonl&origin=api_key").text.splitlines()
    assert [json.loads(line)["origin"] for line in lines] == ["api_key"]
    rows = csv.DictReader(io.StringIO(operator.get(f"{EVENTS}/export?as=csv&kind=connected").text))
    assert {row["origin"] for row in rows} == {*history.ORIGINS}


def test_the_log_is_searched_for_what_it_shows(site: Any) -> None:
    core = site.practice.valet._core
    add(core, days=1, owner="Contoso", kind="disconnected", actor="worker")
    add(core, days=1, owner="hooli", kind="refreshed")
    core.store.append_event(Event(kind="tested", at=core.clock.now(), env=core.env, detail={"said": "HTTP 418"}))
    operator = site.operator()

    def found(text: str) -> list[str]:
        return re.findall(r'<b class="strong">([^<]+)</b>', operator.get(f"{EVENTS}?q={text}").text)

    assert found("CONTOSO") == ["Disconnected"]
    assert found("http 418") == ["Tested"]
    assert found("worker") == ["Disconnected"]
    assert found("refreshed") == ["Refreshed"]
    assert found("127.0.0.1") == ["Signed in"]
    assert found("con_1") == []  # it is not shown
    assert found("nothing like it") == []
    exported = operator.get(f"{EVENTS}/export?as=jsonl&q=contoso").text.splitlines()
    assert [json.loads(line)["kind"] for line in exported] == ["disconnected"]


def read_on(operator: Any, rel: str, address: str) -> list[list[str]]:
    """Follow the links of that kind to their end; returns what each page shows."""
    pages = []
    while address:
        answer = operator.get(address)
        if answer.status_code == 303:
            answer = operator.get(answer.headers["location"])
        pages.append(owners(answer.text))
        following = re.search(rf'rel="{rel}" href="([^"]+)"', answer.text)
        address = unescape(following[1]) if following else ""
    return pages


@pytest.mark.parametrize("query", ["kind=connected", "q=notes", "last=7d&origin=library"])
def test_the_log_is_read_back_and_forth(site: Any, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setattr(page_of, "PAGE", 2)
    for n in range(7, 0, -1):
        add(site.practice.valet._core, days=n / 2, owner=f"d{n}")
        add(site.practice.valet._core, days=n / 2, owner="x", kind="imported", actor="worker")
    operator = site.operator()
    query = query.replace("q=notes", "q=notes+·+owner+d")

    back = read_on(operator, "next", f"{EVENTS}?{query}")
    assert back == [["d1", "d2"], ["d3", "d4"], ["d5", "d6"], ["d7"]]
    last = f"{EVENTS}?{query}&before={14 - 2 * 6 + 1}"  # d7 was the first of 14
    assert read_on(operator, "prev", last) == [["d7"], ["d5", "d6"], ["d3", "d4"], ["d1", "d2"]]
    first = operator.get(f"{EVENTS}?{query}").text
    assert 'rel="prev"' not in first


def test_a_page_before_that_is_not_full_any_more_leads_to_the_newest_whole(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of, "PAGE", 3)
    for n in range(5, 0, -1):
        add(site.practice.valet._core, days=n, owner=f"d{n}")
    operator = site.operator()

    answer = operator.get(f"{EVENTS}?kind=connected&after=4")
    assert answer.headers["location"] == f"{EVENTS}?kind=connected"


def test_a_look_forth_for_what_is_rare_ends_and_goes_on(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOOKED_AT", 4)
    core = site.practice.valet._core
    for n in range(1, 13):
        add(core, days=0, owner=f"d{n}", kind="imported" if n in {1, 11} else "connected")
    found = History(store=core.store, env=core.env, wanted=Wanted(kind="imported"))

    forth = found.forth(1, 5)
    assert (forth.items, forth.short) == ((), True)
    while not forth.items:
        assert forth.after is not None
        forth = found.forth(forth.after, 5)
    assert [event.owner for event in forth.items] == ["d11"]
    back = found.back(forth.before, 5)
    while not back.items:
        assert back.before is not None
        back = found.back(back.before, 5)
    assert [event.owner for event in back.items] == ["d1"]
