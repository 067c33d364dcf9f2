"""What the operations do, over a real server and a practice provider."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from valetkey.errors import StoreUnavailable
from valetkey.model.connections import Event
from valetkey.server.api import finding
from valetkey.server.api.models import MOST_TAGS

HOUR = 3600.0


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def notes(api: Any) -> str:
    """Connect Ada's notes; return the connection's id."""
    connection: str = api.practice.connect("notes", owner="ada").connection_id
    return connection


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_works_at_the_api_it_is_for(api: Any, notes: str) -> None:
    answer = api.program("read_secret").token(notes)

    token = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (token["token_type"], token["scope"]) == ("Bearer", "notes.read notes.write")
    assert token["header"] == "Authorization: Bearer {token}"
    assert token["expires_at"] == api.practice.clock.now() + HOUR
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx2.get(f"http://{token['api_hosts'][0]}/me", headers=headers).status_code == 200


def test_a_token_says_which_header_it_goes_in(api: Any) -> None:
    api.practice.declare("shop", token_header="X-Shop-Access-Token: {token}")
    connection = api.practice.connect("shop", owner="ada").connection_id

    assert api.program("read_secret").token(connection).json()["header"] == "X-Shop-Access-Token: {token}"


def test_an_expired_token_is_refreshed_and_a_valid_one_is_not(api: Any, notes: str) -> None:
    program = api.program("read_secret")
    first = program.token(notes).json()
    assert program.token(notes).json() == first

    api.practice.clock.advance(HOUR)
    second = program.token(notes).json()

    assert second["access_token"] != first["access_token"]
    assert second["expires_at"] == first["expires_at"] + HOUR
    assert api.practice.provider.refreshes == 1


def test_a_hundred_that_ask_at_once_make_one_refresh(api: Any, notes: str) -> None:
    program = api.program("read_secret")
    api.practice.clock.advance(HOUR + 1)
    together = threading.Barrier(100)

    def ask(_: int) -> tuple[int, str]:
        with httpx2.Client(base_url=program.http.base_url, headers=program.http.headers, timeout=60) as client:
            together.wait(30)
            answer = client.post(f"/connections/{notes}/token")
            return answer.status_code, answer.json().get("access_token")

    with ThreadPoolExecutor(100) as pool:
        answers = Counter(pool.map(ask, range(100)))

    assert list(answers.values()) == [100]
    assert next(iter(answers))[0] == 200
    provider = api.practice.provider
    assert (provider.refreshes, provider.refresh_requests, provider.reuses) == (1, 1, 0)


def test_others_are_served_while_a_provider_takes_its_time(api: Any, notes: str) -> None:
    program = api.program()
    api.practice.clock.advance(HOUR + 1)
    hold = api.practice.provider.hold()

    def ask(_: int) -> int:
        address = f"{program.http.base_url}connections/{notes}/token"
        return httpx2.post(address, headers=program.http.headers, timeout=60).status_code

    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(ask, number) for number in range(60)]  # more than the server has threads
        hold.wait_for()
        assert program.get("/connections").status_code == 200
        assert program.get(f"/connections/{notes}").status_code == 200
        assert not any(one.done() for one in waiting)
        hold.release()
        assert {one.result() for one in waiting} == {200}


def test_scopes_that_were_not_granted_are_a_problem_and_no_token(api: Any, notes: str) -> None:
    program = api.program("read_secret")

    assert program.token(notes, json={"scopes": ["notes.read"]}).status_code == 200
    answer = program.token(notes, json={"scopes": ["notes.read", "notes.admin"]})
    assert problem(answer) == (409, "scopes_missing")
    assert "access_token" not in answer.text


def test_a_dead_grant_is_a_conflict_that_says_who_must_act(api: Any, notes: str) -> None:
    program = api.program()
    api.practice.provider.revoke("ada")
    api.practice.clock.advance(HOUR + 1)

    answer = program.token(notes)

    assert problem(answer) == (409, "reauthorization_required")
    assert answer.json()["reason"] == "revoked"
    assert answer.json()["hint"].startswith("run: valetkey connect notes --owner ada")
    assert program.get(f"/connections/{notes}").json()["state"] == "needs_reauth"


def test_a_provider_that_is_down_is_told_with_when_to_try_again(api: Any, notes: str) -> None:
    program = api.program()
    api.practice.clock.advance(HOUR + 1)
    api.practice.provider.fail_next(status=503, retry_after=30)

    answer = program.token(notes)

    assert problem(answer) == (503, "provider_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["retry_after"] > 0
    assert program.get(f"/connections/{notes}").json()["state"] == "refresh_failing"


def test_an_app_that_is_not_there_is_a_conflict(api: Any, notes: str) -> None:
    program = api.program()
    api.practice.secrets.delete("notes-app-credentials")
    api.practice.clock.advance(HOUR + 1)

    assert problem(program.token(notes)) == (409, "app_missing")
    assert program.get(f"/connections/{notes}").json()["state"] == "app_error"
    assert program.get("/credentials/notes").json()["trouble"] == "app_missing"


# -- refresh, disconnect, forget ---------------------------------------------------------------------------------------


def test_refresh_spends_one_refresh_token_and_tells_no_token(api: Any, notes: str) -> None:
    answer = api.program("refresh").post(f"/connections/{notes}/refresh")

    assert answer.status_code == 200
    assert answer.json()["last_refresh_at"] == api.practice.clock.now()
    assert api.practice.provider.refreshes == 1
    assert api.core.store.list_events(env="test", newest_first=True)[0].actor == "API key a program"
    assert not any(token in answer.text for token in api.practice.provider.tokens_ever_issued())


def test_disconnect_revokes_and_can_be_repeated(api: Any, notes: str) -> None:
    program = api.program()

    first = program.post(f"/connections/{notes}/disconnect")
    again = program.post(f"/connections/{notes}/disconnect")

    assert set(first.json()["revoked"]) == {"refresh_token", "access_token"}
    assert api.practice.provider.live_grants == 0
    assert (again.status_code, again.json()["revoked"]) == (200, [])
    assert program.get(f"/connections/{notes}").json()["state"] == "disconnected"
    assert problem(program.token(notes)) == (409, "not_connected")
    actors = {event["kind"]: event["actor"] for event in program.get("/events").json()["items"]}
    assert actors["disconnected"] == "API key a program"


def test_a_forgotten_owner_is_gone(api: Any, notes: str) -> None:
    other = api.practice.connect("notes", owner="bob").connection_id
    program = api.program()

    answer = program.post("/owners/forget", json={"owner": "ada"})

    assert [set(one["revoked"]) for one in answer.json()["connections"]] == [{"refresh_token", "access_token"}]
    assert problem(program.get(f"/connections/{notes}")) == (404, "resource_unknown")
    assert program.ids() == [other]
    assert program.post("/owners/forget", json={"owner": "ada"}).json() == {"connections": []}


def test_a_dry_run_says_what_would_happen_and_changes_nothing(api: Any, notes: str) -> None:
    program = api.program()

    single = program.post(f"/connections/{notes}/disconnect", json={"dry_run": True}).json()
    (forgotten,) = program.post("/owners/forget", json={"owner": "ada", "dry_run": True}).json()["connections"]

    single_lines, lines = single["would"].pop("lines"), forgotten["would"].pop("lines")
    assert single == forgotten
    assert {line["place"] for line in lines} == {line["place"] for line in single_lines} - {"stays"}
    assert (single["revoked"], single["would"]["revokes"], single["would"]["reach"]) == ([], True, "grant")
    assert single["would"]["lives_until"] == api.practice.clock.now() + HOUR
    assert {line["place"] for line in single_lines} >= {"provider", "here", "stays"}
    assert "1 API key loses its tokens" in {line["text"] for line in single_lines}
    assert program.get(f"/connections/{notes}").json()["state"] == "connected"
    assert api.practice.provider.revocations == 0


def test_a_limited_key_does_not_learn_whom_else_a_revocation_would_end(api: Any) -> None:
    api.practice.declare("wide", revocation_reach="user")
    mine = api.practice.connect("wide", owner="ada").connection_id
    api.practice.connect("wide", owner="canary-bob")
    program = api.program(owners=["ada"])

    would = program.post(f"/connections/{mine}/disconnect", json={"dry_run": True})
    seen = api.program().post(f"/connections/{mine}/disconnect", json={"dry_run": True})
    assert "canary-bob" in seen.text
    assert [one["name"] for one in seen.json()["would"]["api_keys"]] == ["a program", "a program"]
    done = program.post(f"/connections/{mine}/disconnect")

    assert (would.status_code, done.status_code) == (200, 200)
    assert (would.json()["would"]["revokes"], would.json()["would"]["api_keys"]) == (False, [])
    assert "a program" not in would.text + done.text
    assert "another connection" in done.json()["told"]
    assert "canary-bob" not in would.text + done.text


# -- tags and import ---------------------------------------------------------------------------------------------------


def test_tags_are_set_removed_and_kept(api: Any, notes: str) -> None:
    program = api.program()

    def change(**tags: str | None) -> Any:
        return program.patch(f"/connections/{notes}", json={"tags": tags})

    assert change(team="sales", tier="gold").json()["tags"] == {"team": "sales", "tier": "gold"}
    assert change(team=None, region="eu").json()["tags"] == {"tier": "gold", "region": "eu"}
    assert change(team=None).json()["tags"] == {"tier": "gold", "region": "eu"}
    many: dict[str, str | None] = {f"t{n}": "x" for n in range(MOST_TAGS - 1)}
    assert problem(change(**many)) == (422, "tags_full")
    api.practice.clock.advance(HOUR + 1)
    assert program.token(notes).status_code == 200
    assert program.get(f"/connections/{notes}").json()["tags"] == {"tier": "gold", "region": "eu"}


def test_grants_are_imported_once(api: Any) -> None:
    row = {"credential": "notes", "owner": "u-17", "access_token": "canary-at", "refresh_token": "canary-rt"}
    program = api.program()

    def imported(**options: Any) -> Any:
        answer = program.post("/connections/import", json={"rows": [row, {"credential": "nobody"}], **options})
        assert answer.status_code == 200, answer.text
        assert "canary" not in answer.text
        return [told["outcome"] for told in answer.json()["rows"]]

    assert imported(dry_run=True) == ["created", "invalid"]
    assert program.ids() == []
    assert imported() == ["created", "invalid"]
    assert imported() == ["skipped", "invalid"]
    (connection,) = program.ids(owner="u-17")
    assert program.token(connection).json()["access_token"] == "canary-at"


def test_a_limited_key_imports_nothing_where_one_row_is_beyond_it(api: Any) -> None:
    rows = [
        {"credential": "notes", "owner": owner, "access_token": "a", "refresh_token": "b"} for owner in ("ada", "bob")
    ]

    answer = api.program(owners=["ada"]).post("/connections/import", json={"rows": rows})

    assert problem(answer) == (403, "api_key_limited")
    assert api.program().ids() == []


# -- looking -----------------------------------------------------------------------------------------------------------


def test_filters_find_what_they_say(api: Any, notes: str) -> None:
    own = api.practice.connect("notes", login="bob").connection_id
    less = api.practice.connect("notes", owner="eve", scopes=["notes.read"], login="eve").connection_id
    program = api.program()
    program.post(f"/connections/{less}/disconnect")

    assert program.ids(owner="ada") == [notes]
    assert program.ids(own=True) == [own]
    assert program.ids(state="disconnected") == [less]
    assert program.ids(search="BOB@") == [own]
    assert program.ids(credential="nobody") == []
    assert sorted(program.ids()) == sorted([notes, own, less])


def test_connections_are_found_by_the_state_that_they_are_told_to_be_in(
    api: Any, notes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = api.core.store.find(notes)
    ends = api.core.clock.now() + 3600
    for number in range(3):
        short = f"con_short{number}0000000000000"
        key = replace(record.key, owner=f"short{number}")
        api.core.store.create(replace(record, id=short, key=key, refreshable=False, expires_at=ends))
    lost = replace(record, id="con_lost0000000000000000", key=replace(record.key, credential="lost"))
    api.core.store.create(lost)
    program = api.program()
    monkeypatch.setattr(finding, "LOOKED_AT", 1)  # each page looks at little, and none is missing in the end

    assert len(program.ids(state="expires_soon", limit=2)) == 3
    assert program.ids(state="connected", limit=2) == [notes]
    assert program.ids(state="app_error", limit=2) == [lost.id]
    assert api.program(owners=["short1"]).ids(state="expires_soon") == ["con_short10000000000000"]
    refused = program.get("/connections", params={"state": "fine"})
    assert [one["where"] for one in refused.json()["errors"]] == ["query.state"]


def test_a_connection_that_nobody_declares_any_more_hides_no_other(api: Any, notes: str) -> None:
    record = api.core.store.find(notes)
    lost = replace(record, id="con_lost0000000000000000", key=replace(record.key, credential="lost"))
    api.core.store.create(lost)
    program = api.program()

    states = {item["id"]: (item["state"], item["reason"]) for item in program.get("/connections").json()["items"]}

    assert states == {notes: ("connected", ""), lost.id: ("app_error", "credential_unknown")}
    assert problem(program.token(lost.id)) == (409, "credential_unknown")


def test_a_cursor_of_nobody_is_refused(api: Any) -> None:
    program = api.program()

    for cursor in ("x", "0", "1.", "99999.", "0.nonsense", "²."):
        assert program.get("/connections", params={"cursor": cursor}).status_code == 422, cursor


def test_events_are_filtered_by_time_kind_origin_and_text(api: Any) -> None:
    core, now = api.core, api.core.clock.now()
    told = [(40.0, "connected", "command"), (8.0, "refreshed", "worker"), (2.0, "refreshed", "API key crm")]
    for days, kind, actor in told:
        detail = {"description": "Ada said so"} if days == 8.0 else {}
        at = now - days * 86400
        event = Event(kind=kind, at=at, env="test", credential="notes", owner="Ada", actor=actor, detail=detail)
        core.store.append_event(event)
    program = api.program("read")

    def found(program: Any, **params: Any) -> list[str]:
        items = program.get("/events", params={"owner": "Ada", **params}).json()["items"]
        return [event["origin"] for event in items]

    assert found(program) == ["command", "worker", "api_key"]
    assert found(program, kind="refreshed") == ["worker", "api_key"]
    assert found(program, since=now - 9 * 86400) == ["worker", "api_key"]
    assert found(program, since=now - 9 * 86400, until=now - 3 * 86400) == ["worker"]
    assert found(program, origin="command", credential="notes") == ["command"]
    assert found(program, search="SAID SO") == ["worker"]
    assert found(api.program("read", identities=False), search="said so") == []  # it may not read that either
    assert problem(program.get("/events", params={"origin": "moon"}))[0] == 422
    assert problem(program.get("/events", params={"since": "yesterday"}))[0] == 422


def test_events_are_read_in_pages_and_nothing_twice(api: Any, notes: str) -> None:
    program = api.program()
    for _ in range(3):
        program.post(f"/connections/{notes}/refresh")
        api.practice.clock.advance(120)
    seen: list[Any] = []
    after, more = 0, True  # the first are of the connection and of the key
    while more:
        page = program.get("/events", params={"after": after, "limit": 2}).json()
        seen += page["items"]
        after, more = page["after"], page["more"]

    assert [event["kind"] for event in seen] == ["connected", "api_key_made", "refreshed", "refreshed", "refreshed"]
    assert [event["seq"] for event in seen] == sorted({event["seq"] for event in seen})
    assert program.get("/events", params={"after": after}).json() == {"items": [], "after": after, "more": False}


def test_providers_are_found_by_host(api: Any) -> None:
    program = api.program("read")

    assert "github" in [item["id"] for item in program.get("/providers").json()["items"]]
    found = program.get("/providers", params={"search": "api.github.com"}).json()["items"]
    assert [item["id"] for item in found] == ["github"]
    whole = program.get("/providers/github").json()
    assert {name: whole[name] for name in found[0]} == found[0]
    assert whole["quirks"]
    assert problem(program.get("/providers/nobody")) == (404, "resource_unknown")


# -- the stream --------------------------------------------------------------------------------------------------------


class Stream:
    """A reader of server-sent events."""

    def __init__(self, program: Any, **options: Any) -> None:
        self._open = program.http.stream("GET", "/events/stream", **options)
        self._lines = iter(())

    def __enter__(self) -> Any:
        answer = self._open.__enter__()
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        self._lines = answer.iter_lines()
        return self

    def __exit__(self, *gone: object) -> None:
        self._open.__exit__(*gone)

    def next(self) -> dict[str, str]:
        """Return the members of the next event; comments are passed over."""
        members: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line and not line.startswith((":", "retry")):
                members[name] = value
            elif not line and members:
                return members
        return members


def test_a_stream_tells_what_happens_and_goes_on_where_it_was(api: Any, notes: str) -> None:
    program = api.program()
    with Stream(program, params={"after": 0}) as stream:
        first = stream.next()
        assert first["event"] == "connected"
        assert json.loads(first["data"])["connection_id"] == notes
        assert stream.next()["event"] == "api_key_made"
        program.post(f"/connections/{notes}/refresh")
        second = stream.next()
        assert second["event"] == "refreshed"
    program.post(f"/connections/{notes}/disconnect")

    with Stream(program, headers={"Last-Event-ID": second["id"]}) as stream:
        assert [stream.next()["event"] for _ in range(2)] == ["disconnected", "revoked"]


def test_a_stream_shows_a_limited_key_its_own(api: Any) -> None:
    api.practice.connect("notes", owner="bob")
    api.practice.connect("notes", owner="ada")

    with Stream(api.program(owners=["ada"]), params={"after": 0}) as stream:
        assert json.loads(stream.next()["data"])["owner"] == "ada"


def test_a_stream_ends_when_its_key_is_revoked(api: Any) -> None:
    program = api.program("read")
    with Stream(program) as stream:
        api.keys.revoke(program.key.id)
        while told := stream.next():  # it may look in the very moment, and see that, but nothing later
            assert told["event"] == "api_key_revoked"


def test_a_stream_ends_when_the_store_is_away_and_nothing_is_missed(
    api: Any, notes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = api.program()

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store does not answer")

    with Stream(program, params={"after": 0}) as stream:
        first = stream.next()
        with monkeypatch.context() as context:
            context.setattr(type(api.core.store), "change_mark", away)
            while stream.next():
                pass
    program.post(f"/connections/{notes}/disconnect")

    with Stream(program, headers={"Last-Event-ID": first["id"]}) as stream:
        assert [stream.next()["event"] for _ in range(2)] == ["api_key_made", "disconnected"]


def test_streams_beyond_the_room_are_refused_and_rooms_are_given_back(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = api.program("read")
    (mount,) = [route for route in api.site.app.routes if getattr(route, "path", "") == "/v1"]
    monkeypatch.setattr(mount.app.state.streams, "total_tokens", 1)

    with Stream(program):
        answer = program.get("/events/stream")
        assert problem(answer) == (503, "streams_full")
    deadline = time.monotonic() + 20
    while program.get("/events/stream", params={"after": "x"}).status_code == 503:  # until the server saw it go
        assert time.monotonic() < deadline


@pytest.mark.conformance("1 DPoP: scheme and proof")
def test_a_token_that_is_bound_is_not_handed_out(api: Any) -> None:
    api.practice.declare("bound", sender_constraint="dpop")
    connected = api.practice.connect("bound")

    answer = api.program().token(connected.connection_id)

    assert (answer.status_code, answer.json()["code"]) == (409, "token_bound")
    assert "access_token" not in answer.text
