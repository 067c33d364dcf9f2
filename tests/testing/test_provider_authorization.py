"""The authorization endpoint: what it refuses, whom it tells, and what it gives (RFC 6749, 7636, 8252, 9207)."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx2
import pytest

from valetkey.testing import FakeClock, PracticeProvider
from valetkey.testing._person import ConsentRefused


def test_a_person_who_approves_at_once_sends_the_browser_back_with_code_state_and_iss(app: Any) -> None:
    response = app.ask()

    assert response.headers["Location"].startswith(app.redirect_uri + "?")
    answer = app.answer_of(response)
    assert set(answer) == {"code", "state", "iss"}
    assert answer["state"] == "st/ate +1"
    assert answer["iss"] == app.provider.issuer


def test_the_query_of_the_redirect_uri_stays(app: Any, provider: PracticeProvider) -> None:
    provider.allow_redirect("http://127.0.0.1/callback?tenant=x")

    location = app.ask(redirect_uri="http://127.0.0.1:81/callback?tenant=x").headers["Location"]

    assert location.startswith("http://127.0.0.1:81/callback?tenant=x&code=")


def test_an_authorization_request_may_come_as_a_form(app: Any, http: httpx2.Client, provider: PracticeProvider) -> None:
    form = app.parameters(app.authorization_url())

    assert "code" in app.answer_of(http.post(f"{provider.issuer}/authorize", data=form))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": "nobody"}, id="unknown client"),
        pytest.param({"client_id": None}, id="no client"),
        pytest.param({"redirect_uri": None}, id="no redirect URI"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050/callback/"}, id="a slash too many"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050/Callback"}, id="another case"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050/callback?x=1"}, id="a query too many"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050/callback#x"}, id="a fragment"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050/call\nback"}, id="a line break inside"),
        pytest.param({"redirect_uri": "http://127.0.0.1:5050@evil.example/callback"}, id="a host in disguise"),
        pytest.param({"redirect_uri": "http://localhost:5050/callback"}, id="localhost is not the address"),
        pytest.param({"redirect_uri": "https://127.0.0.1:5050/callback"}, id="another scheme"),
        pytest.param({"redirect_uri": "http://[::1/callback"}, id="no URI at all"),
    ],
)
def test_a_stranger_is_shown_a_page_and_sent_nowhere(app: Any, changes: dict[str, str | None]) -> None:
    response = app.ask(**changes)

    assert response.status_code == 400
    assert "Location" not in response.headers
    assert "invalid_request" in response.text


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_doubled_client_or_redirect_uri_is_trusted_less_than_none(app: Any, http: httpx2.Client, name: str) -> None:
    url = app.authorization_url()
    value = httpx2.QueryParams({name: app.parameters(url)[name]})

    response = http.get(f"{url}&{value}")

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": None}, "unsupported_response_type", id="no response type"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="another response mode"),
        pytest.param({"code_challenge": None, "code_challenge_method": None}, "invalid_request", id="no PKCE"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="an absent method means plain"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="no SHA-256"),
        pytest.param({"scope": "notes.read admin"}, "invalid_scope", id="unknown scope"),
    ],
)
def test_a_bad_request_is_answered_to_the_client_with_state_and_iss(
    app: Any, changes: dict[str, str | None], error: str
) -> None:
    answer = app.answer_of(app.ask(**changes))

    assert answer["error"] == error
    assert answer["state"] == "st/ate +1"
    assert answer["iss"] == app.provider.issuer
    assert "code" not in answer


def test_a_doubled_parameter_is_refused(app: Any, http: httpx2.Client) -> None:
    answer = app.answer_of(http.get(app.authorization_url() + "&scope=notes.read"))

    assert answer["error"] == "invalid_request"


def test_a_doubled_state_is_not_sent_back(app: Any, http: httpx2.Client) -> None:
    answer = app.answer_of(http.get(app.authorization_url() + "&state=other"))

    assert answer["error"] == "invalid_request"
    assert "state" not in answer


def test_without_a_state_none_is_made_up(app: Any) -> None:
    assert "state" not in app.answer_of(app.ask(state=None))


def test_a_client_without_the_grant_type_gets_no_code(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("robot", "s", grant_types=["client_credentials"])

    assert app.answer_of(app.ask(client_id="robot"))["error"] == "unauthorized_client"


def test_the_loopback_rule_can_be_switched_off_for_a_client(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("fixed", "s", redirect_uris=["http://127.0.0.1:5050/callback"], loopback_any_port=False)

    assert "code" in app.answer_of(app.ask(client_id="fixed"))
    assert app.ask(client_id="fixed", redirect_uri="http://127.0.0.1:5051/callback").status_code == 400


def test_the_loopback_rule_knows_version_6_addresses_and_no_other_hosts(app: Any, provider: PracticeProvider) -> None:
    provider.register_client("six", "s", redirect_uris=["http://[::1]/cb", "https://app.example/cb"])

    assert "code" in app.answer_of(app.ask(client_id="six", redirect_uri="http://[::1]:9/cb"))
    assert app.ask(client_id="six", redirect_uri="http://127.0.0.1:9/cb").status_code == 400
    assert app.ask(client_id="six", redirect_uri="https://app.example:444/cb").status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb/",
        "https://app.example/CB",
        "https://App.example/cb",
        "https://app.example:443/cb",
        "https://app.example/x/../cb",
        "https://app.example/cb?",
        "https://app.example/cb#",
        "http://localhost:9/cb",
    ],
)
def test_redirect_uris_are_compared_byte_for_byte(app: Any, provider: PracticeProvider, uri: str) -> None:
    provider.register_client("web", "s", redirect_uris=["https://app.example/cb", "http://localhost/cb"])

    assert "code" in app.answer_of(app.ask(client_id="web", redirect_uri="https://app.example/cb"))
    assert app.ask(client_id="web", redirect_uri=uri).status_code == 400


def test_pkce_may_be_made_optional(app: Any, provider: PracticeProvider) -> None:
    provider.rules.requires_pkce = False

    code = app.code(code_challenge=None, code_challenge_method=None)

    assert app.exchange(code, code_verifier=None).status_code == 200


def test_a_server_that_does_not_send_iss_does_not_promise_it_either(app: Any, provider: PracticeProvider) -> None:
    provider.rules.sends_iss = False

    assert "iss" not in app.answer_of(app.ask())
    metadata = app.http.get(f"{provider.url}/.well-known/oauth-authorization-server").json()
    assert metadata["authorization_response_iss_parameter_supported"] is False
    assert provider.credential_fields()["iss_advertised"] is False


# -- the consent page


def page_request(page: str) -> str:
    found = re.search(r'name="request" value="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


def test_the_consent_page_asks_and_its_buttons_decide(app: Any, provider: PracticeProvider) -> None:
    provider.rules.auto_approve = False
    page = app.ask()
    assert page.status_code == 200
    assert "notes.read" in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]

    form = {"request": page_request(page.text), "decision": "approve", "login": "grace"}
    answer = app.answer_of(app.http.post(f"{provider.issuer}/consent", data=form))

    tokens = app.exchange(answer["code"]).json()
    assert app.get("/me", tokens["access_token"]).json()["login"] == "grace"


def test_a_consent_page_is_answered_once(app: Any, provider: PracticeProvider) -> None:
    provider.rules.auto_approve = False
    form = {"request": page_request(app.ask().text), "decision": "approve", "login": "grace"}
    app.answer_of(app.http.post(f"{provider.issuer}/consent", data=form))

    assert app.http.post(f"{provider.issuer}/consent", data=form).status_code == 400


def test_what_came_in_the_url_is_escaped_on_the_page(app: Any, provider: PracticeProvider) -> None:
    provider.rules.auto_approve = False

    page = app.ask(login_hint='"><script>x</script>').text

    assert "<script>" not in page
    assert "&quot;&gt;&lt;script&gt;" in page


# -- the helpers that play the person


def test_approve_returns_the_callback_and_does_not_call_it(app: Any, provider: PracticeProvider) -> None:
    callback = provider.approve(app.authorization_url(), login="grace")

    answer = app.parameters(callback)
    tokens = app.exchange(answer["code"]).json()
    assert app.get("/me", tokens["access_token"]).json()["login"] == "grace"


def test_deny_answers_no_even_where_the_person_approves_at_once(app: Any, provider: PracticeProvider) -> None:
    answer = app.parameters(provider.deny(app.authorization_url()))

    assert answer["error"] == "access_denied"
    assert answer["iss"] == provider.issuer


def test_the_helpers_return_the_redirect_of_a_bad_request(app: Any, provider: PracticeProvider) -> None:
    answer = app.parameters(provider.approve(app.authorization_url(scope="admin")))

    assert answer["error"] == "invalid_scope"


def test_the_helpers_raise_where_there_is_nothing_to_press(app: Any, provider: PracticeProvider) -> None:
    with pytest.raises(ConsentRefused, match="client_id"):
        provider.approve(app.authorization_url(client_id="nobody"))


def test_the_helpers_open_no_page_of_another_server(provider: PracticeProvider) -> None:
    with pytest.raises(ValueError, match="not a page of this provider"):
        provider.approve("http://evil.example/authorize?client_id=1")


def test_who_consents_can_be_changed_for_all_that_follows(app: Any, provider: PracticeProvider) -> None:
    assert app.get("/me", app.connect()["access_token"]).json()["login"] == "ada"

    provider.approve_as("grace")

    assert app.get("/me", app.connect()["access_token"]).json()["login"] == "grace"
    assert app.parameters(provider.approve(app.authorization_url())).keys() >= {"code"}


def test_a_login_hint_names_the_person(app: Any) -> None:
    tokens = app.connect(login_hint="linus")

    assert app.get("/userinfo", tokens["access_token"]).json()["email"] == "linus@example.com"


def test_a_planned_denial_is_used_up(app: Any, provider: PracticeProvider) -> None:
    provider.deny_next("consent_required", "ask your administrator")

    first, second = app.answer_of(app.ask()), app.answer_of(app.ask())

    assert (first["error"], first["error_description"]) == ("consent_required", "ask your administrator")
    assert "code" in second


def test_a_person_may_give_less_than_was_asked_for(app: Any, provider: PracticeProvider) -> None:
    provider.narrow_scopes("notes.read")

    tokens = app.connect()

    assert tokens["scope"] == "notes.read"
    assert app.refresh(tokens["refresh_token"]).json()["scope"] == "notes.read"
    assert app.get("/notes", tokens["access_token"]).status_code == 200


def test_without_a_scope_the_client_gets_what_it_is_registered_for(app: Any) -> None:
    assert app.connect(scope=None)["scope"] == "notes.read notes.write"


# -- metadata


def test_the_metadata_stand_where_rfc_8414_puts_them_and_name_what_is_there(http: httpx2.Client) -> None:
    with PracticeProvider(clock=FakeClock(), issuer_path="/tenant/") as provider:
        metadata = http.get(f"{provider.url}/.well-known/oauth-authorization-server/tenant").json()

        assert metadata["issuer"] == provider.issuer == f"{provider.url}/tenant"
        assert metadata["code_challenge_methods_supported"] == ["S256"]
        for name, value in metadata.items():
            if name.endswith("_endpoint"):
                assert http.get(value).status_code != 404, name
        fields = provider.credential_fields()
        assert fields["authorization_url"] == metadata["authorization_endpoint"]
        assert fields["token_url"] == metadata["token_endpoint"]
        assert fields["revocation_url"] == metadata["revocation_endpoint"]
        assert fields["device_authorization_url"] == metadata["device_authorization_endpoint"]
        assert fields["userinfo_url"] == metadata["userinfo_endpoint"]
