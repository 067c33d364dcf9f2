"""Every page in a real browser: calm, free of barriers in both themes, at three widths; and its pictures.

A page that you add gets a line in `PAGES`.  ``make screenshots`` keeps the pictures in ``.cache/screenshots``.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from valetkey.engine import bulk, bulk_acts, rekeying
from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.hosts import Reporter
from valetkey.engine.key_change import KeyChange
from valetkey.engine.public import set_addresses
from valetkey.engine.world import NO_JOURNAL
from valetkey.errors import StoreUnavailable, ValetkeyError
from valetkey.model.connections import Document
from valetkey.server.brand import Brand

WIDTHS = {1280: 900, 390: 844, 320: 640}
PICTURED = (1280, 390)


@dataclass(frozen=True)
class Shown:
    """One page.

    Attributes:
        id: Its name, also that of its pictures.
        path: Its address, or what brings about what it shows and returns its address.
        who: The grade of whoever looks; empty: nobody has signed in.
        status: The HTTP status.
        then: What is done on it with Playwright before it is looked at: a button pressed, a menu opened.
        later: How many seconds pass after the sign-in.
        answers: The HTTP status of what `then` brings about, where it is an error.
    """

    id: str
    path: str | Callable[[Any], str]
    who: str = "everything"
    status: int = 200
    then: Callable[[Any], None] | None = None
    later: float = 0.0
    answers: int = 0


DAY = 86400.0
PASSWORD = "four words of my own"


def with_operators(path: str) -> Callable[[Any], str]:
    """Return what adds operators of every kind and leads to `path`."""

    def bring_about(site: Any) -> str:
        operators = site.server.operators
        operators.saw(operators.add("mira@example.com", PASSWORD, "everything", by="the command"))
        operators.add("sam@example.com", PASSWORD, "connections", by="mira@example.com")
        operators.disable("sam@example.com", by="mira@example.com")
        operators.invite("jo.okafor@example.com", "look", by="mira@example.com")
        return path

    return bring_about


def with_connections(site: Any) -> str:
    site.practice.connect("notes")
    site.practice.connect("notes", owner="u-17", account="work", login="bert")
    return "/console/connections"


def with_trouble(site: Any) -> Any:
    """Bring about a connection in each state; return the practice."""
    practice = site.practice
    practice.declare("files", display_name="Files Cloud")
    practice.declare("mail", display_name="Mail")
    practice.connect("files", owner="contoso", login="bob")
    practice.connect(owner="gone")
    practice.valet.disconnect("notes", owner="gone")
    practice.provider.omit_refresh_token(1)
    practice.connect(owner="short", login="frank")
    practice.connect(owner="dead", login="carol", account="work")
    practice.connect("mail", owner="failing", login="dave")
    practice.provider.revoke("carol")
    fail(practice, "notes", owner="dead", account="work")
    practice.provider.fail_next(status=503)
    fail(practice, "mail", owner="failing")
    practice.secrets.delete(practice.wiring.get("files").secret_id)
    practice.connect(owner="northwind")
    return practice


def fail(practice: Any, name: str, **whose: str) -> None:
    with pytest.raises(ValetkeyError):
        practice.client(name, **whose).refresh()


def of(owner: str, what: str = "", **more: str) -> Callable[[Any], str]:
    """Return what leads to a page of an owner's connection among those in trouble."""

    def bring_about(site: Any) -> str:
        practice = with_trouble(site)
        name = {"failing": "mail", "contoso": "files"}.get(owner, "notes")
        status = practice.valet.client(name, owner=owner, **more).status()
        return f"/console/connections/{status.connection_id}{what}"

    return bring_about


def called(owner: str, what: str = "") -> Callable[[Any], str]:
    """Return what leads to a page of a connection for whose tokens API keys called."""

    def bring_about(site: Any) -> str:
        address = of(owner, what)(site)
        core = site.practice.valet._core
        site.practice.valet.connect_link("notes", owner=owner)
        for name, count in (("crm-backend", 1204), ("nightly-export", 2)):
            key, _ = ApiKeys(core.store, core.clock, core.env).add(name, ["read_secret"])
            for _ in range(count):
                site.server.calls.calls.note(address.split("/")[3], key.id)
        return address

    return bring_about


def with_job(site: Any) -> str:
    core = with_trouble(site).valet._core
    cause = bulk.Failed(credential="mail", error="http_503", person=False, n=2, ids=("con_1", "con_2"))
    made = bulk.Job(
        id="", what="9 connections", by="mira", state="finished", total=9, done=6, failed=2, skipped=1, causes=(cause,)
    )
    core.store.put_document(Document(kind=bulk.KIND, env=core.env, id="job_1", body=bulk._body(made)))
    return "/console/jobs/job_1"


def with_links(site: Any) -> str:
    core = with_trouble(site).valet._core
    made = bulk.Job(id="", kind="links", what="9 connections", by="mira", state="finished", total=9, done=9)
    core.store.put_document(Document(kind=bulk.KIND, env=core.env, id="job_1", body=bulk._body(made)))
    core.store.put_document(Document(kind=bulk_acts.LINKS, env=core.env, id="job_1"))
    return "/console/jobs/job_1"


def ask_many(what: str) -> Callable[[Any], None]:
    """Return what chooses something for all connections that are listed."""

    def ask(page: Any) -> None:
        page.get_by_label("More for many connections").click()
        page.get_by_role("button", name=re.compile(f"^{what} all")).click()
        page.get_by_role("heading", level=1, name=re.compile("6 connections")).wait_for()

    return ask


def with_invitation(site: Any) -> str:
    _, token = site.server.operators.invite("jo.okafor@example.com", "look", by="mira@example.com")
    return f"/login/invitation?token={token.reveal()}"


def without_store(site: Any) -> str:
    def down(*_: object, **__: object) -> None:
        msg = "the store does not answer"
        raise StoreUnavailable(msg)

    site.server.core.store.get_document = down
    return "/console/connections"


def broken(site: Any) -> str:
    site.server.core.credentials = lambda: 1 / 0
    return "/console/connections"


def invite(page: Any) -> None:
    page.get_by_label("Name or email").fill("jo.okafor@example.com")
    page.get_by_role("button", name="Create invitation").click()
    page.get_by_role("heading", name="Invitation for jo.okafor@example.com").wait_for()


def with_api_keys(site: Any) -> str:
    core = site.server.core
    keys = ApiKeys(core.store, core.clock, core.env)
    keys.add("crm-backend", ["connect", "read", "refresh"], credentials=["google", "hubspot"], by="mira@example.com")
    used, _ = keys.add("sync-worker", ["read", "read_secret"], owners=["u-17"], networks=["10.4.0.0/24"], life=11 * DAY)
    keys.note_use(used)
    connection = site.practice.connect("notes", owner="u-17").connection_id
    for _ in range(1204):
        site.server.calls.calls.note(connection, used.id)
    keys.add("status-page", ["read"], identities=False)
    keys.add("report-job", ["read"], life=60.0)
    site.practice.clock.advance(120.0)
    return "/console/settings/api-keys"


def make_api_key(page: Any) -> None:
    page.get_by_label("Name").fill("report-job")
    page.get_by_label("Only these credentials").fill("google, stripe")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("heading", name="The API key is ready").wait_for()


def with_key_change(site: Any) -> str:
    core = with_connections(site) and site.server.core
    rekeying.rotate(core.store, core.vault, core.keys, paused=lambda: True)
    for host, what in (("web-1", "server"), ("web-2", "worker")):
        Reporter(core.store, core.keys, NO_JOURNAL, what=what, host=host).tell()
    KeyChange(core.world, core.vault, core.keys, env=core.env).begin(by="mira@example.com")
    return "/console/settings/keys"


def with_brand(site: Any) -> str:
    out = io.BytesIO()
    Image.new("RGB", (192, 192), "#b9500f").save(out, "PNG")
    brand = Brand(
        product="Acme CRM",
        privacy_url="https://acme.example/privacy",
        help="help@acme.example",
        light="#b9500f",
        dark="#e8702a",
    )
    site.server.brands.save(brand, logo=out.getvalue(), by="mira@example.com")
    return "/console/settings/brand"


def choose_a_pale_accent(page: Any) -> None:
    page.get_by_label("Light theme", exact=True).fill("#e8702a")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Nearest colour that passes").wait_for()


def with_addresses(site: Any) -> str:
    core, urls = site.server.core, ("https://app.acme.example/", "https://admin.acme.example/integrations/")
    public = "https://connect.acme.example"
    set_addresses(core.store, core.clock, core.env, public=public, return_urls=urls, by="mira@example.com")
    return "/console/settings/environments"


PAGES = [
    Shown("empty", "/console/connections"),
    Shown("connections", with_connections),
    Shown("connections-trouble", lambda site: with_trouble(site) and "/console/connections"),
    Shown("connections-none", lambda site: with_connections(site) + "?q=nobody"),
    Shown("connections-look", lambda site: with_trouble(site) and "/console/connections", who="look"),
    Shown("connection", called("northwind")),
    Shown("connection-dead", of("dead", account="work")),
    Shown("connection-failing", of("failing")),
    Shown("connection-app", of("contoso")),
    Shown("connection-short", of("short")),
    Shown("connection-gone", of("gone")),
    Shown("disconnect", called("northwind", "/disconnect")),
    Shown("owner", lambda site: with_trouble(site) and "/console/owner?id=northwind"),
    Shown("owner-forget", lambda site: with_trouble(site) and "/console/owner/forget?id=northwind"),
    Shown("events", lambda site: with_trouble(site) and "/console/events"),
    Shown("job", with_job),
    Shown("job-links", with_links),
    Shown("job-links-asked", lambda site: with_trouble(site) and "/console/connections", then=ask_many("Links for")),
    Shown("job-disconnect", lambda site: with_trouble(site) and "/console/connections", then=ask_many("Disconnect")),
    Shown("login", with_operators("/login"), who=""),
    Shown("login-by-link", "/login", who=""),
    Shown("login-link", lambda site: f"/login/link?token={site.sessions.link().reveal()}", who=""),
    Shown("login-link-over", "/login/link?token=nothing", who="", status=410),
    Shown("login-again", "/login/again?next=/console/settings/operators", later=3600.0),
    Shown("invitation", with_invitation, who=""),
    Shown("invitation-over", "/login/invitation?token=nothing", who="", status=410),
    Shown("settings-keys-none", "/console/settings/keys"),
    Shown("settings-keys", lambda site: site.practice.connect("notes") and "/console/settings/keys"),
    Shown("settings-api-keys-none", "/console/settings/api-keys"),
    Shown("settings-api-keys", with_api_keys),
    Shown("settings-api-key-created", "/console/settings/api-keys", then=make_api_key),
    Shown("settings-operators-none", "/console/settings/operators"),
    Shown("settings-operators", with_operators("/console/settings/operators")),
    Shown("settings-operator-invited", "/console/settings/operators", then=invite),
    Shown("settings-keys-changing", with_key_change),
    Shown("settings-brand", with_brand),
    Shown("settings-brand-refused", with_brand, then=choose_a_pale_accent, answers=400),
    Shown("settings-brand-preview", lambda site: with_brand(site) + "/preview"),
    Shown("settings-environments", with_addresses),
    Shown("store-down", without_store, status=503),
    Shown("unexpected", broken, status=500),
    Shown("not-found", "/console/nowhere", status=404),
    Shown("not-allowed", "/console/settings/operators", who="look", status=403),
]


@pytest.mark.scenario(12, 13)
@pytest.mark.parametrize("shown", [pytest.param(shown, id=shown.id) for shown in PAGES])
def test_a_page_is_calm_and_free_of_barriers(site: Any, person: Callable[..., Any], shown: Shown) -> None:
    somebody = person()
    if shown.who:
        somebody.sign_in(shown.who)
    path = shown.path(site) if callable(shown.path) else shown.path
    site.practice.clock.advance(shown.later)
    page = somebody.open(path, status=shown.status)
    if shown.then is not None:
        somebody.expected = shown.answers or shown.status
        shown.then(page)

    barriers: list[str] = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            somebody.demand_calm()
            barriers += [f"{theme}, {width} px: {barrier}" for barrier in somebody.barriers()]
            if width in PICTURED:
                keep_picture(page, f"{shown.id}-{width}-{theme}")
    assert not barriers, "\n".join(barriers)


def keep_picture(page: Any, name: str) -> None:
    """Keep a picture of the whole page where ``SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        (Path(folder) / f"{name}.png").write_bytes(page.screenshot(full_page=True, animations="disabled"))
