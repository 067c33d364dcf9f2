"""A page of connections is read, not each connection of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from valetkey import ClientRejected, ConfigurationError, Valet, ValetkeyError, Wiring
from valetkey.model.connections import ConnectionKey, Record, State
from valetkey.secret_services.memory import MemorySecrets


def test_what_stands_with_an_app_is_read_once_for_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wiring, secrets = Wiring(), MemorySecrets()
    for name in ("github", "slack"):
        declared = wiring.oauth2_credential(
            name, authorization_url="https://as.example/authorize", token_url="https://as.example/token"
        )
        secrets.set(declared.secret_id, '{"client_id": "cid", "client_secret": "no secret"}')
    with Valet(tmp_path / "store.db", wiring=wiring, secrets=secrets, key=tmp_path / "key") as valet:
        token = {"access_token": "a", "expires_in": 3600}
        names = ["github", "slack"] * 5
        valet.import_grants({"credential": name, "owner": str(at), "token": token} for at, name in enumerate(names))
        store, asked = valet._core.store, []
        get = store.get_document

        def counted(kind: str, name: str, **where: Any) -> Any:
            asked.append((kind, name))
            return get(kind, name, **where)

        monkeypatch.setattr(store, "get_document", counted)
        page = valet.connections()
        assert len(page) == len(names)
        assert len(asked) == len(set(asked))
        assert {name for _, name in asked} >= {"github", "slack"}


@pytest.mark.parametrize("state", ["needs_reath", "expired", ""])
def test_a_state_that_is_none_does_not_look_like_nothing(face: Any, state: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no state of a connection") as told:
        face.valet.connections(state=state)

    assert told.value.code == "state_unknown"
    for one in get_args(State):
        assert one in told.value.hint


@pytest.fixture
def in_each_state(face: Any) -> Any:
    """Connections in all seven states, of owners that are called so, beside others that need nothing."""
    practice, provider = face.practice, face.practice.provider
    practice.declare("files", display_name="Files")
    for owner in ("connected", "others", "refresh_failing", "needs_reauth", "disconnected"):
        practice.connect(owner=owner, login=owner)
    practice.connect("files", owner="app_error", login="files")
    provider.omit_refresh_token(1)
    practice.connect(owner="expires_soon", login="soon")
    store, key = practice.valet._core.store, ConnectionKey("test", "notes", "pending")
    store.create(Record(id="con_pending", key=key))
    practice.valet.disconnect("notes", owner="disconnected")
    provider.revoke("needs_reauth")
    for owner, reply in [("needs_reauth", None), ("refresh_failing", {"status": 503})]:
        if reply:
            provider.fail_next(**reply)
        with pytest.raises(ValetkeyError):
            practice.client(owner=owner).refresh()
    provider.fail_next(status=401, error="invalid_client")
    with pytest.raises(ClientRejected):
        practice.client("files", owner="app_error").refresh()
    return face


@pytest.mark.parametrize("state", get_args(State))
def test_connections_are_found_by_each_state_that_is_told(in_each_state: Any, state: State) -> None:
    valet = in_each_state.valet
    wanted = {state} if state != "connected" else {"connected", "others"}

    found = valet.connections(state=state)
    assert {status.state for status in found} == {state}
    assert {status.connection.owner for status in found} == wanted
    everything = [status for status in valet.connections() if status.state == state]
    assert {one.connection_id for one in everything} == {one.connection_id for one in found}
    assert len(valet.connections(state=state, search="nobody")) == 0
    assert len(valet.connections(state=state, credential="files")) == (state == "app_error")


def test_those_in_a_state_are_read_page_by_page(in_each_state: Any) -> None:
    valet, found, cursor = in_each_state.valet, [], None
    while True:
        page = valet.connections(state="connected", limit=1, cursor=cursor)
        found += [status.connection.owner for status in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == ["connected", "others"]
    with pytest.raises(ConfigurationError) as caught:
        valet.connections(state="connected", cursor="7.x")
    assert caught.value.code == "cursor_invalid"
    assert len(valet.connections(state="app_error", credential="notes")) == 0


def test_a_damaged_row_is_told_found_and_counted_alike(practice: Any) -> None:
    bad = practice.connect(owner="bad").connection_id
    practice.connect(owner="good")
    valet = practice.valet
    with closing(sqlite3.connect(valet._core.store.path)) as db, db:
        db.execute("UPDATE connection SET params = '{' WHERE id = ?", (bad,))

    told = {status.connection_id: status for status in valet.connections()}
    assert (told[bad].state, told[bad].reason) == ("needs_reauth", "row_corrupt")
    assert [status.connection_id for status in valet.connections(state="needs_reauth")] == [bad]
    assert [status.connection.owner for status in valet.connections(state="connected")] == ["good"]
    assert valet._core.store.counts(env="test", now=0.0) == {("notes", "needs_reauth"): 1, ("notes", "connected"): 1}


def test_a_limit_of_events_below_one_is_refused(face: Any) -> None:
    for limit in (0, -1):
        with pytest.raises(ConfigurationError) as caught:
            face.valet.events(limit=limit)
        assert caught.value.code == "limit_invalid"
        assert f"limit={limit}" in str(caught.value)
