"""Every preset that comes along: connected, used, refreshed and disconnected at a twin of its provider."""

from __future__ import annotations

import pytest

from shared.life import Life, tells
from valetkey.model.presets import BUILT_IN

IDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


@pytest.mark.parametrize("life", IDS, indirect=True)
def test_a_whole_life(life: Life) -> None:
    connected = life.connect()
    assert (connected.state, life.twin.refusals) == ("connected", [])
    declared = life.twin.credential
    assert connected.missing == (), "what is answered in another form than asked was granted all the same"
    assert (connected.identity.subject if connected.identity else "") == ("the-subject" if tells(declared) else "")
    needed = life.twin.places.needed
    assert {name: connected.params.get(name) for name in needed} == needed
    assert connected.hint == ""
    assert life.call() == 200
    assert life.twin.seen["long_lived"] == bool(declared.long_lived_url)

    if life.twin.refreshes and (declared.renews_by_access_token or not declared.long_lived_url):
        life.clock.advance(life.twin.lifetime * 0.95 if declared.renews_by_access_token else life.twin.lifetime + 1)
        assert life.call() == 200
        assert life.twin.seen["token"] == 2

    done = life.valet.disconnect(life.name)
    assert life.twin.refusals == []
    assert bool(life.twin.live) != bool(life.twin.credential.revocation_url)
    assert bool(done.revoked) == bool(life.twin.credential.revocation_url)
