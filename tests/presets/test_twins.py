"""Every preset that comes along: connected, used, refreshed and disconnected at a twin of its provider."""

from __future__ import annotations

import pytest

from shared.life import Life
from valetkey.model.presets import BUILT_IN

IDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


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
