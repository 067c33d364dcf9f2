"""A credential that names its issuer: the metadata is fetched when it is needed, once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.consequences import of_disconnect
from valetkey.engine.device import start_device
from valetkey.engine.disconnect import disconnect
from valetkey.engine.discovery import complete, learn, server_of
from valetkey.engine.lifecycle import obtain
from valetkey.engine.servers import Servers, fresh_for
from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    IssuerMismatch,
    ProviderProtocolError,
    ProviderUnavailable,
)
from valetkey.model.ports import NotSent
from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing.provider import OMIT

conformance = pytest.mark.conformance
DAY = 86400
FIRST = ".well-known/oauth-authorization-server"


@pytest.fixture
def stage(make_stage: Callable[[PracticeProvider, FakeClock], Any]) -> Iterator[Any]:
    clock = FakeClock()
    with PracticeProvider(clock=clock, issuer_path="/tenant") as provider:
        made = make_stage(provider, clock)
        by_issuer(made)
        yield made
        made.close()


def by_issuer(stage: Any, **fields: Any) -> Any:
    """Declare the provider by its issuer alone."""
    urls = ("authorization_url", "token_url", "revocation_url", "device_authorization_url", "userinfo_url", "jwks_url")
    return stage.change(**{**dict.fromkeys(urls, ""), "iss_advertised": False, **fields})


def fetches(stage: Any) -> int:
    return sum(".well-known" in path for path in stage.wire.paths())


def other_process(stage: Any) -> None:
    """Forget what is in memory: what is in the store is all that another process has."""
    stage.world = replace(stage.world, servers=Servers())


@conformance("1 metadata: cache")
def test_a_whole_life_costs_one_fetch_for_all_processes_of_a_store(stage: Any) -> None:
    record = stage.connect()
    assert (record.state, record.identity.login) == ("connected", "ada")
    assert record.token_origin == stage.provider.url
    assert fetches(stage) == 1
    other_process(stage)

    stage.clock.advance(3601 - 60)
    stage.clock.advance(59)
    other_process(stage)
    obtain(stage.world, stage.key())
    done = disconnect(stage.world, stage.credentials["notes"], stage.key())

    assert done.revoked == ("refresh_token", "access_token")
    assert (fetches(stage), stage.provider.refreshes, stage.provider.live_grants) == (2, 1, 0)


def test_metadata_is_fetched_again_when_it_is_old(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(3599)
    server_of(stage.world, stage.credentials["notes"])
    assert fetches(stage) == 1

    stage.clock.advance(1)
    server_of(stage.world, stage.credentials["notes"])
    assert fetches(stage) == 2
    stage.clock.set(stage.clock.now() - 2 * DAY)
    server_of(stage.world, stage.credentials["notes"])
    assert fetches(stage) == 3


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 3600.0),
        ("max-age=600", 600.0),
        ("public, MAX-AGE=7200, must-revalidate", 7200.0),
        ("max-age=1", 300.0),
        ("max-age=99999999", 86400.0),
        ("max-age=99999999999999999999", 3600.0),
        ("max-age=x", 3600.0),
        ("no-store", 300.0),
    ],
)
@conformance("1 metadata: cache")
def test_a_server_says_how_long_its_document_is_good_within_bounds(said: str, seconds: float) -> None:
    assert fresh_for({"cache-control": said}) == seconds


def test_a_herd_fetches_once(stage: Any) -> None:
    credential = stage.credentials["notes"]
    with stage.provider.hold("discovery") as hold, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(complete, stage.world, credential) for _ in range(20)]
        hold.wait_for(1)
        hold.release()
        found = {one.result().token_url for one in asked}

    assert found == {f"{stage.provider.issuer}/token"}
    assert fetches(stage) == 1


def test_declared_urls_win(stage: Any) -> None:
    by_issuer(stage, userinfo_url=f"{stage.provider.url}/me", identity={"subject": "login"})

    assert stage.connect().identity.subject == "ada"
    assert "me" in stage.wire.paths()


def test_where_the_urls_are_declared_nothing_is_fetched(stage: Any) -> None:
    stage.change(**{k: v for k, v in stage.provider.credential_fields().items() if k.endswith("_url")})

    stage.connect()

    assert fetches(stage) == 0


@conformance("1 metadata: iss table")
def test_iss_is_demanded_where_the_metadata_says_that_it_is_sent(stage: Any) -> None:
    stage.provider.omit_iss()

    with pytest.raises(IssuerMismatch):
        stage.connect()

    assert stage.provider.token_requests == 0
    assert stage.ungranted()


def test_the_device_flow_is_found_too(stage: Any) -> None:
    flow = start_device(stage.world, stage.credentials["notes"], stage.key(), scopes=())

    assert flow.user_code


# -- documents that are wrong ------------------------------------------------------------------------------------------


@conformance("1 metadata: issuer equal")
def test_another_issuer_ends_it_before_anybody_is_sent_anywhere(stage: Any) -> None:
    stage.provider.change_answer(endpoint="discovery", issuer="https://evil.example")

    with pytest.raises(ProviderProtocolError) as caught:
        stage.start()

    assert caught.value.code == "issuer_differs"
    assert "https://evil.example" in str(caught.value)
    assert FIRST in str(caught.value)
    assert "issuer=" in caught.value.hint
    assert stage.flows() == 0


@pytest.mark.parametrize(
    ("member", "value", "what"),
    [
        pytest.param("token_endpoint", "http://elsewhere.example/t", "is not https", id="http"),
        pytest.param("token_endpoint", OMIT, "missing", id="no token endpoint"),
        pytest.param("authorization_endpoint", OMIT, "missing", id="no authorization endpoint"),
    ],
)
@conformance("1 metadata: bounds")
def test_a_document_that_is_wrong_names_member_document_and_fix(
    stage: Any, member: str, value: object, what: str
) -> None:
    stage.provider.change_answer(endpoint="discovery", **{member: value})

    with pytest.raises(ProviderProtocolError) as caught:
        stage.start()

    assert caught.value.code == "metadata_invalid"
    assert all(word in str(caught.value) for word in (member, what, "/.well-known/"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("status", "headers", "what"),
    [
        pytest.param(200, {}, "HTML", id="HTML"),
        pytest.param(404, {}, "404", id="none"),
        pytest.param(302, {"Location": "http://169.254.169.254/"}, "redirects", id="a redirect"),
    ],
)
@conformance("1 metadata: bounds")
def test_a_server_without_a_document_is_told_with_a_way_out(
    stage: Any, status: int, headers: dict[str, str], what: str
) -> None:
    stage.provider.fail_next(status=status, headers=headers, times=None, endpoint="discovery")

    with pytest.raises(ProviderProtocolError, match=what) as caught:
        stage.start()

    assert (caught.value.code, "declare the URLs" in caught.value.hint) == ("metadata_missing", True)
    assert not any("169.254" in request.url for request in stage.wire.sent)


@conformance("1 keys: PAR required")
def test_a_server_that_does_not_say_where_to_push_is_not_signed_in_at_in_another_way(stage: Any) -> None:
    by_issuer(stage, require_par=True, pushed_authorization_url="")
    stage.provider.change_answer(endpoint="discovery", pushed_authorization_request_endpoint=OMIT)
    with pytest.raises(ConfigurationError, match="only sign-ins that are pushed") as caught:
        stage.start()
    assert caught.value.code == "par_url_missing"


@conformance("5 bad input: issuer that redirects")
@pytest.mark.parametrize(
    ("location", "told"),
    [
        pytest.param("https://www.server.example/meta?s=1", "redirects to https://www.server.example/meta (", id="far"),
        pytest.param("/login", "/login (HTTP 301), which is not followed", id="relative"),
        pytest.param("https://u:p@[", "redirects (HTTP 301)", id="no URL"),
        pytest.param(None, "redirects (HTTP 301)", id="nowhere"),
    ],
)
def test_an_issuer_that_redirects_is_not_followed_and_told_with_where(
    stage: Any, location: str | None, told: str
) -> None:
    headers = {} if location is None else {"Location": location}
    stage.provider.fail_next(status=404, endpoint="discovery")  # the first place is merely not there
    stage.provider.fail_next(status=301, headers=headers, times=None, endpoint="discovery")

    with pytest.raises(ProviderProtocolError) as caught:
        stage.start()

    assert told in str(caught.value)
    assert "s=1" not in str(caught.value)
    assert caught.value.code == "metadata_missing"
    assert (
        f"declare issuer= of {stage.credentials['notes'].name!r} as the document there spells it" in caught.value.hint
    )
    assert not any("www.server" in path or "login" in path for path in stage.wire.paths())


def test_a_place_without_a_document_is_passed_over(stage: Any) -> None:
    stage.provider.answer_html(1, endpoint="discovery")

    assert stage.connect().state == "connected"
    assert fetches(stage) == 3, "the second place is not one of this provider's"


def test_a_server_that_is_down_is_not_asked_by_each_of_a_herd(stage: Any) -> None:
    stage.wire.cut(FIRST + stage.provider.issuer.removeprefix(stage.provider.url), NotSent)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable) as caught:
            stage.start()

    assert 0 < caught.value.retry_after <= 5
    assert fetches(stage) == 1
    stage.clock.advance(6)
    stage.wire.before = lambda _: None
    assert stage.connect().state == "connected"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_unavailable_and_no_more(stage: Any, status: int) -> None:
    stage.provider.fail_next(status=status, times=None, endpoint="discovery")

    with pytest.raises(ProviderUnavailable):
        stage.start()


def test_an_answer_that_is_lost_is_looked_for_elsewhere(stage: Any) -> None:
    stage.provider.drop_before(1, endpoint="discovery")

    assert stage.connect().state == "connected"


def test_an_issuer_without_tls_is_not_asked(stage: Any) -> None:
    by_issuer(stage, issuer="http://auth.example.com")

    with pytest.raises(ConfigurationError) as caught:
        stage.start()

    assert caught.value.code == "url_insecure"


# -- documents that change ---------------------------------------------------------------------------------------------


def shrink(stage: Any, **members: Any) -> None:
    stage.clock.advance(3601)
    stage.provider.change_answer(endpoint="discovery", **(members or {"revocation_endpoint": OMIT}))


@conformance("5 bad input: metadata that shrinks")
def test_who_connects_is_told_what_the_metadata_lost_and_a_connection_goes_on(stage: Any) -> None:
    stage.connect()
    shrink(stage)
    with pytest.raises(ProviderProtocolError) as caught:
        stage.start()
    assert caught.value.code == "metadata_shrunk"
    assert "revocation_endpoint" in str(caught.value)
    assert "valetkey providers discover" in caught.value.hint

    obtain(stage.world, stage.key())
    assert of_disconnect(stage.world, stage.record()).revokes
    done = disconnect(stage.world, stage.credentials["notes"], stage.key())

    assert done.revoked, "it is revoked where it was before"
    by_issuer(stage, revocation_url=f"{stage.provider.issuer}/revoke")
    assert stage.connect().state == "connected", "what is declared need not be in the document"


def test_what_a_server_does_without_can_be_accepted(stage: Any) -> None:
    stage.connect()
    shrink(stage)
    with pytest.raises(ProviderProtocolError):
        stage.start()

    learn(stage.world, stage.credentials["notes"], accept=True)
    other_process(stage)

    assert stage.connect().state == "connected"


@conformance("5 bad input: metadata that shrinks")
@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"code_challenge_methods_supported": ["plain"]}, "code_challenge_methods_supported"),
        ({"authorization_response_iss_parameter_supported": False}, "authorization_response_iss_parameter_supported"),
    ],
)
def test_a_protection_that_is_gone_counts_as_lost(stage: Any, members: dict[str, Any], named: str) -> None:
    stage.connect()
    shrink(stage, **members)

    with pytest.raises(ProviderProtocolError, match=named):
        stage.start()


def test_a_connection_outlives_the_document_for_a_week(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(3601)
    stage.provider.change_answer(endpoint="discovery", issuer="https://evil.example")
    with pytest.raises(ProviderProtocolError):
        stage.start()

    for _ in range(3):
        obtain(stage.world, stage.key())
        stage.clock.advance(2 * DAY)
    assert stage.provider.refreshes == 3
    stage.clock.advance(2 * DAY)

    with pytest.raises(ProviderProtocolError) as caught:
        obtain(stage.world, stage.key())
    assert caught.value.code == "issuer_differs"
    assert (stage.record().state, stage.record().claim) == ("refresh_failing", None)
    stage.provider.reset_faults()
    stage.clock.advance(DAY)
    obtain(stage.world, stage.key())
    assert stage.record().state == "connected"


def test_a_server_that_cannot_be_found_fails_a_refresh_like_one_that_cannot_be_reached(stage: Any) -> None:
    stage.connect()
    stage.clock.advance(8 * DAY)
    other_process(stage)
    stage.wire.before = lambda request: _refuse(request, ".well-known")
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            obtain(stage.world, stage.key())

    record = stage.record()
    assert (record.state, record.error, record.failures, record.claim) == ("refresh_failing", "unreachable", 1, None)
    assert fetches(stage) == 2
    stage.wire.before = lambda _: None
    stage.clock.advance(DAY)
    obtain(stage.world, stage.key())
    assert stage.record().state == "connected"


def _refuse(request: Any, part: str) -> None:
    if part in request.url:
        msg = "no route"
        raise NotSent(msg)


def test_a_token_endpoint_that_moved_to_another_origin_gets_no_refresh_token(stage: Any) -> None:
    stage.connect()
    shrink(stage, token_endpoint="http://localhost:1/token")

    with pytest.raises(ClientRejected) as caught:
        obtain(stage.world, stage.key())

    assert caught.value.code == "client_changed"
    assert stage.provider.refresh_requests == 0


def test_a_store_that_is_away_costs_a_fetch_and_no_more(stage: Any) -> None:
    stage.break_store("get_document", "put_document")

    assert complete(stage.world, stage.credentials["notes"]).token_url.endswith("/token")


def test_a_stored_document_that_is_damaged_is_fetched_anew(stage: Any) -> None:
    stage.connect()
    (document,) = stage.store.list_documents("metadata")
    for body in ({}, {"metadata": 7}, {**document.body, "metadata": {"issuer": stage.provider.issuer}}):
        stage.store.put_document(replace(document, body=body))
        other_process(stage)
        complete(stage.world, stage.credentials["notes"])

    assert fetches(stage) == 4


def test_what_cannot_be_asked_is_left_alone_by_a_disconnect(stage: Any) -> None:
    stage.connect()
    for document in stage.store.list_documents("metadata"):
        stage.store.delete_document("metadata", document.id)
    other_process(stage)
    stage.wire.before = lambda request: _refuse(request, ".well-known")

    done = disconnect(stage.world, stage.credentials["notes"], stage.key())

    assert done.revoked == ()
    assert "could not be asked to revoke" in done.told
