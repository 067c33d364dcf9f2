"""A walk over every page that links lead to: none is dead, none holds a secret, and all words of others stay text."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from valetkey.engine.world import open_grant
from valetkey.model.connections import Query

START = "/console/connections"
LINK = re.compile(r'(?:href|src)="([^"]*)"')
HOSTILE = '<script>alert(1)</script>"\u05d0'


def walk(site: Any, visitor: Any) -> dict[str, Any]:
    """Open every page of ours that can be reached by links; return the answers by address."""
    seen: dict[str, Any] = {}
    left = [START]
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen[path] = answer = visitor.client.get(path)
        if "location" in answer.headers:
            left.append(answer.headers["location"])
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for found in LINK.findall(answer.text):
            target = urlsplit(urljoin(f"{site.base}{path}", unescape(found)))
            if f"{target.scheme}://{target.netloc}" == site.base and "/static/" not in target.path:
                left.append(f"{target.path}?{target.query}" if target.query else target.path)
    return seen


def secrets_of(site: Any) -> list[str]:
    """Return every secret that the site knows."""
    core = site.server.core
    found: list[str] = []
    for record in core.store.list(Query(env=core.env), limit=100).items:
        grant = open_grant(core.world, record)
        found += [secret.reveal() for secret in (grant.access_token, grant.refresh_token) if secret is not None]
    app = core.app(core.credential("notes"))
    found += [app.client_secret.reveal()] if app.client_secret else []
    found += [key.secret.reveal() for key in core.keys.keys()]  # noqa: SIM118 - not a mapping
    return found


@pytest.mark.scenario(17)
@pytest.mark.parametrize("grade", ["look", "connections", "everything"])
def test_no_page_is_dead_or_holds_a_secret(site: Any, grade: str) -> None:
    site.practice.connect("notes")
    site.practice.connect("notes", owner=HOSTILE, account="work", login="bert")
    site.server.operators.add("mira@example.com", "four words of my own", "everything", by="test")
    site.server.operators.invite("<b>jo</b>", "look", by=HOSTILE)
    pages = walk(site, site.operator(grade))
    secrets = secrets_of(site)

    known = {200, 303} if grade == "everything" else {200, 303, 403}
    dead = {path: answer.status_code for path, answer in pages.items() if answer.status_code not in known}
    assert not dead
    assert len(secrets) >= 6
    for path, answer in pages.items():
        assert not [secret for secret in secrets if secret in answer.text], path
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "<script>alert" not in answer.text, path
            assert "<b>jo" not in answer.text, path
    assert (("/console/settings/operators" in pages), len(pages) > 3) == (grade == "everything", True)
