"""One rule for hosts and one for 401s, whichever HTTP client drives on it."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey import (
    ConfigurationError,
    HostNotAllowed,
    NotConnected,
    ReauthorizationRequired,
    ScopesMissing,
    StepUpRequired,
)

HOUR = 3600
STEP_UP = 'Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="5", scope="pay"'


# -- on the way out ------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: authorization header")
def test_a_request_carries_the_token_and_the_headers_that_the_provider_wants(web: Any, world: Any) -> None:
    answer = web.get(f"{world.api.url}/me")

    (seen,) = world.api.seen
    assert (answer.status, answer.body) == (200, b"welcome")
    assert seen.headers["x-provider"] == "theirs"


def test_a_header_that_the_caller_sets_is_the_callers(web: Any, world: Any) -> None:
    web.get(f"{world.api.url}/me", headers={"X-Provider": "mine"})

    assert world.api.seen[0].headers["x-provider"] == "mine"


def test_an_expired_token_is_refreshed_before_anything_is_sent(web: Any, world: Any) -> None:
    for _ in range(2):
        world.practice.clock.advance(HOUR + 1)
        assert web.get(f"{world.api.url}/me").status == 200

    assert (world.provider.refreshes, world.provider.reuses, len(world.api.seen)) == (2, 0, 2)


@pytest.mark.conformance("1 core: confidential")
def test_a_foreign_host_gets_nothing(web: Any, world: Any) -> None:
    with pytest.raises(HostNotAllowed) as caught:
        web.get(f"{world.foreign.url}/me?secret=1")

    assert f"'{world.foreign.host}'])" in caught.value.hint, "after the hosts that are declared"
    assert world.foreign.seen == []


def test_every_host_of_the_credential_gets_the_token(web: Any, world: Any) -> None:
    assert [web.get(f"{server.url}/me").status for server in (world.api, world.other, world.api)] == [200] * 3


def test_what_is_not_connected_is_not_called(drive: Any, world: Any) -> None:
    world.practice.declare("unknown")

    with pytest.raises(NotConnected):
        drive("unknown").get(f"{world.api.url}/me")

    assert world.api.seen == []


def test_scopes_that_the_client_demands_are_demanded(drive: Any, world: Any) -> None:
    with pytest.raises(ScopesMissing):
        drive(scopes=("notes.admin",)).get(f"{world.api.url}/me")

    assert world.api.seen == []
    assert drive(scopes=("notes.read",)).get(f"{world.api.url}/me").status == 200


# -- a 401 ---------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: challenges")
def test_a_401_is_healed_by_one_refresh_and_one_retry_over_the_same_connection(web: Any, world: Any) -> None:
    world.provider.expire_access_tokens()

    assert web.get(f"{world.api.url}/me").status == 200
    assert web.get(f"{world.api.url}/me").status == 200

    first, second, third = world.api.seen
    assert first.token != second.token == third.token
    assert first.port == second.port == third.port
    assert second.headers["x-provider"] == "theirs"
    assert (world.provider.refreshes, world.provider.reuses) == (1, 0)


def test_an_answer_that_refuses_at_length_is_read_to_its_end_and_the_connection_kept(web: Any, world: Any) -> None:
    def refuse_once(seen: Any) -> Any:
        return world.api.usual(seen) if len(world.api.seen) > 1 else (401, {}, b"no" * 2**20)

    world.api.answers["/long"] = refuse_once

    assert web.get(f"{world.api.url}/long").status == 200
    assert len({seen.port for seen in world.api.seen}) == 1


def test_a_401_to_the_retry_is_the_callers(web: Any, world: Any) -> None:
    world.api.refuse("/never")

    answer = web.get(f"{world.api.url}/never")

    assert (answer.status, answer.body, len(world.api.seen)) == (401, b"no", 2)
    assert world.provider.refreshes == 1


@pytest.mark.conformance("0 10")
def test_a_late_401_is_answered_with_the_current_token_and_no_refresh(web: Any, world: Any) -> None:
    def meanwhile(seen: Any) -> Any:
        if len(world.api.seen) == 1:
            world.practice.client("api").refresh()
            return world.api.usual(seen)
        return 200, {}, b"late"

    world.provider.expire_access_tokens()
    world.api.answers["/late"] = meanwhile

    assert web.get(f"{world.api.url}/late").body == b"late"
    assert (world.provider.refreshes, len(world.api.seen)) == (1, 2)


def test_a_hundred_401s_at_once_are_one_refresh(web: Any, world: Any) -> None:
    web.get(f"{world.api.url}/me")
    world.provider.expire_access_tokens()

    assert web.herd(f"{world.api.url}/me") == [200] * 100
    assert (world.provider.refreshes, world.provider.refresh_requests, world.provider.reuses) == (1, 1, 0)


def test_a_hundred_calls_with_an_expired_token_are_one_refresh(web: Any, world: Any) -> None:
    world.practice.clock.advance(HOUR + 1)

    assert web.herd(f"{world.api.url}/me") == [200] * 100
    assert (world.provider.refreshes, world.provider.refresh_requests, world.provider.reuses) == (1, 1, 0)


def test_a_young_token_that_is_refused_is_not_refreshed(web: Any, world: Any) -> None:
    world.practice.clock.advance(HOUR + 1)
    web.get(f"{world.api.url}/me")
    world.provider.expire_access_tokens()

    assert web.get(f"{world.api.url}/me").status == 401
    assert world.provider.refreshes == 1


def test_a_grant_that_was_withdrawn_asks_for_a_person(web: Any, world: Any) -> None:
    world.provider.revoke("ada")

    with pytest.raises(ReauthorizationRequired) as caught:
        web.get(f"{world.api.url}/me")

    assert caught.value.reason == "revoked"
    assert len(world.api.seen) == 1


@pytest.mark.conformance("1 step-up: challenge", "2 own: step-up", "1 core: 401 is not always")
@pytest.mark.parametrize("status", [401, 403])
def test_a_call_for_a_stronger_sign_in_refreshes_nothing(web: Any, world: Any, status: int) -> None:
    world.api.refuse("/pay", STEP_UP, status)

    with pytest.raises(StepUpRequired) as caught:
        web.get(f"{world.api.url}/pay")

    assert (caught.value.acr_values, caught.value.max_age, caught.value.scopes) == (("gold", "silver"), 5, ("pay",))
    assert (world.provider.refreshes, len(world.api.seen)) == (0, 1)
    assert web.get(f"{world.api.url}/me").status == 200


@pytest.mark.parametrize(
    ("status", "challenge"),
    [
        pytest.param(401, 'Bearer error="invalid_request"', id="401 that is about the request"),
        pytest.param(401, 'DPoP error="use_dpop_nonce"', id="401 that asks for a nonce"),
        pytest.param(401, 'Bearer error="insufficient_scope"', id="401 that is about scopes"),
        pytest.param(403, "", id="403 without a word"),
        pytest.param(403, 'Bearer error="invalid_token"', id="403 for an invalid token"),
        pytest.param(404, 'Bearer error="invalid_token"', id="404"),
    ],
)
def test_what_is_not_about_the_token_is_the_callers(web: Any, world: Any, status: int, challenge: str) -> None:
    world.api.refuse("/no", challenge, status)

    assert web.get(f"{world.api.url}/no").status == status
    assert (world.provider.refreshes, len(world.api.seen)) == (0, 1)


def test_a_403_is_a_401_where_the_preset_says_so(drive: Any, world: Any) -> None:
    world.declare("odd", refresh_on_403=True)
    odd = drive("odd")
    world.api.refuse("/scope", 'Bearer error="insufficient_scope"', 403)
    world.api.answers["/odd"] = lambda _: (403 if len(world.api.at("/odd")) == 1 else 200, {}, b"")

    assert odd.get(f"{world.api.url}/scope").status == 403
    assert world.provider.refreshes == 0
    assert odd.get(f"{world.api.url}/odd").status == 200
    assert world.provider.refreshes == 1


@pytest.mark.conformance("1 core: challenges")
def test_the_challenge_is_found_among_others(web: Any, world: Any) -> None:
    world.api.refuse("/many", f'Basic realm="a, b", {STEP_UP}')

    with pytest.raises(StepUpRequired):
        web.get(f"{world.api.url}/many")


@pytest.mark.conformance("1 DPoP: nonce is no retry", "1 DPoP: nonces", "1 DPoP: clock")
def test_a_bound_token_gets_another_proof_for_a_nonce_or_a_clock_also_after_a_refresh(drive: Any, world: Any) -> None:
    world.practice.declare("bound", sender_constraint="dpop")
    world.practice.connect("bound")
    bound, url = drive("bound"), f"{world.provider.url}/me"
    world.provider.rules.dpop_nonces = True
    world.practice.clock.advance(120)
    world.provider.expire_access_tokens()

    assert bound.get(url).status == 200
    assert world.provider.refreshes == 1
    world.provider.rules.dpop_nonces = False
    world.provider.rules.clock_offset = 300
    assert bound.get(url).status == 200
    assert world.provider.refreshes == 1


@pytest.mark.conformance("1 DPoP: proof per request")
def test_what_a_redirect_leads_to_gets_a_proof_of_its_own(drive: Any, world: Any) -> None:
    world.practice.declare("bound", sender_constraint="dpop", api_hosts=[world.api.host])
    world.practice.connect("bound")
    bound = drive("bound")
    world.api.lead("/from", f"{world.api.url}/to")
    proofs: list[str] = []

    def at_end(seen: Any) -> Any:
        proofs.append(seen.headers["dpop"])
        claims = json.loads(base64.urlsafe_b64decode(proofs[-1].split(".")[1] + "=="))
        good = claims["htu"] == f"{world.api.url}/to" and seen.headers["authorization"].startswith("DPoP ")
        return (200, {}, b"") if good else (401, {"WWW-Authenticate": 'DPoP error="invalid_dpop_proof"'}, b"")

    world.api.answers["/to"] = at_end

    assert bound.get(f"{world.api.url}/from").status == 200
    assert world.provider.refreshes == 0
    assert len(set(proofs)) == len(proofs) <= 2
    world.foreign.answers["/file"] = lambda _: (200, {}, b"a file")
    world.api.lead("/from", f"{world.foreign.url}/file")
    assert bound.get(f"{world.api.url}/from").status == 200
    (seen,) = world.foreign.seen
    assert "authorization" not in seen.headers
    if bound.sees_hops:
        assert "dpop" not in seen.headers


# -- bodies --------------------------------------------------------------------------------------------------------


def opened(folder: Path) -> Any:
    """Return a file that was read a little."""
    path = folder / "body"
    path.write_bytes(b"skipped, body")
    file = path.open("rb")
    file.seek(len(b"skipped, "))
    return file


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: b"body", id="bytes"),
        pytest.param(lambda _: "body", id="text"),
        pytest.param(lambda _: None, id="none"),
    ],
)
def test_a_body_in_memory_is_sent_again(web: Any, world: Any, make: Callable[[Path], Any], tmp_path: Path) -> None:
    world.provider.expire_access_tokens()
    body = make(tmp_path)

    assert web.request("POST", f"{world.api.url}/notes", body).status == 200
    assert [seen.body for seen in world.api.seen] == [b"body" if body else b""] * 2


@pytest.mark.parametrize(
    "make",
    [pytest.param(lambda _: io.BytesIO(b"body"), id="in memory"), pytest.param(opened, id="on disk, read a little")],
)
def test_a_file_is_sent_again_from_where_it_began_by_those_that_see_it_is_one(
    web: Any, world: Any, make: Callable[[Path], Any], tmp_path: Path
) -> None:
    world.provider.expire_access_tokens()
    with make(tmp_path) as file:
        answer = web.request("POST", f"{world.api.url}/notes", _in_pieces(web, file))

    again = web.sees_hops  # httpx and httpx2 know a file only as a stream
    assert [seen.body for seen in world.api.seen] == [b"body"] * (2 if again else 1)
    assert (answer.status, world.provider.refreshes) == (200 if again else 401, 1)


def _in_pieces(web: Any, file: Any) -> Any:
    """Return a file as this client takes it: httpx and httpx2 count its bytes wrong, or not at all."""
    return file if web.sees_hops else iter([file.read()])


@pytest.mark.conformance("1 core: replayable")
@pytest.mark.parametrize("kind", ["generator", "pipe"])
def test_a_body_that_cannot_be_sent_twice_is_not_but_the_token_is_refreshed(web: Any, world: Any, kind: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"bo"
        yield b"dy"

    world.provider.expire_access_tokens()
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as into:
        into.write(b"body")
    with os.fdopen(reading, "rb") as pipe:
        answer = web.request(
            "POST", f"{world.api.url}/notes", pieces() if kind == "generator" else _in_pieces(web, pipe)
        )

    assert (answer.status, [seen.body for seen in world.api.seen]) == (401, [b"body"])
    assert answer.body.startswith(b"stay out")
    assert web.get(f"{world.api.url}/me").status == 200
    assert world.provider.refreshes == 1


# -- redirects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["/me", "//{host}/me", "{url}/me", "/me?q=a b#part"])
def test_within_an_origin_the_token_goes_along(web: Any, world: Any, to: str) -> None:
    world.api.lead("/from", to.format(host=world.api.host, url=world.api.url))

    assert web.get(f"{world.api.url}/from").status == 200
    assert world.api.seen[1].headers["x-provider"] == "theirs"


@pytest.mark.conformance("1 core: confidential")
@pytest.mark.parametrize("where", ["other", "foreign"])
def test_across_an_origin_nothing_of_ours_goes_along(web: Any, world: Any, where: str) -> None:
    target = getattr(world, where)
    target.answers["/file"] = lambda _: (200, {}, b"a file")
    world.api.lead("/from", f"{target.url}/file")

    assert web.get(f"{world.api.url}/from").body == b"a file"

    (seen,) = target.seen
    assert "authorization" not in seen.headers
    if web.sees_hops:
        assert "x-provider" not in seen.headers


def test_the_same_address_under_another_name_is_another_origin(web: Any, world: Any) -> None:
    port = world.api.host.partition(":")[2]
    world.api.lead("/from", f"http://localhost:{port}/to")
    world.api.answers["/to"] = lambda _: (200, {}, b"")

    assert web.get(f"{world.api.url}/from").status == 200
    assert "authorization" not in world.api.at("/to")[0].headers


@pytest.mark.parametrize("back", ["api", "other"])
def test_a_token_that_was_left_behind_does_not_come_back(web: Any, world: Any, back: str) -> None:
    to = getattr(world, back)
    world.api.lead("/from", f"{world.other.url}/via")
    world.other.lead("/via", f"{to.url}/to")
    to.answers["/to"] = lambda _: (200, {}, b"")

    web.get(f"{world.api.url}/from")

    assert "authorization" not in to.at("/to")[0].headers


@pytest.mark.parametrize("where", ["other", "foreign"])
def test_a_401_to_a_hop_that_did_not_carry_the_token_is_the_callers(web: Any, world: Any, where: str) -> None:
    target = getattr(world, where)
    target.refuse("/file")
    world.api.lead("/from", f"{target.url}/file")

    assert web.get(f"{world.api.url}/from").status == 401
    assert (world.provider.refreshes, len(world.api.seen), len(target.seen)) == (0, 1, 1)


def test_after_a_redirect_to_another_origin_the_next_request_there_is_its_own(web: Any, world: Any) -> None:
    world.api.lead("/from", f"{world.other.url}/me")

    statuses = [web.get(url).status for url in (f"{world.api.url}/from", f"{world.other.url}/me")]

    assert statuses == [401, 200]


def test_the_hop_that_was_refused_is_retried_and_not_what_led_there(web: Any, world: Any) -> None:
    world.api.lead("/notes", "/notes/1", 303)
    world.provider.expire_access_tokens()

    assert web.request("POST", f"{world.api.url}/notes", b"a note").status == 200

    assert world.api.paths() == ["/notes", "/notes/1", "/notes/1"]
    assert [seen.method for seen in world.api.seen] == ["POST", "GET", "GET"]
    assert world.provider.refreshes == 1


def test_after_a_retry_a_redirect_is_followed_with_the_new_token(web: Any, world: Any) -> None:
    def move(seen: Any) -> Any:
        usual = world.api.usual(seen)
        return usual if usual[0] == 401 else (302, {"Location": "/me"}, b"")

    world.api.answers["/from"] = move
    world.provider.expire_access_tokens()

    assert web.get(f"{world.api.url}/from").status == 200
    assert world.api.paths() == ["/from", "/from", "/me"]
    assert world.provider.refreshes == 1


def test_a_request_is_retried_once_over_all_its_hops(web: Any, world: Any) -> None:
    def move(seen: Any) -> Any:
        usual = world.api.usual(seen)
        return usual if usual[0] == 401 else (302, {"Location": "/never"}, b"")

    def never(_: Any) -> Any:
        world.practice.clock.advance(120)  # a token that is old enough to be refreshed
        return 401, {}, b""

    world.api.answers |= {"/from": move, "/never": never}
    world.provider.expire_access_tokens()

    assert web.get(f"{world.api.url}/from").status == 401
    assert world.api.paths() == ["/from", "/from", "/never"]
    assert world.provider.refreshes == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_goes_on_to_where_the_api_moved(web: Any, world: Any, status: int) -> None:
    world.api.lead("/notes", "/v2/notes", status)
    world.provider.expire_access_tokens()

    assert web.request("POST", f"{world.api.url}/notes", b"a note").status == 200
    assert [(seen.path, seen.body) for seen in world.api.seen] == [
        ("/notes", b"a note"),
        ("/v2/notes", b"a note"),
        ("/v2/notes", b"a note"),
    ]


def test_a_grant_that_ends_on_the_way_leaves_the_client_usable(web: Any, world: Any) -> None:
    world.api.lead("/from", "/me")
    world.provider.revoke("ada")

    with pytest.raises(ReauthorizationRequired):
        web.get(f"{world.api.url}/from")

    world.practice.connect("api")
    assert web.get(f"{world.api.url}/from").status == 200


# -- a header of the provider's own --------------------------------------------------------------------------------


FORM = "X-Shop-Access-Token: {token}"


@pytest.fixture
def shop(drive: Any, world: Any) -> Any:
    """An HTTP client of each kind for a credential whose token goes in a header of the provider's own."""
    world.declare("shop", token_header=FORM)
    for server in (world.api, world.other):
        server.wants = FORM
    return drive("shop")


def test_a_header_of_the_providers_own_carries_the_token_where_it_can_be_guarded(shop: Any, world: Any) -> None:
    if not shop.sees_hops:
        with pytest.raises(ConfigurationError) as caught:
            shop.get(f"{world.api.url}/me")
        assert caught.value.code == "token_header_unguarded"
        assert world.api.seen == []
        return
    assert shop.get(f"{world.api.url}/me").status == 200
    world.provider.expire_access_tokens()
    assert shop.get(f"{world.api.url}/me").status == 200
    assert world.provider.refreshes == 1
    assert all("authorization" not in seen.headers for seen in world.api.seen)


@pytest.mark.parametrize("where", ["other", "foreign"])
def test_a_header_of_the_providers_own_stays_behind_at_another_origin(shop: Any, world: Any, where: str) -> None:
    if not shop.sees_hops:
        return
    target = getattr(world, where)
    target.answers["/file"] = lambda _: (200, {}, b"a file")
    world.api.lead("/from", f"{target.url}/file")
    target.lead("/back", f"{world.api.url}/me")
    world.api.lead("/round", f"{target.url}/back")

    assert shop.get(f"{world.api.url}/from").body == b"a file"
    assert shop.get(f"{world.api.url}/round").status == 401
    assert all("x-shop-access-token" not in seen.headers for seen in target.seen)
    assert ["x-shop-access-token" in seen.headers for seen in world.api.seen] == [True, True, False]
    assert world.provider.refreshes == 0


def test_another_scheme_is_guarded_by_the_http_client(drive: Any, world: Any) -> None:
    world.declare("shop", token_header="Authorization: OAuth {token}")
    world.api.wants = "Authorization: OAuth {token}"
    world.api.lead("/from", f"{world.foreign.url}/file")
    web = drive("shop")

    assert web.get(f"{world.api.url}/me").status == 200
    web.get(f"{world.api.url}/from")
    assert "authorization" not in world.foreign.seen[0].headers


# -- headers with a secret of the app ------------------------------------------------------------------------------


@pytest.fixture
def keyed(drive: Any, world: Any) -> Any:
    """An HTTP client of each kind for a credential whose calls carry a secret of the app."""
    world.practice.secrets.set("the-key", "canary-of-the-app")
    world.declare("keyed", api_header_secrets={"X-Api-Key": "the-key"})
    return drive("keyed")


def test_a_secret_of_the_app_is_carried_where_it_can_be_guarded(keyed: Any, world: Any) -> None:
    if not keyed.sees_hops:
        with pytest.raises(ConfigurationError) as caught:
            keyed.get(f"{world.api.url}/me")
        assert caught.value.code == "token_header_unguarded"
        assert world.api.seen == []
        return
    assert keyed.get(f"{world.api.url}/me").status == 200
    world.provider.expire_access_tokens()
    assert keyed.get(f"{world.api.url}/me").status == 200
    assert [seen.headers["x-api-key"] for seen in world.api.seen] == ["canary-of-the-app"] * 3


@pytest.mark.parametrize("where", ["other", "foreign"])
def test_a_secret_of_the_app_stays_behind_at_another_origin(keyed: Any, world: Any, where: str) -> None:
    if not keyed.sees_hops:
        return
    target = getattr(world, where)
    target.answers["/file"] = lambda _: (200, {}, b"a file")
    world.api.lead("/from", f"{target.url}/file")
    target.lead("/back", f"{world.api.url}/me")
    world.api.lead("/round", f"{target.url}/back")

    assert keyed.get(f"{world.api.url}/from").body == b"a file"
    keyed.get(f"{world.api.url}/round")
    assert all("x-api-key" not in seen.headers for seen in target.seen)
    assert ["x-api-key" in seen.headers for seen in world.api.seen] == [True, True, False]
