"""Who comes in: an API key in its header and nothing else, within its scopes, limits, networks and rate."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from valetkey.engine.api_keys import SCOPES

DAY = 86400.0
NEEDED = [
    ("read", "GET", "/credentials"),
    ("read", "GET", "/credentials/notes"),
    ("read", "GET", "/connections"),
    ("read", "GET", "/connections/{id}"),
    ("read", "GET", "/events"),
    ("read", "GET", "/events/stream"),
    ("read", "GET", "/providers"),
    ("read", "GET", "/providers/github"),
    ("read_secret", "POST", "/connections/{id}/token"),
    ("refresh", "POST", "/connections/{id}/refresh"),
    ("connect", "POST", "/connections/{id}/look-up"),
    ("connect", "POST", "/connections/{id}/disconnect"),
    ("connect", "POST", "/connect-sessions"),
    ("connect", "GET", "/connect-sessions/{session}"),
    ("connect", "POST", "/connect-sessions/{session}/confirm"),
    ("connect", "POST", "/connect-sessions/{session}/withdraw"),
    ("manage", "PATCH", "/connections/{id}"),
    ("manage", "POST", "/connections/import"),
    ("manage", "POST", "/owners/forget"),
]
BODIES: dict[str, Any] = {
    "/connections/{id}": {"tags": {"a": "b"}},
    "/connections/import": {"rows": [{"credential": "notes"}]},
    "/owners/forget": {"owner": "ada"},
    "/connect-sessions": {"credential": "notes", "owner": "ada", "confirm": False},
    "/connect-sessions/{session}/confirm": {"owner": "ada", "code": "x"},
}


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def test_every_operation_is_in_the_table(api: Any) -> None:
    document = api.program("read").get("/openapi.json").json()
    there = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}

    names = {"{id}": "{connection_id}", "{session}": "{session_id}", "/notes": "/{name}", "/github": "/{preset_id}"}
    told: set[tuple[str, str]] = set()
    for _, method, path in NEEDED:
        full = path
        for ours, name in names.items():
            full = full.replace(ours, name)
        told.add((method, full))
    assert told == there


@pytest.mark.parametrize(("scope", "method", "path"), NEEDED)
def test_one_scope_opens_an_operation_and_no_other_does(api: Any, scope: str, method: str, path: str) -> None:
    connection = api.practice.connect("notes", owner="ada").connection_id
    maker = api.program("connect")
    made = maker.post("/connect-sessions", json=BODIES["/connect-sessions"]).json()
    address = path.format(id=connection, session=made["id"])
    others = api.program(*(set(SCOPES) - {scope}))

    refused = others.http.request(method, address, json=BODIES.get(path))
    assert problem(refused) == (403, "api_key_scope_missing")
    assert f'scope="{scope}"' in refused.headers["www-authenticate"]
    program = maker if path.endswith("/confirm") else api.program(scope)
    with program.http.stream(method, address, json=BODIES.get(path)) as allowed:
        expected = {
            "/connect-sessions": 201,
            "/connect-sessions/{session}/confirm": 409,
            "/connections/{id}/look-up": 409,
        }
        assert allowed.status_code == expected.get(path, 200)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Basic dms6dms=", id="another scheme"),
        pytest.param("Bearer", id="no key"),
        pytest.param("vk_00000000_0000000000000000000000000000000000000000000", id="no scheme"),
    ],
)
def test_without_a_key_nobody_comes_in(site: Any, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = httpx2.get(f"{site.base}/v1/connections", headers=headers)

    assert problem(answer) == (401, "api_key_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="valetkey"'


def test_what_is_no_key_of_ours_is_refused_with_one_answer(api: Any) -> None:
    revoked, ended, good = api.program("read"), api.program("read", life=DAY), api.program("read")
    api.keys.revoke(revoked.key.id)
    api.practice.clock.advance(DAY)
    wrong = good.secret[:-1] + ("A" if good.secret[-1] != "A" else "B")
    texts = [revoked.secret, ended.secret, wrong, "vk_", "x" * 5000, "vk_00000000_" + "0" * 43]

    answers = [
        httpx2.get(f"{api.site.base}/v1/connections", headers={"Authorization": f"Bearer {text}"}) for text in texts
    ]

    assert {problem(answer) for answer in answers} == {(401, "api_key_refused")}
    assert len({answer.content for answer in answers}) == 1
    assert good.get("/connections").status_code == 200


def test_two_authorization_headers_are_none(api: Any) -> None:
    program = api.program("read")

    answer = httpx2.get(f"{api.site.base}/v1/connections", headers=[("Authorization", f"Bearer {program.secret}")] * 2)

    assert problem(answer) == (401, "api_key_missing")


def test_a_session_of_the_console_does_not_open_the_api(site: Any) -> None:
    operator = site.operator()
    assert operator.get("/console/connections").status_code == 200

    assert operator.get("/v1/connections").status_code == 401
    headers = {"Origin": site.base, "Content-Type": "application/json"}
    assert operator.client.post("/v1/owners/forget", json={"owner": "ada"}, headers=headers).status_code == 401


def test_a_key_is_taken_from_its_networks_only(api: Any) -> None:
    assert problem(api.program("read", networks=["10.4.0.0/24"]).get("/connections")) == (403, "api_key_elsewhere")
    assert api.program("read", networks=["127.0.0.0/8"]).get("/connections").status_code == 200


def test_a_key_calls_as_often_as_it_may_and_then_waits_for_the_minute(api: Any) -> None:
    connection = api.practice.connect("notes").connection_id
    busy, other = api.program("read_secret", rate=3), api.program("read_secret", rate=3)

    assert [busy.token(connection).status_code for _ in range(3)] == [200, 200, 200]
    answer = busy.token(connection)
    assert problem(answer) == (429, "rate_exceeded")
    assert int(answer.headers["retry-after"]) == 60
    assert answer.json()["retry_after"] == 60.0
    assert other.token(connection).status_code == 200
    api.practice.clock.advance(60)
    assert busy.token(connection).status_code == 200


def test_the_last_use_of_a_key_is_noted(api: Any) -> None:
    program = api.program("read")

    program.get("/connections")

    (key,) = api.keys.list()
    assert key.last_used_at == api.practice.clock.now()


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario(14)
def test_what_is_beyond_the_limits_looks_as_if_it_were_not_there(api: Any) -> None:
    api.practice.declare("mail")
    mine = api.practice.connect("notes", owner="ada").connection_id
    theirs = [
        api.practice.connect("notes", owner="bob").connection_id,
        api.practice.connect("mail", owner="ada").connection_id,
        api.practice.connect("notes").connection_id,
    ]
    program = api.program(owners=["ada"], credentials=["notes"])

    assert program.ids() == [mine]
    assert program.get(f"/connections/{mine}").status_code == 200
    for method, path in [(m, p) for _, m, p in NEEDED if p.startswith("/connections/{id}")]:
        body = BODIES.get(path)
        missing = program.http.request(method, path.format(id="con_aaaaaaaaaaaaaaaaaaaa"), json=body)
        assert problem(missing) == (404, "resource_unknown")
        for hidden in theirs:
            answer = program.http.request(method, path.format(id=hidden), json=body)
            assert (answer.status_code, answer.content) == (404, missing.content)
            assert dict(answer.headers).keys() == dict(missing.headers).keys()
    assert program.get("/credentials/mail").content == program.get("/credentials/nobody").content
    assert [item["name"] for item in program.get("/credentials").json()["items"]] == ["notes"]
    assert {event["connection_id"] for event in program.get("/events").json()["items"]} == {mine}
    assert problem(program.get("/events", params={"connection": theirs[0]})) == (404, "resource_unknown")
    assert [problem(program.post("/owners/forget", json={"owner": owner}))[0] for owner in ("ada", "bob")] == [403, 403]
    assert all(api.core.store.find(connection).state == "connected" for connection in (mine, *theirs))


@pytest.mark.parametrize(
    ("limits", "query", "wanted"),
    [
        pytest.param({}, {}, "m-a m-b n-a n-b n-c n-own", id="no limits"),
        pytest.param({"owners": ["a", "c"]}, {}, "m-a n-a n-c", id="two owners"),
        pytest.param({"owners": ["a", "b"], "credentials": ["mail", "none"]}, {}, "m-a m-b", id="both"),
        pytest.param({"credentials": ["notes", "mail"]}, {"owner": "b"}, "m-b n-b", id="a filter within"),
        pytest.param({"owners": ["a"]}, {"owner": "b"}, "", id="a filter beyond"),
        pytest.param({"owners": ["a"]}, {"own": True}, "", id="the program's own, beyond"),
        pytest.param({"credentials": ["mail"]}, {"credential": "notes"}, "", id="a credential beyond"),
        pytest.param({"credentials": ["notes"]}, {"own": True}, "n-own", id="the program's own"),
    ],
)
def test_pages_of_a_limited_key_hold_all_that_it_sees_once(
    api: Any, limits: dict[str, Any], query: dict[str, Any], wanted: str
) -> None:
    api.practice.declare("mail")
    there = {
        f"{name[0]}-{owner or 'own'}": api.practice.connect(name, owner=owner).connection_id
        for name, owner in [
            ("mail", "a"),
            ("mail", "b"),
            ("notes", "a"),
            ("notes", "b"),
            ("notes", "c"),
            ("notes", None),
        ]
    }

    program = api.program("read", **limits)

    for limit in (1, 2, 3, 100):
        found = program.ids(limit=limit, **query)
        assert sorted(found) == sorted(there[name] for name in wanted.split())
        assert len(found) == len(set(found))


def test_a_key_without_identities_learns_none(api: Any) -> None:
    connection = api.practice.connect("notes", owner="u-17", login="ada").connection_id
    program = api.program("read", identities=False)

    shown = [program.get(path) for path in ("/connections", f"/connections/{connection}", "/events")]

    assert all(answer.status_code == 200 for answer in shown)
    assert "ada" not in "".join(answer.text for answer in shown)
    assert problem(program.get("/connections", params={"search": "ada"})) == (403, "api_key_limited")
