"""MCP servers say where people sign in for them; what follows when they say something else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey.engine.connect import start_authorization
from valetkey.engine.discovery import peek
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.resources import moved, note_challenge
from valetkey.errors import (
    ProviderProtocolError,
    ProviderUnavailable,
    ValetkeyError,
)
from valetkey.model.ports import NotSent
from valetkey.protocol.bearer import parse_challenges
from valetkey.testing import PracticeProvider
from valetkey.values import Request, Response

conformance = pytest.mark.conformance
HOME = "http://127.0.0.1:1"
"""Nothing listens there: `Resource` answers in its place."""
SERVER = f"{HOME}/mcp"
DOCUMENT = f"{HOME}/.well-known/oauth-protected-resource/mcp"
ROOT = DOCUMENT.removesuffix("/mcp")


class Resource:
    """Stands at the documents of the resource, before the way to everything else."""

    def __init__(self, behind: Any, issuer: str) -> None:
        self._behind = behind
        self.documents: dict[str, Any] = {DOCUMENT: {"resource": SERVER, "authorization_servers": [issuer]}}
        self.asked: list[str] = []
        self.down = False
        self.mended: dict[str, Any] = {}

    def send(self, request: Request, *, deadline: float) -> Response:
        if request.url.startswith(f"{HOME}/"):
            self.asked.append(request.url)
            if self.down:
                raise NotSent("down")
            body = self.documents.get(request.url)
            return Response(status=200 if body else 404, body=json.dumps(body).encode())
        response: Response = self._behind.send(request, deadline=deadline)
        if "/.well-known/" in request.url and self.mended:
            members = {**json.loads(response.body), **self.mended}
            kept = {name: value for name, value in members.items() if value is not None}
            return replace(response, body=json.dumps(kept).encode())
        return response


@pytest.fixture
def resource(stage: Any) -> Resource:
    resource = Resource(stage.world.endpoint, stage.provider.issuer)
    stage.world = replace(stage.world, endpoint=resource)
    urls = ("authorization_url", "token_url", "revocation_url", "device_authorization_url", "userinfo_url", "jwks_url")
    stage.change(
        **dict.fromkeys((*urls, "issuer"), ""),
        scopes=(),
        security_profile="mcp",
        api_base_url=SERVER,
        iss_advertised=False,
    )
    return resource


def asked(stage: Any) -> dict[str, list[str]]:
    start = start_authorization(
        stage.world,
        stage.credentials["notes"],
        stage.key(),
        scopes=(),
        redirect_uri="http://127.0.0.1:8421/callback/notes",
    )
    return parse_qs(urlsplit(start.url).query)


def challenge(stage: Any, text: str) -> None:
    note_challenge(stage.world, stage.credentials["notes"], parse_challenges([text]))


@conformance("1 metadata: scope choice", "1 metadata: offline_access", "1 metadata: resource")
def test_a_sign_in_asks_for_what_the_resource_says(stage: Any, resource: Resource) -> None:
    params = asked(stage)
    assert params["resource"] == [SERVER]
    assert "scope" not in params, "nobody named any"
    resource.documents[DOCUMENT]["scopes_supported"] = ["files:read", "files:write"]
    assert asked(stage)["scope"] == ["files:read files:write"]
    challenge(stage, 'Bearer scope="files:read"')
    assert asked(stage)["scope"] == ["files:read"]
    assert "prompt" not in asked(stage)
    resource.mended = {"scopes_supported": ["files:read", "offline_access"]}
    stage.clock.advance(90000)
    params = asked(stage)
    assert (params["scope"], params["prompt"]) == (["files:read offline_access"], ["consent"])


@conformance("1 metadata: resource", "1 metadata: new resource_metadata")
def test_a_challenge_that_names_another_document_has_it_fetched(stage: Any, resource: Resource) -> None:
    asked(stage)
    resource.documents = {f"{HOME}/moved": {**resource.documents[DOCUMENT], "scopes_supported": ["new"]}}
    challenge(stage, f'Bearer resource_metadata="{HOME}/moved"')
    assert asked(stage)["scope"] == ["new"]
    assert resource.asked == [DOCUMENT, f"{HOME}/moved"]


@conformance("1 core: PKCE")
def test_a_server_that_does_not_name_pkce_is_refused(stage: Any, resource: Resource) -> None:
    resource.mended = {"code_challenge_methods_supported": None}
    with pytest.raises(ProviderProtocolError) as caught:
        asked(stage)
    assert caught.value.code == "pkce_unsupported"


@conformance("2 authorization-server-migration")
def test_when_the_resource_moves_to_another_server_nothing_of_the_old_one_goes_there(
    stage: Any, resource: Resource
) -> None:
    record = stage.connect()
    assert record.issuer == stage.provider.issuer
    assert not moved(stage.world, stage.credentials["notes"], record.issuer)
    before = stage.provider.refreshes
    with PracticeProvider(clock=stage.clock) as new:
        resource.documents[DOCUMENT]["authorization_servers"] = [new.issuer]
        assert moved(stage.world, stage.credentials["notes"], record.issuer)
        assert peek(stage.world, stage.credentials["notes"]).issuer == new.issuer
        with pytest.raises(ValetkeyError) as caught:
            obtain(stage.world, stage.key(), Want(refused=record.access_fp))
        assert caught.value.code == "client_changed"
        assert (stage.provider.refreshes, new.refreshes) == (before, 0)


@pytest.mark.parametrize(
    ("said", "declared", "code"),
    [
        pytest.param({"resource": SERVER}, "", "authorization_server_unknown", id="none named"),
        pytest.param(
            {"resource": SERVER, "authorization_servers": ["https://x.example"]},
            "own",
            "authorization_server_unknown",
            id="another",
        ),
        pytest.param({"resource": f"{HOME}/"}, "", "resource_differs", id="another resource"),
        pytest.param(None, "", "metadata_missing", id="no document"),
    ],
)
def test_what_is_wrong_with_a_resource_is_said(
    stage: Any, resource: Resource, said: Any, declared: str, code: str
) -> None:
    resource.documents = {DOCUMENT: said}
    if declared:
        stage.change(issuer=stage.provider.issuer)
    with pytest.raises(ProviderProtocolError) as caught:
        asked(stage)
    assert caught.value.code == code
    field = "issuer=" if code == "authorization_server_unknown" else "api_base_url="
    assert field in caught.value.hint


def test_a_declared_issuer_does_without_the_document_and_a_declared_name_is_taken(
    stage: Any, resource: Resource
) -> None:
    stage.change(issuer=stage.provider.issuer)
    resource.documents = {}
    assert asked(stage)["resource"] == [SERVER]
    assert resource.asked == [DOCUMENT, ROOT]
    stage.change(issuer="", resources=(HOME,))
    resource.documents = {DOCUMENT: {"resource": HOME, "authorization_servers": [stage.provider.issuer]}}
    assert asked(stage)["resource"] == [HOME]


def test_a_resource_that_is_down_stops_who_never_signed_in_and_nobody_else(stage: Any, resource: Resource) -> None:
    resource.down = True
    with pytest.raises(ProviderUnavailable):
        asked(stage)
    resource.down = False
    stage.connect()
    resource.down = True
    assert obtain(stage.world, stage.key(), Want(manual=True)).grant.access_token
    assert asked(stage)["resource"] == [SERVER], "what it said last will do"
