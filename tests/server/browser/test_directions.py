"""Names that run from right to left, and the ways by the Tab key, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valetkey.model.connections import Identity

LEFT_OF = """
([within, texts]) => {
  const found = [];
  for (const wanted of texts) {
    const walk = document.createTreeWalker(document.querySelector(within), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const at = walk.currentNode.data.indexOf(wanted);
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(walk.currentNode, at);
      range.setEnd(walk.currentNode, at + wanted.length);
      found.push(range.getBoundingClientRect().left);
      break;
    }
  }
  return found;
}
"""
NAMES = [
    pytest.param("דנה", "דני", "דני@דוגמה.ישראל", "כהן", id="Hebrew"),
    pytest.param("دانا", "داني", "داني@مثال.إختبار", "كوهين", id="Arabic"),
]


@pytest.mark.parametrize(("owner", "name", "email", "login"), NAMES)
def test_a_name_from_right_to_left_moves_no_neighbour(
    site: Any, person: Callable[..., Any], owner: str, name: str, email: str, login: str
) -> None:
    core = site.practice.valet._core
    status = site.practice.connect(owner=owner, account=name)
    record = core.store.find(status.connection_id)
    who = Identity(subject="7", email=email, name=name, login=login)
    assert core.store.note(record.id, incarnation=record.incarnation, changes={"identity": who})
    somebody = person()
    somebody.sign_in()

    page = somebody.open(f"/console/connections/{record.id}")
    facts = "section[aria-labelledby=ach]"
    assert page.locator(f"{facts} bdi", has_text=login).count() == 1
    order = page.evaluate(LEFT_OF, [facts, [email, login]])
    assert len(order) == 2
    assert order == sorted(order)  # as they were written: the separator between them does not turn them around
    somebody.demand_calm()
    assert somebody.barriers() == []

    page = somebody.open("/console/connections")
    row = ".conn p"
    order = page.evaluate(LEFT_OF, [row, ["Notes", owner, "account", name]])
    assert len(order) == 4
    assert order == sorted(order)
    assert page.locator(f"{row} bdi").all_inner_texts() == [owner, name]
    assert name in page.locator("[data-row] summary").get_attribute("aria-label")


def test_enter_endpoints_comes_before_the_providers_in_the_order_of_tab(person: Callable[..., Any]) -> None:
    somebody = person()
    somebody.sign_in()
    page = somebody.open("/console/new")

    passed: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.href || ''"))
        if passed[-1].endswith("/console/new/own"):
            break
    else:
        pytest.fail(f"60 tabs do not lead there: {passed}")
    assert [address for address in passed if "/console/presets/" in address] == []
    assert page.locator(".cat a").count() > 20  # there were some to pass
    somebody.demand_calm()
