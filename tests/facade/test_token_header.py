"""A token that the provider wants in a header of its own goes there, and with no redirect anywhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shared.api import Api
from valetkey import ConfigurationError, HostNotAllowed, Valet
from valetkey.hops import Hops
from valetkey.testing import Practice

HEADER = "x-shop-access-token"
FORM = "X-Shop-Access-Token: {token}"
HOUR = 3600


@pytest.fixture
def api(practice: Practice) -> Iterator[Api]:
    api = Api(practice)
    api.wants = FORM
    yield api
    api.close()


@pytest.fixture
def elsewhere(practice: Practice) -> Iterator[Api]:
    """A second server, where the token may go too, but not along with a redirect."""
    elsewhere = Api(practice)
    elsewhere.answers["/file"] = lambda _: (200, {}, b"a file")
    yield elsewhere
    elsewhere.close()


def declare(practice: Practice, api: Api, *others: str, **fields: Any) -> None:
    """Declare the shop, and connect the person, two minutes ago."""
    told = {"token_header": FORM, "api_hosts": [api.host, *others], "api_base_url": api.url, **fields}
    practice.declare("shop", **told)
    practice.connect("shop")
    practice.clock.advance(120)


def test_the_token_arrives_in_that_header_and_in_no_other(face: Any, api: Api) -> None:
    declare(face.practice, api)
    client = face.client("shop")
    token = client.get_access_token().reveal()

    assert client.get("/me").status_code == 200
    assert client.get(f"{api.url}/me").status_code == 200
    for seen in api.seen:
        assert seen.headers[HEADER] == token
        assert [name for name, text in seen.headers.items() if token in text] == [HEADER]


def test_another_scheme_stands_in_authorization(face: Any, api: Api) -> None:
    api.wants = "Authorization: OAuth {token}"
    declare(face.practice, api, token_header="authorization: OAuth {token}")
    client = face.client("shop")

    assert client.get("/me").status_code == 200
    assert isinstance(client.auth, httpx2.Auth)
    assert api.seen[0].headers["authorization"] == f"OAuth {client.get_access_token().reveal()}"


def test_a_401_is_healed_by_one_refresh_and_one_retry(face: Any, api: Api) -> None:
    declare(face.practice, api)
    client = face.client("shop")
    client.get("/me")
    face.practice.provider.expire_access_tokens()

    assert client.post("/notes", content=b"text").status_code == 200
    assert face.practice.provider.refreshes == 1
    assert [(seen.path, seen.body) for seen in api.seen[1:]] == [("/notes", b"text")] * 2
    assert api.seen[1].headers[HEADER] != api.seen[2].headers[HEADER]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_carries_it_nowhere(face: Any, api: Api, elsewhere: Api, status: int) -> None:
    declare(face.practice, api, elsewhere.host)
    api.lead("/from", f"{elsewhere.url}/file", status)

    assert face.client("shop").get("/from", follow_redirects=True).text == "a file"
    assert HEADER in api.seen[0].headers
    assert HEADER not in elsewhere.seen[0].headers
    assert "authorization" not in elsewhere.seen[0].headers


def test_what_was_left_behind_does_not_come_back(face: Any, api: Api, elsewhere: Api) -> None:
    declare(face.practice, api, elsewhere.host)
    api.lead("/from", f"{elsewhere.url}/back")
    elsewhere.lead("/back", f"{api.url}/me")

    assert face.client("shop").get("/from", follow_redirects=True).status_code == 401
    assert [HEADER in seen.headers for seen in api.seen] == [True, False]
    assert face.practice.provider.refreshes == 0


def test_the_same_host_by_another_name_is_another_origin(face: Any, api: Api) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    declare(face.practice, api, other.removeprefix("http://"))
    api.lead("/from", f"{other}/me")

    assert face.client("shop").get("/from", follow_redirects=True).status_code == 401
    assert [HEADER in seen.headers for seen in api.seen] == [True, False]


@pytest.mark.parametrize("to", ["/me", "{url}/me", "//{host}/me"])
def test_within_the_origin_it_goes_along_and_is_healed_there(face: Any, api: Api, to: str) -> None:
    declare(face.practice, api)
    api.lead("/from", to.format(url=api.url, host=api.host))
    face.client("shop").get("/me")
    face.practice.provider.expire_access_tokens()

    assert face.client("shop").get("/from", follow_redirects=True).status_code == 200
    assert face.practice.provider.refreshes == 1


def test_after_a_retry_it_stays_behind_too(face: Any, api: Api, elsewhere: Api) -> None:
    declare(face.practice, api)
    known = face.client("shop").get_access_token().reveal()
    api.answers["/from"] = lambda seen: (
        (401, {}, b"") if seen.headers[HEADER] == known else (302, {"Location": f"{elsewhere.url}/file"}, b"")
    )

    assert face.client("shop").get("/from", follow_redirects=True).text == "a file"
    assert len(api.seen) == 2
    assert HEADER not in elsewhere.seen[0].headers


def test_a_redirect_that_is_not_followed_prepares_a_next_request_without_it(
    face: Any, api: Api, elsewhere: Api
) -> None:
    declare(face.practice, api)
    known = face.client("shop").get_access_token().reveal()
    api.lead("/from", f"{elsewhere.url}/file")
    api.lead("/near", "/me")
    api.answers["/late"] = lambda seen: (
        (401, {}, b"") if seen.headers[HEADER] == known else (302, {"Location": f"{elsewhere.url}/file"}, b"")
    )
    client = face.client("shop")

    assert HEADER in client.get("/near").next_request.headers
    assert HEADER not in client.get("/from").next_request.headers
    assert HEADER not in client.get("/late").next_request.headers


def test_a_change_of_the_scheme_alone_is_another_origin(face: Any, api: Api) -> None:
    """httpx2 lets Authorization go along from http to https of one host."""
    declare(face.practice, api)
    source = face.raw.client("shop")._source
    face.client("shop").get_access_token()
    hops = Hops(source, source.token)
    first = httpx2.Request("GET", "http://127.0.0.1/a", headers={HEADER: "secret"})
    second = httpx2.Request("GET", "https://127.0.0.1/a", headers={HEADER: "secret"})
    hops(first)
    hops(second)

    assert HEADER in first.headers
    assert HEADER not in second.headers


def test_a_client_of_the_programs_own_within_the_valet_leaves_it_behind_too(
    practice: Practice, api: Api, elsewhere: Api
) -> None:
    declare(practice, api)
    api.lead("/from", f"{elsewhere.url}/file")
    with (
        httpx2.Client(follow_redirects=True, trust_env=False) as own,
        Valet(**{**practice._options(), "http": own}) as valet,
    ):
        assert valet.client("shop").get("/from").text == "a file"

    assert HEADER in api.seen[0].headers
    assert HEADER not in elsewhere.seen[0].headers


def test_the_hosts_rule_holds(face: Any, api: Api, elsewhere: Api) -> None:
    declare(face.practice, api)

    for _ in range(2):
        face.client("shop").get("/me")
        with pytest.raises(HostNotAllowed):
            face.client("shop").get(f"{elsewhere.url}/file")
    assert elsewhere.seen == []


def test_an_http_client_that_would_take_it_along_is_refused_before_anything_is_sent(face: Any, api: Api) -> None:
    declare(face.practice, api)
    client = face.client("shop")
    client.get("/me")

    def blocking() -> None:
        with httpx2.Client(auth=face.raw.client("shop").auth, trust_env=False) as own:
            own.get(f"{api.url}/me")

    async def awaiting() -> None:
        async with httpx2.AsyncClient(auth=face.raw.client("shop").auth, trust_env=False) as own:
            await own.get(f"{api.url}/me")

    with pytest.raises(ConfigurationError) as caught:
        blocking() if face.colour == "sync" else face.run(awaiting())

    assert caught.value.code == "token_header_unguarded"
    assert "valet.client('shop').request(...)" in caught.value.hint
    assert len(api.seen) == 1


def test_a_streamed_answer_comes_by_that_header_too(practice: Practice, api: Api) -> None:
    declare(practice, api)

    with practice.valet.client("shop").stream("GET", "/me") as response:
        assert response.status_code == 200


def test_the_identity_is_asked_for_with_that_header(face: Any, api: Api) -> None:
    api.answers["/who"] = lambda seen: (200, {}, b'{"login": "ada"}') if api.usual(seen)[0] == 200 else (401, {}, b"{}")
    declare(face.practice, api, userinfo_url=f"{api.url}/who", identity={"login": "login"})

    assert face.client("shop").status().identity.login == "ada"
    assert "authorization" not in api.at("/who")[0].headers


def test_what_is_looked_up_is_asked_for_with_that_header(face: Any, api: Api) -> None:
    api.answers["/places"] = lambda seen: (
        (200, {}, b'{"id": "eu-7"}') if api.usual(seen)[0] == 200 else (401, {}, b"{}")
    )
    declare(face.practice, api, look_ups=[{"url": f"{api.url}/places", "params": {"place": "id"}}])

    assert dict(face.client("shop").status().params) == {"place": "eu-7"}
    assert "authorization" not in api.at("/places")[0].headers


def test_a_revocation_by_the_access_token_carries_it_there(face: Any, api: Api) -> None:
    by_token = {"revocation_auth": "access_token", "revocation_token": "access_token", "revocation_format": "none"}
    declare(face.practice, api, revocation_url=f"{api.url}/me", **by_token)

    token = face.client("shop").get_access_token().reveal()
    face.client("shop").disconnect()

    assert [seen.headers.get(HEADER) for seen in api.seen] == [token]
    assert "authorization" not in api.seen[0].headers


def test_logs_and_reprs_do_not_show_it(face: Any, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    declare(face.practice, api)
    client = face.client("shop")
    client.get("/me")
    token = client.get_access_token().reveal()
    source = face.raw.client("shop")._source
    shown = [repr(thing) for thing in (source.token, source, Hops(source, source.token), client.target, client.auth)]

    assert all(token not in text for text in [*shown, caplog.text, source.token.form])
