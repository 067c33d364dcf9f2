"""What is different for each connection, provider by provider: shops, data centres, companies, tenants, sites."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from shared.everywhere import Asked, Reply
from shared.life import Life
from shared.twin_demands import CLIENT_ID, CLIENT_SECRET
from valetkey.errors import ConfigurationError, ConnectError, HostNotAllowed, ValetkeyError
from valetkey.model.located import UrlParam
from valetkey.model.wiring import Wiring

Living = Callable[..., Life]
BASIC = "Basic " + base64.b64encode(b"twin-client:twin-secret%3Awith+odd%2Bcharacters").decode()


def saying(**members: str) -> Callable[[str], str]:
    """Return what changes parameters of the address that the browser comes back to; an empty one goes."""

    def change(url: str) -> str:
        where, _, query = url.partition("?")
        said = {**dict(parse_qsl(query)), **members}
        return f"{where}?{urlencode({name: value for name, value in said.items() if value})}"

    return change


@contextmanager
def refused(code: str, life: Life) -> Iterator[pytest.ExceptionInfo[ValetkeyError]]:
    """Expect a refusal before anything is sent to anybody."""
    before = len(life.asked)
    with pytest.raises((ConfigurationError, ConnectError)) as caught:
        yield caught
    assert caught.value.code == code
    assert caught.value.hint
    assert life.asked[before:] == []


def posted(request: Asked) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode()))


# -- Shopify: a host for each shop, and answers that are sealed --------------------------------------------------------


def test_each_shop_has_its_own_host_for_its_whole_life(living: Living) -> None:
    life = living("shopify")
    life.sign_in()
    assert life.call() == 200
    life.clock.advance(3601)
    assert life.call() == 200
    assert life.hosts == {"acme.myshopify.com"}
    exchange, refresh = life.asked_at("/admin/oauth/access_token")
    assert json.loads(exchange.body)["expiring"] == "1"
    assert json.loads(refresh.body)["grant_type"] == "refresh_token"
    for call in life.asked_at("/things"):
        assert set(call.headers) & {"authorization", "x-shopify-access-token"} == {"x-shopify-access-token"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(saying(hmac="0" * 64), id="another seal"),
        pytest.param(saying(hmac=""), id="no seal"),
        pytest.param(saying(shop="evil.myshopify.com"), id="another shop"),
        pytest.param(saying(added="1"), id="something added"),
        pytest.param(saying(code="another"), id="another code"),
    ],
)
def test_an_answer_that_is_not_the_shops_is_refused_before_its_code_is_spent(
    living: Living, change: Callable[[str], str]
) -> None:
    life = living("shopify")
    with refused("callback_forged", life):
        life.sign_in(change=change)
    assert life.valet.client("shopify").status().state == "pending"


def test_a_shop_that_answers_for_another_is_refused_although_its_seal_is_right(living: Living) -> None:
    life = living("shopify")
    start = life.valet.authorize("shopify", params={"shop": "acme"})
    life.twin.places.known["shop"] = "other"
    life.twin.credential = replace(
        life.twin.credential, authorization_url="https://acme.myshopify.com/admin/oauth/authorize"
    )
    with refused("callback_forged", life) as caught:
        life.valet.finish(life.twin.approve(start.url), binding=start.binding)
    assert "acme.myshopify.com" in str(caught.value)


@pytest.mark.parametrize(
    "shop",
    [
        *("evil.example/", "a/b", "acme@evil.example", "acme:443", "acme.evil.example", "ac me", " acme", "acme\n"),
        *("\u0430cme", "acme\u3002evil", "acm\u212f", "acme%2f", "..", "{shop}", "acme#", "acme?x", "-acme\\evil", "A"),
    ],
)
def test_no_shop_moves_a_sign_in_to_another_host(living: Living, shop: str) -> None:
    life = living("shopify")
    with refused("param_invalid", life) as caught:
        life.valet.authorize("shopify", params={"shop": shop})
    assert "shop" in str(caught.value)
    assert 'params={"shop": "acme"}' in caught.value.hint


def test_a_sign_in_without_its_shop_says_what_is_missing(living: Living) -> None:
    life = living("shopify")
    with refused("param_missing", life) as caught:
        life.valet.authorize("shopify")
    assert 'params={"shop": "..."}' in caught.value.hint
    with refused("param_invalid", life) as misspelt:
        life.valet.authorize("shopify", params={"shpo": "acme"})
    assert 'did you mean "shop"' in str(misspelt.value)


def test_a_connection_that_signs_in_anew_keeps_its_shop(living: Living) -> None:
    life = living("shopify")
    life.sign_in()
    again = life.sign_in(params={})
    assert again.params["shop"] == "acme"
    with refused("param_missing", life):
        life.valet.authorize("shopify", account="another")


def test_two_shops_of_one_declaration_are_two_hosts(living: Living) -> None:
    life = living("shopify")
    life.sign_in(owner="ada")
    other = living("shopify", beside=life)
    other.twin.places.given = {"shop": "zoo"}
    other.twin.places.known["shop"] = "zoo"
    other.twin.credential = other.twin.places.filled()
    other.sign_in(owner="bob")
    for owner, host in (("ada", "acme"), ("bob", "zoo")):
        assert other.valet.client("shopify", owner=owner).status().params["shop"] == host


# -- Zoho: the data centre of the person -------------------------------------------------------------------------------


def test_everything_goes_to_the_data_centre_that_the_callback_names(living: Living) -> None:
    life = living("zoho")
    start = life.valet.authorize("zoho")
    assert start.url.startswith("https://accounts.zoho.com/oauth/v2/auth?")
    done = life.valet.finish(life.twin.approve(start.url), binding=start.binding)
    assert (done.params["location"], done.params["api_domain"]) == ("uk", "https://www.zohoapis.eu")
    life.clock.advance(3601)
    assert life.call() == 200
    life.valet.disconnect("zoho")
    assert life.hosts == {"accounts.zoho.uk", "www.zohoapis.eu"}
    (revoked,) = life.asked_at("/oauth/v2/token/revoke")
    assert set(dict(parse_qsl(urlsplit(revoked.url).query))) == {"token"}
    assert "authorization" not in revoked.headers


@pytest.mark.parametrize(
    "location", ["xx", "zoho.eu", "evil.example", "eu/", "EU", "\u0435u", "accounts.zoho.eu", "eu@evil.example"]
)
def test_a_data_centre_that_is_not_known_is_refused(living: Living, location: str) -> None:
    life = living("zoho")
    with refused("callback_unexpected", life) as caught:
        life.sign_in(change=saying(location=location))
    assert "location" in str(caught.value)
    assert "known are: us, eu" in caught.value.hint


def test_a_callback_without_a_data_centre_means_the_declared_one(living: Living) -> None:
    life = living("zoho", params={"location": "ca"})
    life.twin.places.known["location"] = "ca"
    life.twin.credential = life.twin.places.filled()
    assert life.sign_in(change=saying(location="")).params["location"] == "ca"
    assert "accounts.zohocloud.ca" in life.hosts


@pytest.mark.parametrize(
    "domain",
    [
        *("https://evil.example", "http://www.zohoapis.eu", "https://www.zohoapis.eu@evil.example", "www.zohoapis.eu"),
        *("https://www.zohoapis.eu.evil.example", "https://www.zohoapis.eu/../x", "https://www.zohoapis.eu?x="),
    ],
)
def test_an_api_domain_elsewhere_is_not_followed(living: Living, domain: str) -> None:
    life = living("zoho")

    def elsewhere(request: Asked, reply: Reply) -> Reply:
        at_token = request.url.endswith("/oauth/v2/token")
        return replace(reply, members={**reply.members, "api_domain": domain}) if at_token else reply  # type: ignore[dict-item]

    life.change = elsewhere
    done = life.sign_in()
    assert "api_domain" in done.hint
    before = len(life.asked)
    with pytest.raises(HostNotAllowed):
        life.valet.client("zoho").get("/crm/v8/Leads")
    assert life.asked[before:] == []


def test_a_region_that_does_not_exist_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential(preset="zoho", params={"location": "mars"})
    assert caught.value.code == "param_invalid"
    assert "location" in str(caught.value)
    assert "write one of us, eu, in" in caught.value.hint


# -- QuickBooks: the company comes in the callback ---------------------------------------------------------------------


def test_the_company_of_the_callback_stands_in_every_path(living: Living) -> None:
    life = living("quickbooks")
    assert life.sign_in().params["realm_id"] == "4620816365041234567"
    life.valet.client("quickbooks").get("/companyinfo/1")
    assert life.asked[-1].url == "https://quickbooks.api.intuit.com/v3/company/4620816365041234567/companyinfo/1"
    life.valet.disconnect("quickbooks")
    (revoked,) = life.asked_at("/tokens/revoke")
    assert set(json.loads(revoked.body)) == {"token"}
    assert revoked.headers["authorization"] == BASIC


@pytest.mark.parametrize(
    "realm", ["", "1/../2", "12345678/evil", "\u0661234567890", "12345678@evil.example", "1234567 8"]
)
def test_a_company_that_is_none_stands_in_no_path(living: Living, realm: str) -> None:
    life = living("quickbooks")
    done = life.sign_in(change=saying(realmId=realm))
    assert done.state == "connected"
    assert done.hint.startswith("not known yet: realm_id; run: valetkey connect quickbooks")
    before = len(life.asked)
    with pytest.raises(HostNotAllowed):
        life.valet.client("quickbooks").get("/companyinfo/1")
    assert life.asked[before:] == []


# -- Xero: tenants -----------------------------------------------------------------------------------------------------


def test_the_first_tenant_is_used_until_another_is_chosen(living: Living) -> None:
    life = living("xero")
    done = life.sign_in()
    assert [(one.id, one.label) for one in done.choices["tenant_id"]] == [
        ("found-tenant_id", "found-tenant_name"),
        ("other-tenant_id", "other-tenant_name"),
    ]
    assert life.call() == 200
    assert life.asked[-1].headers["xero-tenant-id"] == "found-tenant_id"

    chosen = life.valet.look_up("xero", choose={"tenant_id": "other-tenant_id"})
    assert chosen.params["tenant_name"] == "other-tenant_name"
    life.call()
    assert life.asked[-1].headers["xero-tenant-id"] == "other-tenant_id"

    again = life.sign_in()
    assert again.params["tenant_id"] == "other-tenant_id", "a new sign-in keeps the choice"


def test_a_tenant_that_is_not_there_cannot_be_chosen(living: Living) -> None:
    life = living("xero")
    life.sign_in()
    with refused("look_up_unknown", life) as caught:
        life.valet.look_up("xero", choose={"tenant_id": "nobody's"})
    assert "found-tenant_id, other-tenant_id" in caught.value.hint
    with refused("look_up_unknown", life):
        life.valet.look_up("xero", choose={"tenant": "x"})
    assert life.valet.client("xero").status().params["tenant_id"] == "found-tenant_id"


def test_a_sign_in_can_name_its_tenant(living: Living) -> None:
    life = living("xero")
    assert life.sign_in(params={"tenant_id": "other-tenant_id"}).params["tenant_id"] == "other-tenant_id"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Reply(503, {}), id="down"),
        pytest.param(Reply(200, []), id="none"),
        pytest.param(Reply(200, {"error": "no"}), id="another form"),
        pytest.param(Reply(200, [{"tenantId": "a\nb"}]), id="control characters"),
    ],
)
def test_a_look_up_that_fails_costs_nothing_and_can_be_made_again(living: Living, broken: Reply) -> None:
    life = living("xero")
    life.change = lambda request, reply: broken if request.url.endswith("/connections") else reply
    done = life.sign_in()
    assert done.state == "connected"
    assert done.hint == "not known yet: tenant_id; run: valetkey look-up xero"
    assert [event.kind for event in life.valet.events()].count("look_up_failed") == 1
    life.valet.client("xero").get("/x")
    assert "xero-tenant-id" not in life.asked[-1].headers

    life.change = lambda _, reply: reply
    mended = life.valet.look_up("xero")
    assert (mended.params["tenant_id"], mended.hint) == ("found-tenant_id", "")


def test_a_revocation_takes_the_refresh_token(living: Living) -> None:
    life = living("xero")
    life.sign_in()
    life.valet.disconnect("xero")
    (revoked,) = life.asked_at("/connect/revocation")
    assert revoked.headers["authorization"] == BASIC
    assert posted(revoked)["token_type_hint"] == "refresh_token"


# -- Atlassian: cloud ids ----------------------------------------------------------------------------------------------


def test_the_site_stands_in_the_path_of_jira(living: Living) -> None:
    life = living("jira")
    done = life.sign_in()
    assert done.params["cloud_id"] == "found-cloud_id"
    life.valet.client("jira").get("/rest/api/3/myself")
    assert life.asked[-1].url == "https://api.atlassian.com/ex/jira/found-cloud_id/rest/api/3/myself"
    life.valet.look_up("jira", choose={"cloud_id": "other-cloud_id"})
    life.valet.client("jira").get("/rest/api/3/myself")
    assert life.asked[-1].url == "https://api.atlassian.com/ex/jira/other-cloud_id/rest/api/3/myself"


# -- Salesforce: the organisation's own host ---------------------------------------------------------------------------


def no_lifetime(request: Asked, reply: Reply) -> Reply:
    if not request.url.endswith("/services/oauth2/token"):
        return reply
    return replace(reply, members={name: value for name, value in dict(reply.members).items() if name != "expires_in"})


def test_calls_and_revocation_go_to_the_instance_and_a_401_renews(living: Living) -> None:
    life = living("salesforce")
    life.change = no_lifetime
    done = life.sign_in()
    assert done.expires_at is None, "no lifetime is said, and none is made up"
    assert life.call() == 200
    assert life.asked[-1].url.startswith("https://acme.my.salesforce.com/")
    life.clock.advance(7200)
    life.twin.grant.end_access()
    assert life.call() == 200
    assert life.twin.seen["token"] == 2
    life.valet.disconnect("salesforce")
    assert life.asked[-1].url == "https://acme.my.salesforce.com/services/oauth2/revoke"
    assert posted(life.asked[-1])["client_id"] == CLIENT_ID


def test_an_organisation_signs_in_at_its_own_domain(living: Living) -> None:
    life = living("salesforce", params={"host": "acme--uat.sandbox.my.salesforce.com"})
    life.sign_in()
    assert life.asked_at("/oauth2/token")[0].url.startswith("https://acme--uat.sandbox.my.salesforce.com/")


@pytest.mark.parametrize("host", ["evil.example", "login.salesforce.com.evil.example", "acme.my.salesforce.com:8443/x"])
def test_no_other_host_is_salesforces(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential(preset="salesforce", params={"host": host})
    assert caught.value.code == "param_invalid"


def test_an_instance_elsewhere_gets_no_token(living: Living) -> None:
    life = living("salesforce")

    def elsewhere(request: Asked, reply: Reply) -> Reply:
        at_token = request.url.endswith("/token")
        return (
            replace(reply, members={**dict(reply.members), "instance_url": "https://evil.example"})
            if at_token
            else reply
        )

    life.change = elsewhere
    assert "instance_url" in life.sign_in().hint
    for url in ("/services/data", "https://evil.example/services/data"):
        with pytest.raises(HostNotAllowed):
            life.valet.client("salesforce").get(url)
    life.valet.disconnect("salesforce")
    assert "evil.example" not in life.hosts


# -- hosts that are looked up or come with the token -------------------------------------------------------------------


def test_mailchimps_data_centre_is_looked_up_and_its_tokens_do_not_end(living: Living) -> None:
    life = living("mailchimp")

    def never(request: Asked, reply: Reply) -> Reply:
        at_token = request.url.endswith("/oauth2/token")
        return replace(reply, members={**dict(reply.members), "expires_in": 0, "scope": None}) if at_token else reply

    life.change = never
    done = life.sign_in()
    assert (done.state, done.expires_at, done.params["dc"]) == ("connected", None, "us6")
    life.clock.advance(10 * 365 * 86400)
    assert life.call() == 200
    assert life.asked[-1].url.startswith("https://us6.api.mailchimp.com/3.0/")


@pytest.mark.parametrize("dc", ["us6/", "us6.evil.example", "evil.example", "us6@x", "us\u0666", ""])
def test_no_data_centre_of_an_answer_leads_elsewhere(living: Living, dc: str) -> None:
    life = living("mailchimp")
    life.change = lambda request, reply: (
        replace(reply, members={**dict(reply.members), "dc": dc}) if request.url.endswith("/metadata") else reply
    )
    assert "dc" in life.sign_in().hint
    before = len(life.asked)
    with pytest.raises(HostNotAllowed):
        life.valet.client("mailchimp").get("/lists")
    assert life.asked[before:] == []


def test_another_account_of_docusign_may_be_on_another_host(living: Living) -> None:
    life = living("docusign")
    accounts = [
        {"account_id": "one", "account_name": "One", "base_uri": "https://na3.docusign.net"},
        {"account_id": "two", "account_name": "Two", "base_uri": "https://eu.docusign.net"},
        {"account_id": "bad", "account_name": "Bad", "base_uri": "https://evil.example"},
    ]
    life.change = lambda request, reply: (
        replace(reply, members={**dict(reply.members), "accounts": accounts})
        if request.url.endswith("/userinfo")
        else reply
    )
    life.sign_in()
    life.twin.credential = replace(life.twin.credential, api_hosts=("*.docusign.net",))
    life.valet.client("docusign").get("/envelopes")
    assert life.asked[-1].url == "https://na3.docusign.net/restapi/v2.1/accounts/one/envelopes"
    life.valet.look_up("docusign", choose={"account_id": "two"})
    life.valet.client("docusign").get("/envelopes")
    assert life.asked[-1].url == "https://eu.docusign.net/restapi/v2.1/accounts/two/envelopes"
    assert "base_uri" in life.valet.look_up("docusign", choose={"account_id": "bad"}).hint
    with pytest.raises(HostNotAllowed):
        life.valet.client("docusign").get("/envelopes")


def test_an_address_that_changes_with_a_refresh_is_followed(living: Living) -> None:
    life = living("pipedrive")
    life.sign_in()
    life.change = lambda request, reply: (
        replace(reply, members={**dict(reply.members), "api_domain": "https://moved.pipedrive.com"})
        if request.url.endswith("/oauth/token")
        else reply
    )
    life.clock.advance(3601)
    life.valet.client("pipedrive").refresh()
    life.valet.client("pipedrive").get("/v1/deals")
    assert life.asked[-1].url == "https://moved.pipedrive.com/api/v1/deals"


def test_basecamp_uses_an_account_of_its_own_product(living: Living) -> None:
    life = living("basecamp")
    assert life.sign_in().params["account_id"] == "195539477", "the first one listed is of another product"


# -- others ------------------------------------------------------------------------------------------------------------


def test_hubspot_takes_back_the_refresh_token_and_the_access_token_goes_on(living: Living) -> None:
    life = living("hubspot")
    life.sign_in()
    done = life.valet.disconnect("hubspot")
    (revoked,) = life.asked_at("/oauth/2026-03/token/revoke")
    assert posted(revoked)["token_type_hint"] == "refresh_token"
    assert posted(revoked)["client_secret"] == CLIENT_SECRET
    assert done.revoked == ("refresh_token",)
    assert "access token lives until" in done.told, "HubSpot does not end it, and nobody says so"


def test_a_tenant_of_microsoft_stands_in_all_its_addresses(living: Living) -> None:
    life = living("microsoft", params={"tenant": "contoso.onmicrosoft.com"})
    life.sign_in()
    assert life.asked_at("/token")[0].url == (
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
    )


@pytest.mark.parametrize("tenant", ["a/b", "common/../x", "a@b", "\u0441ommon", "a b", "..", "a%2fb", "a:1"])
def test_no_tenant_moves_microsofts_addresses(tenant: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential(preset="microsoft", params={"tenant": tenant})
    assert caught.value.code == "param_invalid"
    assert "contoso.onmicrosoft.com" in (caught.value.hint or "")


def test_stripe_connect_revokes_by_the_account_that_came_with_the_token(living: Living) -> None:
    life = living("stripe")
    assert life.sign_in().params["stripe_user_id"] == "kept-stripe_user_id"
    life.valet.disconnect("stripe")
    (revoked,) = life.asked_at("/oauth/deauthorize")
    assert posted(revoked)["stripe_user_id"] == "kept-stripe_user_id"


def test_zendesk_is_asked_for_tokens_that_end(living: Living) -> None:
    life = living("zendesk")
    life.sign_in()
    life.clock.advance(3601)
    assert life.call() == 200
    assert [posted(one)["expires_in"] for one in life.asked_at("/oauth/tokens")] == ["1800", "1800"]
    assert life.hosts == {"acme.zendesk.com"}


# -- declarations that could lead elsewhere ----------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "authorization_url": "https://auth.example.com/authorize",
    "token_url": "https://auth.example.com/token",
    "api_hosts": ["api.example.com"],
}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        pytest.param(
            {"token_url": "https://{shop}.example.com/t", "callback_params": {"shop": "shop"}},
            "param_invalid",
            "by way of the browser",
            id="a callback chooses the host",
        ),
        pytest.param(
            {"api_hosts": ["{shop}.example.com"], "callback_params": {"shop": "shop"}},
            "param_invalid",
            "by way of the browser",
            id="a callback chooses who sees tokens",
        ),
        pytest.param(
            {"url_params": {"dc": {"callback": "location", "optional": True}}},
            "param_invalid",
            "closed set",
            id="a callback of no closed set",
        ),
        pytest.param(
            {"url_params": {"dc": {"values": {"eu": "a/b"}, "default": "eu"}}},
            "param_invalid",
            "neither a host",
            id="a value that is no host",
        ),
        pytest.param(
            {"look_ups": [{"url": "https://evil.example/x", "params": {"a": "b"}}]},
            "host_invalid",
            "may not see the access token",
            id="a look-up elsewhere",
        ),
        pytest.param(
            {"look_ups": [{"url": "http://api.example.com/x", "params": {"a": "b"}}]}, "url_insecure", "", id="http"
        ),
        pytest.param({"look_ups": [{"url": "https://api.example.com/x"}]}, "look_up_invalid", "nothing", id="nothing"),
        pytest.param({"look_ups": [{"params": {"a": "b"}}]}, "look_up_invalid", "url is missing", id="no URL"),
        pytest.param(
            {"look_ups": [{"url": "https://api.example.com/x", "params": {"a": "b"}, "choose": {"list": "."}}]},
            "look_up_invalid",
            "id of its entries",
            id="a list without ids",
        ),
        pytest.param(
            {"look_ups": [{"url": "https://api.example.com/x", "parms": {"a": "b"}}]},
            "field_unknown",
            'did you mean "params"',
            id="misspelt",
        ),
        pytest.param({"look_ups": "https://api.example.com"}, "field_type", "list of tables", id="a text"),
        pytest.param({"callback_params": {"x": "code"}}, "parameter_reserved", "code", id="the code is never kept"),
        pytest.param({"callback_equals": {"shop": "{shop}"}}, "param_invalid", "{shop}", id="equals what nobody says"),
        pytest.param({"callback_hmac": "hmac", "client_auth": "none"}, "client_public", "", id="no secret to seal by"),
    ],
)
def test_a_declaration_that_could_lead_elsewhere_is_refused(fields: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("crm", **{**GOOD, **fields})
    assert caught.value.code == code
    assert words in str(caught.value)
    assert caught.value.hint


def test_rules_travel_with_the_declaration() -> None:
    from valetkey.model.settings import from_declaration, to_declaration

    made = Wiring().oauth2_credential(preset="zoho")
    again = from_declaration("zoho", json.loads(json.dumps(to_declaration(made))))
    assert again == made
    assert isinstance(again.url_params[0], UrlParam)
