"""Owners, what is forgotten of them, and the audit log."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from valetkey.engine import history
from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.history import KINDS
from valetkey.server.pages import events as page_of
from valetkey.server.views.timeline import _KINDS as WORDS

LIST = "/console/connections"
OWNER = "/console/owner"
EVENTS = "/console/events"
PASSWORD = "four words of my own"


def titles(text: str) -> list[str]:
    return re.findall(r'<b class="strong">([^<]+)</b>', text)


def test_an_owner_has_a_page_whatever_its_id_is(site: Any) -> None:
    owner = "a/b?c=d&<e> ü"
    site.practice.connect(owner=owner)
    site.practice.connect(owner=owner, account="work", login="bob")
    site.practice.connect(owner="other", login="carol")

    operator = site.operator()
    address = re.search(r'href="(/console/owner\?id=[^"]+)"', operator.get(f"{LIST}?q=bob").text)
    found = re.search(r'<a href="(/console/connections/con_\w+)"', operator.get(f"{LIST}?q=bob").text)
    assert address is None
    assert found is not None
    address = re.search(r'href="(/console/owner\?id=[^"]+)"', operator.get(found[1]).text)
    assert address is not None
    text = unescape(operator.get(unescape(address[1])).text)
    assert "2 connections" in text
    assert "bob@example.com" in text
    assert "carol@example.com" not in text


def test_an_owner_is_forgotten_only_once_its_id_was_typed(site: Any) -> None:
    status = site.practice.connect(owner="contoso")
    site.practice.connect(owner="contoso", account="work", login="bob")
    operator = site.operator()

    asked = unescape(operator.get(f"{OWNER}/forget?id=contoso").text)
    assert "Notes is told to withdraw the access" in asked
    refused = operator.post(f"{OWNER}/forget", id="contoso", confirm="contosso")
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    assert site.practice.provider.live_grants == 2

    done = operator.post(f"{OWNER}/forget", id="contoso", confirm="contoso")
    assert done.status_code == 303
    assert "The owner is forgotten." in operator.get(done.headers["location"]).text
    assert site.practice.provider.live_grants == 0
    assert operator.get(f"{LIST}/{status.connection_id}").status_code == 404
    log = operator.get(EVENTS).text
    assert titles(log)[0] == "An owner was forgotten"
    assert "Login link" in log
    assert "a forgotten owner" in log
    assert "contoso" not in log
    database = b"".join(
        file.read_bytes() for file in Path(site.practice.valet._core.store.path).parent.glob("practice.db*")
    )
    assert b"forgotten" in database


def test_forgetting_demands_the_highest_grade(site: Any) -> None:
    site.practice.connect(owner="contoso")
    visitor = site.operator("connections")

    assert visitor.get(f"{OWNER}/forget?id=contoso").status_code == 403
    visitor.get(LIST)
    assert visitor.post(f"{OWNER}/forget", id="contoso", confirm="contoso").status_code == 403
    assert site.practice.provider.live_grants == 1


def test_forgetting_demands_a_sign_in_of_a_moment_ago(site: Any) -> None:
    site.practice.connect(owner="contoso")
    operator = site.operator()
    operator.get(f"{OWNER}/forget?id=contoso")
    site.practice.clock.advance(3600)

    for answer in (
        operator.get(f"{OWNER}/forget?id=contoso"),
        operator.post(f"{OWNER}/forget", id="contoso", confirm="contoso"),
    ):
        assert answer.headers["location"].startswith("/login/again"), answer.headers
    assert site.practice.provider.live_grants == 1


@pytest.mark.parametrize("owner", ["", "nobody"])
def test_an_owner_that_is_none_is_not_there(site: Any, owner: str) -> None:
    operator = site.operator()

    assert operator.get(f"{OWNER}?id={owner}").status_code == 404
    assert operator.get(f"{OWNER}/forget?id={owner}").status_code == 404


def test_the_log_tells_who_did_what(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    operator.get(LIST)
    operator.post(f"{LIST}/{status.connection_id}/refresh")

    text = operator.get(EVENTS).text

    assert titles(text) == ["Refreshed", "Refresh asked for", "Signed in", "Connected"]
    assert "Login link" in text
    assert titles(operator.get(f"{EVENTS}?kind=refreshed").text) == ["Refreshed"]
    assert titles(operator.get(f"{EVENTS}?owner=bob").text) == []
    mine = ["Refreshed", "Refresh asked for", "Signed in"]
    assert titles(operator.get(f"{EVENTS}?actor=login link").text) == mine
    assert len(titles(operator.get(f"{EVENTS}?connection={status.connection_id}").text)) == 3


def test_the_log_names_the_operators_keys_and_tags_that_something_was_done_to(site: Any) -> None:
    core, operators = site.practice.valet._core, site.server.operators
    keys = ApiKeys(core.store, core.clock, core.env)
    made, _ = keys.add("crm <b>", ["read", "refresh"], by="mira@example.com")
    keys.revoke(made.id, by="mira@example.com")
    operators.add("mira@example.com", PASSWORD, "everything", by="the command")
    operators.add("sam@example.com", PASSWORD, "look", by="mira@example.com")
    operators.disable("sam@example.com", by="mira@example.com")
    stranger = site.visitor()
    stranger.get("/login")
    assert stranger.post("/login", name="sam@example.com", password="not the one of sam").status_code == 403

    page = site.operator().get(EVENTS).text
    text = unescape(page)
    lines = [line for line in text.split('<tr role="row">') if '<b class="strong">' in line]
    said = {titles(line)[0]: line for line in reversed(lines)}
    assert ">sam@example.com<" in said["Operator disabled"]
    assert ">Wrong name or password.<" in said["Sign-in refused"]
    assert 'class="nowrap">Console<span class="why">127.0.0.1<' in said["Sign-in refused"]
    assert f">crm <b> ({made.prefix}…): read, refresh<" in said["API key made"]
    assert "Somebody unknown" in text
    assert "Api key" not in text
    told = kinds_to_choose(page)
    for kind in ("api_key_revoked", "operator_disabled", "sign_in_refused"):
        assert kind in told
        assert len(titles(site.operator().get(f"{EVENTS}?kind={kind}").text)) == 1


def kinds_to_choose(page: str) -> list[str]:
    """Return the kinds that can be chosen."""
    return re.findall(r'<option value="(\w+)"', page)


def test_whatever_can_be_chosen_in_the_log_is_told_in_words() -> None:
    assert [kind for kind in KINDS if kind not in WORDS] == []
    assert [kind for kind in WORDS if kind not in KINDS] == []


def test_the_log_is_read_page_by_page(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of, "PAGE", 2)
    for owner in "abcde":
        site.practice.connect(owner=owner)
    operator, seen, address = site.operator(), [], EVENTS
    while address:
        text = operator.get(address).text
        seen += re.findall(r"owner (\w)<", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = unescape(following[1]) if following else ""
    assert seen == ["e", "d", "c", "b", "a"]


def test_a_filter_that_matches_little_says_that_it_looks_further(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOOKED_AT", 3)
    for owner in "abcde":
        site.practice.connect(owner=owner)
    operator = site.operator()

    first = operator.get(f"{EVENTS}?owner=a").text
    assert titles(first) == []
    assert "looks further back" in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    assert titles(operator.get(unescape(following[1])).text) == ["Connected"]


def test_the_log_is_exported_as_lines_and_as_a_table(site: Any) -> None:
    site.practice.connect(owner="=HYPERLINK(1)")
    operator = site.operator()

    lines = operator.get(f"{EVENTS}/export?as=jsonl&kind=connected")
    assert [json.loads(line)["owner"] for line in lines.text.splitlines()] == ["=HYPERLINK(1)"]
    table = operator.get(f"{EVENTS}/export?as=csv&kind=connected")
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["kind"], row["owner"]) for row in rows] == [("connected", "'=HYPERLINK(1)")]
    for token in site.practice.provider.tokens_ever_issued():
        assert token not in lines.text + table.text


def test_the_log_is_closed_to_those_who_have_not_signed_in(site: Any) -> None:
    for path in (EVENTS, f"{EVENTS}/export", f"{OWNER}?id=x"):
        assert site.visitor().get(path).headers["location"].startswith("/login")
