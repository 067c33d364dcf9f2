"""The connections in a real browser: live, in bulk, and with nothing but a keyboard at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valetkey.errors import ReauthorizationRequired

LIST = "/console/connections"


@pytest.mark.scenario(5)
def test_a_grant_that_is_withdrawn_shows_in_row_and_figures_without_a_reload(
    site: Any, person: Callable[..., Any]
) -> None:
    for owner in "abc":
        site.practice.connect(owner=owner, login="carol" if owner == "b" else "ada")
    somebody = person()
    somebody.sign_in()
    page = somebody.open(LIST)
    page.locator("[data-age]", has_text="live").wait_for()

    site.practice.provider.revoke("carol")
    with pytest.raises(ReauthorizationRequired):
        site.practice.client(owner="b").refresh()

    page.locator("tr", has_text="carol").get_by_text("Needs re-authorization").wait_for()
    page.locator("[data-count=action]", has_text="1").wait_for()
    page.get_by_role("link", name="1 change, show").wait_for()
    owners = page.locator(".conn p").all_inner_texts()
    assert owners == ["Notes · owner a", "Notes · owner b", "Notes · owner c"]  # nothing moved by itself
    page.get_by_role("link", name="1 change, show").click()
    page.locator(".conn p").first.get_by_text("owner b").wait_for()
    somebody.demand_calm()


@pytest.mark.scenario(9)
def test_a_job_goes_on_while_its_page_is_closed_and_is_stopped_from_another(
    site: Any, person: Callable[..., Any]
) -> None:
    for number in range(7):
        site.practice.connect(owner=f"o{number}")
    hold = site.practice.provider.hold("token")
    somebody = person()
    somebody.sign_in()
    page = somebody.open(LIST)
    page.get_by_role("button", name="Refresh all 7 that match").click()
    page.wait_for_url("**/console/jobs/*")
    address = page.url
    hold.wait_for(4)
    page.close()

    other = somebody.context.new_page()
    other.goto(address)
    other.get_by_role("heading", name="Refreshing 7 connections").wait_for()
    other.get_by_role("button", name="Stop").click()
    hold.release()
    other.get_by_role("heading", name="Stopped refreshing 7 connections").wait_for()
    assert site.practice.provider.refreshes == 4


def test_a_slash_leads_to_the_search_and_escape_closes_a_menu(site: Any, person: Callable[..., Any]) -> None:
    site.practice.connect(owner="ada")
    somebody = person()
    somebody.sign_in()
    page = somebody.open(LIST)

    page.get_by_label("Actions for").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Test").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Test").wait_for(state="hidden")
    page.keyboard.press("/")
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=ada**")
    somebody.demand_calm()


@pytest.mark.scenario(11)
def test_without_script_connections_are_listed_found_refreshed_and_disconnected(
    site: Any, person: Callable[..., Any]
) -> None:
    site.practice.connect(owner="ada")
    somebody = person(java_script_enabled=False)
    somebody.sign_in()
    page = somebody.open(LIST)
    page.get_by_label("Search connections").fill("ada")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="ada@example.com").click()
    page.get_by_role("button", name="Refresh now").click()
    page.get_by_text("Refreshed.", exact=True).wait_for()
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("button", name="Disconnect").click()
    page.get_by_text("Disconnected. Notes confirmed").wait_for()
    assert site.practice.provider.live_grants == 0


def test_single_keys_lead_through_the_rows_and_can_be_switched_off(site: Any, person: Callable[..., Any]) -> None:
    for owner in "abc":
        site.practice.connect(owner=owner)
    somebody = person()
    somebody.sign_in()
    page = somebody.open(LIST)
    page.locator("[data-age]", has_text="live").wait_for()
    press = page.keyboard.press

    for key, owner in [("j", "a"), ("j", "b"), ("j", "c"), ("j", "c"), ("k", "b")]:
        press(key)
        assert page.locator("tr:focus-within .conn p").inner_text() == f"Notes · owner {owner}"
    press("x")
    assert page.locator("tr:focus-within input").is_checked()
    press("/")
    page.keyboard.type("jx?")
    assert page.locator("#q").input_value() == "jx?"
    page.locator(".conn a").first.focus()

    press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    press("j")
    assert page.get_by_role("dialog").is_visible()
    assert somebody.barriers() == []
    page.get_by_label("Single keys are on").uncheck()
    press("Escape")
    page.reload()
    press("j")
    press("?")
    assert page.locator("tr:focus-within").count() == 0
    assert not page.get_by_role("dialog").is_visible()
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Single keys are on").check()
    page.get_by_role("button", name="Close").click()

    page.locator(".conn a").nth(1).focus()
    press("r")
    page.get_by_text("Refreshed.").wait_for()
    assert site.practice.provider.refreshes == 1
    assert "owner b" in page.locator("main").inner_text()
    somebody.demand_calm()
