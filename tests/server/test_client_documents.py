"""Client id metadata documents, as the server publishes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

HOME = "https://valet.example.test/keys"


@pytest.mark.conformance("1 metadata: client id document")
def test_the_server_publishes_what_its_apps_are(practice: Any, served: Callable[..., Any]) -> None:
    wiring = practice.valet._core.declarations.wiring
    fields = {"security_profile": "mcp", "api_base_url": "https://mcp.example.com/mcp"}
    wiring.oauth2_credential("tools", **fields)
    wiring.oauth2_credential("elsewhere", **fields, client_id_metadata_url="https://app.example.com/client.json")
    site = served(base_url=HOME)

    answer = httpx2.get(f"{site.base}/oauth/clients/tools.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    said = answer.json()
    url = f"{HOME}/oauth/clients/tools.json"
    assert said["client_id"] == url
    assert said["redirect_uris"] == [f"{HOME}/callback/tools"]
    assert (said["token_endpoint_auth_method"], said["application_type"]) == ("none", "web")
    assert "client_secret" not in said
    core = practice.valet._core
    assert core.world.client_document(core.credential("tools")) == url
    for name in ("elsewhere", "notes", "nobody"):
        assert httpx2.get(f"{site.base}/oauth/clients/{name}.json").status_code == 404


def test_on_loopback_there_is_no_document(practice: Any, site: Any) -> None:
    wiring = practice.valet._core.declarations.wiring
    wiring.oauth2_credential("tools", security_profile="mcp", api_base_url="https://mcp.example.com/mcp")
    assert httpx2.get(f"{site.base}/oauth/clients/tools.json").status_code == 404
