"""VK ID: a device id that comes with the code, and that the code exchange and every renewal name."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from shared.scene import Scene, form, query, well

TOKEN = "POST https://id.vk.ru/oauth2/auth"
OUT = "POST https://id.vk.ru/oauth2/logout"
DEVICE = "q7RkXc2Lw9_Zt4Bv-Ym1Hs8Jd3Fp6Ga0Ne5Ku-Qx2Wb7Tr4Vz9Lc1Mo6Sy3Di8Pj5Eh0"
"""As long as those that VK gives out: longer than what may be kept of a callback that nobody declared."""


def connected(scene: Scene) -> tuple[dict[str, str], Any]:
    scene.open("vk", scopes=["vkid.personal_info", "email"])
    life = {"expires_in": 3600, "token_type": "Bearer", "user_id": 77, "scope": "vkid.personal_info email"}
    scene.says(
        TOKEN,
        well(access_token="one", refresh_token="r1", **life),
        well(access_token="two", refresh_token="r2", **life),
    )
    scene.says(OUT, well(response=1))
    begun, asked = scene.start()
    return asked, scene.back(begun, asked, code="the-code", device_id=DEVICE, type="code_v2")


def test_the_device_of_the_callback_is_named_where_the_code_is_redeemed(scene: Scene) -> None:
    asked, status = connected(scene)
    given = form(scene.only(TOKEN))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=")

    assert (asked["scope"], asked["code_challenge"]) == ("vkid.personal_info email", challenge.decode())
    assert query(scene.only(TOKEN)) == {"device_id": DEVICE}
    assert (given["client_id"], given["code"]) == ("the-app", "the-code")
    assert "client_secret" not in given
    assert status.state == "connected"
    assert status.params == {"device_id": DEVICE, "user_id": "77"}


def test_every_renewal_names_it_too(scene: Scene) -> None:
    connected(scene)
    for spent in ("r1", "r2"):
        scene.clock.advance(3700)
        scene.token()
        assert form(scene.asked[TOKEN][-1])["refresh_token"] == spent
        assert query(scene.asked[TOKEN][-1]) == {"device_id": DEVICE}


def test_signing_out_names_the_app_and_the_token(scene: Scene) -> None:
    connected(scene)

    assert scene.valet.disconnect("vk").revoked
    assert form(scene.only(OUT)) == {"client_id": "the-app", "access_token": "one"}
