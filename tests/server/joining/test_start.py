"""A console without connections: the demo provider gives the whole flow, with no registration and no internet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def demo(site: Any) -> Iterator[Any]:
    yield site.app.state.server.demo
    site.app.state.server.demo.stop()


def test_a_newcomer_connects_and_the_connection_works(walk: Any, demo: Any) -> None:
    page = walk.visitor.get("/console/start")
    assert walk.title(page) == "Connect your first account"
    assert "Sealed, in" in page.text

    out = walk.way_out(walk.visitor.post("/console/start"))
    done = walk.come_back(demo.provider.approve(out))

    practice = walk.site.practice
    (status,) = practice.valet.connections(credential="practice")
    assert done.headers["location"] == f"/console/connections/{status.connection_id}"
    assert status.identity.login == "ada"
    client = practice.valet.client("practice")
    assert client.get("/me").json()["login"] == "ada"
    assert client.refresh().state == "connected"


def test_the_person_is_really_asked(walk: Any, demo: Any) -> None:
    walk.visitor.get("/console/start")
    walk.visitor.post("/console/start")

    assert demo.provider.rules.auto_approve is False


def test_it_is_started_once_and_a_new_one_takes_the_old_ones_place(walk: Any, demo: Any) -> None:
    walk.visitor.get("/console/start")
    walk.way_out(walk.visitor.post("/console/start"))
    first = demo.provider
    walk.come_back(first.approve(walk.way_out(walk.visitor.post("/console/start"))))
    assert demo.provider is first

    demo.stop()
    walk.way_out(walk.visitor.post("/console/start"))

    assert demo.provider is not first
    assert len(walk.site.practice.valet.connections(credential="practice")) == 0


def test_a_credential_of_the_programs_own_is_left_alone(walk: Any, demo: Any) -> None:
    walk.site.practice.declare("practice")

    assert "Connect the demo provider" not in walk.visitor.get("/console/start").text
    assert walk.visitor.post("/console/start").status_code == 404
    assert demo.provider is None


def test_it_takes_the_highest_grade(site: Any, walker: Any, demo: Any) -> None:
    lesser = walker(site, site.operator("connections"))

    assert "Connect the demo provider" not in lesser.visitor.get("/console/start").text
    assert lesser.visitor.post("/console/start").status_code == 403
    assert demo.provider is None
