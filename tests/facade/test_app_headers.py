"""Headers with something of the app go with each call of its API, and a secret among them goes nowhere else."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shared.api import Api
from valetkey import AppCredentials, ConfigurationError, OAuth2Client
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import Practice
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

HEADER = "developer-token"
SECRET_ID = "shop-developer-token"
SECRET = "canary-of-the-app"
SECRETS = {"api_header_secrets": {HEADER: "{name}-developer-token"}}
PAIR = {"api_headers": {"x-api-key": "{client_id}:{client_secret}"}}
HOUR = 3600


@pytest.fixture
def api(practice: Practice) -> Iterator[Api]:
    api = Api(practice)
    yield api
    api.close()


@pytest.fixture
def elsewhere(practice: Practice) -> Iterator[Api]:
    """A second server, where the token may go too, but not along with a redirect."""
    elsewhere = Api(practice)
    elsewhere.answers["/file"] = lambda _: (200, {}, b"a file")
    yield elsewhere
    elsewhere.close()


def declare(practice: Practice, api: Api, *others: str, secret: str = SECRET, **fields: Any) -> None:
    """Declare the shop with its secret, and connect the person, two minutes ago."""
    practice.declare("shop", **{"api_hosts": [api.host, *others], "api_base_url": api.url, **fields})
    if secret:
        practice.secrets.set(SECRET_ID, secret)
    practice.connect("shop")
    practice.clock.advance(120)


def test_the_client_id_is_that_of_the_app(face: Any, api: Api) -> None:
    declare(face.practice, api, api_headers={"Client-Id": "{client_id}", "X-Version": "7"})

    assert face.client("shop").get("/me").status_code == 200
    sent = api.seen[0].headers
    assert (sent["client-id"], sent["x-version"]) == (DEFAULT_CLIENT_ID, "7")


def test_the_client_id_is_that_of_the_grant_where_the_app_was_replaced(face: Any, api: Api) -> None:
    declare(face.practice, api, api_headers={"Client-Id": "{client_id}"})
    app = {"client_id": "another", "client_secret": "another"}
    face.practice.secrets.set("shop-app-credentials", json.dumps(app))

    face.client("shop").get("/me")
    assert api.seen[0].headers["client-id"] == DEFAULT_CLIENT_ID


def test_a_secret_of_its_own_goes_with_each_call(face: Any, api: Api) -> None:
    declare(face.practice, api, **SECRETS)
    client = face.client("shop")

    assert client.get("/me").status_code == 200
    assert client.post(f"{api.url}/notes", content=b"text").status_code == 200
    assert [seen.headers[HEADER] for seen in api.seen] == [SECRET, SECRET]
    assert all(seen.token for seen in api.seen), "the token stays where it is"


def test_id_and_secret_of_the_app_stand_together(face: Any, api: Api) -> None:
    declare(face.practice, api, **PAIR)

    face.client("shop").get("/me")
    assert api.seen[0].headers["x-api-key"] == f"{DEFAULT_CLIENT_ID}:{DEFAULT_CLIENT_SECRET}"


def test_what_the_caller_sets_goes_before_it_and_needs_no_secret(face: Any, api: Api) -> None:
    declare(face.practice, api, secret="", **SECRETS)

    assert face.client("shop").get("/me", headers={"Developer-Token": "my own"}).status_code == 200
    assert api.seen[0].headers[HEADER] == "my own"


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        pytest.param("", "header_secret_missing", id="missing"),
        pytest.param("  \n", "header_secret_missing", id="blank"),
        pytest.param("two\nlines", "header_secret_invalid", id="no header"),
    ],
)
def test_a_secret_that_cannot_be_sent_stops_calls_and_nothing_else(face: Any, api: Api, secret: str, code: str) -> None:
    declare(face.practice, api, secret=secret, **SECRETS)
    client = face.client("shop")

    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            client.get("/me")
    assert caught.value.code == code
    assert "lines" not in f"{caught.value} {caught.value.hint}"
    assert api.seen == []
    assert client.status().state == "connected"
    assert client.get_access_token()


def test_a_secret_that_is_added_later_is_found(face: Any, api: Api) -> None:
    declare(face.practice, api, secret="", **SECRETS)
    client = face.client("shop")
    with pytest.raises(ConfigurationError) as caught:
        client.get("/me")
    assert caught.value.hint == f"valetkey secret set {SECRET_ID}"

    face.practice.secrets.set(SECRET_ID, SECRET)
    face.practice.clock.advance(6)
    assert client.get("/me").status_code == 200
    assert face.practice.provider.refreshes == 0


def test_a_secret_that_was_replaced_is_read_within_minutes(face: Any, api: Api) -> None:
    declare(face.practice, api, **SECRETS)
    client = face.client("shop")
    client.get("/me")
    face.practice.secrets.set(SECRET_ID, "the next one")
    face.practice.clock.advance(301)

    client.get("/me")
    assert [seen.headers[HEADER] for seen in api.seen] == [SECRET, "the next one"]
    assert face.practice.provider.refreshes == 0


def test_a_401_is_healed_with_it(face: Any, api: Api) -> None:
    declare(face.practice, api, **SECRETS)
    client = face.client("shop")
    client.get("/me")
    face.practice.provider.expire_access_tokens()

    assert client.post("/notes", content=b"text").status_code == 200
    assert face.practice.provider.refreshes == 1
    assert [seen.headers[HEADER] for seen in api.seen] == [SECRET] * 3


@pytest.mark.parametrize(("fields", "header"), [(SECRETS, HEADER), (PAIR, "x-api-key")], ids=["own", "the app's"])
@pytest.mark.parametrize("status", [302, 303, 307])
def test_a_redirect_to_another_origin_carries_it_nowhere(
    face: Any, api: Api, elsewhere: Api, status: int, fields: dict[str, Any], header: str
) -> None:
    declare(face.practice, api, elsewhere.host, **fields)
    api.lead("/from", f"{elsewhere.url}/file", status)

    assert face.client("shop").get("/from", follow_redirects=True).text == "a file"
    assert header in api.seen[0].headers
    assert header not in elsewhere.seen[0].headers


def test_within_the_origin_it_goes_along(face: Any, api: Api) -> None:
    declare(face.practice, api, **SECRETS)
    api.lead("/from", "/me")

    assert face.client("shop").get("/from", follow_redirects=True).status_code == 200
    assert [seen.headers[HEADER] for seen in api.seen] == [SECRET, SECRET]


def test_a_redirect_that_is_not_followed_prepares_a_next_request_without_it(
    face: Any, api: Api, elsewhere: Api
) -> None:
    declare(face.practice, api, **SECRETS)
    api.lead("/from", f"{elsewhere.url}/file")
    api.lead("/near", "/me")
    client = face.client("shop")

    assert HEADER in client.get("/near").next_request.headers
    assert HEADER not in client.get("/from").next_request.headers


def test_an_http_client_that_would_take_it_along_is_refused_unless_the_caller_sets_it(face: Any, api: Api) -> None:
    declare(face.practice, api, **SECRETS)

    def get(**headers: str) -> int:
        async def awaiting() -> int:
            async with httpx2.AsyncClient(auth=face.raw.client("shop").auth, trust_env=False) as own:
                return (await own.get(f"{api.url}/me", headers=headers)).status_code

        if face.colour != "sync":
            return int(face.run(awaiting()))
        with httpx2.Client(auth=face.raw.client("shop").auth, trust_env=False) as own:
            return own.get(f"{api.url}/me", headers=headers).status_code

    with pytest.raises(ConfigurationError) as caught:
        get()
    assert caught.value.code == "token_header_unguarded"
    assert HEADER in str(caught.value)
    assert api.seen == []
    assert get(**{HEADER: "my own"}) == 200


def test_the_identity_is_asked_for_with_it(face: Any, api: Api) -> None:
    api.answers["/who"] = lambda seen: (200, {}, b'{"login": "ada"}') if seen.headers.get(HEADER) else (401, {}, b"{}")
    declare(face.practice, api, userinfo_url=f"{api.url}/who", identity={"login": "login"}, **SECRETS)

    assert face.client("shop").status().identity.login == "ada"


def test_without_it_people_can_connect_and_the_identity_is_asked_for_all_the_same(face: Any, api: Api) -> None:
    api.answers["/who"] = lambda _: (200, {}, b'{"login": "ada"}')
    declare(face.practice, api, secret="", userinfo_url=f"{api.url}/who", identity={"login": "login"}, **SECRETS)

    assert face.client("shop").status().identity.login == "ada"
    assert HEADER not in api.at("/who")[0].headers


def test_a_look_up_carries_it(face: Any, api: Api) -> None:
    api.answers["/places"] = lambda _: (200, {}, b'{"id": "eu-7"}')
    declare(face.practice, api, look_ups=[{"url": f"{api.url}/places", "params": {"place": "id"}}], **SECRETS)

    assert dict(face.client("shop").status().params) == {"place": "eu-7"}
    assert api.at("/places")[0].headers[HEADER] == SECRET


def test_a_host_that_is_none_of_the_apis_gets_no_secret_and_the_client_id_all_the_same(
    face: Any, api: Api, elsewhere: Api
) -> None:
    elsewhere.answers["/who"] = lambda _: (200, {}, b'{"login": "ada"}')
    url, fields = f"{elsewhere.url}/who", {**SECRETS, "api_headers": {"Client-Id": "{client_id}"}}
    declare(face.practice, api, userinfo_url=url, identity={"login": "login"}, revocation_url=url, **fields)
    face.client("shop").disconnect()

    asked = elsewhere.at("/who")
    assert len(asked) >= 2, "for the identity, and to revoke"
    assert all(HEADER not in seen.headers for seen in asked)
    assert all(seen.headers["client-id"] == DEFAULT_CLIENT_ID for seen in asked)


def test_a_revocation_at_the_api_carries_it(face: Any, api: Api) -> None:
    declare(face.practice, api, revocation_url=f"{api.url}/end", **SECRETS)
    api.answers["/end"] = lambda _: (200, {}, b"{}")
    face.client("shop").disconnect()

    assert {seen.headers[HEADER] for seen in api.at("/end")} == {SECRET}


def test_a_client_of_its_own_reads_it_from_its_secret_service(practice: Practice, api: Api) -> None:
    declared = practice.declare("shop", api_hosts=[api.host], api_base_url=api.url, **SECRETS)
    practice.connect("shop")
    service = MemorySecrets()
    service.set("its-token", practice.valet.secrets.get("shop-oauth-token") or "")
    service.set(SECRET_ID, SECRET)
    client = OAuth2Client(AppCredentials(client_id=DEFAULT_CLIENT_ID), declared, service, "its-token")

    with contextlib.closing(client._core):
        assert client.get(f"{api.url}/me").status_code == 200
    assert api.seen[0].headers[HEADER] == SECRET


def test_logs_reprs_and_the_store_do_not_show_it(face: Any, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    declare(face.practice, api, **{**SECRETS, **PAIR})
    client = face.client("shop")
    client.get("/me")
    source = face.raw.client("shop")._source
    status = client.status()
    shown = [repr(thing) for thing in (source.token, source, client.target, client.auth, status)]
    shown += [repr(source.token.secrets), repr(source.token.extra), caplog.text]
    at_rest = b"".join(path.read_bytes() for path in face.practice._folder.rglob("*") if path.is_file())

    assert api.seen[0].headers[HEADER] == SECRET
    for secret in (SECRET, DEFAULT_CLIENT_SECRET):
        assert all(secret not in text for text in shown)
        assert secret.encode() not in at_rest


def test_the_store_knows_where_the_secrets_are(practice: Practice, api: Api) -> None:
    declare(practice, api, **SECRETS, **PAIR)
    practice.valet.connections()
    recorded = practice.valet._core.declarations._from_store("shop")

    assert recorded.api_header_secrets == {HEADER: SECRET_ID}
    assert recorded.api_headers == PAIR["api_headers"]
