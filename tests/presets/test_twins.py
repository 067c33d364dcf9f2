"""Every preset that comes along: connected, used, refreshed and disconnected at a twin of its provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.everywhere import Everywhere
from shared.twin import CLIENT_ID, CLIENT_SECRET, Twin
from valetkey import AsyncValet, Valet
from valetkey.model.presets import BUILT_IN, load_preset
from valetkey.model.wiring import Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import FakeClock

IDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


class Life:
    """A valet, over either facade, that knows one provider: its twin."""

    def __init__(self, preset: str, folder: Path, colour: Any) -> None:
        rules = load_preset(preset).url_params.items()
        examples = {name: rule.example or rule.default for name, rule in rules if not rule.optional}
        wiring, secrets = Wiring(), MemorySecrets()
        credential = wiring.oauth2_credential(preset=preset, params=examples)
        secrets.set(credential.secret_id, json.dumps({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}))
        self.name = credential.name
        self.clock = FakeClock()
        self.twin = Twin(credential, self.clock.now)
        self._raw = (Valet if colour.name == "sync" else AsyncValet)(
            folder / "valetkey.db",
            key=folder / "key",
            wiring=wiring,
            secrets=secrets,
            base_url="https://app.example",
            clock=self.clock,
        )
        self.valet = colour.blocking(self._raw)

    def connect(self) -> Any:
        start = self.valet.authorize(self.name, params=self.twin.places.given)
        return self.valet.finish(self.twin.approve(start.url), binding=start.binding)

    def call(self) -> int:
        answer = self.valet.client(self.name).get("/things")
        assert str(answer.url) == f"{self.twin.credential.api_base_url.rstrip('/')}/things"
        return int(answer.status_code)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    server = Everywhere(tmp_path_factory.mktemp("authority"))
    yield server
    server.close()


@pytest.fixture
def life(
    request: pytest.FixtureRequest,
    everywhere: Everywhere,
    tmp_path: Path,
    colour: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Life]:
    for name, value in everywhere.variables.items():
        monkeypatch.setenv(name, value)
    found = Life(request.param, tmp_path, colour)
    everywhere.answer = found.twin.answer
    yield found
    found.valet.close()


@pytest.mark.parametrize("life", IDS, indirect=True)
def test_a_whole_life(life: Life) -> None:
    connected = life.connect()
    assert (connected.state, life.twin.refusals) == ("connected", [])
    if life.twin.credential.userinfo_url:
        assert connected.identity is not None
        assert connected.identity.subject == "the-subject"
    needed = life.twin.places.needed
    assert {name: connected.params.get(name) for name in needed} == needed
    assert connected.hint == ""
    assert life.call() == 200

    if life.twin.refreshes:
        life.clock.advance(3601)
        assert life.call() == 200
        assert life.twin.seen["token"] == 2

    done = life.valet.disconnect(life.name)
    assert life.twin.refusals == []
    assert bool(life.twin.live) != bool(life.twin.credential.revocation_url)
    assert bool(done.revoked) == bool(life.twin.credential.revocation_url)
