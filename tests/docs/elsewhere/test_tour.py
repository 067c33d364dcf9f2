"""The tour of the command: every line is typed at a terminal, and the screen shows what the page shows."""

from __future__ import annotations

from typing import Any

import pytest

CLIENT_ID = "Ov23liEXAMPLE"
CLIENT_SECRET = "0123456789abcdef-EXAMPLE"


def test_the_tour_goes_as_the_page_shows_it(
    page: Any, elsewhere: Any, terminal: Any, steps: Any, matches: Any, left_out: Any
) -> None:
    left_out.without("curl", "jq", what="The tour of the documentation does")
    tour = page("docs/tour.md")
    terminal.answers = {
        "Client ID: ": CLIENT_ID,
        "Client secret (hidden; empty for a public client): ": CLIENT_SECRET,
        "[y/N] ": "y",
    }
    typed = 0
    for block in tour.blocks("console"):
        if block.mark == "Ada takes her consent back":
            assert elsewhere.linear.revoke("ada") == 1
        for command, screen in steps(block.text):
            seen = terminal.type(command)
            typed += 1
            assert matches(seen, screen), f"$ {command}\n{seen}\nand the page has\n{screen}"
    assert typed >= 15


@pytest.mark.parametrize(
    ("screen", "page"),
    [
        pytest.param("one\ntwo\n", "one\n", id="a line more"),
        pytest.param("one\n", "one\ntwo\n", id="a line less"),
        pytest.param("in 23 h\n", "in 24 h\n", id="other text"),
        pytest.param("ends ago\n", "ends ... ago\n", id="nothing where there is something"),
    ],
)
def test_a_screen_that_differs_does_not_match(matches: Any, screen: str, page: str) -> None:
    assert not matches(screen, page)


def test_dots_stand_for_what_differs(matches: Any) -> None:
    assert matches("a b c\n1\n2\nend\n", "a ... c\n...\nend\n")
    assert matches("", "...\n")
