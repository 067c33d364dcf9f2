"""All apps are looked at with a few questions of the store, however many they are, and told as one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey import Valet, Wiring
from valetkey.engine import glance as at_once
from valetkey.engine.app_facts import KIND as APP
from valetkey.engine.glance import glance
from valetkey.engine.secrets import KIND as SECRET
from valetkey.errors import StoreError
from valetkey.model.connections import Document
from valetkey.model.ports import Store
from valetkey.stores.memory import MemoryStore

NAMES = [f"provider-{number}" for number in range(12)]
MISSING, REFUSED, DAMAGED = NAMES[3], NAMES[5], NAMES[7]


@pytest.fixture
def valet(tmp_path: Path) -> Iterator[Valet]:
    """A valet whose apps stand in its store: one is missing, one was refused, what is kept of one is no app."""
    wiring = Wiring()
    for name in NAMES:
        wiring.oauth2_credential(
            name, authorization_url="https://as.example/authorize", token_url="https://as.example/token"
        )
    with Valet(tmp_path / "store.db", wiring=wiring, key=tmp_path / "key") as valet:
        core = valet._core
        for name in NAMES:
            if name != MISSING:
                text = "{" if name == DAMAGED else f'{{"client_id": "{name}", "client_secret": "x"}}'
                core.secret_service.set(core.credential(name).secret_id, text)
        app = core.app(core.credential(REFUSED))
        body = {"fingerprint": app.fingerprint(), "error": "invalid_client", "rejections": 1}
        core.store.put_document(Document(kind=APP, env=core.env, id=REFUSED, body=body))
        token = {"access_token": "a", "expires_in": 3600}
        valet.import_grants({"credential": name, "owner": "ada", "token": token} for name in NAMES)
        yield valet


def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what counts the questions for documents from now on."""
    found: Counter[str] = Counter()
    for name in ("get_document", "list_documents"):
        plain = getattr(store, name)

        def counted(*args: Any, plain: Any = plain, **more: Any) -> Any:
            found[args[0]] += 1
            return plain(*args, **more)

        monkeypatch.setattr(store, name, counted)
    return found


def test_apps_are_looked_at_together(valet: Valet, monkeypatch: pytest.MonkeyPatch) -> None:
    core = valet._core
    counted = asked(core.store, monkeypatch)
    together = core.app_errors()
    assert (counted[APP], counted[SECRET]) == (1, 1)

    monkeypatch.setattr(at_once, "FEW", len(NAMES))
    assert core.app_errors() == together
    assert counted[SECRET] == 1 + len(NAMES)
    assert together == {MISSING: "app_missing", REFUSED: "invalid_client", DAMAGED: "secret_invalid"}


def test_a_page_of_connections_looks_at_their_apps_together(valet: Valet, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = asked(valet._core.store, monkeypatch)
    states = {one.connection.credential: one.state for one in valet.connections()}
    assert (counted[APP], counted[SECRET]) == (1, 1)
    assert {name for name, state in states.items() if state == "app_error"} == {MISSING, REFUSED, DAMAGED}


def test_a_document_is_given_out_once_and_read_anew_then() -> None:
    store = MemoryStore()
    for name in ("a", "b"):
        store.put_document(Document(kind="thing", env="prod", id=name, body={"n": 1}))
    seen = glance(store, "prod", "thing")
    store.put_document(Document(kind="thing", env="prod", id="a", body={"n": 2}))
    store.put_document(Document(kind="thing", env="prod", id="late"))

    first, second = (seen.get_document("thing", "a", env="prod") for _ in range(2))

    assert (first and first.body, second and second.body) == ({"n": 1}, {"n": 2})
    assert [bool(seen.get_document("thing", "late", env="prod")) for _ in range(2)] == [False, True]
    assert seen.get_document("thing", "a") is None
    assert seen.store_id() == store.store_id()


def test_where_there_are_too_many_or_one_is_damaged_each_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    for name in ("a", "b"):
        store.put_document(Document(kind="thing", id=name))
    monkeypatch.setattr(at_once, "MOST", 2)
    assert glance(store, "", "thing").get_document("thing", "a")
    monkeypatch.setattr(at_once, "MOST", 1000)

    def damaged(*_: Any, **__: Any) -> Any:
        raise StoreError("damaged", code=code, hint="none")

    monkeypatch.setattr(store, "list_documents", damaged)
    code = "row_corrupt"
    assert glance(store, "", "thing").get_document("thing", "b")
    code = "store_io"
    with pytest.raises(StoreError):
        glance(store, "", "thing")
