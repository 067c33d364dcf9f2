"""The rules for sessions, cookies and forms, tried as an attacker would."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from valetkey.server.app import create_app

CONSOLE = "/console/connections"
PASSWORD = "four words of my own"
PUBLIC = "https://connect.example.com"


def cookie_of(answer: Any, name: str) -> Any:
    """Return the one cookie of that name that an answer sets."""
    found = [SimpleCookie(line) for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    assert len(found) == 1, answer.headers
    return found[0][name]


def test_a_session_that_was_planted_is_not_the_one_that_signs_in(site: Any) -> None:
    attacker = site.operator("look")
    planted = dict(attacker.client.cookies)
    victim = site.visitor()
    for name, value in planted.items():
        victim.client.cookies.set(name, value, domain="127.0.0.1", path="/")
    link = site.sessions.link().reveal()
    victim.get(f"/login/link?token={link}")
    victim.post("/login/link", token=link)

    name = site.server.settings.cookie
    assert victim.client.cookies[name] != planted[name]
    assert attacker.get(CONSOLE).status_code == 303, "the attacker's session lives on"
    assert victim.get(CONSOLE).status_code == 200


@pytest.mark.scenario(15)
@pytest.mark.parametrize("path", ["/login", "/login/link", "/login/invitation"])
def test_a_sign_in_that_another_browser_began_is_refused(site: Any, path: str) -> None:
    site.server.operators.add("mira", PASSWORD, "everything", by="test")
    attacker, victim = site.visitor(), site.visitor()
    attacker.get("/login")
    link = site.sessions.link().reveal()
    fields = {"name": "mira", "password": PASSWORD, "token": link}
    answer = victim.post(path, csrf=attacker.csrf, **fields)

    assert answer.status_code == 403
    assert victim.get(CONSOLE).status_code == 303
    assert site.sessions.link_lives(link)


@pytest.mark.conformance("1 core: no open redirector")
@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/console//evil.example", "javascript:1"]
)
def test_a_sign_in_leads_nowhere_but_to_our_own_pages(site: Any, target: str) -> None:
    site.server.operators.add("mira", PASSWORD, "everything", by="test")
    visitor = site.visitor()
    visitor.get("/login", params={"next": target})
    answer = visitor.post("/login", name="mira", password=PASSWORD, next=target)

    assert answer.headers["location"] == CONSOLE


def test_the_sign_in_leads_back_to_the_page_that_was_asked_for(site: Any) -> None:
    site.server.operators.add("mira", PASSWORD, "everything", by="test")
    visitor = site.visitor()
    asked = visitor.get("/console/settings/keys?a=b")
    page = visitor.get(asked.headers["location"])
    assert 'name="next" value="/console/settings/keys?a=b"' in page.text

    answer = visitor.post("/login", name="mira", password=PASSWORD, next="/console/settings/keys?a=b")
    assert answer.headers["location"] == "/console/settings/keys?a=b"


def test_cookies_of_a_console_on_this_machine_have_a_name_of_their_own(practice: Any) -> None:
    names = {create_app(practice.valet).state.server.settings.cookie for _ in range(3)}

    assert len(names) == 3  # cookies of other ports come along, and are not ours


@pytest.mark.conformance("1 core: cookies")
def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Any) -> None:
    visitor = site.visitor()
    link = site.sessions.link().reveal()
    visitor.get(f"/login/link?token={link}")
    cookie = cookie_of(visitor.post("/login/link", token=link), site.server.settings.cookie)

    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "lax", "/", "")


@pytest.mark.conformance("1 core: cookies")
@pytest.mark.parametrize(
    ("base_url", "name"), [(PUBLIC, "__Host-valetkey"), (f"{PUBLIC}/accounts", "valetkey_")], ids=["at root", "below"]
)
def test_the_cookie_of_a_public_console_is_secure(served: Callable[..., Any], base_url: str, name: str) -> None:
    site = served(base_url=base_url)
    visitor = site.visitor()
    host = {"Host": "connect.example.com"}
    link = site.sessions.link().reveal()
    page = visitor.get(f"/login/link?token={link}", headers=host)
    assert "on the server" in page.text
    guest = cookie_of(page, f"{site.server.settings.cookie}_guest")
    fields = {"csrf": visitor.csrf, "token": link}
    headers = {**host, "Origin": PUBLIC, "Cookie": f"{guest.key}={guest.value}"}
    answer = visitor.client.post("/login/link", data=fields, headers=headers)
    cookie = cookie_of(answer, site.server.settings.cookie)

    assert cookie.key.startswith(name)
    assert cookie["secure"]
    assert cookie["path"] == "/"
    assert "domain" not in answer.headers["set-cookie"].lower()


def test_a_public_console_takes_forms_from_its_public_origin_alone(served: Callable[..., Any]) -> None:
    site = served(base_url=PUBLIC)
    headers = {"Host": "connect.example.com"}
    for origin in ("http://connect.example.com", "https://connect.example.com.evil.example", "null"):
        answer = site.visitor().client.post("/login/link", data={}, headers={**headers, "Origin": origin})
        assert answer.status_code == 403
        assert "another site" in answer.text


def test_mounted_below_a_path_everything_stays_below_it(served: Callable[..., Any]) -> None:
    def within(app: Any) -> Any:
        return Starlette(routes=[Mount("/accounts", app)])

    site = served(within=within)
    visitor = site.visitor()
    link = site.sessions.link().reveal()
    page = visitor.get(f"/accounts/login/link?token={link}")
    assert 'action="/accounts/login/link"' in page.text
    answer = visitor.post("/accounts/login/link", token=link)
    assert answer.headers["location"] == f"/accounts{CONSOLE}"
    assert cookie_of(answer, site.server.settings.cookie)["path"] == "/accounts"

    console = visitor.get(f"/accounts{CONSOLE}").text
    ours = [part.partition('"')[0] for word in ('href="/', 'src="/', 'action="/') for part in console.split(word)[1:]]
    assert ours
    assert all(path.startswith("accounts/") for path in ours), ours
    for path in {part.partition("?")[0] for part in ours if "/static/" in part}:
        assert visitor.get(f"/{path}").status_code == 200
    assert "/accounts/login?next=%2Fconsole%2Fsettings%2Fkeys" in str(
        site.visitor().get("/accounts/console/settings/keys").headers["location"]
    )
    assert 'aria-current="page"' in console


@pytest.mark.parametrize("path", ["/login", CONSOLE, "/console/nowhere"])
def test_no_page_can_be_framed(site: Any, path: str) -> None:
    assert "frame-ancestors 'none'" in site.operator().get(path).headers["content-security-policy"]


def test_the_theme_is_kept_without_script(site: Any) -> None:
    visitor = site.operator()
    visitor.get(CONSOLE)
    answer = visitor.post("/console/theme", theme="dark", next="/console/settings/keys")

    assert answer.headers["location"] == "/console/settings/keys"
    assert '<html lang="en" data-theme="dark">' in visitor.get(CONSOLE).text
    visitor.post("/console/theme", theme='"><script>', next="https://evil.example")
    assert '<html lang="en">' in visitor.get(CONSOLE).text


def test_a_theme_that_somebody_planted_stays_text(site: Any) -> None:
    visitor = site.operator()
    visitor.client.cookies.set("valetkey_theme", "x><b>")

    assert '<html lang="en">' in visitor.get(CONSOLE).text
