"""Words from right to left stand in ``<bdi>``, and nothing else of a page changes."""

from __future__ import annotations

import pytest

from valetkey.server.directions import isolated

A, B = "דנה", "כהן"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(f"<p>owner {A} · account 3</p>", f"<p>owner <bdi>{A}</bdi> · account 3</p>", id="a name"),
        pytest.param(f"<p>{A} {B}, 4 left</p>", f"<p><bdi>{A} {B}</bdi>, 4 left</p>", id="two words of one name"),
        pytest.param(f"<p>{A} 12 {B}</p>", f"<p><bdi>{A} 12 {B}</bdi></p>", id="a number within"),
        pytest.param(f"<p>{A} 12</p>", f"<p><bdi>{A}</bdi> 12</p>", id="a number after it is a neighbour"),
        pytest.param(f"<p>{A} · {B}</p>", f"<p><bdi>{A}</bdi> · <bdi>{B}</bdi></p>", id="two names"),
        pytest.param(f"<p>{A} and {B}</p>", f"<p><bdi>{A}</bdi> and <bdi>{B}</bdi></p>", id="words between"),
        pytest.param(f"<p>As “{A}.”</p>", f"<p>As “<bdi>{A}</bdi>.”</p>", id="quoted, with a full stop"),
        pytest.param(f"<p>x &#39;{A}&#39;</p>", f"<p>x &#39;<bdi>{A}</bdi>&#39;</p>", id="what was escaped"),
        pytest.param(f"<p>a@{A}.example</p>", f"<p><bdi>a@{A}.example</bdi></p>", id="an address"),
        pytest.param("<p>دانا</p>", "<p><bdi>دانا</bdi></p>", id="Arabic"),
    ],
)
def test_text(before: str, after: str) -> None:
    assert isolated(before) == after


@pytest.mark.parametrize(
    "page",
    [
        f'<p title="{A} > {B}">x</p>',
        f"<title>{A}</title>",
        f"<select><option>{A}</option></select>",
        f"<textarea>{A}</textarea>",
        f"<svg><title>{A}</title><text>{B}</text></svg>",
        f"<p><bdi>{A}</bdi></p>",
        "<p>ada · 3</p>",
    ],
)
def test_where_no_element_may_stand_or_none_is_needed_nothing_changes(page: str) -> None:
    assert isolated(page) == page


def test_after_such_an_element_it_goes_on() -> None:
    assert isolated(f"<title>{A}</title><p>{A}</p>") == f"<title>{A}</title><p><bdi>{A}</bdi></p>"
