"""What binds an answer to the browser: one cookie for each sign-in (DESIGN section 8, rules 1 and 7)."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from valetkey.server import create_app


def flow_cookie(answer: Any) -> Any:
    for line in answer.headers.get_list("set-cookie"):
        for name, morsel in SimpleCookie(line).items():
            if "valetkey_flow_" in name:
                return morsel
    return None


def signed_in(app: Any) -> Any:
    sessions = app.state.server.sessions
    return sessions.use_link(sessions.link().reveal())


def leaving(walk: Any) -> Any:
    walk.visitor.get("/console/connections")
    return walk.visitor.post("/console/connect/notes", whose="own")


def test_the_cookie_is_hidden_from_scripts_and_from_other_sites_forms(walk: Any) -> None:
    cookie = flow_cookie(leaving(walk))

    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "lax"
    assert int(cookie["max-age"]) == 1800
    assert len(cookie.value) >= 43


def test_each_sign_in_has_a_cookie_of_its_own(walk: Any) -> None:
    first, second = leaving(walk), leaving(walk)

    assert flow_cookie(first).key != flow_cookie(second).key
    for page in (second, first):  # in any order, in one browser
        assert walk.come_back(walk.provider.approve(walk.way_out(page))).status_code == 303


def test_the_cookie_goes_when_the_sign_in_is_over(walk: Any) -> None:
    page = leaving(walk)
    answer = walk.come_back(walk.provider.approve(walk.way_out(page)))

    assert flow_cookie(answer).key == flow_cookie(page).key
    assert flow_cookie(answer)["max-age"] == "0"


def test_where_the_application_owns_the_origin_nobody_else_can_set_the_cookie(practice: Any) -> None:
    app = create_app(practice.valet, base_url="https://connect.example.com")
    practice.provider.allow_redirect("https://connect.example.com/callback/notes")
    transport = httpx2.ASGITransport(app=app)
    session = signed_in(app)

    async def walk() -> httpx2.Response:
        cookies = {"__Host-valetkey": session.token.reveal()}
        async with httpx2.AsyncClient(
            transport=transport, base_url="https://connect.example.com", cookies=cookies
        ) as client:
            return await client.post(
                "/console/connect/notes",
                data={"csrf": session.csrf, "whose": "own"},
                headers={"Origin": "https://connect.example.com"},
            )

    answer = asyncio.run(walk())
    cookie = flow_cookie(answer)
    assert cookie.key.startswith("__Host-valetkey_flow_")
    assert cookie["secure"]
    assert cookie["path"] == "/"
    assert "redirect_uri=https%3A%2F%2Fconnect.example.com%2Fcallback%2Fnotes" in answer.text


@pytest.mark.parametrize("spelling", ["localhost", "127.0.0.1"])
def test_a_provider_may_call_this_machine_by_another_name(practice: Any, spelling: str) -> None:
    """The browser keeps its cookies under the name by which it began: it is led back there."""
    practice.declare("spelt", loopback_host=spelling)
    practice.valet._core.base_url = None
    app = create_app(practice.valet)
    session = signed_in(app)
    practice.provider.allow_redirect(f"http://{spelling}:8123/callback/spelt")

    async def walk() -> tuple[httpx2.Response, httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport) as client:
            here = "http://127.0.0.1:8123"
            client.cookies.set(app.state.server.settings.cookie, session.token.reveal(), domain="127.0.0.1")
            left = await client.post(
                f"{here}/console/connect/spelt",
                data={"csrf": session.csrf, "whose": "own"},
                headers={"Origin": here},
            )
            out = left.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
            first = await client.get(practice.provider.approve(out))
            onward = first.headers["location"]
            return first, await client.get(onward) if onward.startswith("http") else first

    first, second = asyncio.run(walk())
    assert first.url.host == spelling
    assert second.url.host == "127.0.0.1"
    assert second.headers["location"].startswith("/console/connections/con_")


@pytest.mark.scenario(2)
def test_a_mounted_application_connects_below_its_path(practice: Any) -> None:
    inner = create_app(practice.valet, base_url="https://app.example.com/keys")
    outer = Starlette(routes=[Mount("/keys", inner)])
    practice.provider.allow_redirect("https://app.example.com/keys/callback/notes")
    session = signed_in(inner)

    async def walk() -> tuple[httpx2.Response, httpx2.Response]:
        transport = httpx2.ASGITransport(app=outer)
        async with httpx2.AsyncClient(transport=transport, base_url="https://app.example.com") as client:
            client.cookies.set(inner.state.server.settings.cookie, session.token.reveal(), domain="app.example.com")
            left = await client.post(
                "/keys/console/connect/notes",
                data={"csrf": session.csrf, "whose": "own"},
                headers={"Origin": "https://app.example.com"},
            )
            out = left.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
            return left, await client.get(practice.provider.approve(out))

    left, back = asyncio.run(walk())
    assert flow_cookie(left)["path"] == "/keys"
    assert back.headers["location"].startswith("/keys/console/connections/con_")
