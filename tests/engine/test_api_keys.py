"""API keys: made once, found by their secret, limited, and gone when revoked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from valetkey.engine.api_keys import KIND, NOTED_EVERY, SHOWN_AFTER_END, ApiKeys
from valetkey.engine.disconnect import forget
from valetkey.errors import ConfigurationError
from valetkey.stores.memory import MemoryStore
from valetkey.testing import FakeClock

DAY = 86400.0


class Desk:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.keys = ApiKeys(self.store, self.clock, "test")


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.close()


def test_a_key_is_found_by_its_whole_text_and_nothing_less(desk: Desk) -> None:
    key, secret = desk.keys.add("crm", ["read"])
    text = secret.reveal()

    assert text.startswith(f"{key.prefix}_")
    assert desk.keys.find(text) == key
    other = text[:-1] + ("A" if text[-1] != "A" else "B")
    for wrong in (other, text[:-1], key.prefix, f"{key.prefix}_", text.upper(), f" {text}", "", "vk__", "vk_é_é"):
        assert desk.keys.find(wrong) is None, wrong


def test_only_a_hash_is_kept(desk: Desk) -> None:
    key, secret = desk.keys.add("crm", ["read"])

    (document,) = desk.store.list_documents(KIND, env="test")
    assert secret.reveal().removeprefix(key.prefix) not in repr(document)
    assert secret.reveal() not in repr((key, secret, desk.keys.list()))


def test_a_key_of_another_environment_is_none(desk: Desk) -> None:
    _, secret = ApiKeys(desk.store, desk.clock, "staging").add("crm", ["read"])

    assert desk.keys.find(secret.reveal()) is None
    assert desk.keys.list() == ()


def test_a_key_ends_and_is_shown_for_a_while_after(desk: Desk) -> None:
    key, secret = desk.keys.add("crm", ["read"], life=DAY)

    desk.clock.advance(DAY - 1)
    assert desk.keys.find(secret.reveal()) == key
    desk.clock.advance(1)
    assert desk.keys.find(secret.reveal()) is None
    assert desk.keys.list() == (key,)
    desk.clock.advance(SHOWN_AFTER_END)
    assert desk.keys.list() == ()


def test_a_revoked_key_is_gone_at_once(desk: Desk) -> None:
    key, secret = desk.keys.add("crm", ["read"])

    assert desk.keys.revoke(key.id) == key
    assert desk.keys.revoke(key.id) is None
    assert desk.keys.find(secret.reveal()) is None


def test_who_made_and_revoked_a_key_is_told_without_its_secret(desk: Desk) -> None:
    key, secret = desk.keys.add("crm", ["read"], by="mira@example.com")
    desk.keys.revoke(key.id, by="command")

    events = desk.store.list_events(env="test")
    assert [(event.kind, event.actor) for event in events] == [
        ("api_key_made", "mira@example.com"),
        ("api_key_revoked", "command"),
    ]
    assert secret.reveal()[12:] not in repr(events)


def test_its_use_is_noted_once_a_minute(desk: Desk) -> None:
    _, secret = desk.keys.add("crm", ["read"])

    def used() -> tuple[float | None, int]:
        found = desk.keys.find(secret.reveal())
        assert found is not None
        desk.keys.note_use(found)
        (document,) = desk.store.list_documents(KIND, env="test")
        return document.body.get("last_used_at"), document.version

    first = used()
    assert first[0] == desk.clock.now()
    desk.clock.advance(NOTED_EVERY - 1)
    assert used() == first
    desk.clock.advance(1)
    assert used() == (desk.clock.now(), first[1] + 1)


def test_noting_the_use_of_a_key_that_was_just_revoked_does_not_bring_it_back(desk: Desk) -> None:
    key, _ = desk.keys.add("crm", ["read"])
    desk.keys.revoke(key.id)

    desk.keys.note_use(key)

    assert desk.keys.list() == ()


@pytest.mark.parametrize(
    ("limits", "credential", "owner", "seen"),
    [
        pytest.param({}, "slack", None, True, id="no limit"),
        pytest.param({"owners": ["ada"]}, "slack", "ada", True, id="its owner"),
        pytest.param({"owners": ["ada"]}, "slack", "bob", False, id="another owner"),
        pytest.param({"owners": ["ada"]}, "slack", None, False, id="the program's own"),
        pytest.param({"credentials": ["slack"]}, "slack", None, True, id="its credential"),
        pytest.param({"credentials": ["slack"]}, "github", None, False, id="another credential"),
        pytest.param({"owners": ["ada"], "credentials": ["slack"]}, "github", "ada", False, id="both must fit"),
    ],
)
def test_what_a_key_sees(desk: Desk, limits: dict[str, Any], credential: str, owner: str | None, seen: bool) -> None:
    key, _ = desk.keys.add("crm", ["read"], **limits)

    assert key.sees(credential, owner) is seen


@pytest.mark.parametrize(
    ("networks", "address", "taken"),
    [
        pytest.param([], "not an address", True, id="anywhere"),
        pytest.param(["10.4.0.0/24"], "10.4.0.9", True, id="inside"),
        pytest.param(["10.4.0.0/24"], "10.4.1.9", False, id="outside"),
        pytest.param(["10.4.0.9"], "::ffff:10.4.0.9", True, id="v4 in v6"),
        pytest.param(["2001:db8::/32", "127.0.0.1"], "2001:db8::1", True, id="one of several"),
        pytest.param(["10.4.0.0/24"], "not an address", False, id="no address"),
    ],
)
def test_from_where_a_key_is_taken(desk: Desk, networks: list[str], address: str, taken: bool) -> None:
    key, _ = desk.keys.add("crm", ["read"], networks=networks)

    assert key.comes_from(address) is taken


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"name": " "}, id="no name"),
        pytest.param({"name": "n" * 101}, id="a long name"),
        pytest.param({"scopes": []}, id="no scope"),
        pytest.param({"scopes": ["admin"]}, id="an unknown scope"),
        pytest.param({"owners": [""]}, id="an empty owner"),
        pytest.param({"owners": ["ada\x1b"]}, id="an escape"),
        pytest.param({"owners": [f"u{n}" for n in range(101)]}, id="too many owners"),
        pytest.param({"networks": ["10.4.0"]}, id="no network"),
        pytest.param({"rate": 0}, id="no calls"),
        pytest.param({"life": 0.0}, id="no life"),
        pytest.param({"life": float("inf")}, id="an endless life"),
    ],
)
def test_what_cannot_be_is_refused(desk: Desk, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        desk.keys.add(**{"name": "crm", "scopes": ["read"], **given})

    assert caught.value.code == "api_key_invalid"
    assert caught.value.hint
    assert desk.keys.list() == ()


def test_a_forgotten_owner_goes_out_of_all_keys_and_no_key_sees_more_for_it(stage: Any) -> None:
    keys = ApiKeys(stage.world.store, stage.world.clock, "test")
    alone, _ = keys.add("for ada", ["read"], owners=["ada"])
    both, secret = keys.add("for both", ["read"], owners=["ada", "bob"])
    everybody, _ = keys.add("for all", ["read"])

    forget(stage.world, "ada", "test")

    assert {key.id: key.owners for key in keys.list()} == {both.id: ("bob",), everybody.id: ()}
    assert alone.id not in {key.id for key in keys.list()}
    found = keys.find(secret.reveal())
    assert found is not None
    assert not found.sees("notes", "ada")
