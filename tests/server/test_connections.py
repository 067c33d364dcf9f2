"""The list of connections: what it says of each state, its figures, filters, search and pages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from valetkey.errors import ValetkeyError
from valetkey.server.pages import connections as page_of

HERE = "/console/connections"


def refresh(practice: Any, owner: str) -> None:
    """Refresh, whatever comes of it."""
    with pytest.raises(ValetkeyError):
        practice.client(owner=owner).refresh()


@pytest.fixture
def troubled(site: Any) -> Any:
    """Return a site with a connection in every state; owners are named for them."""
    practice = site.practice
    practice.declare("files", display_name="Files")
    practice.declare("mail", display_name="Mail")
    practice.connect("files", owner="stopped", login="bob")
    practice.connect(owner="well")
    practice.connect(owner="gone")
    practice.valet.disconnect("notes", owner="gone")
    practice.provider.omit_refresh_token(1)
    practice.connect(owner="short")
    practice.connect(owner="dead", login="carol")
    practice.connect(owner="failing", login="dave")
    practice.provider.revoke("carol")
    refresh(practice, "dead")
    practice.provider.fail_next(status=503)
    refresh(practice, "failing")
    practice.secrets.set(practice.wiring.get("files").secret_id, '{"client_id": "x", "client_secret": "wrong"}')
    practice.secrets.delete(practice.wiring.get("files").secret_id)
    return site


def rows(text: str) -> list[tuple[str, str]]:
    """Return owner and state of each row, in their order."""
    found = re.findall(r"<p>[^<]*owner (\w+)[^<]*</p>.*?class=\"st [^\"]*\">.*?</svg>([^<]+)</span>", text, re.DOTALL)
    return [(owner, state.strip()) for owner, state in found]


def test_connections_are_listed_the_worst_first_in_the_words_of_their_states(troubled: Any) -> None:
    text = troubled.operator().get(HERE).text

    assert rows(text) == [
        ("stopped", "App needs fixing"),
        ("dead", "Needs re-authorization"),
        ("failing", "Refresh failing"),
        ("short", "Expires soon"),
        ("well", "Connected"),
        ("gone", "Disconnected"),
    ]
    for why in ("no app credentials", "access withdrawn at Notes", "503, try 2 <time", "no refresh token"):
        assert why in text


def test_the_strip_counts_what_is_told_and_filters_by_it(troubled: Any) -> None:
    operator = troubled.operator()
    text = operator.get(HERE).text

    counts = dict(re.findall(r'data-count="(\w+)">(\d+)<', text))
    assert counts == {"action": "2", "refresh_failing": "1", "expires_soon": "1", "connected": "1", "pending": "0"}
    assert "1 re-authorize, 1 fix app" in text
    for state, n in counts.items():
        assert len(rows(operator.get(f"{HERE}?state={state}").text)) == int(n), state
    assert [owner for owner, _ in rows(operator.get(f"{HERE}?state=action").text)] == ["stopped", "dead"]


def test_causes_are_grouped_and_hidden_when_all_is_well(troubled: Any) -> None:
    text = troubled.operator().get(HERE).text

    assert "What is behind it" in text
    for title in ("Files: no app credentials", "Access withdrawn at Notes<", "the token endpoint answers 503"):
        assert title in text


def test_no_causes_are_shown_where_nothing_is_wrong(site: Any) -> None:
    site.practice.connect(owner="ada")

    page = site.operator().get(HERE).text
    assert "data-causes hidden>" in page  # the script shows it when something is
    assert 'class="causes">\n</ul>' in page


def test_filters_and_search_narrow_the_list_and_keep_their_place_in_the_address(troubled: Any) -> None:
    operator = troubled.operator()

    assert [owner for owner, _ in rows(operator.get(f"{HERE}?credential=files").text)] == ["stopped"]
    assert [owner for owner, _ in rows(operator.get(f"{HERE}?owner=short").text)] == ["short"]
    found = operator.get(f"{HERE}?q=CAROL").text
    assert [owner for owner, _ in rows(found)] == ["dead"]
    assert 'value="CAROL"' in found
    assert "No connection matches" in operator.get(f"{HERE}?q=nobody").text
    assert rows(operator.get(f"{HERE}?state=nonsense").text) == rows(operator.get(HERE).text)


def test_the_programs_own_connections_are_a_filter(site: Any) -> None:
    site.practice.connect()
    site.practice.connect(owner="ada")
    operator = site.operator()

    text = operator.get(f"{HERE}?owner=your program\u2019s own").text
    assert "Notes · your program\u2019s own" in text
    assert rows(text) == []


def test_a_refused_app_is_the_apps_trouble_and_touches_no_connection(site: Any) -> None:
    practice = site.practice
    status = practice.connect(owner="ada")
    practice.connect(owner="bob")
    secret = practice.wiring.get("notes").secret_id
    app = json.loads(practice.secrets.get(secret))
    practice.secrets.set(secret, json.dumps({**app, "client_secret": "wrong"}))
    refresh(practice, "ada")
    operator = site.operator()

    text = operator.get(HERE).text
    assert rows(text) == [("ada", "App needs fixing"), ("bob", "App needs fixing")]
    assert "client id or secret refused" in text
    assert "signing in again cannot repair it" in operator.get(f"{HERE}/{status.connection_id}").text

    practice.secrets.set(secret, json.dumps(app))
    assert rows(operator.get(HERE).text) == [("ada", "Connected"), ("bob", "Connected")]


@pytest.mark.scenario(7)
def test_a_lapsed_access_token_that_can_be_renewed_is_no_alarm(site: Any) -> None:
    site.practice.connect(owner="ada")
    site.practice.clock.advance(90_000)

    text = site.operator().get(HERE).text
    assert rows(text) == [("ada", "Connected")]
    assert "renewed at next use" in text


def test_pages_follow_each_other_without_loss(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of, "PAGE", 2)
    for owner in "abcde":
        site.practice.connect(owner=owner)
    site.practice.valet.disconnect("notes", owner="a")
    operator, seen, address = site.operator(), [], HERE
    while address:
        text = operator.get(address).text
        seen += [owner for owner, _ in rows(text)]
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = following[1].replace("&amp;", "&") if following else ""
        if address:
            last = address
            assert "First</a>" not in text or len(seen) > 2
    assert seen == ["b", "c", "d", "e", "a"]

    address, back = last, [owner for owner, _ in rows(operator.get(last).text)]
    while previous := re.search(r'rel="prev" href="([^"]+)"', operator.get(address).text):
        address = previous[1].replace("&amp;", "&")
        answer = operator.get(address)
        if answer.status_code == 303:  # the first page has one address
            back = [owner for owner, _ in rows(operator.get(answer.headers["location"]).text)] + back
            break
        back = [owner for owner, _ in rows(answer.text)] + back
    assert back == seen
    assert rows(operator.get(f"{HERE}?q=notes").text) == [("b", "Connected"), ("c", "Connected")]


def test_an_address_with_a_broken_cursor_leads_to_the_first_page(site: Any) -> None:
    site.practice.connect(owner="ada")

    answer = site.operator().get(f"{HERE}?after=connected.connected~%21%21")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?")


def test_an_empty_console_says_how_to_begin(site: Any) -> None:
    assert "Connect your first account" in site.operator().get(HERE).text


def test_who_may_only_look_is_offered_no_actions(site: Any) -> None:
    site.practice.connect(owner="ada")
    text = site.operator("look").get(HERE).text

    assert "Refresh now" not in text
    assert "Refresh selected" not in text
