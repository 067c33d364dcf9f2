"""What a protected resource says of itself (RFC 9728): where to look, and what is not believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from valetkey.protocol.bearer import parse_challenges
from valetkey.protocol.metadata import MetadataFlaw
from valetkey.protocol.protected_resource import (
    ProtectedResource,
    challenged,
    parse_protected_resource,
    resource_documents,
)
from valetkey.values import Response

conformance = pytest.mark.conformance
URL = "https://mcp.example.com/mcp"
KNOWN = "https://mcp.example.com/.well-known/oauth-protected-resource"


def parsed(body: Any, status: int = 200) -> ProtectedResource | MetadataFlaw:
    response = Response(status=status, body=json.dumps(body).encode())
    return parse_protected_resource(response, identifiers=(URL,), document=f"{KNOWN}/mcp")


@conformance("1 metadata: resource")
def test_where_the_metadata_may_be_and_whom_it_is_about() -> None:
    root = ("https://mcp.example.com", "https://mcp.example.com/")
    assert resource_documents(URL, named="") == ((f"{KNOWN}/mcp", (URL,)), (KNOWN, root))
    assert resource_documents(f"{URL}?a=b", named="")[0] == (f"{KNOWN}/mcp?a=b", (f"{URL}?a=b",))
    assert resource_documents("https://mcp.example.com/", named="") == ((KNOWN, root),)
    assert resource_documents(URL, named="https://mcp.example.com/meta") == (("https://mcp.example.com/meta", (URL,)),)
    declared = "https://mcp.example.com"
    assert resource_documents(URL, named="", declared=declared)[0] == (f"{KNOWN}/mcp", (declared,))


@conformance("1 metadata: resource", "2 resource-mismatch")
@pytest.mark.parametrize(
    ("body", "member"),
    [
        pytest.param({"resource": "https://evil.example.com/mcp"}, "resource", id="another"),
        pytest.param({"resource": f"{URL}/"}, "resource", id="a slash more"),
        pytest.param({"resource": "https://MCP.example.com/mcp"}, "resource", id="other letters"),
        pytest.param({}, "resource", id="none"),
        pytest.param({"resource": URL, "authorization_servers": "https://as"}, "authorization_servers", id="no list"),
        pytest.param(
            {"resource": URL, "authorization_servers": ["http://as.example"]}, "authorization_servers", id="http"
        ),
        pytest.param(
            {"resource": URL, "authorization_servers": ["https://10.0.0.1"]}, "authorization_servers", id="inside"
        ),
        pytest.param({"resource": URL, "scopes_supported": "a"}, "scopes_supported", id="scopes"),
    ],
)
def test_a_document_that_is_not_in_order_is_not_used(body: Any, member: str) -> None:
    found = parsed(body)
    assert isinstance(found, MetadataFlaw)
    assert found.member == member


def test_a_document_is_read_and_kept_as_it_is() -> None:
    found = parsed(
        {"resource": URL, "authorization_servers": ["https://as.example"], "scopes_supported": ["a"], "x": 1}
    )
    assert isinstance(found, ProtectedResource)
    assert (found.authorization_servers, found.scopes) == (("https://as.example",), ("a",))
    assert ProtectedResource.from_body(json.loads(json.dumps(found.to_body()))) == found
    missing = parsed({}, 404)
    assert isinstance(missing, MetadataFlaw)
    assert missing.absent


@conformance("1 metadata: resource", "1 metadata: scope choice")
def test_what_a_challenge_says_of_the_resource() -> None:
    said = ['Basic realm="x"', f'Bearer scope="a b", resource_metadata="{KNOWN}/mcp", error="invalid_token"']
    assert challenged(parse_challenges(said), url=URL) == (f"{KNOWN}/mcp", ("a", "b"))
    assert challenged(parse_challenges(['Bearer resource_metadata="http://169.254.169.254/x"']), url=URL) == ("", ())
    assert challenged((), url=URL) == ("", ())
