"""Servers that people run themselves, and newer services, quirk by quirk: Nextcloud, Mattermost, Canvas, WHOOP..."""

from __future__ import annotations

import pytest

from shared.everywhere import Reply
from shared.scene import Scene, body, form, query, well
from valetkey.errors import ClientRejected, ReauthorizationRequired, ValetkeyError

HOST = {"host": "own.example"}
OWN = "https://own.example"

NEXTCLOUD = f"POST {OWN}/apps/oauth2/api/v1/token"
WHO = f"GET {OWN}/ocs/v2.php/cloud/user"


def nextcloud(scene: Scene) -> None:
    scene.open("nextcloud", params=HOST)
    both = {"token_type": "Bearer", "expires_in": 3600, "user_id": "ada"}
    scene.says(
        NEXTCLOUD,
        well(access_token="one", refresh_token="r1", **both),
        well(access_token="two", refresh_token="r2", **both),
    )
    scene.says(WHO, well(ocs={"data": {"id": "ada", "email": "ada@example.com", "displayname": "Ada"}}))
    scene.sign_in()


def test_nextcloud_is_asked_as_its_own_apps_ask(scene: Scene) -> None:
    nextcloud(scene)

    who = scene.only(WHO)
    assert (who.headers["ocs-apirequest"], query(who)) == ("true", {"format": "json"})
    assert scene.status().identity.name == "Ada"


def test_nextclouds_token_is_not_ended_ahead_of_its_time(scene: Scene) -> None:
    nextcloud(scene)
    scene.clock.advance(3400)
    assert scene.token() == "one", "a refresh would end it while calls are under way"
    scene.clock.advance(300)

    assert scene.token() == "two"
    assert form(scene.asked[NEXTCLOUD][1])["refresh_token"] == "r1"


def test_nextcloud_says_invalid_request_for_a_spent_refresh_token(scene: Scene) -> None:
    nextcloud(scene)
    scene.says(NEXTCLOUD, Reply(400, {"error": "invalid_request"}))
    scene.clock.advance(3700)

    with pytest.raises(ReauthorizationRequired):
        scene.token()


MATTERMOST = f"POST {OWN}/oauth/access_token"


def mattermost(scene: Scene) -> None:
    scene.open("mattermost", params=HOST)
    scene.says(MATTERMOST, well(access_token="one", refresh_token="r1", token_type="bearer", expires_in=2592000))
    scene.says(f"GET {OWN}/api/v4/users/me", well(id="u1", username="ada", email="ada@example.com"))
    scene.sign_in()
    scene.clock.advance(2592001)


@pytest.mark.parametrize(
    ("status", "word", "error"),
    [(404, "refresh_token", ReauthorizationRequired), (403, "credentials", ClientRejected)],
)
def test_mattermosts_errors_are_those_of_its_api(
    scene: Scene, status: int, word: str, error: type[ValetkeyError]
) -> None:
    mattermost(scene)
    told = {"id": f"api.oauth.get_access_token.{word}.app_error", "message": "not so", "status_code": status}
    scene.says(MATTERMOST, Reply(status, told))

    with pytest.raises(error):
        scene.token()


def test_a_home_knows_no_secret_and_revokes_whatever_it_is_told(scene: Scene) -> None:
    scene.open("home-assistant", app={"client_id": "https://app.example"}, params=HOST)
    token, revoke = f"POST {OWN}/auth/token", f"POST {OWN}/auth/revoke"
    scene.says(token, well(access_token="one", refresh_token="r1", expires_in=1800, token_type="Bearer"))
    scene.says(revoke, Reply(200, {}, text=""))
    assert scene.sign_in().state == "connected"

    sent = scene.only(token)
    assert (form(sent)["client_id"], "client_secret" in form(sent)) == ("https://app.example", False)
    assert "authorization" not in sent.headers
    assert scene.valet.disconnect("home-assistant").revoked
    assert form(scene.only(revoke)) == {"token": "r1"}


def test_canvas_ends_a_token_by_deleting_it_where_it_came_from(scene: Scene) -> None:
    scope = "url:GET|/api/v1/courses"
    scene.open("canvas-lms", params=HOST, scopes=[scope])
    tokens = {"access_token": "one", "expires_in": 3600, "user": {"id": 42, "name": "Ada"}}
    scene.says(f"POST {OWN}/login/oauth2/token", well(**tokens, refresh_token="r1"), well(**tokens))
    scene.says(f"DELETE {OWN}/login/oauth2/token", well())
    scene.says(f"GET {OWN}/api/v1/users/self/profile", well(id=42, name="Ada", login_id="ada"))
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert (asked["scope"], status.params["user_id"]) == (scope, "42")
    for _ in range(2):
        scene.clock.advance(3700)
        scene.token()
        assert form(scene.asked[f"POST {OWN}/login/oauth2/token"][-1])["refresh_token"] == "r1", "it stays"
    assert scene.valet.disconnect("canvas-lms").revoked
    assert scene.only(f"DELETE {OWN}/login/oauth2/token").headers["authorization"] == "Bearer one"


def test_rocket_chat_gets_no_challenge_and_its_servers_error_ends_nothing(scene: Scene) -> None:
    scene.open("rocketchat", params=HOST)
    token = f"POST {OWN}/oauth/token"
    scene.says(token, well(access_token="one", refresh_token="r1", expires_in=3600, token_type="Bearer"))
    me = well(_id="u1", username="ada", name="Ada", emails=[{"address": "ada@example.com", "verified": True}])
    scene.says(f"GET {OWN}/api/v1/me", me)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")

    assert ("code_challenge" in asked, "code_verifier" in form(scene.only(token))) == (False, False)
    assert status.identity.email == "ada@example.com"
    scene.says(token, Reply(503, {"error": "server_error", "error_description": "Server error: Invalid token"}))
    scene.clock.advance(3700)
    with pytest.raises(ValetkeyError) as caught:
        scene.token()
    assert not isinstance(caught.value, ReauthorizationRequired)
    assert scene.status().state == "refresh_failing"


def test_supabase_takes_json_to_revoke(scene: Scene) -> None:
    scene.open("supabase")
    api = "https://api.supabase.com/v1"
    scene.says(f"POST {api}/oauth/token", well(access_token="one", refresh_token="r1", expires_in=3600))
    scene.says(f"POST {api}/oauth/revoke", Reply(204, {}, text=""))
    begun, asked = scene.start()
    scene.back(begun, asked, code="the-code")

    assert ("scope" in asked, asked["code_challenge_method"]) == (False, "S256")
    assert scene.valet.disconnect("supabase").revoked
    told = {"client_id": "the-app", "client_secret": "the-s3cret", "refresh_token": "r1"}
    assert body(scene.only(f"POST {api}/oauth/revoke")) == told


def test_whoop_names_offline_again_and_deletes_the_access(scene: Scene) -> None:
    scene.open("whoop", scopes=["read:profile", "read:sleep"])
    root = "https://api.prod.whoop.com"
    token, access = f"POST {root}/oauth/oauth2/token", f"DELETE {root}/developer/v2/user/access"
    answers = [well(access_token=f"a{n}", refresh_token=f"r{n}", expires_in=3600, token_type="bearer") for n in (1, 2)]
    scene.says(token, *answers)
    scene.says(access, Reply(204, {}, text=""))
    scene.says(f"GET {root}/developer/v2/user/profile/basic", well(user_id=9, email="a@example.com", first_name="Ada"))
    begun, asked = scene.start()
    scene.back(begun, asked, code="the-code")
    scene.clock.advance(3700)

    assert (asked["scope"], scene.token()) == ("read:profile read:sleep offline", "a2")
    assert (form(scene.asked[token][1])["scope"], form(scene.asked[token][1])["refresh_token"]) == ("offline", "r1")
    assert scene.valet.disconnect("whoop").revoked
    assert scene.only(access).headers["authorization"] == "Bearer a2"


def test_netatmo_tells_scopes_as_a_list(scene: Scene) -> None:
    scene.open("netatmo", scopes=["read_station", "read_thermostat"])
    told = {"access_token": "one", "refresh_token": "r1", "expires_in": 10800, "expire_in": 10800}
    scene.says("POST https://api.netatmo.com/oauth2/token", well(**told, scope=["read_station"]))
    who = {"devices": [], "user": {"mail": "ada@example.com"}}
    scene.says("GET https://api.netatmo.com/api/getstationsdata", well(body=who, status="ok"))

    status = scene.sign_in()
    assert (status.granted, status.missing) == (("read_station",), ("read_thermostat",))
    assert status.identity.subject == "ada@example.com"


def test_whops_requests_are_json_and_its_access_token_outlives_the_revocation(scene: Scene) -> None:
    scene.open("whop")
    root = "https://api.whop.com/oauth"
    scene.says(f"POST {root}/token", well(access_token="one", refresh_token="r1", expires_in=3600))
    scene.says(f"POST {root}/revoke", well())
    scene.says(f"GET {root}/userinfo", well(sub="user_1", name="Ada", preferred_username="ada"))
    status = scene.sign_in()

    assert status.identity.login == "ada"
    assert body(scene.only(f"POST {root}/token"))["client_secret"] == "the-s3cret"
    assert scene.valet.disconnect("whop").revoked
    assert body(scene.only(f"POST {root}/revoke"))["token"] == "r1", "of the two, the refresh token alone can be"
