"""The four pictures of the README: taken anew by ``make pictures``, in both themes, of demo data."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from valetkey.errors import ValetkeyError

pytestmark = pytest.mark.skipif("PICTURES" not in os.environ, reason="make pictures takes them")
WIDTH = 1280
HEIGHTS = {"connect-page": 740, "connections": 746, "detail-trouble": 605, "wizard": 760}
"""What is shown of each; the code on the page of a connection tells where the store of this run is."""
HOUR = 3600.0


@pytest.fixture
def site(practice: Any, site_class: Any) -> Iterator[Any]:
    """A product with a few providers, and connections in every state."""
    core, pretended = practice.valet._core, practice.valet._core.base_url
    core.base_url = None
    named = {
        "mail": "Fabrikam Mail",
        "files": "Litware Files",
        "crm": "Tailspin CRM",
        "calendar": "Wide World Calendar",
    }
    for name, title in named.items():
        practice.declare(name, display_name=title)
    with site_class(
        practice,
        product="Acme CRM",
        workspace={"contoso": "Contoso Ltd"}.get,
        privacy_url="https://acme.example/privacy",
    ) as site:
        core.base_url = pretended
        fill(practice)
        yield site


def fill(practice: Any) -> None:
    people = [
        ("mail", "contoso", "support"),
        ("mail", "northwind", "j.okafor"),
        ("files", "contoso", "archive"),
        ("files", "adatum", "m.rossi"),
        ("crm", "northwind", "sales"),
        ("crm", "hooli", "ops"),
        ("calendar", "hooli", "front-desk"),
        ("calendar", "adatum", "team"),
    ]
    for name, owner, login in people:
        practice.connect(name, owner=owner, login=login)
    practice.provider.omit_refresh_token(1)
    practice.connect("mail", owner="adatum", login="events")
    for _ in range(4):  # some hours of life
        practice.clock.advance(0.9 * HOUR)
        for name, owner, _ in people:
            practice.client(name, owner=owner).refresh()
    practice.clock.advance(HOUR / 6)
    for login, name, owner in [("j.okafor", "mail", "northwind"), ("ops", "crm", "hooli")]:
        practice.provider.revoke(login)
        refuse(practice, name, owner)
    practice.provider.fail_next(status=503, times=2)
    refuse(practice, "calendar", "hooli")
    refuse(practice, "calendar", "adatum")
    practice.clock.advance(HOUR / 20)


def refuse(practice: Any, name: str, owner: str) -> None:
    with pytest.raises(ValetkeyError):
        practice.client(name, owner=owner).refresh()


def test_the_pictures_of_the_readme(site: Any, person: Callable[..., Any]) -> None:
    somebody = person()
    desk = site.server.desk
    link = desk.new_link(desk.key("mail", "contoso", ""), (), "", 1800, confirm=False)
    broken = site.practice.client("mail", owner="northwind").status().connection_id
    keep(somebody, "connect-page", f"/connect/{link.token.reveal()}")
    somebody.sign_in()
    keep(somebody, "connections", "/console/connections")
    keep(somebody, "detail-trouble", f"/console/connections/{broken}")
    keep(somebody, "wizard", "/console/presets/github")


def keep(person: Any, name: str, path: str) -> None:
    page = person.open(path)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[name]})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        shot = io.BytesIO(page.screenshot(animations="disabled"))
        with Image.open(shot) as picture:
            picture.convert("RGB").save(Path(os.environ["PICTURES"]) / f"{name}-{theme}.png", optimize=True)
    page.emulate_media(color_scheme="light")
