"""Signing in to the console: one-time links, sessions, forms."""

from __future__ import annotations

from typing import Any

from valetkey.server.sessions import LINK_LIFE

CONSOLE = "/console/connections"


def test_the_console_demands_a_sign_in(site: Any) -> None:
    answer = site.visitor().get(CONSOLE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_login_link_signs_in_once(site: Any) -> None:
    link = site.sessions.link().reveal()
    first, second = site.visitor(), site.visitor()
    for visitor in (first, second):
        assert "uses up nothing" not in visitor.get(f"/login/link?token={link}").text
        assert visitor.csrf

    assert first.post("/login/link", token=link).headers["location"] == CONSOLE
    assert first.get(CONSOLE).status_code == 200
    assert second.post("/login/link", token=link).status_code == 410
    assert second.get(CONSOLE).status_code == 303


def test_looking_at_a_login_link_uses_up_nothing(site: Any) -> None:
    link = site.sessions.link().reveal()
    for _ in range(3):
        assert site.visitor().get(f"/login/link?token={link}").status_code == 200

    visitor = site.visitor()
    visitor.get(f"/login/link?token={link}")
    assert visitor.post("/login/link", token=link).status_code == 303


def test_a_login_link_ends(site: Any) -> None:
    link = site.sessions.link().reveal()
    site.practice.clock.advance(LINK_LIFE + 1)

    assert site.visitor().get(f"/login/link?token={link}").status_code == 410


def test_signing_out_ends_the_session_everywhere(site: Any) -> None:
    visitor = site.operator()
    kept = dict(visitor.client.cookies)
    visitor.get(CONSOLE)
    assert visitor.post("/logout").status_code == 303

    thief = site.visitor()
    thief.client.cookies.update(kept)
    assert thief.get(CONSOLE).status_code == 303


def test_a_form_of_another_session_is_refused(site: Any) -> None:
    one, other = site.operator(), site.operator()
    one.get(CONSOLE)
    other.get(CONSOLE)

    assert one.post("/logout", csrf=other.csrf).status_code == 403
    assert one.post("/logout", csrf=None).status_code == 403
    assert one.get(CONSOLE).status_code == 200


def test_a_connection_is_listed(site: Any) -> None:
    site.practice.connect("notes", owner="<script>alert(1)</script>")

    page = site.operator().get(CONSOLE).text

    assert "Connected" in page
    assert "<script>alert" not in page
    assert "owner &lt;script&gt;" in page
