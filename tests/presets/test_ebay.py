"""eBay: the redirect has a name of its own, which stands for its URI in every request."""

from __future__ import annotations

from typing import Any

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import ConfigurationError
from valetkey.model.wiring import Wiring

TOKEN = "POST https://api.ebay.com/identity/v1/oauth2/token"
WHO = "GET https://apiz.ebay.com/commerce/identity/v1/user/"
NAME = "Acme-AcmeShop-AcmeSh-wxyzab"
BACK = "https://app.example/callback/ebay"


def connected(scene: Scene) -> tuple[dict[str, str], Any]:
    scene.open("ebay", params={"ru_name": NAME})
    life = {"expires_in": 7200, "token_type": "User Access Token"}
    scene.says(
        TOKEN,
        well(access_token="one", refresh_token="r1", refresh_token_expires_in=47304000, **life),
        well(access_token="two", **life),
    )
    scene.says(WHO, well(userId="u1", username="somebody"))
    begun, asked = scene.start()
    return asked, scene.back(begun, {**asked, "redirect_uri": BACK}, code="the-code")


def test_the_name_is_sent_and_the_answer_comes_to_the_address(scene: Scene) -> None:
    asked, status = connected(scene)
    given = form(scene.only(TOKEN))

    assert (asked["redirect_uri"], given["redirect_uri"]) == (NAME, NAME)
    assert scene.only(TOKEN).headers["authorization"].startswith("Basic ")
    assert (status.state, status.identity.subject, status.identity.login) == ("connected", "u1", "somebody")


def test_a_renewal_names_no_redirect_and_keeps_the_refresh_token(scene: Scene) -> None:
    connected(scene)
    for _ in range(2):
        scene.clock.advance(7300)
        assert scene.token() == "two"

    for renewed in scene.asked[TOKEN][1:]:
        assert form(renewed) == {"grant_type": "refresh_token", "refresh_token": "r1"}


def test_a_declaration_without_the_name_is_told_what_is_missing() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("ebay", preset="ebay")

    assert caught.value.code == "param_missing"
    assert "ru_name" in str(caught.value)


@pytest.mark.parametrize("name", ["two words", "line\nbreak", "é"])
def test_a_name_is_one_plain_word(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential(
            "shop", authorization_url="https://a.example/a", token_url="https://a.example/t", redirect_name=name
        )

    assert caught.value.code == "text_invalid"
