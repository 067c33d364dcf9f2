"""Apps: their health by cause, and a new client secret that all connections use at once."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.certificates import self_signed
from valetkey.errors import ClientRejected, ProviderUnavailable, ReauthorizationRequired
from valetkey.protocol.signing import generate_key
from valetkey.server.views.comparing import difference, nearest_scope
from valetkey.server.views.scopes import weight
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET


@pytest.fixture
def broken(walk: Any) -> Any:
    """A connection whose app the provider does not accept any more."""
    walk.site.practice.connect("notes", owner="u1")
    walk.provider.register_client(
        DEFAULT_CLIENT_ID, "another secret", redirect_uris=["http://127.0.0.1:8421/callback/notes"]
    )
    with pytest.raises(ClientRejected):
        walk.site.practice.client("notes", owner="u1").refresh()
    return walk


def test_a_rejected_app_says_what_it_stops_and_what_repairs_it(broken: Any) -> None:
    listed, page = broken.visitor.get("/console/apps").text, broken.visitor.get("/console/apps/notes").text

    assert "Needs fixing" in listed
    assert "Notes does not accept the app\u2019s client secret" in page
    assert "invalid_client" in page
    assert "a new secret repairs all of them at once" in page
    assert "1 still works, until its access token ends" in page
    assert ("Health by cause" in page, "No connection lost" in page) == (True, True)
    assert DEFAULT_CLIENT_SECRET not in page


def test_a_new_secret_repairs_all_connections(broken: Any) -> None:
    broken.visitor.get("/console/apps/notes")

    answer = broken.visitor.post("/console/apps/notes", client_secret="another secret", overlap="86400", ends="")

    assert answer.headers["location"].startswith("/console/apps/notes?told=")
    assert "It is tried with the next refresh that is due" in broken.visitor.get(answer.headers["location"]).text
    assert broken.site.practice.client("notes", owner="u1").refresh().state == "connected"
    assert "Working" in broken.visitor.get("/console/apps").text
    added, replaced = [e for e in broken.site.practice.valet.events() if e.kind.startswith("app_")]
    assert (added.kind, added.actor, added.credential) == ("app_secret_added", "login link", "notes")
    assert (replaced.kind, replaced.detail["by"]) == ("app_secret_replaced", "login link")


def test_a_new_secret_that_is_refused_is_told_with_the_providers_words(walk: Any) -> None:
    practice, visitor = walk.site.practice, walk.visitor
    practice.connect("notes", owner="u1")
    visitor.get("/console/apps/notes")
    visitor.post("/console/apps/notes", client_secret="the wrong one", ends="", overlap="0")
    waiting = visitor.get("/console/apps/notes").text
    practice.client("notes", owner="u1").refresh()
    page = visitor.get("/console/apps/notes").text

    assert ("not tried yet" in waiting, "Take the new one back" in waiting) == (True, True)
    assert "The new client secret was not taken" in page
    assert "<code>invalid_client</code>, \u201cclient authentication failed\u201d" in page
    assert ("It was stored by login link" in page, "the wrong one" in page, "Working" in page) == (True, False, True)


def test_the_end_of_a_secret_is_noted_and_told_of(walk: Any) -> None:
    practice, visitor = walk.site.practice, walk.visitor
    day = datetime.fromtimestamp(practice.clock.now(), UTC).date() + timedelta(days=13)
    visitor.get("/console/apps/notes")

    assert visitor.post("/console/apps/notes/end", ends=str(day)).headers["location"] == "/console/apps/notes"

    listed = visitor.get("/console/apps").text
    assert ("Secret ends soon" in listed, "in 12 days" in listed, 'href="/console/apps/notes#replace"' in listed) == (
        True,
        True,
        True,
    )
    assert f'value="{day}"' in visitor.get("/console/apps/notes").text
    assert "the end is no date" in visitor.post("/console/apps/notes/end", ends="soon").text
    visitor.post("/console/apps/notes/end", ends="")
    assert "Working" in visitor.get("/console/apps").text


def test_replacing_a_secret_needs_a_sign_in_of_a_moment_ago(walk: Any) -> None:
    walk.visitor.get("/console/apps/notes")
    walk.site.practice.clock.advance(600)

    page = walk.visitor.get("/console/apps/notes").text
    answer = walk.visitor.post("/console/apps/notes", client_secret="another secret")

    assert ("Sign in again" in page, 'name="client_secret"' in page) == (True, False)
    assert answer.headers["location"].startswith("/login/again?next=")
    assert not [e for e in walk.site.practice.valet.events() if e.kind.startswith("app_")]


def test_health_by_cause_names_states_reasons_and_ends(walk: Any) -> None:
    practice, visitor = walk.site.practice, walk.visitor
    for owner in ("u1", "u2", "u3"):
        practice.connect("notes", owner=owner, login="bert" if owner == "u3" else "ada")
    practice.provider.revoke("bert")
    with pytest.raises(ReauthorizationRequired):
        practice.client("notes", owner="u3").refresh()

    page = visitor.get("/console/apps/notes").text

    assert (
        "1 stopped: no longer accepted" in page or "1 stopped: access withdrawn" in page,
        "2 connected" in page,
    ) == (
        True,
        True,
    )
    assert "Their access tokens end at" in page
    assert "credential=notes&amp;state=needs_reauth" in page
    practice.provider.fail_next(status=503, times=3)
    with pytest.raises(ProviderUnavailable):
        practice.client("notes", owner="u1").refresh()
    assert ("Not answering" in visitor.get("/console/apps").text) is True


def test_a_declaration_of_code_is_read_only_and_its_app_is_not(walk: Any) -> None:
    page = walk.visitor.get("/console/apps/notes").text

    assert "read-only" in page
    assert "Declared in code, so it is changed there" in page
    assert "http://127.0.0.1:8421/callback/notes" in page


def test_apps_are_found_by_name_id_and_health(walk: Any) -> None:
    walk.site.practice.declare("others")
    walk.site.practice.secrets.delete("others-app-credentials")

    assert "<code>others</code>" not in walk.visitor.get("/console/apps?q=notes").text
    assert "<code>notes</code>" in walk.visitor.get("/console/apps?q=practice-app").text
    missing = walk.visitor.get("/console/apps?health=missing").text
    assert ("<code>others</code>" in missing, "<code>notes</code>" in missing) == (True, False)


def test_an_app_that_nobody_declared_is_not_found(walk: Any) -> None:
    assert walk.visitor.get("/console/apps/nothing").status_code == 404


@pytest.mark.parametrize(
    ("theirs", "marked", "said"),
    [
        ("https://a.example/callback/x/", ["/"], "a slash at the end"),
        ("http://a.example/callback/x", ["[s is missing]"], "http instead of https"),
        ("https://a.example/callback/x", [], "the same"),
        ("https://b.example/callback/x", ["b"], "differences are marked"),
        ("https://A.example/callback/x", ["A"], "capital and small"),
    ],
)
def test_the_compare_box_marks_the_difference(theirs: str, marked: list[str], said: str) -> None:
    pieces, words = difference("https://a.example/callback/x", theirs)

    assert [text for text, differs in pieces if differs] == marked
    assert said in words


def test_what_is_compared_stays_text(walk: Any) -> None:
    page = walk.visitor.get("/console/compare/notes", params={"theirs": "<script>alert(1)</script>"}).text

    assert "<script>alert" not in page


def test_the_nearest_scope_is_suggested() -> None:
    known = {"calendar.readonly": "", "drive.file": ""}

    assert nearest_scope(("calender.readonly",), known) == ("calender.readonly", "calendar.readonly")
    assert nearest_scope(("drive.file", "something else"), known) == ("", "")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("read:user", "read"),
        ("repo", "write"),
        ("admin:org", "admin"),
        ("delete_repo", "admin"),
        ("https://www.googleapis.com/auth/calendar.readonly", "read"),
        ("Calendars.ReadWrite", "write"),
        ("chat:write", "write"),
        ("openid", "read"),
        ("offline_access", ""),
    ],
)
def test_a_scope_weighs_what_its_name_says(scope: str, expected: str) -> None:
    assert weight(scope) == expected


# -- apps that prove themselves by a key


@pytest.fixture
def bank(walk: Any) -> Any:
    """An app that proves itself by a key, and has none yet."""
    practice = walk.site.practice
    declared = practice.declare("bank", client_auth="private_key_jwt")
    practice.secrets.set(declared.secret_id, json.dumps({"client_id": "valetkey-at-bank"}))
    return walk


def test_a_key_is_made_shown_to_copy_and_followed_by_one_that_is_typed(bank: Any) -> None:
    visitor, page = bank.visitor, "/console/apps/bank"
    assert "There is no key yet." in visitor.get(page).text
    visitor.post(f"{page}/key", private_key="")
    first = visitor.get(page).text
    (kid,) = re.findall(r"Key ID <code>([^<]+)</code>", first)
    assert "/.well-known/valetkey/bank/jwks.json</code>" in first
    assert ("&#34;kty&#34;: &#34;EC&#34;" in first or '"kty": "EC"' in first, '"d": ' in first) == (True, False)

    own = generate_key("PS256").reveal()
    visitor.post(f"{page}/key", private_key=own)
    waiting = visitor.get(page).text
    assert re.findall(r"Key ID <code>([^<]+)</code>", waiting) == [kid, json.loads(own)["kid"]]
    assert json.loads(own)["d"] not in waiting

    visitor.post(f"{page}/key/use")
    assert "New, being tried" in visitor.get(page).text
    visitor.post(f"{page}/withdraw")
    assert re.findall(r"Key ID <code>([^<]+)</code>", visitor.get(page).text) == [kid]


def test_what_is_no_key_is_refused_and_not_shown_again(bank: Any) -> None:
    bank.visitor.get("/console/apps/bank")
    for typed in ("hunter2", "x" * 9000):
        answer = bank.visitor.post("/console/apps/bank/key", private_key=typed)
        assert answer.status_code == 400
        assert typed not in answer.text
    assert "no key of &#39;bank&#39; waits" in bank.visitor.post("/console/apps/bank/key/use").text


def test_a_certificate_that_ends_soon_is_told_on_the_list_and_its_page(walk: Any) -> None:
    practice = walk.site.practice
    bank = {"issuer": "https://bank.example", "token_url": "https://bank.example/token"}
    practice.declare("bank", grant="client_credentials", scopes=[], sender_constraint="mtls", **bank)
    left = practice.clock.now() - time.time()
    certificate, key = self_signed("bank.example", days=left / 86400 + 12.2)
    app = json.loads(practice.secrets.get("bank-app-credentials"))
    practice.secrets.set(
        "bank-app-credentials", json.dumps({**app, "certificate": certificate, "certificate_key": key})
    )

    listed, page = walk.visitor.get("/console/apps").text, walk.visitor.get("/console/apps/bank").text
    certificate, key = self_signed("bank.example", days=left / 86400 - 0.5)
    practice.secrets.set(
        "bank-app-credentials", json.dumps({**app, "certificate": certificate, "certificate_key": key})
    )
    over = walk.visitor.get("/console/apps/bank").text

    assert "Certificate ends soon" in listed
    assert 'href="/console/apps/bank#tls"' in listed
    assert "The app\u2019s certificate ends in 12 days" in page
    assert "CN=bank.example" in page
    assert "valetkey app add bank --certificate-file" in page
    assert "The app\u2019s certificate has ended" in over
    assert "does not accept" not in over
