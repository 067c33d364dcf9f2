"""Every preset that comes along: connected, used, refreshed and disconnected at a twin of its provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.life import Life, tells
from valetkey import ReauthorizationRequired
from valetkey.model.presets import BUILT_IN, load_preset

IDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def words_for_dead() -> list[tuple[str, str]]:
    """Return the words by which providers that renew grants say ``invalid_grant``."""
    told = {name: load_preset(name).fields for name in IDS}
    renew = {name: fields for name, fields in told.items() if "refresh_request" in fields or not_for_good(fields)}
    return [
        (name, word)
        for name, fields in renew.items()
        for word, standard in dict(fields.get("error_aliases", {})).items()
        if standard == "invalid_grant"
    ]


def not_for_good(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("rotates_refresh_token")) or not fields.get("never_expires")


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
    assert bool(done.revoked) == bool(declared.revocation_url)
    assert bool(done.may_live) == life.twin.grant.lives, "what may still live is told, and nothing else"


@pytest.mark.parametrize(("life", "word"), words_for_dead(), indirect=["life"])
def test_a_grant_that_ended_at_the_provider_is_known_by_its_own_word(life: Life, word: str) -> None:
    assert life.connect().state == "connected"
    life.twin.words["invalid_grant"] = word
    by_itself = life.twin.credential.renews_by_access_token
    life.clock.advance(life.twin.lifetime * 0.95 if by_itself else life.twin.lifetime + 1)
    life.twin.end()

    with pytest.raises(ReauthorizationRequired):
        life.call()
