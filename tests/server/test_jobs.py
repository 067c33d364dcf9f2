"""Refreshing many connections as a job."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from shared.waiting import wait_until
from valetkey.engine import bulk
from valetkey.engine.bulk_acts import refreshing
from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Document, Query
from valetkey.testing.clock import FakeClock

LIST = "/console/connections"
JOBS = "/console/jobs"


def finished(operator: Any, address: str) -> str:
    """Wait until a job is over and return its page."""
    wait_until(lambda: operator.get(f"{address}/progress").json()["state"] != "running")
    return unescape(operator.get(address).text)


def begin(operator: Any, *, do: str = "", **fields: Any) -> str:
    operator.get(LIST)
    answer = operator.post(f"{JOBS}{do}", **fields)
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert address.startswith(JOBS), address
    return str(address)


def test_all_that_match_are_refreshed(site: Any) -> None:
    for owner in "abcdef":
        site.practice.connect(owner=owner)
    site.practice.declare("files", display_name="Files")
    site.practice.connect("files", owner="a")
    operator = site.operator()

    text = finished(operator, begin(operator, of="all", credential="notes"))

    assert "6 done, 0 failed" in text
    assert site.practice.provider.refreshes == 6
    assert "Refresh of many asked for" in operator.get("/console/events").text


def test_a_selection_is_refreshed_and_nothing_else(site: Any) -> None:
    chosen = [site.practice.connect(owner=owner).connection_id for owner in "abc"][:2]
    operator = site.operator()

    text = finished(operator, begin(operator, of="chosen", id=[*chosen, "con_nothing"]))

    assert "2 done, 0 failed" in text
    assert site.practice.provider.refreshes == 2


def test_failures_are_grouped_by_cause(site: Any) -> None:
    for owner in "abc":
        site.practice.connect(owner=owner, login="carol")
    for owner in "de":
        site.practice.connect(owner=owner)
    site.practice.provider.omit_refresh_token(1)
    site.practice.connect(owner="f")
    site.practice.provider.revoke("carol")
    operator = site.operator()

    text = finished(operator, begin(operator, of="all"))

    assert "2 done, 3 failed, 1 had nothing to refresh" in text
    assert text.count("Refreshed 2 of 6 connections") == 2, "in the title of the page and of the tab"
    assert "Access withdrawn at Notes" in text
    assert "3 of" in text


def test_a_job_can_be_stopped_and_what_is_under_way_is_finished(site: Any) -> None:
    for number in range(bulk.PER_HOST + 4):
        site.practice.connect(owner=f"o{number}")
    hold = site.practice.provider.hold("token")
    operator = site.operator()
    address = begin(operator, of="all")
    hold.wait_for(bulk.PER_HOST)
    assert "Refreshing 8 connections" in operator.get(address).text

    assert operator.post(f"{address}/stop").status_code == 303
    hold.release()
    text = finished(operator, address)

    assert site.practice.provider.refreshes == bulk.PER_HOST
    assert f"{bulk.PER_HOST} done" in text
    assert "4 not tried" in text


def test_at_most_so_many_are_under_way_at_one_host(site: Any) -> None:
    for number in range(bulk.PER_HOST + 3):
        site.practice.connect(owner=f"o{number}")
    hold = site.practice.provider.hold("token")
    operator = site.operator()
    address = begin(operator, of="all")
    hold.wait_for(bulk.PER_HOST)
    operator.get(f"{address}/progress")
    assert hold.count == bulk.PER_HOST
    hold.release()
    assert "7 done" in finished(operator, address)


def test_a_job_whose_server_is_gone_says_so(site: Any) -> None:
    core = site.practice.valet._core
    body = bulk._body(bulk.Job(id="", what="3 connections", by="mira", total=3, seen_at=core.clock.now()))
    core.store.put_document(Document(kind=bulk.KIND, env=core.env, id="job_1", body=body))
    operator = site.operator()
    assert "Refreshing 3 connections" in operator.get(f"{JOBS}/job_1").text

    site.practice.clock.advance(bulk.STALE + 1)
    assert "interrupted: the server that ran it ended" in operator.get(f"{JOBS}/job_1").text


def test_a_job_that_meets_a_mistake_of_ours_says_that_it_ended(site: Any) -> None:
    site.practice.connect(owner="a")
    core, said = site.practice.valet._core, list[str]()

    def mistaken(record: Any) -> Any:
        raise RuntimeError(record.id)

    job = bulk.Bulk.begin(core.world, core.env, core.flights.call, mistaken, kind="disconnect", what="x", by="mira")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk._log, "warning", lambda *told: said.append(told[0] % told[1:]))
        done = job.run(core.store.list(Query(env=core.env)).items)

    assert done.state == "interrupted"
    assert bulk.find_job(core.world, core.env, done.id) == done
    assert said


def test_a_store_that_does_not_answer_for_a_moment_ends_no_job(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in "abc":
        site.practice.connect(owner=owner)
    core, refused = site.practice.valet._core, list[str]()
    put, get = core.store.put_document, core.store.get_document

    def away(kind: str) -> None:
        if kind in {bulk.KIND, bulk.STOP} and len(refused) < 9:
            refused.append(kind)
            raise StoreUnavailable("busy")

    def put_document(document: Document, **how: Any) -> Any:
        away(document.kind)
        return put(document, **how)

    def get_document(kind: str, name: str, **where: Any) -> Any:
        away(kind if kind == bulk.STOP else "")
        return get(kind, name, **where)

    job = bulk.Bulk.begin(
        core.world, core.env, core.flights.call, refreshing(core.world), kind="refresh", what="x", by="mira"
    )
    monkeypatch.setattr(bulk, "SAVED_EVERY", 0.0)
    monkeypatch.setattr(core.store, "put_document", put_document)
    monkeypatch.setattr(core.store, "get_document", get_document)
    done = job.run(core.store.list(Query(env=core.env)).items)

    assert {bulk.KIND, bulk.STOP} == set(refused)
    assert (done.state, done.done, done.failed) == ("finished", 3, 0)
    assert bulk.find_job(core.world, core.env, done.id) == done


def test_a_job_is_alive_whatever_the_clock_of_the_host_that_looks_at_it(site: Any) -> None:
    core = site.practice.valet._core
    begun = bulk.Bulk.begin(
        core.world, core.env, core.flights.call, refreshing(core.world), kind="refresh", what="x", by="mira"
    )
    ahead = FakeClock()
    ahead.set(core.clock.now() + 10 * bulk.STALE)
    found = bulk.find_job(replace(core.world, clock=ahead), core.env, begun.job.id)
    assert found is not None
    assert found.state == "running"


def test_nothing_ticked_is_told_and_nothing_begun(site: Any) -> None:
    site.practice.connect(owner="a")
    operator = site.operator()
    operator.get(LIST)

    answer = operator.post(JOBS, of="chosen")
    assert "Nothing was ticked." in operator.get(answer.headers["location"]).text


def test_links_for_a_selection_are_made_and_shown_once(site: Any) -> None:
    first = site.practice.connect(owner="=a", login="alice").connection_id
    second = site.practice.connect(owner="b").connection_id
    gone = site.practice.connect(owner="c").connection_id
    operator = site.operator()
    operator.get(LIST)
    asked = unescape(operator.post(f"{JOBS}/ask/links", of="chosen", id=[first, second, gone]).text)
    assert "Connect links for 3 ticked connections" in asked
    assert asked.count('name="id"') == 3
    address = begin(operator, do="/links", id=[first, second, gone], expires_in="14400")
    text = finished(operator, address)
    assert "3 done, 0 failed" in text
    assert "Download the links" in text
    site.practice.valet.forget("c")

    answer = operator.post(f"{address}/links")

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    assert "attachment" in answer.headers["content-disposition"]
    heads, *rows = list(csv.reader(io.StringIO(answer.text)))
    assert heads == ["owner", "account", "credential", "provider", "identity", "connection", "link"]
    assert [row[:6] for row in rows] == [
        ["'=a", "", "notes", "Notes", "alice@example.com", first],
        ["b", "", "notes", "Notes", "ada@example.com", second],
    ]
    assert "Notes" in site.visitor().get(f"/connect/{rows[0][6].rpartition('/')[2]}").text
    again = operator.post(f"{address}/links")
    assert "There is nothing to download." in operator.get(again.headers["location"]).text
    shown = operator.get(address).text
    assert "cannot be shown again" in shown
    assert rows[0][6] not in shown
    assert "Connect links of many downloaded" in operator.get("/console/events").text


def test_before_many_are_disconnected_what_it_does_is_summed_and_their_number_typed(site: Any) -> None:
    for owner in "abc":
        site.practice.connect(owner=owner)
    site.practice.declare("files", display_name="Files")
    kept = site.practice.connect("files", owner="a").connection_id
    operator = site.operator()
    operator.get(LIST)
    asked = unescape(operator.post(f"{JOBS}/ask/disconnect", of="all", credential="notes").text)
    assert "Disconnect 3 connections: credential notes?" in asked
    assert "Notes is told to withdraw the access of 3 connections" in asked
    assert "The tokens of 3 connections are erased here at once" in asked
    assert "3 access tokens that were handed out may work for up to" in asked

    for typed in ("", "2", "three"):
        refused = operator.post(f"{JOBS}/disconnect", of="all", credential="notes", confirm=typed)
        assert refused.status_code == 422
        assert "which is 3 now" in refused.text
    assert not site.practice.provider.revocations
    text = finished(operator, begin(operator, do="/disconnect", of="all", credential="notes", confirm="3"))

    assert "Disconnected 3 connections" in text
    assert "3 done, 0 failed" in text
    states = {item.connection.credential: item.state for item in site.practice.valet.connections(owner="a").items}
    assert states == {"notes": "disconnected", "files": "connected"}
    assert "Disconnect of many asked for" in operator.get("/console/events").text
    again = finished(operator, begin(operator, do="/disconnect", of="all", credential="notes", confirm="3"))
    assert "0 done, 0 failed, 3 had no token" in again
    assert site.practice.valet._core.store.find(kept).sealed


def test_many_are_disconnected_only_by_one_who_signed_in_a_moment_ago(site: Any) -> None:
    site.practice.connect(owner="a")
    operator = site.operator()
    operator.get(LIST)
    site.practice.clock.advance(3600)
    for path in ("/ask/disconnect", "/disconnect"):
        answer = operator.post(f"{JOBS}{path}", of="all", confirm="1")
        assert answer.headers["location"].startswith("/login/again")
    assert operator.get(f"{JOBS}/ask/disconnect").headers["location"] == LIST


@pytest.mark.parametrize("path", ["", "/progress"])
def test_a_job_that_is_none_is_not_there(site: Any, path: str) -> None:
    assert site.operator().get(f"{JOBS}/job_nothing{path}").status_code == 404


def test_who_may_only_look_begins_nothing(site: Any) -> None:
    site.practice.connect(owner="a")
    visitor = site.operator("look")
    visitor.get(LIST)

    assert visitor.post(JOBS, of="all").status_code == 403
    assert not re.search(r"Refresh all", visitor.get(LIST).text)
