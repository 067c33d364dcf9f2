"""Marks that turn the direction of text: refused where names are entered, and shown nowhere where they were kept."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from typing import Any

import pytest

from valetkey import ConfigurationError
from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.links import create_link
from valetkey.engine.trouble import command_line
from valetkey.model.connections import ConnectionKey, Event, Identity

MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
OWNER = f"gro.live{MARKS}txt"
LIST = "/console/connections"


@pytest.fixture
def kept(site: Any) -> Any:
    """Serve a store that holds such names from before they were refused."""
    core, practice = site.practice.valet._core, site.practice
    key = ConnectionKey("test", "notes", OWNER, f"work{MARKS}")
    record = core.store.find(practice.connect("notes", owner="kept").connection_id)
    assert core.store.rename(record, key, "elsewhere")
    who = Identity(subject=f"s{MARKS}", email=f"a{MARKS}@example.com", name=f"A{MARKS}")
    changes = {"identity": who, "tags": {f"t{MARKS}": MARKS}, "params": {f"shop{MARKS}": f"x{MARKS}"}}
    assert core.store.note(record.id, incarnation=record.incarnation, changes=changes)
    create_link(core.world, key, created_by=f"mira{MARKS}")
    told = {"env": "test", "credential": "notes", "owner": OWNER, "actor": f"{MARKS}x"}
    core.store.append_event(Event(kind=f"odd{MARKS}", at=core.clock.now(), **told))
    ApiKeys(core.store, core.clock, core.env).add("crm", ["read_secret"], owners=[OWNER], by="mira@example.com")
    site.kept = record.id
    return site


def test_no_page_holds_one(kept: Any) -> None:
    operator = kept.operator()
    at = f"{LIST}/{kept.kept}"
    for address in (
        LIST,
        at,
        f"{at}/disconnect",
        f"{at}/reauthorize",
        "/console/apps",
        "/console/apps/notes",
        "/console/links",
        f"/console/links/new?connection={kept.kept}",
        "/console/events",
        f"/console/events?connection={kept.kept}",
        "/console/settings/api-keys",
        "/console/settings/operators",
        "/console/owner?id=" + OWNER,
        "/console/owner/forget?id=" + OWNER,
    ):
        answer = operator.get(address)
        assert answer.status_code == 200, address
        text = re.sub(r'(?:value|href|formaction)="[^"]*"', "", unescape(answer.text))  # what is sent back as it is
        found = [text[max(text.index(mark) - 60, 0) : text.index(mark)] for mark in MARKS if mark in text]
        assert found == [], address


def test_what_an_open_page_hears_holds_none(kept: Any) -> None:
    operator = kept.operator()
    for query in ("after=0", f"after=0&connection={kept.kept}"):
        with operator.client.stream("GET", f"/console/live?{query}", timeout=30) as answer:
            line = next(line for line in answer.iter_lines() if line.startswith("data: "))
        told = json.dumps(json.loads(line.removeprefix("data: ")), ensure_ascii=False)
        assert [mark for mark in MARKS if mark in told] == []


def test_an_owner_that_was_kept_can_be_listed_and_forgotten(kept: Any) -> None:
    valet = kept.practice.valet

    (status,) = valet.connections(owner=OWNER)
    assert status.state == "connected"
    kept.practice.clock.advance(3600)
    assert valet._core.source(status.connection.key).refresh() is not None
    assert len(valet.forget(OWNER)) == 1
    assert len(valet.connections()) == 0


@pytest.mark.parametrize("mark", MARKS)
def test_they_are_refused_where_a_program_names_an_owner_or_an_account(site: Any, mark: str) -> None:
    valet = site.practice.valet
    for names, code in (({"owner": f"a{mark}b"}, "owner_invalid"), ({"account": f"a{mark}b"}, "account_invalid")):
        for enter in (valet.client, valet.connect_link):
            with pytest.raises(ConfigurationError, match=f"U\\+{ord(mark):04X}") as caught:
                enter("notes", **names)
            assert caught.value.code == code
    report = valet.import_grants([{"credential": "notes", "owner": f"a{mark}b", "token": {"access_token": "x"}}])
    assert report.counts["invalid"] == 1
    site.practice.connect("notes")
    with pytest.raises(ConfigurationError):
        valet.rename("notes", to=f"work{mark}")


def test_they_are_refused_where_a_person_names_an_owner(site: Any) -> None:
    operator = site.operator()
    operator.get("/console/links/new")

    refused = operator.post("/console/links", credential="notes", owner="a\u202eb", whose="owner", nonce="x")
    assert refused.status_code == 400
    assert "turns the direction of text (U+202E)" in refused.text
    assert "\u202e" not in re.sub(r'value="[^"]*"', "", refused.text)


@pytest.mark.parametrize("owner", ["עברית", "العربية", "नमस्ते", "a\u200db", "\U0001f469\u200d\U0001f4bb"])
def test_other_scripts_and_joined_characters_are_no_marks(site: Any, owner: str) -> None:
    assert site.practice.connect("notes", owner=owner).state == "connected"


def test_a_command_line_with_marks_is_read_by_a_shell_as_it_is_meant() -> None:
    words = ["printf", "%s", f"it's {MARKS}\\ \U0001f469"]
    line = command_line(words)

    assert line.isprintable()
    told = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert told.stdout.decode() == words[2]
