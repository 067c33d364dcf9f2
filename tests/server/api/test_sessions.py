"""Connect sessions: a page for one person, made and looked after over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from valetkey.engine.links import link_of_token, note_used

WISH = {"credential": "notes", "owner": "ada", "expires_in": 600, "return_to": "http://127.0.0.1:8421/done"}


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def begun(program: Any, **wish: Any) -> dict[str, Any]:
    answer = program.post("/connect-sessions", json={**WISH, **wish})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_address_is_told_once_and_the_state_as_often_as_asked(api: Any) -> None:
    program = api.program("connect")

    made = begun(program)

    token = made["url"].rpartition("/connect/")[2]
    link = link_of_token(api.core.world, token)
    assert link is not None
    assert (link.id, link.key.owner, link.created_by) == (made["id"], "ada", "API key a program")
    assert made["expires_at"] == api.practice.clock.now() + 600
    shown = program.get(f"/connect-sessions/{made['id']}")
    assert shown.json() == {name: value for name, value in made.items() if name != "url"}
    assert token[24:] not in shown.text


def test_it_tells_which_connection_came_of_it(api: Any) -> None:
    program = api.program()
    made = begun(program)
    connection = api.practice.connect("notes", owner="ada").connection_id

    note_used(api.core.world, made["id"], connection)

    shown = program.get(f"/connect-sessions/{made['id']}").json()
    assert (shown["state"], shown["connection_id"], shown["outcome"]) == ("used", connection, "connected")


def test_a_second_session_takes_the_place_of_the_first(api: Any) -> None:
    program = api.program("connect")
    first, second = begun(program), begun(program)

    states = [program.get(f"/connect-sessions/{made['id']}").json()["state"] for made in (first, second)]
    assert states == ["withdrawn", "not_opened"]


def test_it_is_withdrawn_and_stays_so(api: Any) -> None:
    program = api.program("connect")
    made = begun(program)

    for _ in range(2):
        assert program.post(f"/connect-sessions/{made['id']}/withdraw").json()["state"] == "withdrawn"


def test_it_ends_by_itself(api: Any) -> None:
    program = api.program("connect")
    made = begun(program)

    api.practice.clock.advance(601)

    assert program.get(f"/connect-sessions/{made['id']}").json()["state"] == "expired"


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        pytest.param({"credential": "nobody"}, 404, "resource_unknown", id="no credential"),
        pytest.param({"owner": " "}, 422, "fields_invalid", id="a blank owner"),
        pytest.param({"expires_in": 59}, 422, "fields_invalid", id="too short"),
        pytest.param({"expires_in": 10**9}, 422, "fields_invalid", id="too long"),
        pytest.param({"return_to": "https://attacker.example/"}, 422, "return_url_not_allowed", id="another site"),
        pytest.param({"return_to": "javascript:alert(1)"}, 422, "return_url_invalid", id="no address"),
        pytest.param({"account": "a\nb"}, 422, "fields_invalid", id="a line break"),
        pytest.param({"return_to": None}, 422, "return_url_missing", id="nowhere to come back to be confirmed"),
        pytest.param({"scope": "x"}, 422, "fields_invalid", id="an unknown name"),
    ],
)
def test_what_cannot_be_makes_no_session(api: Any, wish: dict[str, Any], status: int, code: str) -> None:
    answer = api.program("connect").post("/connect-sessions", json={**WISH, **wish})

    assert problem(answer) == (status, code)
    assert answer.json()["detail"]


def test_a_limited_key_makes_and_sees_its_own(api: Any) -> None:
    api.practice.declare("mail")
    other = begun(api.program("connect"), owner="bob")
    program = api.program("connect", owners=["ada"], credentials=["notes"])

    assert begun(program)["owner"] == "ada"
    assert problem(program.post("/connect-sessions", json={**WISH, "owner": "bob"})) == (403, "api_key_limited")
    assert problem(program.post("/connect-sessions", json={**WISH, "owner": None})) == (403, "api_key_limited")
    assert problem(program.post("/connect-sessions", json={**WISH, "credential": "mail"})) == (404, "resource_unknown")
    hidden = program.get(f"/connect-sessions/{other['id']}")
    assert hidden.content == program.get("/connect-sessions/none").content
    assert problem(program.post(f"/connect-sessions/{other['id']}/withdraw")) == (404, "resource_unknown")


@pytest.mark.usefixtures("shops")
def test_it_carries_what_the_connection_has_of_its_own(api: Any) -> None:
    program, wish = api.program("connect"), {"credential": "shop", "owner": "ada"}
    made = begun(program, **wish, params={"shop": "acme"})
    assert made["params"] == {"shop": "acme"}
    link = link_of_token(api.core.world, made["url"].rpartition("/connect/")[2])
    assert link is not None
    assert dict(link.params) == {"shop": "acme"}
    assert begun(program, **wish)["params"] == {}

    for params in ({"shop": "evil.example/"}, {"region": "eu-1"}, {"shpo": "acme"}, {"shop": "a\u202eb"}):
        answer = program.post("/connect-sessions", json={**WISH, **wish, "params": params})
        assert answer.status_code == 422, params
        assert answer.json()["code"] in {"param_invalid", "fields_invalid"}


def test_an_api_key_names_no_host(api: Any) -> None:
    api.practice.wiring.oauth2_credential(
        "anywhere",
        authorization_url="https://{host}/authorize",
        token_url="https://{host}/token",
        url_params=[{"name": "host", "whole_host": True, "optional": True}],
    )
    wish = {**WISH, "credential": "anywhere"}
    program = api.program("connect")

    assert problem(program.post("/connect-sessions", json={**wish, "params": {"host": "evil.example"}})) == (
        422,
        "param_invalid",
    )
    assert problem(program.post("/connect-sessions", json=wish)) == (422, "param_missing")
