"""Authorization requests that are pushed or signed, signed answers, and tokens for one API: at a real server."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey import AuthenticationRequest, ConfigurationError, ConnectError


def asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def declare(program: Any, client: str, **fields: Any) -> None:
    """Declare a credential "bank" for a client of the server."""
    program.declare("bank", client=client, redirect_uri=f"http://127.0.0.1:8421/callback/{client}", **fields)


@pytest.fixture
def pushes(program: Any) -> dict[str, Any]:
    return {"pushed_authorization_url": program.server.metadata["pushed_authorization_request_endpoint"]}


@pytest.mark.conformance("1 keys: PAR")
def test_a_request_that_is_pushed_shows_nothing_in_the_browser(program: Any, pushes: dict[str, Any]) -> None:
    declare(program, "par", **pushes)
    start = program.valet.authorize("bank")
    assert set(asked(start.url)) == {"client_id", "request_uri"}
    assert program.connect("bank").state == "connected"
    assert program.call("bank").status_code == 200


@pytest.mark.conformance("1 keys: PAR required")
def test_a_server_that_takes_pushed_requests_only_is_not_tried_in_another_way(program: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(program, "par", require_par=True)  # with all URLs but the one that this takes
    assert caught.value.code == "par_url_missing"
    assert "RFC 9126" in str(caught.value.hint)


@pytest.mark.conformance("1 keys: PAR required")
def test_a_refused_push_ends_the_sign_in(program: Any, pushes: dict[str, Any]) -> None:
    declare(program, "par", **pushes)
    with pytest.raises(ConnectError) as caught:
        program.connect("bank", redirect_uri="http://127.0.0.1:8421/callback/elsewhere")
    assert caught.value.code == "redirect_uri_mismatch"
    assert "redirect_uri" in str(caught.value)
    assert program.server.count("tokens") == 0


@pytest.mark.conformance("1 keys: JAR")
@pytest.mark.parametrize("push", [False, True], ids=["by the browser", "pushed"])
def test_a_request_that_is_signed_has_everything_inside(program: Any, pushes: dict[str, Any], push: bool) -> None:
    declare(program, "jar", request_object=True, **(pushes if push else {}))
    start = program.valet.authorize("bank")
    assert set(asked(start.url)) == {"client_id", "request_uri" if push else "request"}
    assert program.connect("bank").state == "connected"
    assert program.call("bank").status_code == 200


@pytest.mark.conformance("1 keys: JARM", "1 keys: JARM asked")
def test_a_signed_answer_is_checked_and_an_unsigned_one_refused(program: Any, person: Any) -> None:
    declare(program, "jarm", response_mode="jwt")
    start = program.valet.authorize("bank")
    callback = person().sign_in(start.url)
    assert set(asked(callback)) == {"response"}
    status = program.valet.finish(callback, binding=start.binding)
    assert status.state == "connected"

    again = program.valet.authorize("bank")
    signed = person().sign_in(again.url)
    head, _, mac = signed.rpartition(".")
    forged = f"{head}.{mac[::-1]}"
    with pytest.raises(ConnectError) as caught:
        program.valet.finish(forged, binding=again.binding)
    assert caught.value.code == "answer_invalid"

    downgraded = program.valet.authorize("bank")
    plain = f"http://127.0.0.1:8421/callback/jarm?code=stolen&state={asked(downgraded.url)['state'][0]}"
    with pytest.raises(ConnectError) as caught:
        program.valet.finish(plain, binding=downgraded.binding)
    assert caught.value.code == "answer_unsigned"
    assert program.server.count("tokens") == 1


def test_all_of_it_together(program: Any, pushes: dict[str, Any]) -> None:
    """What FAPI 2.0 asks for: pushed, by key, bound to a key with nonces, and its answer signed."""
    program.server.switch(nonce=1)
    declare(program, "fapi2", response_mode="jwt", request_object=True, require_par=True, **pushes)
    assert program.connect("bank").state == "connected"
    assert program.call("bank").status_code == 200
    program.clock.advance(400)
    assert program.call("bank").status_code == 200
    assert program.server.refreshes == (1, 0)


@pytest.mark.conformance("1 resource: parameter")
def test_a_token_is_for_the_api_that_was_named(program: Any) -> None:
    api = f"{program.server.issuer}/resource"
    declare(program, "resource", resources=[api])
    start = program.valet.authorize("bank")
    assert asked(start.url)["resource"] == [api]
    program.connect("bank")
    assert program.call("bank").json()["aud"] == api
    program.clock.advance(400)
    assert program.call("bank").json()["aud"] == api, "and so is the next one"


@pytest.mark.conformance("1 openid: max_age and acr")
def test_how_a_person_is_asked_goes_to_the_server_and_comes_back_in_the_id_token(program: Any, person: Any) -> None:
    wants = AuthenticationRequest(prompt="login consent", login_hint="carol", max_age=60)
    start = program.valet.authorize("basic", request=wants)
    sent = asked(start.url)
    assert (sent["prompt"], sent["login_hint"], sent["max_age"]) == (["login consent"], ["carol"], ["60"])
    status = program.valet.finish(person("carol").sign_in(start.url), binding=start.binding)
    assert status.identity.subject == "carol"

    unable = AuthenticationRequest(acr_values=("urn:example:strong",), prompt="login consent")
    start = program.valet.authorize("basic", request=unable)
    with pytest.raises(ConnectError) as caught:
        program.valet.finish(person("carol").sign_in(start.url), binding=start.binding)
    assert caught.value.code == "id_token_invalid", "the server could not satisfy it, and that is no step up"


@pytest.mark.conformance("1 revocation: introspection")
@pytest.mark.parametrize("client", ["basic", "pkjwt"])
def test_the_server_says_what_a_token_is(program: Any, client: str) -> None:
    declare(program, client, introspection_url=program.server.metadata["introspection_endpoint"])
    program.connect("bank")

    said = program.client("bank").introspect()

    assert (said.active, said.client_id, said.subject) == (True, program.server.app(client)["client_id"], "alice")
    assert "api.read" in said.scope


@pytest.mark.conformance("1 revocation: signed introspection")
def test_the_server_signs_what_it_says_of_a_token(program: Any) -> None:
    where = program.server.metadata["introspection_endpoint"]
    declare(program, "basic", introspection_url=where, signed_introspection=True)
    program.connect("bank")

    said = program.client("bank").introspect()

    assert (said.active, said.client_id, said.subject) == (True, "basic", "alice")
    assert "GET /jwks 200" in program.server.said()
