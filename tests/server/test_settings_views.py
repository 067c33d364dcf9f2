"""What the settings pages show, worked out from values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.hosts import HostReport
from valetkey.engine.key_change import Change, Needed
from valetkey.engine.key_status import KeyStatus, KeyUse
from valetkey.server.operators import Operator
from valetkey.server.views.keys import host_rows, keys_page, master_rows
from valetkey.server.views.operators import initials, person

NOW = 1_800_000_000.0
OPERATOR = Operator(name="mira@example.com", grade="everything", standing="active", since=NOW - 90, seen_at=NOW)


@pytest.mark.parametrize(
    ("changes", "said", "acts"),
    [
        pytest.param({}, ("Active", "", "everything", "just now"), ["Disable"], id="active"),
        pytest.param(
            {"standing": "invited", "until": NOW + 3600 * 46, "seen_at": None, "grade": "look"},
            ("Invited", "link ends in 46 h", "look only", "\u2013"),
            ["New link", "Withdraw"],
            id="invited",
        ),
        pytest.param(
            {"standing": "disabled", "by": "sam", "grade": "connections"},
            ("Disabled", "by sam, 1 min ago", "connections", "just now"),
            ["Enable", "Remove"],
            id="disabled",
        ),
    ],
)
def test_an_operator_is_shown(changes: dict[str, Any], said: tuple[str, ...], acts: list[str]) -> None:
    shown = person(replace(OPERATOR, **changes), NOW, mine="sam")
    why = f"{shown.why} {shown.why_when.said}" if shown.why_when else ""

    assert (shown.word.title, why, shown.may, shown.seen.said) == said
    assert [label for _, label in shown.acts] == acts
    assert not shown.me


def test_nobody_is_offered_to_disable_themselves() -> None:
    assert person(OPERATOR, NOW, mine="mira@example.com").acts == ()


@pytest.mark.parametrize(
    ("name", "two"),
    [("mira@example.com", "MI"), ("Jo Okafor", "JO"), ("jo.okafor@example.com", "JO"), ("x", "X"), ("(a) b", "(A")],
)
def test_two_letters_stand_for_a_name(name: str, two: str) -> None:
    assert initials(name) == two


def use(name: str, **changes: Any) -> KeyUse:
    return KeyUse(**{"data_key": name, "master": "m1", "readable": True, "connections": 2, "documents": 1, **changes})


CURRENT = use("dk2", current=True)


@pytest.mark.parametrize(
    ("status", "word", "left"),
    [
        pytest.param({"data_key": ""}, "Nothing sealed yet", "0", id="new"),
        pytest.param({"keys": (use("dk2", current=True),)}, "In use", "0", id="one key"),
        pytest.param(
            {"keys": (use("dk1"), use("dk2", current=True)), "retiring": ("dk1",)},
            "Changing over to m1",
            "3",
            id="rotation",
        ),
        pytest.param(
            {
                "keys": (use("dk1", readable=False, flows=2, connections=1000), use("dk2", current=True)),
                "readable": False,
            },
            "Needs repair",
            "1,003",
            id="lost key",
        ),
    ],
)
def test_keys_are_shown(status: dict[str, Any], word: str, left: str) -> None:
    found = KeyStatus(**{"place": "file:/key", "data_key": "dk2", "master": "m1", **status})
    shown = keys_page(found, Change(), (), {})

    assert (shown.word.title, shown.left) == (word, left)
    if shown.rows:
        assert (shown.rows[0].name, shown.rows[0].word.title) == ("dk2", "In use")
        assert shown.connections == "2"


def test_a_change_is_shown_with_its_speed_and_its_steps() -> None:
    found = KeyStatus(
        place="file:/key", data_key="dk2", master="m2", retiring=("dk1",), keys=(use("dk1", flows=1), CURRENT)
    )
    change = Change(state="running", by="mira", sealed=440, began_at=NOW - 4, seen_at=NOW)
    hosts = [HostReport(host=name, what="server", masters=("m2", "m1"), seen_at=NOW) for name in ("web-1", "web-2")]
    needed = {"m1": Needed(connections=2, flows=1, documents=1, journals={"web-2": 3})}

    shown = keys_page(found, change, hosts, needed)
    assert (shown.left, shown.done, shown.total) == ("4", 3, 7)
    assert shown.speed == "about 0 s left, 110 a second"
    assert [(step.text, step.why) for step in shown.steps[:3]] == [
        ("Key m2 is readable on all 2 hosts", "file:/key"),
        ("Sealing everything anew, page by page", "4 left; the service goes on meanwhile"),
        ("Sign-ins under way and journals of 2 hosts", "1 sign-in; 3 answers on web-2"),
    ]
    masters = master_rows(replace(found, masters=("m2", "m1")), needed, {"m0": NOW - 60}, NOW)
    assert [(row.name, row.word.title) for row in masters] == [
        ("m2", "In use"),
        ("m1", "Being replaced"),
        ("m0", "Retired"),
    ]
    (row,) = host_rows([replace(hosts[0], masters=("m1",), journal={"m1": 1})], "m2", NOW)
    assert (row.word.title, row.reads, row.journal) == ("Cannot read the key", "m1", "1 answer with m1")
