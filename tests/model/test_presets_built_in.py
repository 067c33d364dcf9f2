"""The presets that come along: in order, complete, and with the endpoints that their providers document."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from shared.twin_places import Places
from valetkey.model.checks import is_loopback
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.presets import BUILT_IN, load_preset, preset_ids
from valetkey.model.settings import URLS, from_declaration, to_declaration
from valetkey.model.wiring import Wiring

FILES = sorted(BUILT_IN.glob("*.toml"))
IDS = [path.stem for path in FILES]

FACTS = {
    # id: (authorization, token, revocation, device, client authentication, token request)
    "airtable": (
        "https://airtable.com/oauth2/v1/authorize",
        "https://airtable.com/oauth2/v1/token",
        "",
        "",
        "client_secret_basic",
        "form",
    ),
    "amazon": (
        "https://www.amazon.com/ap/oa",
        "https://api.amazon.com/auth/o2/token",
        "",
        "",
        "client_secret_post",
        "form",
    ),
    "asana": (
        "https://app.asana.com/-/oauth_authorize",
        "https://app.asana.com/-/oauth_token",
        "https://app.asana.com/-/oauth_revoke",
        "",
        "client_secret_post",
        "form",
    ),
    "atlassian": (
        "https://auth.atlassian.com/authorize",
        "https://auth.atlassian.com/oauth/token",
        "",
        "",
        "client_secret_post",
        "json",
    ),
    "bitbucket": (
        "https://bitbucket.org/site/oauth2/authorize",
        "https://bitbucket.org/site/oauth2/access_token",
        "",
        "",
        "client_secret_basic",
        "form",
    ),
    "box": (
        "https://account.box.com/api/oauth2/authorize",
        "https://api.box.com/oauth2/token",
        "https://api.box.com/oauth2/revoke",
        "",
        "client_secret_post",
        "form",
    ),
    "calendly": (
        "https://auth.calendly.com/oauth/authorize",
        "https://auth.calendly.com/oauth/token",
        "https://auth.calendly.com/oauth/revoke",
        "",
        "client_secret_basic",
        "form",
    ),
    "clickup": (
        "https://app.clickup.com/api",
        "https://api.clickup.com/api/v2/oauth/token",
        "",
        "",
        "client_secret_post",
        "form",
    ),
    "discord": (
        "https://discord.com/oauth2/authorize",
        "https://discord.com/api/oauth2/token",
        "https://discord.com/api/oauth2/token/revoke",
        "https://discord.com/api/oauth2/device/authorize",
        "client_secret_basic",
        "form",
    ),
    "dropbox": (
        "https://www.dropbox.com/oauth2/authorize",
        "https://api.dropboxapi.com/oauth2/token",
        "https://api.dropboxapi.com/2/auth/token/revoke",
        "",
        "client_secret_post",
        "form",
    ),
    "github": (
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
        "https://api.github.com/applications/{client_id}/token",
        "https://github.com/login/device/code",
        "client_secret_post",
        "form",
    ),
    "gitlab": (
        "https://gitlab.com/oauth/authorize",
        "https://gitlab.com/oauth/token",
        "https://gitlab.com/oauth/revoke",
        "https://gitlab.com/oauth/authorize_device",
        "client_secret_post",
        "form",
    ),
    "google": (
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/revoke",
        "https://oauth2.googleapis.com/device/code",
        "client_secret_post",
        "form",
    ),
    "intercom": (
        "https://app.intercom.com/oauth",
        "https://api.intercom.io/auth/eagle/token",
        "",
        "",
        "client_secret_post",
        "form",
    ),
    "linear": (
        "https://linear.app/oauth/authorize",
        "https://api.linear.app/oauth/token",
        "https://api.linear.app/oauth/revoke",
        "",
        "client_secret_post",
        "form",
    ),
    "microsoft": (
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "",
        "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
        "client_secret_post",
        "form",
    ),
    "notion": (
        "https://api.notion.com/v1/oauth/authorize",
        "https://api.notion.com/v1/oauth/token",
        "https://api.notion.com/v1/oauth/revoke",
        "",
        "client_secret_basic",
        "json",
    ),
    "reddit": (
        "https://www.reddit.com/api/v1/authorize",
        "https://www.reddit.com/api/v1/access_token",
        "https://www.reddit.com/api/v1/revoke_token",
        "",
        "client_secret_basic",
        "form",
    ),
    "servicenow": (
        "https://dev12345.service-now.com/oauth_auth.do",
        "https://dev12345.service-now.com/oauth_token.do",
        "",
        "",
        "client_secret_post",
        "form",
    ),
    "slack": (
        "https://slack.com/oauth/v2/authorize",
        "https://slack.com/api/oauth.v2.access",
        "https://slack.com/api/auth.revoke",
        "",
        "client_secret_basic",
        "form",
    ),
    "snowflake": (
        "https://myorg-account1.snowflakecomputing.com/oauth/authorize",
        "https://myorg-account1.snowflakecomputing.com/oauth/token-request",
        "",
        "",
        "client_secret_basic",
        "form",
    ),
    "spotify": (
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
        "",
        "",
        "client_secret_basic",
        "form",
    ),
    "stripe": (
        "https://connect.stripe.com/oauth/authorize",
        "https://connect.stripe.com/oauth/token",
        "https://connect.stripe.com/oauth/deauthorize",
        "",
        "client_secret_post",
        "form",
    ),
    "twitch": (
        "https://id.twitch.tv/oauth2/authorize",
        "https://id.twitch.tv/oauth2/token",
        "https://id.twitch.tv/oauth2/revoke",
        "",
        "client_secret_post",
        "form",
    ),
    "zoom": (
        "https://zoom.us/oauth/authorize",
        "https://zoom.us/oauth/token",
        "https://zoom.us/oauth/revoke",
        "https://zoom.us/oauth/devicecode",
        "client_secret_basic",
        "form",
    ),
}


def declared(name: str) -> OAuth2Credential:
    """Declare a preset by itself, with its examples for the parameters that have to be given."""
    rules = load_preset(name).url_params
    return Wiring().oauth2_credential(
        preset=name,
        params={param: rule.example for param, rule in rules.items() if not rule.default and not rule.optional},
    )


FAMILIES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")).get("extends", "") for path in FILES}


PLACES = (
    *("docusign", "hubspot", "mailchimp", "pipedrive", "quickbooks", "salesforce", "shopify", "xero", "zendesk"),
    "zoho",
)
"""Those whose facts are held by scenarios of their own (tests/presets/test_places.py)."""


def test_the_endpoints_held_here_are_checked_against_documentation() -> None:
    assert {load_preset(name).verified.level for name in (*FACTS, *PLACES)} == {"documentation"}
    assert set(IDS) <= set(preset_ids())


def test_a_member_of_a_family_extends_one_that_extends_none() -> None:
    assert {family for family in FAMILIES.values() if FAMILIES.get(family, "")} == set()


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family in {"google", "microsoft"}])
def test_a_member_of_a_family_has_its_endpoints_and_quirks_and_scopes_of_its_own(name: str) -> None:
    made, params = declared(name), load_preset(FAMILIES[name]).url_params
    shared = {param: value for param, value in made.params.items() if param in params}
    family = Wiring().oauth2_credential(preset=FAMILIES[name], params=shared)
    for url in ("authorization_url", "token_url", "revocation_url"):
        assert getattr(made, url) == getattr(family, url), url
    assert made.userinfo_url in {"", family.userinfo_url}
    quirks = load_preset(FAMILIES[name]).quirks
    assert load_preset(name).quirks[: len(quirks)] == quirks
    differs = any(
        getattr(made, field) != getattr(family, field) for field in ("scopes", "api_hosts", "additional_params")
    )
    assert differs or made.by_itself, "an app's own scope is all that it was granted"
    own: Any = load_preset(name).fields["scopes"]
    known = {*family.scopes, *load_preset(name).well_known_scopes}
    assert {scope for scope in own if "{" not in scope} <= known, "one with a hole is another for each declaration"
    assert "*" not in "".join(made.api_hosts), "a member's token goes to its own API, not to all of the family"


@pytest.mark.parametrize("name", IDS)
def test_it_makes_a_credential_that_needs_nothing_more(name: str) -> None:
    made = declared(name)
    assert (made.name, made.preset) == (name, name)
    assert (made.secret_id, made.token_secret_id) == (f"{name}-app-credentials", f"{name}-oauth-token")
    assert from_declaration(name, to_declaration(made)) == made


@pytest.mark.parametrize("name", FACTS)
def test_its_endpoints_are_those_that_are_documented(name: str) -> None:
    made = declared(name)
    assert FACTS[name] == (
        made.authorization_url,
        made.token_url,
        made.revocation_url,
        made.device_authorization_url,
        made.client_auth,
        made.token_request_format,
    )


@pytest.mark.parametrize("name", FACTS)
def test_one_that_is_documented_says_how_an_app_is_registered_and_what_is_odd(name: str) -> None:
    preset = load_preset(name)
    assert preset.register_url
    assert set(preset.register_labels) == {"client_id", "client_secret", "redirect_uri"}
    assert preset.redirect_note
    assert preset.quirks


@pytest.mark.parametrize("name", IDS)
def test_it_is_complete(name: str) -> None:
    preset = load_preset(name)
    made = declared(name)
    assert preset.docs_url
    assert preset.category
    assert preset.verified.date
    assert made.api_hosts
    assert made.api_base_url
    assert "subject" in made.identity or not made.userinfo_url
    assert not any(is_loopback(host) for host in preset.hosts)
    assert all(getattr(made, url).startswith(("https://", "{")) for url in URLS if getattr(made, url))


@pytest.mark.parametrize("name", IDS)
def test_its_api_is_on_a_host_that_may_see_the_token(name: str) -> None:
    made = Places(declared(name)).filled()
    for url in filter(None, (made.api_base_url, made.userinfo_url)):
        host = url.split("/")[2]
        below = host.partition(".")[2]
        assert host in made.api_hosts or f"*.{below}" in made.api_hosts


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        pytest.param(
            "google", "additional_params", {"access_type": "offline", "prompt": "consent"}, id="google offline"
        ),
        pytest.param("dropbox", "additional_params", {"token_access_type": "offline"}, id="dropbox offline"),
        pytest.param(
            "atlassian", "additional_params", {"audience": "api.atlassian.com", "prompt": "consent"}, id="audience"
        ),
        pytest.param("notion", "additional_params", {"owner": "user"}, id="notion owner"),
        pytest.param("atlassian", "forced_scopes", ("offline_access",), id="atlassian offline"),
        pytest.param("microsoft", "forced_scopes", ("offline_access",), id="microsoft offline"),
        pytest.param("slack", "scope_separator", ",", id="slack commas"),
        pytest.param("linear", "scope_separator", ",", id="linear commas"),
        pytest.param("github", "scope_separator", " ", id="github spaces"),
        pytest.param("slack", "pkce", False, id="slack without PKCE"),
        pytest.param("github", "never_expires", True, id="github never"),
        pytest.param("slack", "never_expires", True, id="slack never"),
        pytest.param("stripe", "never_expires", True, id="stripe never"),
        pytest.param("notion", "never_expires", False, id="notion not known"),
        pytest.param("microsoft", "access_token_lifetime", 4500, id="microsoft lifetime"),
        pytest.param("atlassian", "refresh_grace", 600, id="atlassian grace"),
        pytest.param("atlassian", "on_reuse", "revoke_grant", id="atlassian reuse"),
        pytest.param("spotify", "rotates_refresh_token", None, id="spotify perhaps"),
        pytest.param("google", "revocation_reach", "user", id="google reach"),
        pytest.param("dropbox", "revocation_reach", "grant", id="dropbox reach"),
        pytest.param("linear", "revocation_reach", "user", id="linear reach"),
        pytest.param("github", "revocation_method", "DELETE", id="github deletes"),
        pytest.param("microsoft", "loopback_host", "localhost", id="microsoft localhost"),
        pytest.param("spotify", "loopback_host", "127.0.0.1", id="spotify address"),
        pytest.param("slack", "loopback", "https_only", id="slack https"),
        pytest.param("dropbox", "loopback", "fixed_port", id="dropbox port"),
        pytest.param("notion", "api_headers", {"Notion-Version": "2025-09-03"}, id="notion version"),
    ],
)
def test_it_knows_what_its_provider_does_otherwise(name: str, field: str, value: object) -> None:
    found = getattr(declared(name), field)
    assert (dict(found) if isinstance(value, dict) else found) == value


def test_github_errors_are_told_apart() -> None:
    aliases = Wiring().oauth2_credential(preset="github").error_aliases
    assert aliases["bad_refresh_token"] == "invalid_grant"
    assert aliases["incorrect_client_credentials"] == "invalid_client"


def test_what_is_kept_of_an_answer_serves_the_revocation() -> None:
    for name in IDS:
        made = declared(name)
        known = {"token", "token_type_hint", "client_id", *made.kept_params, *made.params}
        holes = [value[1:-1] for value in made.revocation_params.values() if value.startswith("{")]
        assert set(holes) <= known, name


@pytest.mark.parametrize(("declared", "loopback"), [({}, "fixed_port"), ({"loopback": "any_port"}, "any_port")])
def test_where_a_preset_does_not_tell_the_registered_port_is_the_one_to_send(
    declared: dict[str, Any], loopback: str
) -> None:
    assert "loopback" not in load_preset("vimeo").fields

    assert Wiring().oauth2_credential("vimeo", preset="vimeo", **declared).loopback == loopback
