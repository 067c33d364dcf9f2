"""No page stands at an address with a code in it, and pages about failures survive the way to a clean one."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from valetkey.errors import DecryptionFailed, StoreUnavailable
from valetkey.server.joining.clean import KEPT, KIND
from valetkey.server.pages import callback


def clean(walk: Any, callback: str) -> str:
    """Return where the callback leads."""
    parts = urlsplit(callback)
    answer = walk.visitor.get(f"{parts.path}?{parts.query}")
    address: str = answer.headers["location"]
    assert (answer.status_code, answer.text) == (303, "")
    return address


def test_a_failure_is_shown_again_to_its_browser_alone_and_for_ten_minutes(site: Any, walk: Any, walker: Any) -> None:
    walk.provider.deny_next("access_denied", "words of the provider")
    callback = walk.provider.approve(walk.begin(account="work"))
    address = clean(walk, callback)
    (event,) = [e for e in site.practice.valet.events() if e.kind == "connect_failed"]
    (kept,) = site.practice.valet._core.store.list_documents(KIND, env="test")
    assert re.fullmatch(r"/callback/notes/ended/[0-9a-f]{64}", address)
    assert b"words of the provider" not in kept.sealed.blob

    for _ in range(2):
        page = walk.visitor.get(address)
        assert (page.status_code, walk.title(page)) == (400, "Access was not allowed")
        assert event.detail["request"] in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["content-security-policy"]
    walk.visitor.csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    assert walk.way_out(walk.visitor.post("/console/connect/notes", whose="own", account="work"))

    other = walker(site, site.operator())
    page = other.visitor.get(address)
    assert (page.status_code, other.title(page)) == (410, "There is nothing here any more")
    name = next(name for name in dict(walk.visitor.client.cookies) if address[-64:].startswith(name.rpartition("_")[2]))
    other.visitor.client.cookies.set(name, "forged")
    assert other.visitor.get(address).status_code == 410
    site.practice.clock.advance(KEPT)
    assert walk.visitor.get(address).status_code == 410


def test_a_refusal_names_the_request_in_the_audit_log_and_keeps_nothing(site: Any, walk: Any) -> None:
    address = clean(walk, "http://127.0.0.1:8421/callback/notes?code=stolen&state=made-up")

    page = walk.visitor.get(address)

    (event,) = [e for e in site.practice.valet.events() if e.kind == "connect_failed"]
    assert (address, page.status_code) == ("/callback/notes/refused/console", 400)
    assert event.detail["request"] in page.text
    assert not site.practice.valet._core.store.list_documents(KIND, env="test")
    walk.visitor.client.cookies.set("valetkey_refused", "<script>")
    for path in (address, address.replace("console", "link"), "/callback/notes/refused/anything"):
        page = walk.visitor.get(path)
        assert (page.status_code in {400, 403}, "<script>" in page.text) == (True, False)
        assert walk.title(page) == "We could not match this answer to your request"
    assert walk.visitor.get("/callback/nobody/refused/console").status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(RuntimeError("SECRET-WORD"), 500, "Something went wrong here", id="a mistake of ours"),
        pytest.param(
            DecryptionFailed("it cannot be opened", code="key_lost", hint="see: valetkey doctor"),
            500,
            "key_lost",
            id="a store that is not well",
        ),
    ],
)
def test_what_nobody_expected_is_told_at_a_clean_address_too(
    walk: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    callback_url = walk.provider.approve(walk.begin())

    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setitem(callback.ENDINGS, "console", fail)

    address = clean(walk, callback_url)
    page = walk.visitor.get(address)

    assert re.fullmatch(r"/callback/notes/ended/[0-9a-f]{64}", address)
    assert page.status_code == status
    assert said in page.text
    assert "SECRET-WORD" not in page.text


def test_an_answer_stays_where_it_is_while_the_store_is_away(walk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(walk.provider.approve(walk.begin()))
    again = f"{parts.path}?{parts.query}"
    away = StoreUnavailable("it does not answer", hint="wait")
    with monkeypatch.context() as outage:
        outage.setitem(callback.ENDINGS, "console", lambda *_: (_ for _ in ()).throw(away))
        assert walk.visitor.get(again).status_code == 503

    assert walk.visitor.get(again).headers["location"].startswith("/console/connections/con_")


def test_account_holders_read_their_own_words_at_a_clean_address_too(site: Any, walker: Any) -> None:
    link = site.practice.valet.connect_link("notes", owner="u1")
    holder, other = walker(site, site.visitor()), walker(site, site.visitor())
    path = urlsplit(link).path
    holder.visitor.get(path)
    callback = holder.provider.approve(holder.way_out(holder.visitor.post(path, do="go")))

    address = clean(other, callback)

    assert address == "/callback/notes/refused/link"
    text = other.visitor.get(address).text.partition("<main")[2]
    assert "Open the link again" in text
    assert not {"owner", "credential", "u1"} & set(re.findall(r"\w+", text))
    assert clean(holder, callback).startswith("/connect/outcome/")
