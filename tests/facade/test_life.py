"""The life of a connection, over both facades: connect, call, expire, refresh, be refused, be withdrawn, end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from valetkey import (
    AmbiguousAccount,
    AppCredentials,
    AsyncOAuth2Client,
    ConfigurationError,
    HostNotAllowed,
    NotConnected,
    OAuth2Client,
    OAuth2Credential,
    ProviderUnavailable,
    ReauthorizationRequired,
    ScopesMissing,
    Secret,
    ValetkeyError,
)
from valetkey.model.connections import Query
from valetkey.secret_services.memory import MemorySecrets

HOUR = 3600


def test_a_connected_account_calls_the_api(face: Any) -> None:
    face.practice.connect("notes")

    answer = face.client().get("/me")

    assert (answer.status_code, answer.json()["login"]) == (200, "ada")


def test_a_call_before_connecting_says_what_to_run_and_writes_nothing(face: Any) -> None:
    with pytest.raises(NotConnected, match="not connected") as caught:
        face.client(owner="ada", account="work").get("/me")

    assert caught.value.hint == "run: valetkey connect notes --owner ada --account work --env test"
    assert caught.value.connection.owner == "ada"
    assert len(face.valet.connections()) == 0


@pytest.mark.conformance("1 core: refresh")
def test_an_expired_token_is_refreshed_once_and_the_refresh_token_rotates(face: Any) -> None:
    face.practice.connect("notes")
    for _ in range(3):
        face.practice.clock.advance(HOUR + 1)
        assert face.client().get("/me").status_code == 200

    assert (face.practice.provider.refreshes, face.practice.provider.reuses) == (3, 0)


@pytest.mark.parametrize(
    ("age", "refreshes"),
    [
        pytest.param(HOUR - 61, 0, id="before the buffer"),
        pytest.param(HOUR - 59, 1, id="inside the buffer"),
    ],
)
def test_the_buffer_is_sixty_seconds(face: Any, age: int, refreshes: int) -> None:
    face.practice.connect("notes")
    # A one-shot valet has no soft window; this one refreshes ahead, so what is asked here is who had to wait.
    face.raw._core.one_shot = True
    face.practice.clock.advance(age)

    assert face.client().get("/me").status_code == 200
    assert face.practice.provider.refreshes == refreshes


def test_in_the_soft_window_the_old_token_serves_while_one_flight_refreshes(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    before = client.get_access_token()
    face.practice.clock.advance(HOUR - 60 - 1)

    with face.practice.provider.hold("token") as held:
        assert client.get_access_token() == before
        assert held.arrived.wait(10)
        assert client.get_access_token() == before
    face.settle()

    assert client.get_access_token() != before
    assert face.practice.provider.refreshes == 1


def test_a_store_in_which_others_write_all_the_time_does_not_keep_a_token_from_being_refreshed_ahead(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get_access_token()
    face.practice.clock.advance(HOUR - 60 - 1)
    face.practice.connect("notes", owner="ben", login="ben")

    with face.practice.provider.hold("token") as held:
        client.get_access_token()
        assert held.arrived.wait(10)


def test_a_401_is_healed_by_one_refresh_and_one_retry(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(120)
    face.practice.provider.expire_access_tokens()

    assert face.client().get("/me").status_code == 200
    assert face.practice.provider.refreshes == 1


def test_a_body_that_cannot_be_replayed_is_not_sent_twice(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(120)
    face.practice.provider.expire_access_tokens()
    sent: list[bytes] = []

    def pieces() -> Any:
        sent.append(b"x")
        yield b'{"text": "once"}'

    async def apieces() -> Any:
        for piece in pieces():
            yield piece

    body = pieces() if face.colour == "sync" else apieces()
    answer = face.client().post("/notes", content=body)

    assert (answer.status_code, len(sent)) == (401, 1)
    assert face.client().post("/notes", json={"text": "twice"}).status_code == 201


@pytest.mark.conformance("0 10")
def test_a_late_401_for_an_old_token_refreshes_nothing(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    old = client.get_access_token()
    face.practice.clock.advance(HOUR + 1)
    client.get("/me")

    healed = face.raw._core.source(face.client().target._source.key).heal(old.fingerprint(), explicit=True)

    assert healed.secret == client.get_access_token()
    assert face.practice.provider.refreshes == 1


def test_a_token_younger_than_a_minute_that_is_refused_is_not_refreshed(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(30)
    face.practice.provider.expire_access_tokens()

    assert face.client().get("/me").status_code == 401
    face.practice.clock.advance(45)
    assert face.client().get("/me").status_code == 401, "the cool-down is stored"
    assert face.practice.provider.refreshes == 0
    face.practice.clock.advance(60)
    assert face.client().get("/me").status_code == 200


@pytest.mark.parametrize(
    ("status", "error", "state"),
    [
        pytest.param(400, "invalid_grant", "needs_reauth", id="the account holder took the grant back"),
        pytest.param(503, None, "refresh_failing", id="the provider is down: keep the grant"),
        pytest.param(429, "slow_down", "refresh_failing", id="the provider asks for patience: keep the grant"),
        pytest.param(401, "invalid_client", "app_error", id="the app's secret is wrong: keep the grant"),
        pytest.param(400, "invalid_scope", "refresh_failing", id="our request is wrong: keep the grant"),
    ],
)
def test_only_a_dead_grant_asks_the_person_again(face: Any, status: int, error: str | None, state: str) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.fail_next(status=status, error=error)

    with pytest.raises(ValetkeyError):
        face.client().get("/me")

    assert face.client().status().state == state


def test_a_sign_in_ends_what_is_held_against_the_app(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.fail_next(status=401, error="invalid_client")
    with pytest.raises(ValetkeyError):
        face.client().get("/me")
    before = face.client().status().state

    face.practice.connect("notes")

    assert (before, face.client().status().state) == ("app_error", "connected")


def test_while_the_provider_is_down_the_old_token_serves_to_its_true_end(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR - 30)
    face.practice.provider.fail_next(status=503, times=100)

    assert face.client().get("/me").status_code == 200
    face.practice.clock.advance(31)
    with pytest.raises(ProviderUnavailable) as caught:
        face.client().get("/me")

    assert caught.value.retryable
    assert face.client().status().state == "refresh_failing"


@pytest.mark.conformance("1 core: dies any time")
def test_a_withdrawn_grant_is_asked_about_once_and_never_again(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.revoke("ada")

    for _ in range(3):
        with pytest.raises(ReauthorizationRequired) as caught:
            face.client().get("/me")

    assert caught.value.reason == "revoked"
    assert caught.value.hint == "run: valetkey connect notes --env test"
    assert face.practice.provider.refresh_requests == 1


def test_connecting_again_heals_and_keeps_the_id(face: Any) -> None:
    first = face.practice.connect("notes").connection_id
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.revoke("ada")
    with pytest.raises(ReauthorizationRequired):
        face.client().get("/me")

    again = face.practice.connect("notes")

    assert (again.connection_id, again.state) == (first, "connected")
    assert face.client().get("/me").status_code == 200


def test_disconnect_revokes_erases_and_says_so(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get("/me")

    done = client.disconnect()

    assert "refresh_token" in done.revoked
    assert "confirmed" in done.told
    assert face.practice.provider.live_grants == 0
    assert client.status().state == "disconnected"
    with pytest.raises(NotConnected):
        client.get("/me")


def test_the_token_goes_to_the_credentials_hosts_only(face: Any) -> None:
    face.practice.connect("notes")

    with pytest.raises(HostNotAllowed) as caught:
        face.client().get("https://evil.example/steal?x=1")

    assert caught.value.credential == "notes"
    assert caught.value.hosts == (face.practice.provider.url.removeprefix("http://"), "evil.example")
    assert f"api_hosts={[*caught.value.hosts]}" in caught.value.hint, "those of before too"
    assert "x=1" not in str(caught.value)


def test_a_refresh_by_hand_brings_a_new_token(face: Any) -> None:
    face.practice.connect("notes")
    before = face.client().get_access_token()

    status = face.client().refresh()

    assert status.state == "connected"
    assert status.last_refresh_at == face.practice.clock.now()
    assert face.client().get_access_token() != before


def test_a_refresh_by_hand_that_fails_says_so_and_keeps_the_old_token(face: Any) -> None:
    face.practice.connect("notes")
    before = face.client().get_access_token()
    face.practice.provider.fail_next(status=503)

    with pytest.raises(ProviderUnavailable):
        face.client().refresh()

    assert face.client().get_access_token() == before


def test_the_token_is_a_secret(face: Any) -> None:
    face.practice.connect("notes")

    token = face.client().get_access_token()

    assert isinstance(token, Secret)
    assert face.practice.provider.is_live(token.reveal())


def test_scopes_that_were_not_granted_are_missing(face: Any) -> None:
    face.practice.connect("notes", scopes=["notes.read"])

    with pytest.raises(ScopesMissing) as caught:
        face.client(scopes=["notes.read", "notes.admin"]).get("/me")

    assert caught.value.missing == ("notes.admin",)
    assert face.client(scopes=["notes.read"]).get("/me").status_code == 200


def test_demanded_scopes_in_one_string_are_not_taken_for_letters(face: Any) -> None:
    with pytest.raises(ConfigurationError, match="one string") as caught:
        face.client(scopes="notes.read")

    assert caught.value.code == "scopes_not_a_list"


def test_several_accounts_and_none_named_is_ambiguous(face: Any) -> None:
    face.practice.connect("notes", owner="ada", account="work")
    face.practice.connect("notes", owner="ada", account="home")

    with pytest.raises(AmbiguousAccount) as caught:
        face.client(owner="ada").get("/me")

    first, second = caught.value.accounts
    assert {first, second} == {"work", "home"}
    assert caught.value.hint == f"name one: valet.client('notes', owner='ada', account={first!r})"
    assert face.client(owner="ada", account="home").get("/me").status_code == 200


def test_owners_do_not_see_each_others_grants(face: Any) -> None:
    face.practice.connect("notes", owner="ada", login="ada")
    face.practice.connect("notes", owner="ben", login="ben")

    assert face.client(owner="ada").get("/me").json()["login"] == "ada"
    assert face.client(owner="ben").get("/me").json()["login"] == "ben"
    with pytest.raises(NotConnected):
        face.client().get("/me")


def test_an_empty_owner_never_means_the_shared_grant(face: Any) -> None:
    face.practice.connect("notes")

    with pytest.raises(ConfigurationError) as caught:
        face.client(owner="")

    assert caught.value.code == "owner_invalid"


def test_renaming_keeps_id_and_grant(face: Any) -> None:
    before = face.practice.connect("notes", account="old").connection_id

    status = face.valet.rename("notes", account="old", to="new")

    assert status.connection_id == before
    assert face.client(account="new").get("/me").status_code == 200


def test_on_reauthorize_is_called_once_for_one_change(face: Any) -> None:
    told: list[str] = []
    face.raw._core.news.on_reauthorize = lambda error: told.append(error.reason)
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.revoke("ada")

    for _ in range(3):
        with pytest.raises(ReauthorizationRequired):
            face.client().get("/me")

    assert told == ["revoked"]


def test_the_url_in_the_place_of_the_method_is_a_type_error(face: Any) -> None:
    with pytest.raises(TypeError, match="method comes first"):
        face.client().request("https://api.example.com/me", "GET")
    with pytest.raises(TypeError, match="method comes first"):
        face.client().request("https://api.example.com/me")
    with pytest.raises(TypeError, match="URL is missing"):
        face.client().request("GET")


def test_an_auth_of_the_callers_own_is_a_type_error(face: Any) -> None:
    with pytest.raises(TypeError, match="client's own"):
        face.client().get("https://api.example.com/me", auth=("ada", "secret"))


@pytest.mark.parametrize("client", [OAuth2Client, AsyncOAuth2Client])
def test_the_arguments_of_a_client_in_a_wrong_order_are_a_type_error(client: Any) -> None:
    app = AppCredentials(client_id="an-app")
    with pytest.raises(TypeError, match="the arguments are AppCredentials"):
        client(OAuth2Credential(name="notes"), app, MemorySecrets(), "notes-token")


@pytest.mark.parametrize(
    "given", [OAuth2Credential(name="notes"), None, 7], ids=["a declaration", "nothing", "a number"]
)
def test_what_is_no_name_of_a_credential_is_told(face: Any, given: Any) -> None:
    with pytest.raises(ConfigurationError, match="is meant by its name") as told:
        face.raw.client(given)

    assert told.value.code == "credential_unknown"
    assert told.value.hint.startswith("pass ")


def test_streams_carry_the_token(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client().target

    if face.colour == "sync":
        with client.stream("GET", "/stream") as answer:
            body = answer.read()
    else:

        async def read() -> bytes:
            async with client.stream("GET", "/stream") as answer:
                return await answer.aread()

        body = face.run(read())

    assert body


def test_headers_that_the_provider_wants_go_with_every_call_unless_the_caller_sets_them(face: Any) -> None:
    face.practice.declare("versioned", api_headers={"Notes-Version": "2026-01-01"})
    face.practice.connect("versioned")
    client = face.client("versioned")

    default = client.get("/echo").json()["headers"]
    own = client.get("/echo", headers={"Notes-Version": "2025-01-01"}).json()["headers"]

    assert {k.lower(): v for k, v in default.items()}["notes-version"] == "2026-01-01"
    assert {k.lower(): v for k, v in own.items()}["notes-version"] == "2025-01-01"


def test_what_a_provider_wants_to_be_asked_for_goes_before_what_http_clients_accept_by_themselves(face: Any) -> None:
    face.practice.declare("versioned", api_headers={"Accept": "application/vnd.notes+json"})
    face.practice.connect("versioned")
    client = face.client("versioned")

    default = client.get("/echo").json()["headers"]
    own = client.get("/echo", headers={"Accept": "text/html"}).json()["headers"]

    assert {k.lower(): v for k, v in default.items()}["accept"] == "application/vnd.notes+json"
    assert {k.lower(): v for k, v in own.items()}["accept"] == "text/html"


def test_a_callback_that_fails_does_not_hide_the_error(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Any) -> None:
        raise RuntimeError("mail server down")

    face.raw._core.news.on_reauthorize = broken
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.revoke("ada")

    with pytest.raises(ReauthorizationRequired):
        face.client().get("/me")

    assert "on_reauthorize raised RuntimeError" in caplog.text


def test_an_awaitable_callback_is_awaited(practice: Any) -> None:
    told: list[str] = []

    async def callback(error: ReauthorizationRequired) -> None:
        told.append(error.reason)

    async def live() -> None:
        async with practice.async_valet as valet:
            valet._core.news.on_reauthorize = callback
            with pytest.raises(ReauthorizationRequired):
                await valet.client("notes").get("/me")

    practice.connect("notes")
    practice.clock.advance(HOUR + 1)
    practice.provider.revoke("ada")
    asyncio.run(live())

    assert told == ["revoked"]


def test_a_use_is_noted_once_a_minute_also_by_clients_that_begin_anew(face: Any) -> None:
    face.practice.connect("notes")
    core, clock = face.raw._core, face.practice.clock
    began = clock.now()
    noted = []
    for seconds in (0, 30, 31):
        clock.advance(seconds)
        core._kept.clear()  # no client holds the connection's token any more: it is read from the store
        face.client().get_access_token()
        face.settle()
        noted.append(core.store.list(Query(env=core.env)).items[0].last_used_at - began)

    assert noted == [0, 0, 61]
