"""Slack: one sign-in brings the bot's token and the person's, each the grant of a connection of its own."""

from __future__ import annotations

from typing import Any

import pytest

from shared.everywhere import Asked, Reply
from shared.scene import Scene, form, well
from valetkey import ConfigurationError, ConnectError, NotConnected
from valetkey.engine.consequences import of_disconnect
from valetkey.engine.deciding import confirm_held, drop_one, finish_or_hold, switch
from valetkey.engine.disconnect import disconnect
from valetkey.engine.holding import Held, confirmation
from valetkey.model.connections import ConnectionKey

TOKEN = "POST https://slack.com/api/oauth.v2.access"
WHO = "GET https://slack.com/api/auth.test"
REVOKE = "GET https://slack.com/api/auth.revoke"
PERSON = {
    "id": "U1",
    "scope": "search:read",
    "access_token": "xoxp-1",
    "token_type": "user",
    "refresh_token": "xoxe-1-person",
    "expires_in": 43200,
}
BOTH: dict[str, Any] = {
    "ok": True,
    "access_token": "xoxb-1",
    "token_type": "bot",
    "scope": "chat:write",
    "refresh_token": "xoxe-1-bot",
    "expires_in": 43200,
    "team": {"id": "T1", "name": "Team"},
    "authed_user": PERSON,
}


def who(asked: Asked) -> Reply:
    """Say whose token it is: the bot's, or that of the person whose number it ends with."""
    token = asked.headers["authorization"]
    user = "UBOT" if "xoxb" in token else f"U{token[-1]}"
    return well(ok=True, user_id=user, user=user.lower())


def opened(scene: Scene, answer: dict[str, Any] | None = None, **second: Any) -> None:
    told = {"scopes": ["search:read"], "secret_id": "slack-app-credentials", **second}
    scene.also("slack_user", "slack-user", **told)
    scene.open("slack", scopes=["chat:write"], beside="slack_user")
    scene.says(TOKEN, well(**(answer or BOTH)))
    scene.says(WHO, who)
    scene.says(REVOKE, well(ok=True, revoked=True))


def world_of(scene: Scene) -> Any:
    return getattr(scene.valet, "target", scene.valet)._core.world


def token(scene: Scene, name: str) -> str:
    return str(scene.valet.client(name).get_access_token().reveal())


def renewed(asked: Asked) -> Reply:
    spent = form(asked)["refresh_token"]
    sort, whose, kind = ("xoxb", "bot", "bot") if spent.endswith("bot") else ("xoxp", "person", "user")
    return well(ok=True, access_token=f"{sort}-2", refresh_token=f"xoxe-2-{whose}", expires_in=43200, token_type=kind)


def test_one_sign_in_fills_both_connections(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start()
    status = scene.back(begun, asked, code="the-code")
    other = scene.valet.client("slack_user").status()

    assert (asked["scope"], asked["user_scope"]) == ("chat:write", "search:read")
    assert len(scene.asked[TOKEN]) == 1
    assert (status.state, status.granted, status.params["team_id"]) == ("connected", ("chat:write",), "T1")
    assert (other.state, other.granted, other.params["user_id"]) == ("connected", ("search:read",), "U1")
    assert (token(scene, "slack"), token(scene, "slack_user")) == ("xoxb-1", "xoxp-1")
    assert (status.identity.subject, other.identity.subject) == ("UBOT", "U1")


def test_each_is_refreshed_by_itself(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    scene.says(TOKEN, renewed)
    scene.clock.advance(43300)

    assert token(scene, "slack_user") == "xoxp-2"
    assert token(scene, "slack") == "xoxb-2"
    assert [form(one).get("refresh_token") for one in scene.asked[TOKEN]] == [None, "xoxe-1-person", "xoxe-1-bot"]


def test_owner_and_account_are_those_of_the_sign_in(scene: Scene) -> None:
    opened(scene)
    begun, asked = scene.start(owner="ada", account="work")
    answer = f"{asked['redirect_uri']}?state={asked['state']}&code=c"
    scene.valet.finish(answer, binding=begun.binding, owner="ada")

    assert scene.valet.client("slack_user", owner="ada", account="work").status().state == "connected"
    with pytest.raises(NotConnected):
        token(scene, "slack_user")


def test_the_second_can_be_connected_without_the_first(scene: Scene) -> None:
    opened(scene, {"ok": True, "team": {"id": "T1"}, "authed_user": PERSON})
    scene.name = "slack_user"
    _, asked = scene.start()
    scene.sign_in()

    assert "scope" not in asked
    assert scene.valet.client("slack").status().state == "pending"


def test_an_answer_without_the_second_set_connects_the_first_and_never_takes_one_for_the_other(scene: Scene) -> None:
    opened(scene, {**BOTH, "authed_user": {"id": "U1"}})
    status = scene.sign_in()

    assert status.state == "connected"
    assert scene.valet.client("slack_user").status().state == "pending"
    with pytest.raises(NotConnected):
        token(scene, "slack_user")
    assert "beside_missing" in [event.kind for event in scene.valet.events()]


def test_the_persons_tokens_show_nowhere_in_the_first_connection(scene: Scene) -> None:
    opened(scene)
    status = scene.sign_in()

    told = f"{status} {scene.valet.secrets.get('slack-oauth-token')}"
    assert "xoxp" not in told
    assert "xoxe-1-person" not in told
    assert "xoxb" not in str(scene.valet.secrets.get("slack_user-oauth-token"))


def test_disconnecting_one_leaves_the_other_and_says_so(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    done = scene.valet.disconnect("slack")

    assert "slack_user came with the same sign-in, and stays connected." in done.told
    assert "slack_user" not in done.discreet
    assert [one.headers["authorization"] for one in scene.asked[REVOKE]] == ["Bearer xoxb-1"]
    assert token(scene, "slack_user") == "xoxp-1"
    assert "same sign-in" not in scene.valet.disconnect("slack_user").told


def test_what_a_disconnect_would_leave_is_told_beforehand(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    world = world_of(scene)
    first = world.store.load(ConnectionKey("default", "slack", None, ""))

    assert "slack_user stays connected" in [line.text for line in of_disconnect(world, first).lines]
    assert "slack_user" not in str(of_disconnect(world, first, discreet=True))
    scene.valet.disconnect("slack_user")
    assert "slack_user stays connected" not in [line.text for line in of_disconnect(world, first).lines]


def test_disconnecting_the_second_tells_of_the_first(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()

    assert "slack came with the same sign-in, and stays connected." in scene.valet.disconnect("slack_user").told


def test_a_disconnect_of_the_second_on_the_way_stops_the_sign_in_before_its_code_is_spent(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    begun, asked = scene.start()
    scene.valet.disconnect("slack_user")

    with pytest.raises(ConnectError) as caught:
        scene.back(begun, asked, code="the-second-code")
    assert caught.value.code == "connection_disconnected"
    assert len(scene.asked[TOKEN]) == 1
    assert token(scene, "slack") == "xoxb-1"


def test_a_disconnect_of_the_second_during_the_exchange_gives_its_grant_back_and_keeps_the_first(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    begun, asked = scene.start()
    world = world_of(scene)

    def meanwhile(_: Asked) -> Reply:
        disconnect(world, world.credential("slack_user"), ConnectionKey("default", "slack_user", None, ""))
        return well(**{**BOTH, "access_token": "xoxb-3", "authed_user": {**PERSON, "access_token": "xoxp-31"}})

    scene.says(TOKEN, meanwhile)
    scene.back(begun, asked, code="the-second-code")

    assert token(scene, "slack") == "xoxb-3"
    assert scene.valet.client("slack_user").status().state == "disconnected"
    assert "Bearer xoxp-31" in [one.headers["authorization"] for one in scene.asked[REVOKE]]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        pytest.param({"secret_id": "another-app"}, "has another app", id="app"),
        pytest.param({"token_url": "https://slack.com/api/other"}, "another token_url", id="endpoint"),
        pytest.param({"param_names": {"scope": ""}}, "by the same parameter", id="scopes"),
        pytest.param({"answer_paths": {"access_token": ""}}, "no place of its own", id="token"),
        pytest.param({"scopes": ["openid"]}, "more than a token set", id="openid"),
    ],
)
def test_two_that_do_not_fit_are_refused_when_a_sign_in_begins(scene: Scene, second: dict[str, Any], told: str) -> None:
    opened(scene, **second)
    scene.keep("another-app", '{"client_id": "another", "client_secret": "s"}')

    with pytest.raises(ConfigurationError) as caught:
        scene.start()
    assert caught.value.code == "beside_unfit"
    assert told in str(caught.value)


def test_one_that_nobody_declared_is_named(scene: Scene) -> None:
    scene.open("slack", beside="slack_user")

    with pytest.raises(ConfigurationError) as caught:
        scene.start()
    assert caught.value.code == "credential_unknown"


@pytest.mark.parametrize("fields", [{"beside": "slack"}, {"beside": "x", "grant": "client_credentials"}])
def test_what_no_sign_in_brings_is_refused(scene: Scene, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        scene.open("slack", **fields)
    assert caught.value.code == "beside_unfit"


# -- where the person or the application is asked ------------------------------------------------------------------


def held_by(scene: Scene, *, confirm: bool, person: str = "xoxp-2") -> tuple[Any, Held]:
    """Sign in again, as another person, so that somebody has to decide."""
    scene.says(TOKEN, well(**{**BOTH, "access_token": "xoxb-9", "authed_user": {**PERSON, "access_token": person}}))
    begun, asked = scene.start()
    callback = f"{asked['redirect_uri']}?state={asked['state']}&code=c"
    found = finish_or_hold(world_of(scene), callback, binding=begun.binding, owner=None, confirm=confirm)
    assert isinstance(found, Held)
    return begun, found


def test_another_person_is_asked_about_and_a_switch_takes_both(scene: Scene) -> None:
    opened(scene)
    scene.sign_in()
    begun, found = held_by(scene, confirm=False)

    assert (found.asks, found.before.subject, found.now.subject) == ("account", "U1", "U2")
    assert (token(scene, "slack"), token(scene, "slack_user")) == ("xoxb-1", "xoxp-1")
    switch(world_of(scene), found.id, begun.binding)
    assert (token(scene, "slack"), token(scene, "slack_user")) == ("xoxb-9", "xoxp-2")
    assert scene.valet.client("slack").status().identity.subject == "UBOT"


def test_what_the_application_confirms_becomes_live_together(scene: Scene) -> None:
    opened(scene)
    begun, found = held_by(scene, confirm=True)
    confirm_held(world_of(scene), found.id, confirmation(found.id, begun.binding), None)

    assert (token(scene, "slack"), token(scene, "slack_user")) == ("xoxb-9", "xoxp-2")


def test_what_nobody_takes_is_given_back_whole(scene: Scene) -> None:
    opened(scene)
    _, found = held_by(scene, confirm=True)

    assert drop_one(world_of(scene), found.id)
    given_back = {one.headers["authorization"] for one in scene.asked[REVOKE]}
    assert given_back == {"Bearer xoxb-9", "Bearer xoxp-2"}
