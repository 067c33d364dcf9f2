"""A page of connections is read, not each connection of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from valetkey import ConfigurationError, Valet, Wiring
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


@pytest.mark.parametrize("state", ["needs_reath", "expires_soon", ""])
def test_a_state_that_is_not_kept_does_not_look_like_nothing(state: Any) -> None:
    with (
        Valet("memory:", wiring=Wiring()) as valet,
        pytest.raises(ConfigurationError, match="is kept") as told,
    ):
        valet.connections(state=state)

    assert told.value.code == "state_unknown"
    assert "needs_reauth" in told.value.hint


def test_a_limit_of_events_below_one_is_refused(face: Any) -> None:
    for limit in (0, -1):
        with pytest.raises(ConfigurationError) as caught:
            face.valet.events(limit=limit)
        assert caught.value.code == "limit_invalid"
        assert f"limit={limit}" in str(caught.value)
