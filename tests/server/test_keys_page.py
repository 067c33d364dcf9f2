"""The page of keys: a change is begun, watched, paused, resumed there, and the old key retired."""

from __future__ import annotations

import threading
from html import unescape
from typing import Any

import pytest

from valetkey.engine import rekeying
from valetkey.engine.hosts import Reporter
from valetkey.engine.key_change import KeyChange
from valetkey.engine.world import NO_JOURNAL
from valetkey.keys.memory import GivenKeys

PAGE = "/console/settings/keys"


def sealed(site: Any, number: int = 5) -> Any:
    for owner in range(number):
        site.practice.connect(owner=f"u-{owner}")
    return site.server.core


def act(operator: Any, do: str, **fields: str) -> Any:
    operator.get(PAGE)
    return operator.post(f"{PAGE}/change", do=do, **fields)


def over(operator: Any) -> str:
    for _ in range(600):
        if operator.get(f"{PAGE}/progress").json()["state"] != "running":
            return unescape(operator.get(PAGE).text)
        threading.Event().wait(0.02)
    raise AssertionError(operator.get(PAGE).text)


def test_a_change_is_begun_on_the_page_and_the_old_key_retired(site: Any) -> None:
    core, operator = sealed(site), site.operator()
    (old,) = core.keys.keys()
    assert "Start the change" in operator.get(PAGE).text

    assert act(operator, "start").status_code == 303
    text = over(operator)
    assert core.keys.keys()[0].id in text
    assert "Not needed any more" in text
    told = act(operator, "retire", key=old.id)
    assert "is retired" in operator.get(told.headers["location"]).text
    assert old.id not in [key.id for key in tuple(core.keys.keys())]
    assert old.secret.reveal() not in text
    assert "Retired" in operator.get(PAGE).text


def test_a_change_goes_on_without_the_page_is_paused_and_resumed(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    core, operator = sealed(site), site.operator()
    monkeypatch.setattr(rekeying, "PAGE", 2)
    reached, go_on = threading.Event(), threading.Event()
    store, rekey = core.store, core.store.rekey

    def slow(anew: Any) -> int:
        done = rekey(anew)
        reached.set()
        assert go_on.wait(20)
        return int(done)

    monkeypatch.setattr(store, "rekey", slow)
    (old,) = core.keys.keys()
    try:
        assert act(operator, "start").status_code == 303
        assert reached.wait(20)
        page = unescape(operator.get(PAGE).text)
        for said in ("Changing over to", "Pause", "3 left; the service goes on", 'data-job="', "Being replaced"):
            assert said in page, said
        refused = act(operator, "retire", key=old.id)
        assert refused.status_code == 409
        assert "3 connections" in refused.text
        act(operator, "pause")
    finally:
        go_on.set()
    page = over(operator)
    assert "Change-over paused" in page
    assert "Resume" in page
    assert act(operator, "resume").status_code == 303
    assert "Not needed any more" in over(operator)


def test_a_host_that_could_not_follow_is_named_and_nothing_begins(site: Any) -> None:
    core, operator = sealed(site, 1), site.operator()
    Reporter(core.store, GivenKeys(*core.keys.keys()), NO_JOURNAL, what="worker", host="web-2").tell()
    assert "web-2" in operator.get(PAGE).text

    refused = act(operator, "start")
    assert refused.status_code == 409
    assert "could not be read on host web-2 (worker)" in refused.text
    change = KeyChange(core.world, core.vault, core.keys, env=core.env)
    assert change.now().state == "none"


def test_it_needs_a_fresh_sign_in_and_every_right(site: Any) -> None:
    core = sealed(site, 1)
    assert act(site.operator("connections"), "start").status_code == 403
    operator = site.operator()
    operator.get(PAGE)
    site.practice.clock.advance(3600)
    assert "/login/again" in operator.post(f"{PAGE}/change", do="start").headers["location"]
    assert len(core.keys.keys()) == 1
