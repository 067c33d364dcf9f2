"""However a sign-in ends, its page stands at an address without the provider's answer in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from valetkey.server.pages import callback

ANSWER = ("code=", "state=", "error=", "iss=", "response=")


@pytest.fixture
def site(practice: Any, site_class: Any) -> Iterator[Any]:
    """An application at its real address, so that the provider leads back to it."""
    practice.valet._core.base_url = None
    with site_class(practice, product="Acme CRM", current_owner=lambda _: "contoso") as site:
        yield site


def from_console(person: Any) -> None:
    person.sign_in()
    person.open("/console/new/notes/scopes")
    person.page.get_by_label("My program itself").check()
    person.press("Continue")
    with person.context.expect_page() as opened:
        person.page.get_by_role("link", name="Open Notes").click()
    person.page.close()
    person.page = opened.value


def from_link(person: Any) -> None:
    desk = person.site.app.state.server.desk
    made = desk.new_link(desk.key("notes", "contoso", ""), (), None, 1800)
    person.open(f"/connect/{made.token.reveal()}")
    person.press("Continue to Notes")


def well(person: Any) -> None:
    person.press("Approve")


def denied(person: Any) -> None:
    person.press("Deny")


def refused_code(person: Any) -> None:
    person.site.practice.provider.fail_next(status=400, error="invalid_grant")
    person.press("Approve")


def provider_trouble(person: Any) -> None:
    person.site.practice.provider.deny_next("server_error")
    person.press("Approve")


def expired(person: Any) -> None:
    person.site.practice.clock.advance(601)
    person.press("Approve")


def cookies_lost(person: Any) -> None:
    person.context.clear_cookies()
    person.press("Approve")


def our_mistake(person: Any) -> None:
    person.press("Approve")


WAYS: dict[str, Callable[[Any], None]] = {"console": from_console, "link": from_link}
ENDS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "success": (well, "", "Notes is connected"),
    "denied": (denied, "Access was not allowed", ""),
    "refused code": (refused_code, "", ""),
    "provider trouble": (provider_trouble, "", ""),
    "expired": (expired, "We could not match this answer to your request", ""),
    "cookies lost": (cookies_lost, "We could not match this answer to your request", ""),
    "our mistake": (our_mistake, "Something went wrong here", "Something went wrong here"),
}
"""What happens, and the title of the page that follows, in the console and for the person of a link."""


@pytest.mark.parametrize("face", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_the_page_after_a_callback_stands_at_a_clean_address(
    site: Any, person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, face: str, end: str
) -> None:
    happens, *titles = ENDS[end]
    site.practice.provider.rules.auto_approve = False
    if end == "our mistake":

        def fail(*_: Any) -> Any:
            raise RuntimeError

        monkeypatch.setitem(callback.ENDINGS, face, fail)
    somebody = person()
    WAYS[face](somebody)
    somebody.sees("Practice provider")
    stood_at: list[str] = []
    somebody.page.on("framenavigated", lambda frame: stood_at.append(frame.url))

    happens(somebody)
    somebody.page.wait_for_url(f"{site.base}/**")
    title = somebody.page.get_by_role("heading", level=1).inner_text()

    assert titles[list(WAYS).index(face)] in title
    ours = [url for url in stood_at if url.startswith(site.base)]
    assert ours
    assert not [url for url in ours if any(word in url for word in ANSWER)]
    somebody.page.reload()
    assert somebody.page.get_by_role("heading", level=1).inner_text() == title
    assert not any(word in somebody.page.url for word in ANSWER)
