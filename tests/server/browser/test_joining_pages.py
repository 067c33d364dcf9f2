"""The pages about connecting in a real browser: walked to as a person does, calm, and free of barriers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.places import declare_shop
from valetkey.app_keys import make_key
from valetkey.errors import ReauthorizationRequired
from valetkey.protocol.signing import generate_key
from valetkey.testing.provider import DEFAULT_CLIENT_ID

WIDTHS = {1280: 900, 390: 844, 320: 640}
RIGHT = "acme"
PICTURED = (1280, 390)
Walk = Callable[[Any, Any], None]


@pytest.fixture
def site(practice: Any, site_class: Any) -> Iterator[Any]:
    """An application at its real address, so that the provider leads back to it."""
    practice.valet._core.base_url = None
    practice.declare("notes-of-code", display_name="Notebook", description="To keep what was said in meetings.")
    options = {
        "product": "Acme CRM",
        "workspace": {"contoso": "Contoso"}.get,
        "privacy_url": "https://app.acme.example/privacy",
        "return_urls": ["https://app.acme.example/"],
        "current_owner": lambda request: request.cookies.get("user"),
    }
    with site_class(practice, **options) as site:
        yield site
        site.app.state.server.demo.stop()


def operator(path: str) -> Walk:
    """Return the walk of an operator to an address."""

    def walk(person: Any, _: Any) -> None:
        person.sign_in()
        person.open(path)

    return walk


def connection(site: Any, **fields: Any) -> Any:
    """Connect through the engine, for the provider's address of callbacks is another one here."""
    desk = site.app.state.server.desk
    provider = site.practice.provider
    login = fields.pop("login", "ada")
    start = desk.authorize(
        "notes", fields.get("owner"), fields.get("account", ""), (), "http://127.0.0.1/callback/notes"
    )
    return desk.finish(provider.approve(start.url, login=login), start.binding, fields.get("owner"))


def link(site: Any, **fields: Any) -> str:
    desk, core = site.app.state.server.desk, site.practice.valet._core
    key = desk.key("notes", fields.get("owner", "contoso"), fields.get("account", ""))
    confirm = bool(fields.get("confirm"))
    made = desk.new_link(key, (), "https://app.acme.example/settings", 1800, confirm=confirm)
    assert core.world
    return f"/connect/{made.token.reveal()}"


def with_shop(path: str) -> Walk:
    """Return the walk of an operator to a page about a credential that needs a shop."""

    def walk(person: Any, site: Any) -> None:
        declare_shop(site.practice)
        operator(path)(person, site)

    return walk


def asked_for_a_shop(shop: str) -> Walk:
    """Return the walk of an account holder who is asked for their shop, and where it is a wrong one says so."""

    def walk(person: Any, site: Any) -> None:
        desk = declare_shop(site.practice) and site.app.state.server.desk
        made = desk.new_link(desk.key("shop", "contoso", ""), (), None, 1800)
        as_owner(person)
        person.open(f"/connect/{made.token.reveal()}")
        if shop == RIGHT:
            return
        person.page.get_by_label("The shop").fill(shop)
        person.page.get_by_label("The region").select_option("eu")
        person.expected = 400
        person.press("Continue to Shops")
        person.told("This cannot be right.")

    return walk


def as_owner(person: Any, owner: str = "contoso") -> None:
    person.context.add_cookies([{"name": "user", "value": owner, "url": person.site.base}])


def where_from_the_own_page(person: Any, site: Any) -> None:
    declare_shop(site.practice)
    as_owner(person)
    person.open("/accounts")
    person.press("Connect Shops")
    person.sees("Connect your Shops account")


def failing(bring_about: Callable[[Any], None]) -> Walk:
    """Return the walk of an operator whose sign-in the provider lets fail."""

    def walk(person: Any, site: Any) -> None:
        bring_about(site.practice.provider)
        person.sign_in()
        person.open("/console/new/notes/scopes")
        person.expected = 400
        person.page.get_by_role("button", name="Continue").click()
        with person.context.expect_page() as opened:
            person.page.get_by_role("link", name="Open Notes").click()
        person.page.close()
        person.page = opened.value
        person.page.wait_for_url("**/callback/**")

    return walk


def waiting(person: Any, _: Any) -> None:
    person.sign_in()
    person.open("/console/new/notes/scopes")
    person.page.get_by_role("button", name="Continue").click()
    person.page.get_by_role("heading", name="Sign in at Notes").wait_for()


def app_that_is_rejected(person: Any, site: Any) -> None:
    connection(site)
    site.practice.provider.register_client(DEFAULT_CLIENT_ID, "another secret")
    with pytest.raises(Exception, match="does not accept"):
        site.practice.client().refresh()
    person.sign_in()
    person.open("/console/apps/notes")


def app_with_a_typed_key(person: Any, site: Any) -> None:
    practice = site.practice
    declared = practice.wiring.oauth2_credential("apple", preset="apple", params={"team_id": "TEAM123456"})
    app = {"client_id": "com.example.web", "private_key": generate_key("ES256").reveal(), "key_id": "FIRST12345"}
    practice.secrets.set(declared.secret_id, json.dumps(app))
    person.sign_in()
    person.open("/console/apps/apple")
    person.told("Create a second key at Apple")


def some_links(person: Any, site: Any) -> None:
    for owner in ("hooli", "contoso", "northwind"):
        link(site, owner=owner)
    as_owner(person, "hooli")
    person.open(link(site, owner="hooli", account="work"))
    person.sign_in()
    person.open("/console/links")


def created(person: Any, _: Any) -> None:
    person.sign_in()
    person.open("/console/links/new")
    person.page.get_by_label("Owner ID").fill("hooli")
    person.page.get_by_role("button", name="Create link").click()
    person.page.get_by_role("heading", name="The link is ready").wait_for()


def other_account(person: Any, site: Any) -> None:
    status = connection(site, owner="contoso", account="work")
    site.practice.provider.approve_as("bob")
    person.sign_in()
    person.open(f"/console/connections/{status.connection_id}/reauthorize")
    person.page.get_by_role("button", name="Continue to Notes").click()
    person.page.wait_for_url("**/console/decide/**")


def reauthorize(person: Any, site: Any) -> None:
    status = connection(site, owner="contoso", account="work")
    person.sign_in()
    person.open(f"/console/connections/{status.connection_id}/reauthorize")


def holder(bring_about: Callable[[Any], None] = lambda _: None, *, press: str = "Continue to Notes") -> Walk:
    """Return the walk of an account holder through a connect link."""

    def walk(person: Any, site: Any) -> None:
        bring_about(site.practice.provider)
        as_owner(person)
        person.open(link(site))
        if press:
            person.page.get_by_role("button", name=press).click()
            person.page.wait_for_url("**/connect/outcome/**")

    return walk


def to_confirm(person: Any, site: Any) -> None:
    """Come to the page that leads back to the application; nothing is there, so the browser stays."""
    person.page.route("https://app.acme.example/**", lambda route: route.fulfill(status=204))
    as_owner(person)
    person.open(link(site, confirm=True))
    person.page.get_by_role("button", name="Continue to Notes").click()
    person.page.get_by_role("heading", name="One more step").wait_for()


def other_account_of_holder(person: Any, site: Any) -> None:
    connection(site, owner="contoso")
    site.practice.provider.approve_as("bob")
    as_owner(person)
    person.open(link(site))
    person.page.get_by_role("button", name="Continue to Notes").click()
    person.page.wait_for_url("**/connect/decide/**")


def expired(person: Any, site: Any) -> None:
    path = link(site)
    site.practice.clock.advance(3600)
    as_owner(person)
    person.open(path, status=410)


def app_that_ends(person: Any, site: Any) -> None:
    site.practice.declare("files", display_name="Files Cloud")
    site.practice.valet.apps.set_end("notes", site.practice.clock.now() + 12.5 * 86400)
    connection(site, owner="contoso")
    person.sign_in()
    person.open("/console/apps")


def app_with_a_new_secret(person: Any, site: Any) -> None:
    """One secret was refused and another waits; a fallback is kept, and a connection is lost."""
    practice = site.practice
    connection(site, owner="contoso")
    connection(site, owner="northwind", login="bob")
    practice.provider.add_secret("the second")
    practice.valet.apps.replace_secret("notes", "the second", ends_at=practice.clock.now() + 200 * 86400)
    practice.client("notes", owner="contoso").refresh()
    practice.valet.apps.replace_secret("notes", "the third")
    practice.client("notes", owner="contoso").refresh()
    practice.provider.revoke("bob")
    with suppress(ReauthorizationRequired):
        practice.client("notes", owner="northwind").refresh()
    person.sign_in()
    person.open("/console/apps/notes")


def app_that_leans(person: Any, site: Any) -> None:
    practice = site.practice
    connection(site, owner="contoso")
    practice.provider.add_secret("the second")
    practice.valet.apps.replace_secret("notes", "the second")
    practice.client("notes", owner="contoso").refresh()
    practice.provider.remove_secret("the second")
    practice.client("notes", owner="contoso").refresh()
    practice.valet.apps.replace_secret("notes", "the third")
    person.sign_in()
    practice.clock.advance(600)
    person.open("/console/apps/notes")


def somebody_else(person: Any, site: Any) -> None:
    as_owner(person, "northwind")
    person.open(link(site), status=403)


def accounts(person: Any, site: Any) -> None:
    connection(site, owner="contoso")
    connection(site, owner="contoso", account="events", login="bob")
    as_owner(person)
    person.open("/accounts")


def ending(person: Any, site: Any) -> None:
    status = connection(site, owner="contoso")
    as_owner(person)
    person.open(f"/accounts/{status.connection_id}/disconnect")


def missing_scope(person: Any, site: Any) -> None:
    site.practice.provider.narrow_scopes("notes.read")
    status = connection(site)
    person.sign_in()
    person.open(f"/console/connections/{status.connection_id}/connected")


def app_with_keys(person: Any, site: Any) -> None:
    """One key in use, and one that waits."""
    practice = site.practice
    declared = practice.declare("bank", client_auth="private_key_jwt", display_name="Bank")
    practice.secrets.set(declared.secret_id, json.dumps({"client_id": "bank"}))
    for _ in range(2):
        make_key(practice.valet._core, declared)
    person.sign_in()
    person.open("/console/apps/bank")


PAGES: dict[str, Walk] = {
    "start": operator("/console/start"),
    "wizard-provider": operator("/console/new"),
    "wizard-app": operator("/console/presets/github"),
    "wizard-app-key": operator("/console/presets/apple"),
    "wizard-own": operator("/console/new/own"),
    "wizard-scopes": operator("/console/new/notes/scopes"),
    "wizard-scopes-params": with_shop("/console/new/shop/scopes"),
    "wizard-waiting": waiting,
    "apps": operator("/console/apps"),
    "app": operator("/console/apps/notes"),
    "app-apple": app_with_a_typed_key,
    "app-register": operator("/console/apps/notes/register"),
    "app-rejected": app_that_is_rejected,
    "apps-ending": app_that_ends,
    "app-replacing": app_with_a_new_secret,
    "app-leaning": app_that_leans,
    "app-keys": app_with_keys,
    "compare": operator("/console/compare/notes?theirs=http://127.0.0.1/callback/notes/"),
    "error-denied": failing(lambda provider: provider.deny_next()),
    "error-redirect-uri": failing(lambda provider: provider.deny_next("redirect_uri_mismatch")),
    "error-invalid-client": failing(lambda provider: provider.fail_next(status=401, error="invalid_client")),
    "error-state": lambda person, _: person.sign_in() or person.open("/callback/notes?code=x&state=y", status=400),
    "scope-missing": missing_scope,
    "reauthorize": reauthorize,
    "other-account": other_account,
    "links": some_links,
    "link-new": operator("/console/links/new"),
    "link-new-params": with_shop("/console/links/new?credential=shop"),
    "link-created": created,
    "connect-page": holder(press=""),
    "connect-asks": asked_for_a_shop(RIGHT),
    "connect-asks-again": asked_for_a_shop("evil.example/"),
    "connect-done": holder(),
    "connect-confirm": to_confirm,
    "connect-declined": holder(press="Not now"),
    "connect-denied": holder(lambda provider: provider.deny_next()),
    "connect-pending": holder(lambda provider: provider.deny_next("access_denied", "sent for review to an admin")),
    "connect-missing": holder(lambda provider: provider.narrow_scopes("notes.read")),
    "connect-error": holder(lambda provider: provider.fail_next(status=401, error="invalid_client")),
    "connect-other-account": other_account_of_holder,
    "connect-expired": expired,
    "connect-somebody-else": somebody_else,
    "accounts": accounts,
    "accounts-where": where_from_the_own_page,
    "accounts-disconnect": ending,
}


@pytest.mark.scenario(12, 13)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_calm_and_free_of_barriers(site: Any, person: Callable[..., Any], name: str) -> None:
    somebody = person()
    PAGES[name](somebody, site)

    barriers: list[str] = []
    for theme in ("light", "dark"):
        somebody.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width, height in WIDTHS.items():
            somebody.page.set_viewport_size({"width": width, "height": height})
            somebody.demand_calm()
            barriers += [f"{theme}, {width} px: {barrier}" for barrier in somebody.barriers()]
            if width in PICTURED and (folder := os.environ.get("SCREENSHOTS")):
                picture = somebody.page.screenshot(full_page=True, animations="disabled")
                (Path(folder) / f"{name}-{width}-{theme}.png").write_bytes(picture)
    assert not barriers, "\n".join(barriers)


def test_the_page_that_waits_moves_on_by_itself(site: Any, person: Callable[..., Any]) -> None:
    somebody = person()
    waiting(somebody, site)

    with somebody.context.expect_page() as opened:
        somebody.page.get_by_role("link", name="Open Notes").click()
    opened.value.wait_for_url("**/console/connections/**")

    somebody.page.wait_for_url("**/console/connections/con_*")


def test_a_newcomer_consents_at_the_demo_provider(site: Any, person: Callable[..., Any]) -> None:
    somebody = person()
    somebody.sign_in()
    somebody.open("/console/start")
    somebody.page.get_by_role("button", name="Connect the demo provider").click()
    somebody.page.get_by_role("button", name="Approve").click()
    somebody.page.wait_for_url("**/console/connections/con_*")

    assert [s.state for s in site.practice.valet.connections(credential="practice")] == ["connected"]


def test_an_account_holder_says_which_shop_by_keyboard_and_without_script(
    site: Any, person: Callable[..., Any]
) -> None:
    somebody = person(java_script_enabled=False)
    declare_shop(site.practice)
    site.practice.provider.allow_redirect(f"{site.base}/callback/shop")
    desk = site.app.state.server.desk
    made = desk.new_link(desk.key("shop", "contoso", ""), (), None, 1800)
    as_owner(somebody)
    somebody.open(f"/connect/{made.token.reveal()}")
    somebody.page.get_by_label("The region").select_option("eu")
    somebody.page.get_by_label("The shop").fill("evil.example/")

    somebody.page.keyboard.press("Enter")
    somebody.told("This cannot be right.")
    assert somebody.page.get_by_label("The region").input_value() == "eu"
    somebody.page.get_by_label("The shop").fill("acme")
    somebody.page.keyboard.press("Enter")

    somebody.sees("Shops is connected")
    assert site.practice.valet.client("shop", owner="contoso").status().params["shop"] == "acme"
