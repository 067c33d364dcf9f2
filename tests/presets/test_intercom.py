"""Intercom: scopes of the app, tokens without end, and API hosts of regions."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import HostNotAllowed

TOKEN = "POST https://api.intercom.io/auth/eagle/token"
ME = "GET https://api.intercom.io/me"


@pytest.fixture
def intercom(scene: Scene) -> Scene:
    scene.open("intercom")
    scene.says(TOKEN, well(token_type="Bearer", token="dG9r", access_token="dG9r"))
    scene.says(ME, well(type="admin", id="814860", name="Some Body", email="s@example.com"))
    return scene


def test_no_scope_is_sent_and_a_token_has_no_end(intercom: Scene) -> None:
    begun, asked = intercom.start()
    status = intercom.back(begun, asked, code="the-code")
    intercom.clock.advance(10 * 365 * 86400)

    assert "scope" not in asked
    assert form(intercom.only(TOKEN))["client_secret"] == "the-s3cret"
    assert (status.state, status.expires_at) == ("connected", None)
    assert status.identity.email == "s@example.com"
    assert intercom.token() == "dG9r"
    assert len(intercom.asked[TOKEN]) == 1


@pytest.mark.parametrize("host", ["api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io"])
def test_each_region_may_see_the_token_and_nobody_else(intercom: Scene, host: str) -> None:
    intercom.sign_in()
    intercom.says(f"GET https://{host}/admins", well(admins=[]))
    client = intercom.valet.client("intercom")

    assert client.get(f"https://{host}/admins").status_code == 200
    with pytest.raises(HostNotAllowed):
        client.get("https://api.us.intercom.example/admins")


def test_nothing_is_said_to_be_revoked(intercom: Scene) -> None:
    intercom.sign_in()

    assert not intercom.valet.disconnect("intercom").revoked
