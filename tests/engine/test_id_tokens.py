"""Id tokens on the way into the store: none that does not hold makes a connection, and a refresh loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.connect import finish_authorization
from valetkey.engine.deciding import finish_or_hold
from valetkey.engine.device import finish_device, start_device
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.servers import Servers
from valetkey.engine.world import open_grant
from valetkey.errors import ConnectError, ProviderError, ReauthorizationRequired
from valetkey.model.connections import Identity
from valetkey.testing._signing import id_token_claims
from valetkey.testing._site import subject
from valetkey.testing.provider import OMIT
from valetkey.values import Response

conformance = pytest.mark.conformance
HOUR = 3600
SCOPES = ("openid", "notes.read")


@pytest.fixture
def stage(stage: Any) -> Any:
    stage.change(scopes=SCOPES)
    return stage


def keys_fetched(stage: Any) -> int:
    return sum(path.endswith("jwks") for path in stage.wire.paths())


def grant_of(stage: Any) -> Any:
    found = open_grant(stage.world, stage.record())
    assert found is not None
    return found


def refused(stage: Any) -> list[str]:
    return [event.detail["fault"] for event in stage.events() if event.kind == "id_token_refused"]


# -- connecting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_who_signed_in_is_read_from_a_token_that_holds(stage: Any, alg: str) -> None:
    stage.provider.keys.alg = alg
    stage.change(userinfo_url="")

    record = stage.connect()

    assert (record.identity.email, record.identity.name) == ("ada@example.com", "Ada")
    assert grant_of(stage).id_token is not None
    assert keys_fetched(stage) == 1


Spoil = Callable[[Any], object]


def _claim(**claims: object) -> Spoil:
    return lambda provider: provider.change_answer(endpoint="id_token", **claims)


def _sign(alg: str) -> Spoil:
    return lambda provider: setattr(provider.keys, "alg", alg)


@conformance("1 openid: claims", "1 openid: signature", "2 F:invalid-nonce", "2 O:idtoken-sig-none")
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_claim(iss="https://evil.example"), id="another issuer"),
        pytest.param(_claim(aud="other"), id="for another app"),
        pytest.param(_claim(nonce="other"), id="another nonce"),
        pytest.param(_claim(nonce=OMIT), id="no nonce"),
        pytest.param(_claim(exp=1), id="ended"),
        pytest.param(_claim(at_hash="AAAA"), id="beside another access token"),
        pytest.param(lambda p: setattr(p.keys, "forged", 9), id="forged"),
        pytest.param(_sign("none"), id="not signed"),
        pytest.param(_sign("HS256"), id="signed with the client secret"),
        pytest.param(lambda p: p.change_answer(id_token="x.y.z"), id="unreadable"),
        pytest.param(lambda p: p.change_answer(id_token=OMIT), id="missing"),
    ],
)
def test_a_token_that_does_not_hold_makes_no_connection(stage: Any, spoil: Spoil) -> None:
    spoil(stage.provider)

    with pytest.raises(ConnectError) as caught:
        stage.connect()

    assert caught.value.code == "id_token_invalid"
    assert caught.value.hint
    assert stage.ungranted()
    assert stage.provider.live_grants == 0, "what was bought is given back"
    assert "userinfo" not in stage.wire.paths()


def test_the_same_holds_where_another_account_would_be_asked_about_and_for_devices(stage: Any) -> None:
    stage.provider.change_answer(endpoint="id_token", nonce="other")
    start = stage.start()
    callback = stage.provider.approve(start.url)
    with pytest.raises(ConnectError):
        finish_or_hold(stage.world, callback, binding=start.binding)
    stage.provider.reset_faults()

    assert stage.connect().state == "connected"
    flow = start_device(stage.world, stage.credentials["notes"], stage.key(account="tv"), scopes=())
    stage.provider.enter_user_code(flow.user_code)
    record = finish_device(stage.world, stage.credentials["notes"], stage.key(account="tv"), flow, scopes=())
    assert record.identity is not None
    stage.provider.change_answer(endpoint="id_token", aud="other")
    flow = start_device(stage.world, stage.credentials["notes"], stage.key(account="tv2"), scopes=())
    stage.provider.enter_user_code(flow.user_code)
    with pytest.raises(ConnectError):
        finish_device(stage.world, stage.credentials["notes"], stage.key(account="tv2"), flow, scopes=())


def test_where_openid_was_not_given_there_need_be_no_token(stage: Any) -> None:
    stage.provider.narrow_scopes("notes.read")

    assert stage.connect().state == "connected"


@pytest.mark.parametrize("fields", [{"issuer": ""}, {"scopes": ("notes.read",)}])
def test_without_an_issuer_or_without_openid_no_token_is_looked_at(stage: Any, fields: dict[str, Any]) -> None:
    stage.change(**fields, iss_advertised=False)
    stage.provider.change_answer(id_token="x.y.z")

    assert stage.connect().identity.login == "ada"
    assert keys_fetched(stage) == 0


def test_the_client_secret_signs_where_that_is_declared(stage: Any) -> None:
    stage.provider.keys.alg = "HS256"
    stage.change(id_token_algs=("HS256",))

    assert stage.connect().state == "connected"
    assert keys_fetched(stage) == 0


@pytest.mark.parametrize("age", ["60", "0"])
def test_a_sign_in_that_is_to_be_fresh_is(stage: Any, age: str) -> None:
    stage.change(additional_params={"max_age": age})
    assert stage.connect().state == "connected"

    for auth_time in (OMIT, stage.clock.now() - 200):
        stage.provider.change_answer(endpoint="id_token", times=1, auth_time=auth_time)
        with pytest.raises(ConnectError, match="older than was asked for"):
            stage.connect()


@conformance("1 openid: userinfo", "2 O:userinfo-invalid-sub")
def test_userinfo_of_somebody_else_is_not_used(stage: Any) -> None:
    stage.provider.change_answer(endpoint="userinfo", sub="mallory", email="mallory@example.com", name="M")

    record = stage.connect()

    assert (record.identity.email, record.identity.name) == ("ada@example.com", "Ada")
    assert record.identity.subject.startswith("user-")


def test_what_userinfo_leaves_out_is_taken_from_the_token(stage: Any) -> None:
    stage.provider.change_answer(endpoint="userinfo", email=OMIT, name="Ada L.")

    assert stage.connect().identity == Identity(
        subject=stage.record().identity.subject, email="ada@example.com", name="Ada L.", login="ada"
    )


@conformance("1 openid: userinfo")
@pytest.mark.parametrize(
    ("iss", "name"), [(None, "Signed"), ("https://evil.example", "Ada")], ids=["in order", "of another issuer"]
)
def test_a_signed_userinfo_is_checked(stage: Any, iss: str | None, name: str) -> None:
    start = stage.start()
    callback = stage.provider.approve(start.url)
    person = {"sub": subject("ada"), "name": "Signed"}
    site = {"issuer": iss or stage.provider.issuer, "client_id": stage.apps.client_id}
    claims = id_token_claims(person, **site, access_token="x", alg="ES256", at=stage.clock.now())
    token = stage.provider.keys.sign(claims)

    send = stage.wire.inner.send

    def answered(request: Any, *, deadline: float) -> Response:
        if request.url.endswith("/userinfo"):
            return Response(status=200, headers={"content-type": "application/jwt"}, body=token.encode())
        return send(request, deadline=deadline)

    stage.wire.inner.send = answered
    record = finish_authorization(stage.world, callback, binding=start.binding)

    assert record.identity.name == name


# -- keys --------------------------------------------------------------------------------------------------------------


@conformance("1 openid: key rotation", "2 O:signing-key-rotation-just-before-signing")
def test_a_key_that_is_not_known_has_the_keys_fetched_once_and_not_again_for_a_while(stage: Any) -> None:
    stage.connect()
    stage.provider.keys.rotate()
    assert stage.connect().state == "connected"
    assert keys_fetched(stage) == 2

    stage.provider.keys.published = False
    stage.provider.keys.rotate()
    for _ in range(3):
        with pytest.raises(ConnectError, match="does not name"):
            stage.connect()
    assert keys_fetched(stage) == 2, "it was done just now"
    stage.clock.advance(61)
    stage.provider.keys.publish()
    assert stage.connect().state == "connected"
    assert keys_fetched(stage) == 3


@conformance("2 O:kid-absent-single-jwks")
def test_a_token_may_leave_out_which_key_it_is(stage: Any) -> None:
    stage.provider.keys.named = False

    assert stage.connect().state == "connected"


def test_without_keys_no_code_is_spent(stage: Any) -> None:
    stage.provider.fail_next(status=503, times=None, endpoint="jwks")

    with pytest.raises(ProviderError) as caught:
        stage.connect()

    assert "jwks" in str(caught.value)
    assert stage.provider.token_requests == 0
    stage.provider.reset_faults()
    stage.clock.advance(6)
    assert stage.connect().state == "connected"


@pytest.mark.parametrize(
    ("status", "headers", "told", "hint"),
    [
        (200, {}, "HTML", "ask the operator"),
        (404, {}, "HTTP 404", "ask the operator"),
        (302, {"Location": "https://elsewhere.example/keys"}, "https://elsewhere.example/keys", "have moved for good"),
    ],
)
def test_keys_that_cannot_be_had_are_told_with_the_field_that_leads_to_others(
    stage: Any, status: int, headers: dict[str, str], told: str, hint: str
) -> None:
    stage.provider.fail_next(status=status, headers=headers, times=None, endpoint="jwks")
    with pytest.raises(ProviderError, match=told) as caught:
        stage.connect()
    assert hint in caught.value.hint
    assert "declare jwks_url= for 'notes'" in caught.value.hint
    assert not any("elsewhere" in path for path in stage.wire.paths())


def test_keys_that_are_old_serve_while_their_server_is_down(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(2 * HOUR)
    stage.provider.fail_next(status=503, times=None, endpoint="jwks")

    assert stage.connect().state == "connected"


def test_the_keys_are_found_by_the_issuer(stage: Any) -> None:
    stage.change(jwks_url="")
    assert stage.connect().state == "connected"
    (document,) = stage.store.list_documents("metadata")
    stage.store.delete_document("metadata", document.id)
    stage.provider.change_answer(endpoint="discovery", jwks_uri=OMIT)
    stage.world = replace(stage.world, servers=Servers())

    with pytest.raises(ProviderError, match="jwks_uri is missing"):
        stage.connect()


def test_the_server_says_what_it_signs_with(stage: Any) -> None:
    stage.change(jwks_url="")
    stage.provider.change_answer(endpoint="discovery", id_token_signing_alg_values_supported=["RS256", "none"])

    with pytest.raises(ConnectError, match="allowed: RS256"):
        stage.connect()


@conformance("1 keys: JARM")
def test_signed_answers_have_algorithms_of_their_own(stage: Any) -> None:
    stage.change(jwks_url="", scopes=("notes.read",), response_mode="jwt")
    stage.provider.keys.alg = "RS256"
    mended = {"id_token_signing_alg_values_supported": ["ES256"]}

    def said(**more: object) -> None:
        stage.provider.change_answer(endpoint="discovery", **mended, **more)
        stage.world = replace(stage.world, servers=Servers())
        for document in stage.store.list_documents("metadata"):
            stage.store.delete_document("metadata", document.id)

    said(authorization_signing_alg_values_supported=["RS256", "HS256", "none"])
    assert stage.connect().state == "connected"
    for named, allowed in (["ES256"], "ES256"), (["HS256", "none"], "nothing"), ([], "ES256"):
        said(authorization_signing_alg_values_supported=named)
        with pytest.raises(ConnectError, match=f"allowed: {allowed}") as caught:
            stage.connect()
        assert (caught.value.code, "authorization_signed_response_alg" in caught.value.hint) == ("answer_invalid", True)


@pytest.mark.parametrize(("named", "email"), [(["RS256"], "signed@example.com"), (["ES256"], "ada@example.com")])
def test_signed_userinfo_has_algorithms_of_its_own(stage: Any, named: list[str], email: str) -> None:
    stage.change(jwks_url="")
    stage.provider.change_answer(endpoint="discovery", userinfo_signing_alg_values_supported=named)
    send = stage.wire.inner.send

    def signed(request: Any, *, deadline: float) -> Response:
        answer: Response = send(request, deadline=deadline)
        if not request.url.endswith("/userinfo"):
            return answer
        stage.provider.keys.alg = "RS256"
        made = {"iss": stage.provider.issuer, "aud": stage.apps.client_id, "sub": subject("ada")}
        token = stage.provider.keys.sign({**made, "email": "signed@example.com"})
        return Response(status=200, headers={"content-type": "application/jwt"}, body=token.encode())

    stage.wire.inner.send = signed

    assert stage.connect().identity.email == email


# -- refreshing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def aged(stage: Any) -> Any:
    stage.connect()
    stage.clock.advance(HOUR + 1)
    return stage


@conformance("1 openid: refreshed id_token")
def test_a_refresh_keeps_the_new_token_that_holds(aged: Any) -> None:
    before = grant_of(aged).id_token
    aged.change(userinfo_url="")
    aged.provider.change_answer(endpoint="id_token", name="Ada L.")

    obtain(aged.world, aged.key())

    assert grant_of(aged).id_token != before
    assert aged.record().identity.name == "Ada L."
    assert refused(aged) == []


@conformance("1 openid: refreshed id_token")
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        pytest.param(_claim(exp=1), "exp", id="ended"),
        pytest.param(_claim(at_hash="AAAA"), "at_hash", id="beside another access token"),
        pytest.param(lambda p: setattr(p.keys, "forged", 9), "signature", id="forged"),
        pytest.param(_sign("none"), "alg", id="not signed"),
        pytest.param(lambda p: p.change_answer(id_token="x.y.z"), "malformed", id="unreadable"),
    ],
)
def test_a_refresh_keeps_its_tokens_though_the_id_token_does_not_hold(aged: Any, spoil: Spoil, fault: str) -> None:
    first = grant_of(aged).id_token
    identity = aged.record().identity
    spoil(aged.provider)
    aged.provider.change_answer(endpoint="id_token", name="Mallory")

    held = obtain(aged.world, aged.key())

    assert aged.provider.is_live(held.grant.access_token.reveal())
    assert grant_of(aged).id_token == first
    assert (aged.record().state, aged.record().identity) == ("connected", identity)
    assert refused(aged) == [fault]
    aged.provider.reset_faults()
    aged.provider.keys.alg, aged.provider.keys.forged = "ES256", 0
    aged.clock.advance(HOUR + 1)
    obtain(aged.world, aged.key())
    assert refused(aged) == [fault]


def test_a_refresh_without_an_id_token_is_fine(aged: Any) -> None:
    first = grant_of(aged).id_token
    aged.provider.change_answer(id_token=OMIT)

    obtain(aged.world, aged.key())

    assert grant_of(aged).id_token == first
    assert refused(aged) == []


@conformance("1 openid: refreshed id_token", "2 O:refresh-token-invalid-issuer", "2 O:refresh-token-invalid-sub")
@pytest.mark.parametrize(
    "claims",
    [{"sub": "mallory"}, {"iss": "https://evil.example"}, {"aud": "other"}, {"auth_time": 7}, {"nonce": "other"}],
    ids=["another subject", "another issuer", "another audience", "another sign-in", "another nonce"],
)
def test_a_refresh_that_speaks_of_somebody_else_is_not_used(aged: Any, claims: dict[str, Any]) -> None:
    before = grant_of(aged)
    aged.provider.change_answer(endpoint="id_token", **claims)

    with pytest.raises(ReauthorizationRequired) as caught:
        obtain(aged.world, aged.key())

    record = aged.record()
    assert (caught.value.reason, record.state, record.claim) == ("identity_changed", "needs_reauth", None)
    assert next(iter(claims)) in record.error_text
    after = grant_of(aged)
    assert after.access_token == before.access_token
    assert aged.provider.is_live(after.quarantined.reveal()), "the only refresh token that lives is kept aside"
    for want in (Want(), Want(manual=True)):
        with pytest.raises(ReauthorizationRequired):
            obtain(aged.world, aged.key(), want)
    assert aged.provider.refreshes == 1
    aged.provider.reset_faults()
    assert aged.connect().state == "connected"


def test_between_an_answer_and_its_commit_nothing_is_fetched(aged: Any) -> None:
    aged.wire.sent.clear()
    aged.provider.keys.rotate()

    obtain(aged.world, aged.key())

    assert [path.partition("?")[0] for path in aged.wire.paths()] == ["jwks", "token"]
    aged.wire.sent.clear()
    aged.clock.advance(HOUR + 1)
    aged.provider.fail_next(status=500, endpoint="jwks")
    aged.provider.keys.rotate()
    obtain(aged.world, aged.key())
    assert aged.wire.paths() == ["jwks", "token"], "it is looked at with the keys of before"
    assert refused(aged) == ["key"]
    aged.clock.advance(HOUR + 1)
    obtain(aged.world, aged.key())
    assert aged.wire.paths() == ["jwks", "token"] * 2
    assert refused(aged) == ["key"]


def test_a_refresh_does_without_keys_that_cannot_be_fetched(aged: Any) -> None:
    aged.world = replace(aged.world, servers=Servers())
    aged.provider.fail_next(status=500, times=None, endpoint="jwks")

    assert obtain(aged.world, aged.key()).record.state == "connected"
    assert refused(aged) == ["key"]
