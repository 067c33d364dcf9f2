"""The wizard: from a provider in the catalogue to a connection."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

SECRET = "a-client-secret-that-nobody-may-see-again"


def provider_link(page: Any) -> str:
    found = re.search(r'class="btn btn-1" href="(http[^"]+/authorize[^"]+)"', page.text)
    assert found, page.text
    return unescape(found[1])


def add_github(walk: Any, **fields: Any) -> Any:
    walk.visitor.get("/console/presets/github")
    given = {"client_id": "Iv1.8a61f9b3a7aba766", "client_secret": SECRET, "name": "github", **fields}
    return walk.visitor.post("/console/presets/github", **given)


@pytest.mark.parametrize(
    ("q", "there", "not_there"),
    [
        pytest.param("git", "GitHub", "Slack", id="name"),
        pytest.param("login.microsoftonline", "Microsoft", "GitHub", id="host"),
        pytest.param("127.0.0.1", "credential notes", "GitHub", id="host of what is declared"),
        pytest.param("no such thing", "No provider is called", "GitHub", id="nothing"),
    ],
)
def test_the_catalogue_is_searched_by_name_and_by_host(walk: Any, q: str, there: str, not_there: str) -> None:
    page = walk.visitor.get("/console/new", params={"q": q})

    assert there in page.text
    assert f'<span class="nm">{not_there}</span>' not in page.text


def test_an_app_is_stored_sealed_and_declared_by_the_console(walk: Any) -> None:
    page = walk.visitor.get("/console/presets/github")
    assert ">http://127.0.0.1:8421/callback/github</code>" in page.text
    assert "Authorization callback URL" in page.text  # as GitHub calls it

    answer = add_github(walk)

    core = walk.site.practice.valet._core
    assert answer.headers["location"] == "/console/new/github/scopes"
    assert core.credential("github").source == "console"
    assert core.app(core.credential("github")).client_secret.reveal() == SECRET
    for address in ("/console/new/github/scopes", "/console/new/github/app", "/console/apps/github", "/console/apps"):
        shown = walk.visitor.get(address)
        assert shown.status_code == 200
        assert SECRET not in shown.text


@pytest.mark.parametrize(
    ("preset", "optional"),
    [
        pytest.param("etsy", False, id="sent with calls"),
        pytest.param("airtable", False, id="proof"),
        pytest.param("lichess", True, id="public"),
    ],
)
def test_a_secret_is_optional_where_nothing_is_proved_by_it_and_no_call_carries_it(
    walk: Any, preset: str, optional: bool
) -> None:
    page = walk.visitor.get(f"/console/presets/{preset}")

    assert (">optional</span>" in page.text) is optional


def test_a_name_that_is_taken_is_refused_and_nothing_is_overwritten(walk: Any) -> None:
    before = walk.site.practice.secrets.get("notes-app-credentials")

    answer = add_github(walk, name="notes")

    assert answer.status_code == 400
    assert "already" in answer.text
    assert SECRET not in answer.text
    assert walk.site.practice.secrets.get("notes-app-credentials") == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"client_id": " "}, "client ID is missing", id="no id"),
        pytest.param({"client_secret": "a\x00b"}, "cannot be seen", id="control character"),
        pytest.param({"client_secret": "x" * 5000}, "too long", id="long"),
        pytest.param({"name": "no spaces please"}, "name", id="name"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_stored(walk: Any, fields: Any, said: str) -> None:
    answer = add_github(walk, **fields)

    assert (answer.status_code, said in answer.text) == (400, True)
    assert [credential.name for credential in walk.site.practice.valet._core.credentials()] == ["notes"]


SHOP = """
display_name = "Shop"
category = ["commerce"]
docs_url = "https://shop.example/docs"
register_url = "https://shop.example/apps"
redirect_note = "One address, to the letter."
[register_labels]
client_id = "API key"
client_secret = "API secret key"
redirect_uri = "Allowed redirection URL"
[well_known_scopes]
"read_orders" = { text = "Look at orders", weight = "admin" }
"orders" = { text = "Look at orders and change them", weight = "write" }
"odd" = "Nobody knows"
[credential]
authorization_url = "https://shop.example/authorize"
token_url = "https://shop.example/token"
api_hosts = ["api.shop.example"]
loopback = "https_only"
"""


def test_labels_redirect_rules_and_weights_are_those_of_the_preset(walk: Any, tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "shop.toml").write_text(SHOP, encoding="utf-8")
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))

    page = unescape(walk.visitor.get("/console/presets/shop").text)
    for words in ("API key", "API secret key", "Allowed redirection URL", "One address, to the letter."):
        assert words in page
    first, second = re.findall(r'<li><b aria-hidden="true">[12]</b>.*?</li>', page, re.DOTALL)
    assert "One address" not in first
    assert "At Shop: One address, to the letter." in second, "it stands by the redirect URI"
    assert "Shop takes https addresses only, and this is http." in page
    assert "https addresses only" not in walk.visitor.get("/console/presets/github").text

    walk.visitor.get("/console/presets/shop")
    walk.visitor.post("/console/presets/shop", client_id="id", client_secret=SECRET, name="shop")
    scopes = unescape(walk.visitor.get("/console/new/shop/scopes").text)
    weights = dict(re.findall(r"<code>([a-z_]+)</code>.*?</label>(?:<span class=\"tag[^>]*>(\w+)</span>)?", scopes))
    assert weights == {"read_orders": "admin", "orders": "write", "odd": ""}, "its own name would say read"


def test_a_parameter_cannot_send_the_secret_elsewhere(walk: Any) -> None:
    walk.visitor.get("/console/presets/gitlab")
    evil = {"param_host": "attacker.example/x", "client_id": "id", "client_secret": SECRET, "name": "gitlab"}

    answer = walk.visitor.post("/console/presets/gitlab", **evil)

    page = unescape(answer.text)
    assert answer.status_code == 400
    assert page.count("This cannot be right.") == 1, "it is said at the field, and there alone"
    assert "may stand in" not in page
    assert 'params["host"]' not in page
    assert 'value="attacker.example/x"' in page
    assert 'name="client_id" autocomplete="off" spellcheck="false" value="id"' in page
    assert SECRET not in page
    assert [credential.name for credential in walk.site.practice.valet._core.credentials()] == ["notes"]


def test_an_address_is_understood_as_what_it_is_the_address_of(walk: Any) -> None:
    walk.visitor.get("/console/presets/shopify")
    typed = {"param_shop": "https://Acme.myshopify.com/admin", "client_id": "id", "client_secret": SECRET}

    answer = walk.visitor.post("/console/presets/shopify", name="shopify", **typed)

    assert answer.headers["location"] == "/console/new/shopify/scopes"
    declared = walk.site.practice.valet._core.credential("shopify")
    assert declared.token_url == "https://acme.myshopify.com/admin/oauth/access_token"


@pytest.mark.parametrize(
    "names", [("authorization_url", "token_url", "userinfo_url", "issuer"), ("issuer",)], ids=["endpoints", "issuer"]
)
def test_a_server_of_ones_own_is_declared_by_its_endpoints_or_its_issuer(walk: Any, names: tuple[str, ...]) -> None:
    fields = walk.provider.credential_fields()
    walk.visitor.get("/console/new/own")
    given = {name: fields[name] for name in names}
    walk.provider.register_client("mine", SECRET, redirect_uris=["http://127.0.0.1:8421/callback/intern"])

    answer = walk.visitor.post(
        "/console/new/own", name="intern", scopes="notes.read", client_id="mine", client_secret=SECRET, **given
    )

    assert answer.headers["location"] == "/console/new/intern/scopes"
    walk.visitor.get("/console/new/intern/scopes")
    page = walk.visitor.post("/console/new/intern/connect", whose="own", scope="notes.read")
    done = walk.come_back(walk.provider.approve(provider_link(page)))
    assert done.headers["location"].startswith("/console/connections/con_")


@pytest.mark.parametrize("url", ["http://login.example.com/authorize", "javascript:alert(1)", "nonsense"])
def test_endpoints_without_encryption_are_refused(walk: Any, url: str) -> None:
    walk.visitor.get("/console/new/own")

    answer = walk.visitor.post(
        "/console/new/own", name="intern", authorization_url=url, token_url="https://a.example/t", client_id="x"
    )

    assert answer.status_code == 400


def test_scopes_say_what_they_allow_and_those_of_code_are_fixed(walk: Any) -> None:
    add_github(walk)

    declared, chosen = (walk.visitor.get(f"/console/new/{name}/scopes").text for name in ("notes", "github"))

    assert "declared, so always asked for" in declared
    assert "declared, so always asked for" not in chosen
    assert '<span class="tag tag-warn">write</span>' in declared


def test_scopes_chosen_here_are_kept_for_what_was_declared_here(walk: Any) -> None:
    add_github(walk)
    walk.visitor.get("/console/new/github/scopes")

    page = walk.visitor.post("/console/new/github/connect", whose="own", scope=["read:user", "gist repo"])

    assert "scope=read%3Auser%20gist%20repo" in page.text
    assert walk.site.practice.valet._core.credential("github").scopes == ("read:user", "gist", "repo")


def test_the_page_that_waits_moves_on_when_the_sign_in_is_over(walk: Any) -> None:
    walk.visitor.get("/console/new/notes/scopes")
    page = walk.visitor.post("/console/new/notes/connect", whose="owner", owner="u1")
    assert "For owner u1" in page.text
    assert "Notes answers" in page.text
    look = re.search(r'data-wait="([^"]+)"', page.text)[1]  # type: ignore[index]
    assert walk.visitor.get(look).json() == {"state": "waiting", "to": ""}
    assert walk.title(walk.visitor.get(f"{look}/onward")) == "Still waiting"

    done = walk.come_back(walk.provider.approve(provider_link(page)))

    to = done.headers["location"]
    assert walk.visitor.get(look).json() == {"state": "done", "to": to}
    assert walk.visitor.get(f"{look}/onward").headers["location"] == to


def test_the_page_that_waits_hears_of_a_failure_but_not_of_a_forgery(walk: Any, site: Any, walker: Any) -> None:
    walk.visitor.get("/console/new/notes/scopes")
    page = walk.visitor.post("/console/new/notes/connect", whose="own")
    look = re.search(r'data-wait="([^"]+)"', page.text)[1]  # type: ignore[index]
    callback = walk.provider.deny(provider_link(page))

    walker(site, site.visitor()).come_back(callback)
    assert walk.visitor.get(look).json()["state"] == "waiting"

    walk.come_back(callback)
    assert walk.visitor.get(look).json() == {"state": "failed", "to": ""}


def test_a_provider_that_does_not_answer_is_said_before_leaving(walk: Any) -> None:
    walk.site.practice.declare("down", issuer="http://127.0.0.1:1", authorization_url="http://127.0.0.1:1/authorize")
    walk.visitor.get("/console/new/down/scopes")

    page = walk.visitor.post("/console/new/down/connect", whose="own")

    assert "did not answer when we looked" in page.text


@pytest.mark.parametrize("grade", ["look", "connections"])
def test_adding_an_app_takes_the_highest_grade(site: Any, walker: Any, grade: str) -> None:
    lesser = walker(site, site.operator(grade))

    assert lesser.visitor.get("/console/presets/github").status_code == 403
    lesser.visitor.get("/console/apps")
    assert lesser.visitor.post("/console/apps/notes", client_id="x", client_secret="y").status_code == 403
