"""Amazon: three regions with a host each, lifetimes as texts, and refresh tokens for those with a secret."""

from __future__ import annotations

import pytest

from shared.scene import Scene, form, well
from valetkey.errors import ConfigurationError, HostNotAllowed


def opened(scene: Scene, host: str, **declared: str) -> None:
    scene.open("amazon", params={"api_host": host}, **declared)
    scene.says(
        f"POST https://{host}/auth/o2/token",
        well(access_token="Atza|1", refresh_token="Atzr|1", token_type="bearer", expires_in="3600"),
        well(access_token="Atza|2", refresh_token="Atzr|1", token_type="bearer", expires_in="3600"),
    )
    scene.says(f"GET https://{host}/user/profile", well(user_id="amzn1.account.K2", email="s@example.com", name="Some"))


@pytest.mark.parametrize("host", ["api.amazon.com", "api.amazon.co.uk", "api.amazon.co.jp"])
def test_all_requests_go_to_the_region(scene: Scene, host: str) -> None:
    opened(scene, host)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")
    scene.clock.advance(3601)

    assert begun.url.startswith("https://www.amazon.com/ap/oa?")
    assert (asked["scope"], asked["code_challenge_method"]) == ("profile", "S256")
    assert (status.identity.subject, status.identity.email) == ("amzn1.account.K2", "s@example.com")
    assert scene.token() == "Atza|2"
    assert {one.partition("/auth")[0] for one in scene.asked if "/auth/" in one} == {f"POST https://{host}"}


def test_a_lifetime_that_is_a_text_counts(scene: Scene) -> None:
    opened(scene, "api.amazon.com")
    status = scene.sign_in()

    assert status.expires_at == pytest.approx(scene.clock.now() + 3600, abs=1)
    assert form(scene.only("POST https://api.amazon.com/auth/o2/token"))["client_secret"] == "the-s3cret"


def test_the_token_stays_in_its_region(scene: Scene) -> None:
    opened(scene, "api.amazon.co.uk")
    scene.sign_in()

    with pytest.raises(HostNotAllowed):
        scene.valet.client("amazon").get("https://api.amazon.com/user/profile")


@pytest.mark.parametrize("host", ["api.amazon.de", "api.amazon.com.evil.example", "evil.example", "api.amazon.com:444"])
def test_other_hosts_are_refused(scene: Scene, host: str) -> None:
    with pytest.raises(ConfigurationError, match="api_host"):
        scene.open("amazon", params={"api_host": host})


def test_the_documentation_names_no_revocation(scene: Scene) -> None:
    opened(scene, "api.amazon.com")
    scene.sign_in()

    assert not scene.valet.disconnect("amazon").revoked
