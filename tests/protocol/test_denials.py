from __future__ import annotations

import pytest

from valetkey.errors import AuthorizationDenied, ConnectError, ProviderUnavailable
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.authorization import denied, parse_callback
from valetkey.protocol.denials import CallbackParams, refused_consent

SITE = OAuth2Credential(name="site", error_aliases={"nope": "access_denied", "busy": "temporarily_unavailable"})


def params(error: str, description: str = "") -> CallbackParams:
    return CallbackParams(error=error, description=description, state="st4te")


@pytest.mark.parametrize(
    ("error", "description", "why"),
    [
        pytest.param("access_denied", "", "by_person", id="access_denied and no more"),
        pytest.param("access_denied", "The user has denied your application access.", "by_person", id="GitHub"),
        pytest.param("access_denied", "AADSTS65004: User declined to consent", "by_person", id="Microsoft: declined"),
        pytest.param("access_denied", "Permissions error", "by_person", id="Facebook"),
        pytest.param("user_cancelled_login", "", "by_person", id="LinkedIn: login"),
        pytest.param("user_cancelled_authorize", "", "by_person", id="LinkedIn: consent"),
        pytest.param("user_denied", "", "by_person", id="user_denied"),
        pytest.param("authorization_declined", "", "by_person", id="Microsoft: declined a device"),
        pytest.param("nope", "", "by_person", id="an alias"),
        pytest.param(
            "access_denied",
            "The resource owner or authorization server denied the request",
            "unknown",
            id="the sentence of the RFC tells nothing",
        ),
        pytest.param("consent_required", "", "by_admin", id="consent_required"),
        pytest.param("admin_consent_required", "", "by_admin", id="admin_consent_required"),
        pytest.param("admin_approval_required", "", "by_admin", id="admin_approval_required"),
        pytest.param("OAUTH_APP_BLOCKED", "this app is blocked", "by_admin", id="Salesforce: blocked"),
        pytest.param("OAUTH_APP_ACCESS_DENIED", "", "by_admin", id="Salesforce: not approved"),
        pytest.param("approval_required", "", "approval_pending", id="approval_required"),
        pytest.param("pending_approval", "", "approval_pending", id="pending_approval"),
        pytest.param(
            "admin_consent_required",
            "Your request has been sent to the admins",
            "approval_pending",
            id="required, and asked for",
        ),
        pytest.param("admin_policy_enforced", "", "by_admin", id="Google: policy"),
        pytest.param("org_internal", "", "by_admin", id="Google: internal app"),
        pytest.param(
            "access_denied", "AADSTS65001: The user or administrator has not consented", "by_admin", id="65001"
        ),
        pytest.param("invalid_client", "AADSTS650052 no; AADSTS65001: no consent", "by_admin", id="65001 elsewhere"),
        pytest.param(
            "interaction_required", "AADSTS90094: The grant requires admin permission", "by_admin", id="90094"
        ),
        pytest.param("access_denied", "AADSTS50105: not assigned to a role", "by_admin", id="not assigned"),
        pytest.param("access_denied", "Admin consent is required for this app", "by_admin", id="admin consent"),
        pytest.param("access_denied", "This app is blocked by your organization", "by_admin", id="blocked"),
        pytest.param("access_denied", "approval by an admin is needed", "by_admin", id="approval by an admin"),
        pytest.param("access_denied", "Your request is pending", "approval_pending", id="pending"),
        pytest.param("access_denied", "Waiting for admin approval", "approval_pending", id="waiting"),
        pytest.param("access_denied", "Admin approval pending", "approval_pending", id="approval pending"),
        pytest.param("access_denied", "Your request has been sent to the admins", "approval_pending", id="sent"),
        pytest.param("access_denied", "awaiting workspace owner approval", "approval_pending", id="awaiting"),
    ],
)
def test_who_denied_as_far_as_the_provider_says(error: str, description: str, why: str) -> None:
    found = denied(params(error, description), credential=SITE)

    assert isinstance(found, AuthorizationDenied)
    assert (found.code, found.why) == ("authorization_denied", why)
    assert description in str(found)
    assert found.hint.endswith("valetkey connect site")


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "busy"])
def test_a_provider_in_trouble_can_be_tried_again(error: str) -> None:
    found = denied(params(error, "come back later"), credential=SITE)

    assert isinstance(found, ProviderUnavailable)
    assert (found.retryable, found.description) == (True, "come back later")
    assert "try again" in found.hint


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        pytest.param("unauthorized_client", "unauthorized_client", "enable the authorization code grant", id="client"),
        pytest.param("invalid_client", "invalid_client", "valetkey app add site", id="unknown client"),
        pytest.param("invalid_scope", "invalid_scope", "remove it from the scopes of site", id="scope"),
        pytest.param(
            "invalid_authorization_details",
            "invalid_authorization_details",
            "check the types and members of the authorization_details of site",
            id="details",
        ),
        pytest.param("unauthorized_scope_error", "invalid_scope", "enable its API", id="LinkedIn's scope error"),
        pytest.param("redirect_uri_mismatch", "redirect_uri_mismatch", "copy the redirect address", id="redirect URI"),
        pytest.param("invalid_redirect_uri", "redirect_uri_mismatch", "copy the redirect address", id="its other name"),
        pytest.param("invalid_request", "invalid_request", "additional_params of site", id="request"),
        pytest.param(
            "unsupported_response_type", "unsupported_response_type", "authorization code", id="response type"
        ),
        pytest.param("login_required", "authorization_failed", "valetkey connect site", id="an error of another kind"),
        pytest.param("<script>", "authorization_failed", "valetkey connect site", id="an error nobody knows"),
    ],
)
def test_each_error_of_the_set_up_says_what_to_mend(error: str, code: str, hint: str) -> None:
    found = denied(params(error), credential=SITE)

    assert type(found) is ConnectError
    assert found.code == code
    assert hint in found.hint


def test_without_a_credential_the_hint_names_none() -> None:
    assert "this credential" in denied(params("invalid_scope")).hint


def test_an_error_without_a_code_is_an_error_all_the_same() -> None:
    assert "no error code" in str(refused_consent("", ""))


def test_neither_code_nor_state_stands_in_an_error() -> None:
    found = denied(parse_callback("error=access_denied&code=c0de&state=st4te"), credential=SITE)

    assert not any(word in str(found) + found.hint for word in ("c0de", "st4te"))


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("redirect_uri did not match any of the client's registered redirect_uris", "redirect_uri_mismatch"),
        ("The Redirect URI is unknown", "redirect_uri_mismatch"),
        ("scope must not be empty", "invalid_request"),
        ("", "invalid_request"),
    ],
)
def test_a_request_that_is_refused_for_its_redirect_address_is_told_as_that(description: str, code: str) -> None:
    error = refused_consent("invalid_request", description, name="bank")
    assert error.code == code
    assert ("copy the redirect address" in error.hint) is (code == "redirect_uri_mismatch")
