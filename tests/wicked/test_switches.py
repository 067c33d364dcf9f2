"""The wicked server itself: each switch is tried by a test, stands on a page, and can be turned off again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from valetkey.testing import WickedServer
from valetkey.testing.wicked import SWITCHES

PAGE = Path(__file__).parents[2] / "docs" / "wicked-server.md"
HEAD = """# All switches of the wicked server

What `WickedServer.misbehave(name)` of [the test kit](testing.md#the-wicked-server) makes the server do, and what a
client must do then. "seen" stands for what servers do without a text that covers it.

| switch | the server | a client must | source |
|---|---|---|---|
"""


def page() -> str:
    rows = (f"| `{s.name}` | {s.does} | {s.wants} | {s.source} |\n" for s in SWITCHES.values())
    return HEAD + "".join(rows)


def test_all_switches_stand_on_their_page() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/wicked/test_switches.py"


def test_every_switch_is_tried_by_a_test_of_this_folder() -> None:
    others = [page for page in Path(__file__).parent.glob("test_*.py") if page.name != Path(__file__).name]
    text = "".join(page.read_text(encoding="utf-8") for page in others)

    assert [name for name in SWITCHES if f'"{name}"' not in text] == []


def test_a_switch_that_is_not_there_is_an_error_that_names_those_that_are(server: WickedServer) -> None:
    with pytest.raises(ValueError, match=r"no switch 'iss-worng'; there are metadata-issuer-other, .*iss-wrong"):
        server.misbehave("iss-worng")


def test_a_server_behaves_again(trial: Any) -> None:
    trial.declare(scopes=["openid", "notes.read"], response_mode="jwt")
    for name in trial.server.switches:
        trial.server.misbehave(name)
    trial.server.behave()

    assert trial.sign_in().state == "connected"
    trial.age()
    assert trial.use() == 200
    with trial.server.misbehaving("iss-wrong", "token-html"):
        trial.refused(trial.sign_in)
    assert trial.sign_in().state == "connected"


def test_the_fixture_of_the_plugin_gives_one_that_behaves(wicked_server: WickedServer) -> None:
    assert wicked_server.url.startswith("http://127.0.0.1:")
    assert wicked_server.switches == tuple(SWITCHES)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
