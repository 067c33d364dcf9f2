"""What every request passes: hosts, origins, sizes; and what every answer carries."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey.server.guard import CSP
from valetkey.server.settings import BODY_LIMIT


def test_another_host_name_is_refused(site: Any) -> None:
    answer = site.visitor().get("/login", headers={"Host": "attacker.example"})

    assert answer.status_code == 421


@pytest.mark.conformance("1 core: start by the person")
@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "http://127.0.0.1:1", None])
def test_a_write_from_another_origin_is_refused(site: Any, origin: str | None) -> None:
    visitor = site.operator()
    visitor.get("/console/connections")

    assert visitor.post("/logout", origin=origin).status_code == 403
    assert visitor.get("/console/connections").status_code == 200


@pytest.mark.conformance("1 core: callback page")
@pytest.mark.parametrize("path", ["/login", "/console/connections", "/nowhere", "/static/console.css", "/healthz"])
def test_every_answer_carries_the_strict_headers(site: Any, path: str) -> None:
    answer = site.operator().get(path)

    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("immutable" in answer.headers["cache-control"]) == path.startswith("/static")


def test_a_body_that_is_too_long_is_refused(site: Any) -> None:
    visitor = site.operator()
    visitor.get("/console/connections")

    assert visitor.post("/logout", padding="x" * BODY_LIMIT).status_code == 413


def test_a_body_that_says_not_how_long_it_is_is_bounded_too(site: Any) -> None:
    visitor = site.operator()
    chunks = (b"x" * 1024 for _ in range(BODY_LIMIT // 1024 + 2))
    headers = {"Origin": site.base, "Content-Type": "application/x-www-form-urlencoded"}

    assert visitor.client.post("/logout", content=chunks, headers=headers).status_code == 413
