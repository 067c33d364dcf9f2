"""What the settings pages show, worked out from values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.key_status import KeyStatus, KeyUse
from valetkey.server.operators import Operator
from valetkey.server.views.keys import master_key
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
            ["Withdraw"],
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
            {"keys": (use("dk1"), use("dk2", current=True)), "retiring": ("dk1",)}, "Changing over", "3", id="rotation"
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
    shown = master_key(KeyStatus(**{"place": "file:/key", "data_key": "dk2", **status}))

    assert (shown.word.title, shown.left) == (word, left)
    if shown.rows:
        assert (shown.rows[0].name, shown.rows[0].word.title) == ("dk2", "In use")
        assert shown.connections == "2"
