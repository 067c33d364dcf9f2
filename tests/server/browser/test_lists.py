"""The connections in a real browser: live, in bulk, and with nothing but a keyboard at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from valetkey.errors import ClientRejected, ProviderUnavailable, ReauthorizationRequired

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
    behind = page.get_by_role("region", name="What is behind it")
    behind.get_by_text("Access withdrawn at Notes").first.wait_for()
    behind.get_by_text("1 connection, 1 cause").wait_for()
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


def test_what_is_behind_it_follows_providers_and_apps_without_a_reload(site: Any, person: Callable[..., Any]) -> None:
    practice = site.practice
    practice.connect(owner="ada")
    practice.connect(owner="bob")
    somebody = person()
    somebody.sign_in()
    page = somebody.open(LIST)
    page.locator("[data-age]", has_text="live").wait_for()
    behind = page.get_by_role("region", name="What is behind it")
    assert not behind.is_visible()

    practice.provider.fail_next(status=503)
    with pytest.raises(ProviderUnavailable):
        practice.client(owner="ada").refresh()
    behind.get_by_text("Notes: the token endpoint answers 503").first.wait_for()
    behind.get_by_text("it is tried again by itself, in ").wait_for()
    behind.get_by_role("link", name="Show all").wait_for()

    practice.provider.fail_next(status=401, error="invalid_client")
    with pytest.raises(ClientRejected):
        practice.client(owner="bob").refresh()
    behind.get_by_text("Notes: client id or secret refused").first.wait_for()
    behind.get_by_text("2 connections, 1 cause").wait_for()
    assert behind.get_by_role("link", name="Fix app").get_attribute("href") == "/console/apps/notes"
    assert somebody.barriers() == []
    somebody.demand_calm()


def test_a_countdown_on_the_page_of_a_connection_goes_on_and_follows_each_try(
    site: Any, person: Callable[..., Any]
) -> None:
    practice = site.practice
    status = practice.connect(owner="ada")
    practice.provider.fail_next(status=503)
    with pytest.raises(ProviderUnavailable):
        practice.client(owner="ada").refresh()
    somebody = person()
    somebody.sign_in()
    page = somebody.open(f"{LIST}/{status.connection_id}")
    page.locator("[data-age]", has_text="live").wait_for()
    banner = page.locator("[data-banner]")
    count = banner.locator("time")
    first = count.inner_text()
    assert first.startswith("in ")
    page.wait_for_function("first => document.querySelector('[data-banner] time').textContent !== first", arg=first)
    banner.get_by_text("It was tried once and is tried again").wait_for()

    practice.clock.advance(3600)
    practice.provider.fail_next(status=503)
    with pytest.raises(ProviderUnavailable):
        practice.client(owner="ada").refresh()
    banner.get_by_text("It was tried 2 times and is tried again in").wait_for()
    page.get_by_role("link", name="show all that is new").wait_for()

    practice.clock.advance(3600)
    practice.client(owner="ada").refresh()
    banner.get_by_role("heading", name="It works again").wait_for()
    page.locator(".head .st", has_text="Connected").wait_for()
    assert not banner.get_by_role("button").is_visible()
    page.get_by_role("link", name="its state has changed, show").click()
    banner.wait_for(state="detached")
    somebody.demand_calm()


def test_a_connection_that_is_disconnected_elsewhere_says_so_on_its_open_page(
    site: Any, person: Callable[..., Any]
) -> None:
    status = site.practice.connect(owner="ada")
    somebody = person()
    somebody.sign_in()
    page = somebody.open(f"{LIST}/{status.connection_id}")
    page.locator("[data-age]", has_text="live").wait_for()

    site.practice.valet.disconnect("notes", owner="ada")

    page.locator(".head .st", has_text="Disconnected").wait_for()
    page.locator("[data-figures]").get_by_text("nobody is connected").wait_for()
    page.get_by_role("link", name="its state has changed, show").click()
    page.get_by_role("link", name="Connect", exact=True).wait_for()
    somebody.demand_calm()
